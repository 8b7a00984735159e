//! time-to-recover: from the first send that got no acknowledgement to the first that did again.

use std::collections::BTreeMap;

use serde_json::json;

use crate::timeline::event::TopicPartition;
use crate::verdicts::checks::{by_leader, harm, name};
use crate::verdicts::evidence::Evidence;
use crate::verdicts::{Check, Finding, Measure, Status};
use crate::workload::spans::Activity;

/// How long it took, on the partition that fared worst, until a send succeeded after one had not.
pub struct TimeToRecover;

impl Check for TimeToRecover {
    fn id(&self) -> &'static str {
        "time-to-recover"
    }

    fn meaning(&self) -> &'static str {
        "from the start of the first send in the fault's window that failed or was left unknown, to the first success after it"
    }

    fn source(&self) -> &'static str {
        "openmessaging/openchaos, RTOChecker: recovery time objective"
    }

    fn measure(&self) -> Option<Measure> {
        Some(Measure::Time)
    }

    fn judge(&self, evidence: &Evidence) -> Finding {
        let (window, ledgers) = match harm(self, evidence) {
            Ok(harm) => harm,
            Err(finding) => return finding,
        };
        let (acks, troubled, none) = (ledgers.acks(), ledgers.troubled(), Activity::default());
        let mut partitions = serde_json::Map::new();
        let mut longest: BTreeMap<TopicPartition, i64> = BTreeMap::new();
        let mut worst: Option<(String, i64, bool)> = None;
        for partition in evidence.expected.partitions() {
            let trouble = troubled
                .get(&partition)
                .and_then(|troubled| troubled.first_after(window.from));
            let Some(begun) = trouble.filter(|begun| *begun <= window.to) else {
                continue;
            };
            let success = acks.get(&partition).unwrap_or(&none).recovered_after(begun);
            let success = success.filter(|success| *success <= window.to);
            let took = success.unwrap_or(window.to) - begun;
            let name = name(&partition);
            partitions.insert(name.clone(), json!({"recovered": success.is_some(), "took_ms": took}));
            longest.insert(partition, took);
            let worse = worst
                .as_ref()
                .is_none_or(|(_, longest, recovered)| (success.is_none(), took) > (!recovered, *longest));
            if worse {
                worst = Some((name, took, success.is_some()));
            }
        }
        let finding = match &worst {
            None => Finding::measured(self, evidence, None, 0.0, "no send failed or was left unknown"),
            Some((name, took, true)) => {
                let summary = format!("{} on {name}, where it took longest", Measure::Time.told(*took as f64));
                Finding::measured(self, evidence, None, *took as f64, summary)
            }
            Some((name, took, false)) => {
                let waited = Measure::Time.told(*took as f64);
                Finding::new(
                    Status::Hung,
                    format!("{name} had no success for {waited}, until the cut"),
                )
                .with("value", *took as f64)
            }
        };
        finding
            .with("partitions", partitions)
            .with("by_leader_ms", json!(by_leader(evidence, &longest, i64::max)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::limits::Bound;
    use crate::verdicts::checks::testing::Drill;

    #[test]
    fn recovery_counts_from_the_first_send_that_got_no_answer() {
        let good = TimeToRecover.judge(&Drill::good().evidence());
        assert_eq!(good.status, Status::Passed, "{}", good.summary);
        let slow = || {
            Drill::good()
                .nothing_acknowledged_during_the_fault()
                .sends_fail_at(3_000)
        };
        let told = TimeToRecover.judge(&slow().evidence());
        assert_eq!(
            (told.status, &told.measured["value"]),
            (Status::Passed, &17_000.0.into()),
            "{}",
            told.summary
        );
        let late = TimeToRecover.judge(&slow().limit("time-to-recover", Bound::at_most(5_000.0)).evidence());
        assert_eq!(late.status, Status::Failed, "{}", late.summary);
    }

    #[test]
    fn without_a_fault_only_those_who_ask_are_answered_and_never_with_a_skip() {
        use crate::verdicts::judge;
        let status = |drill: Drill, id: &str| {
            let verdicts = judge(&drill.without_fault().evidence());
            verdicts
                .into_iter()
                .find(|verdict| verdict.id == id)
                .map(|verdict| verdict.status)
        };
        let asked = |check: &str, limit: f64| {
            let mut bound = Bound::at_most(limit);
            bound.asked = true;
            Drill::good().limit(check, bound)
        };
        assert_eq!(status(Drill::good(), "time-to-recover"), Some(Status::Skipped));
        assert_eq!(
            status(asked("time-to-recover", 0.0), "time-to-recover"),
            Some(Status::Passed)
        );
        assert_eq!(status(asked("gap", 0.0), "gap"), Some(Status::Passed));
        assert_eq!(
            status(asked("leaders-moved", 0.0), "leaders-moved"),
            Some(Status::Unknown)
        );
        assert_eq!(
            status(asked("isr-restored", 0.0), "isr-restored"),
            Some(Status::Unknown)
        );
    }

    #[test]
    fn a_partition_that_never_recovers_is_hung() {
        let hung = TimeToRecover.judge(&Drill::good().sends_fail_at(29_950).evidence());
        assert_eq!(hung.status, Status::Hung, "{}", hung.summary);
    }
}
