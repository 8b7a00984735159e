//! Runs side by side: what each came to, and what its group did and who went unread, fault by fault.

mod render;

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Explained, Format, Judgement};
use crate::error::Expected;
use crate::timeline::event::TopicPartition;
use crate::verdicts::Status;
use crate::verdicts::evidence::{Evidence, FaultTimes};
use crate::workload::ledger::history::{Ledgers, RebalanceKind};
use crate::workload::spans::{Activity, QUIET_MS, Window, gaps};

/// Version of the comparison's JSON: grows when a field changes its meaning or goes, not when one is added.
pub const SCHEMA: u32 = 1;

/// Runs side by side.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Comparison {
    /// Version of this format.
    pub schema: u32,
    /// The runs, in the order in which they were named.
    pub runs: Vec<Side>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Side {
    /// The run's name; its folder has the same.
    pub run: String,
    /// What it was about: its drill, or its command.
    pub drill: String,
    /// When it began.
    pub started: Timestamp,
    /// The group's protocol and what dealt the partitions out, where a member's ledger tells: `consumer (uniform)`.
    pub group: Option<String>,
    /// The worst of its verdicts.
    pub status: Status,
    /// What its checks measured, in the order of the checks.
    pub measured: Vec<Measured>,
    /// What became of the group: in the whole run, then from each fault's begin and end to the next. Nothing where the
    /// ledgers could not be read.
    pub phases: Vec<Phase>,
}

/// What a check measured.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Measured {
    /// Id of the check.
    pub check: String,
    /// The value: milliseconds, a count or a share.
    pub value: f64,
    /// It in words.
    pub told: String,
}

/// A part of a run.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Phase {
    /// What began it: `kill of consumer-1`, `kill of consumer-1 undone`, or `all of it`; the second of its kind has a `(2)`.
    pub since: String,
    /// Its length in milliseconds.
    pub length_ms: u64,
    /// Generations of the group (in the new protocol, members' epochs) that began in it and gave members something.
    pub rebalances: u64,
    /// Partitions that members had to give up, each time that one had to.
    pub revoked: u64,
    /// The longest time from a write to a partition until somebody read it again, with nothing read between.
    pub longest_unread_ms: u64,
    /// The partition that this was.
    pub longest_unread: Option<String>,
    /// All of these times, summed over all partitions; those of 250 ms and less are not seen.
    pub unread_ms: u64,
    /// The same of each partition that had any.
    pub unread: BTreeMap<String, u64>,
}

impl Comparison {
    /// Puts judged runs side by side.
    pub fn of(judgements: &[Judgement]) -> Self {
        Self {
            schema: SCHEMA,
            runs: judgements.iter().map(Side::of).collect(),
        }
    }

    /// Writes it in a format, ending in a line feed.
    ///
    /// # Errors
    /// A usage error for a format that is of one run.
    pub fn render(&self, format: Format) -> anyhow::Result<String> {
        match format {
            Format::Table => Ok(render::table(self)),
            Format::Markdown => Ok(render::markdown(self)),
            Format::Json => Ok(serde_json::to_string_pretty(self)? + "\n"),
            Format::Junit | Format::Html => Err(Expected::usage(
                "this format is of one run, not of several side by side",
            )
            .hint("table, json or markdown")
            .into()),
        }
    }
}

impl Side {
    fn of(judgement: &Judgement) -> Self {
        let (report, evidence) = (&judgement.report, &judgement.evidence);
        Self {
            run: report.run.clone(),
            drill: report.what(),
            started: report.started,
            group: evidence.ledgers().and_then(group),
            status: report.status,
            measured: report.verdicts.iter().filter_map(Measured::of).collect(),
            phases: evidence
                .ledgers()
                .map(|ledgers| phases(evidence, ledgers))
                .unwrap_or_default(),
        }
    }
}

impl Measured {
    fn of(verdict: &Explained) -> Option<Self> {
        let value = verdict.measured.get("value")?.as_f64()?;
        let measure = crate::verdicts::check(&verdict.id)?.measure()?;
        Some(Self {
            check: verdict.id.clone(),
            value,
            told: measure.told(value),
        })
    }
}

/// The protocol of the member that joined last: others may be of the lab's earlier life.
fn group(ledgers: &Ledgers) -> Option<String> {
    let member = ledgers
        .consumers
        .iter()
        .max_by_key(|consumer| consumer.header.started)?;
    let (protocol, assignor) = (member.header.group_protocol, &member.header.assignment);
    Some(format!("{} ({assignor})", protocol.as_str()))
}

/// The run as a whole, then what followed on each begin and end of a fault.
fn phases(evidence: &Evidence, ledgers: &Ledgers) -> Vec<Phase> {
    let at = |place: usize| evidence.events[place].wall.as_millisecond();
    let mut begins: Vec<(i64, String)> = Vec::new();
    for fault in &evidence.faults {
        let words = words(fault);
        begins.push((at(fault.injected), words.clone()));
        begins.extend(fault.undone.map(|place| (at(place), format!("{words} undone"))));
    }
    begins.sort_by_key(|(begin, _)| *begin);
    // What comes again is told apart.
    let mut times: BTreeMap<String, u32> = BTreeMap::new();
    for (_, since) in &mut begins {
        let time = times.entry(since.clone()).or_default();
        *time += 1;
        if *time > 1 {
            since.push_str(&format!(" ({time})"));
        }
    }
    let (first, last) = (at(0), evidence.cut.unwrap_or_else(|| at(evidence.events.len() - 1)));
    let whole = Window { from: first, to: last };
    let mut phases = vec![Phase::of("all of it".into(), whole, evidence, ledgers)];
    let ends = begins.iter().skip(1).map(|(begin, _)| *begin).chain([last]);
    for ((from, since), to) in begins.iter().zip(ends) {
        let window = Window { from: *from, to };
        phases.push(Phase::of(since.clone(), window, evidence, ledgers));
    }
    phases
}

/// Whom the user asked for, where that was a role: another server may have it in another run.
fn words(fault: &FaultTimes) -> String {
    if fault.asked.is_empty() {
        fault.words()
    } else {
        format!("{} of {}", fault.fault, fault.asked.join(", "))
    }
}

impl Phase {
    fn of(since: String, window: Window, evidence: &Evidence, ledgers: &Ledgers) -> Self {
        // What happens at the end of one is the begin of the next.
        let within = |at: i64| at >= window.from && at < window.to;
        let (acks, deliveries) = (ledgers.acks(), ledgers.deliveries());
        let mut longest = None;
        let mut unread: BTreeMap<String, u64> = BTreeMap::new();
        for partition in evidence.expected.partitions() {
            let of = |of: &'_ BTreeMap<TopicPartition, Activity>| of.get(&partition).cloned().unwrap_or_default();
            let (acks, deliveries) = (of(&acks), of(&deliveries));
            for gap in gaps(deliveries.spans(), window) {
                // Where nothing is written there is nothing to read; what was acknowledged just now may have been delivered
                // just before.
                let written = acks.first_after(gap.from + QUIET_MS).unwrap_or(gap.to);
                let length = (gap.to - written.min(gap.to)).unsigned_abs();
                if length <= QUIET_MS.unsigned_abs() {
                    continue;
                }
                let name = format!("{}-{}", partition.0, partition.1);
                *unread.entry(name.clone()).or_default() += length;
                if longest.as_ref().is_none_or(|(longest, _)| length > *longest) {
                    longest = Some((length, name));
                }
            }
        }
        let revocations = ledgers.consumers.iter().flat_map(|consumer| &consumer.rebalances);
        let revoked = revocations.filter(|one| one.kind == RebalanceKind::Revoked && within(one.what.at));
        Self {
            since,
            length_ms: (window.to - window.from).unsigned_abs(),
            rebalances: ledgers
                .generations()
                .into_values()
                .filter(|begin| within(*begin))
                .count() as u64,
            revoked: revoked.map(|one| one.what.partitions.len() as u64).sum(),
            longest_unread_ms: longest.as_ref().map_or(0, |(length, _)| *length),
            longest_unread: longest.map(|(_, partition)| partition),
            unread_ms: unread.values().sum(),
            unread,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::checks::testing::Drill;

    #[test]
    fn a_fault_that_comes_again_is_told_apart() {
        let drill = Drill::good().beside_fault(7, &["kafka3"], 22, Some(24));
        let evidence = drill.beside_fault(8, &["kafka3"], 26, Some(28)).evidence();
        let phases = phases(&evidence, evidence.ledgers().unwrap());
        let since: Vec<&str> = phases.iter().map(|phase| phase.since.as_str()).collect();
        let kills: Vec<&str> = since.into_iter().filter(|since| since.starts_with("kill")).collect();
        let twice = [
            "kill of kafka3",
            "kill of kafka3 undone",
            "kill of kafka3 (2)",
            "kill of kafka3 undone (2)",
        ];
        assert_eq!(kills, twice);
    }

    #[test]
    fn a_run_is_told_as_a_whole_and_by_what_its_faults_began() {
        let judgement = |drill: Drill| Judgement::of("run".into(), drill.evidence());
        let judgements = [
            judgement(Drill::good().rebalanced(-5, Some(3)).rebalanced(5, Some(4))),
            judgement(Drill::good().without_ledgers()),
        ];
        let comparison = Comparison::of(&judgements);
        let told = &comparison.runs[0];
        let phases: Vec<(&str, u64)> = told
            .phases
            .iter()
            .map(|one| (one.since.as_str(), one.rebalances))
            .collect();
        let undone = "stop of kafka2 undone";
        assert_eq!(phases, [("all of it", 1), ("stop of kafka2", 1), (undone, 0)]);
        assert_eq!(told.group.as_deref(), Some("classic (cooperative-sticky)"));
        assert!(comparison.runs[1].phases.is_empty() && comparison.runs[1].group.is_none());
        assert!(comparison.render(Format::Json).is_ok() && comparison.render(Format::Html).is_err());
    }
}
