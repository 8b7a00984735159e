//! The outcome in one sentence, for people who do not know Kafka.

use crate::report::grouped;
use crate::verdicts::evidence::{Evidence, FaultTimes};
use crate::verdicts::{Status, Verdict};

/// So many of several faults are named.
const NAMED: usize = 3;

/// Says what was done and what came of it.
pub fn of(evidence: &Evidence, verdicts: &[Verdict], status: Status) -> String {
    let did = did(evidence);
    let worst: Vec<&Verdict> = verdicts.iter().filter(|verdict| verdict.status == status).collect();
    match status {
        Status::Passed => {
            let left = evidence.faults.iter().any(|fault| fault.undone.is_none());
            let whole = match evidence.faults.is_empty() {
                true => "it is whole",
                false if left => "the rest of the cluster goes on",
                false => "the cluster is whole again",
            };
            format!("{did}:{}{} and {whole}.", kept(verdicts), paused(verdicts))
        }
        Status::Failed => {
            let harm: Vec<String> = worst.iter().map(|verdict| plain(verdict)).collect();
            format!("{did}, and {}.", harm.join("; "))
        }
        Status::Hung if worst.iter().any(|verdict| verdict.id == "progress") => {
            format!("{did}, and nothing could be written or read meanwhile.")
        }
        Status::Hung => format!("{did}, and in some places writing did not begin to work again."),
        _ => {
            let ids: Vec<&str> = worst.iter().map(|verdict| verdict.id.as_str()).collect();
            format!(
                "{did}, but whether it did harm cannot be told: evidence is missing for {}.",
                ids.join(", ")
            )
        }
    }
}

/// What was done to whom, for how long.
fn did(evidence: &Evidence) -> String {
    let Some(fault) = evidence.faults.first() else {
        return "The cluster was looked at as it stands".into();
    };
    if evidence.faults.len() > 1 {
        let ends = evidence.faults.iter().map(|fault| fault.undone);
        let until = ends.map(|undone| undone.unwrap_or(evidence.events.len() - 1)).max();
        let until = evidence.events[until.unwrap_or_default()].elapsed_ms;
        let mut named: Vec<String> = evidence.faults.iter().take(NAMED).map(FaultTimes::words).collect();
        if evidence.faults.len() > NAMED {
            named.push("…".into());
        }
        return format!(
            "{} faults in {} ({})",
            evidence.faults.len(),
            lasted(evidence.since(fault.injected, until)),
            named.join(", ")
        );
    }
    let (who, was) = match &fault.targets[..] {
        [one] => (one.clone(), "was"),
        [first @ .., last] => (format!("{} and {last}", first.join(", ")), "were"),
        [] => ("nobody".to_owned(), "was"),
    };
    let verb = match fault.fault.as_str() {
        "stop" => "stopped",
        "kill" => "killed",
        "pause" => "frozen",
        "restart" => "restarted",
        "block" | "partition" => "cut off from others",
        "disconnect" => "taken off the network",
        other => return format!("{who} {was} hit by {other}{}", time(evidence, fault)),
    };
    format!("{who} {was} {verb}{}", time(evidence, fault))
}

/// For how long a fault was in place, as the end of a sentence; nothing where it did not stay.
fn time(evidence: &Evidence, fault: &FaultTimes) -> String {
    match fault.undone {
        Some(undone) => match evidence.since(fault.injected, evidence.events[undone].elapsed_ms) {
            0..1000 => String::new(),
            ms => format!(" for {}", lasted(ms)),
        },
        None => " and still is".into(),
    }
}

/// A time in whole seconds, or minutes where there are several.
fn lasted(ms: u64) -> String {
    match ms / 1000 {
        1 => "1 second".into(),
        seconds @ 0..120 => format!("{seconds} seconds"),
        seconds => format!("{} minutes", (seconds + 30) / 60),
    }
}

/// What was kept, or lost as was expected.
fn kept(verdicts: &[Verdict]) -> String {
    let Some(lost_write) = verdicts.iter().find(|verdict| verdict.id == "lost-write") else {
        return String::new();
    };
    match (number(lost_write, "acknowledged"), number(lost_write, "lost")) {
        (Some(acknowledged), Some(0)) => format!(" none of {} confirmed messages was lost,", grouped(acknowledged)),
        (Some(acknowledged), Some(lost)) => {
            let (lost, acknowledged) = (grouped(lost), grouped(acknowledged));
            format!(" {lost} of {acknowledged} confirmed messages were lost, as was expected,")
        }
        _ => String::new(),
    }
}

/// For how long writing paused.
fn paused(verdicts: &[Verdict]) -> String {
    let gap = verdicts.iter().find(|verdict| verdict.id == "gap");
    let longest = gap.and_then(|gap| gap.measured.get("acknowledgement")?.get("longest_ms")?.as_u64());
    match longest {
        Some(0) => " writing never paused,".to_owned(),
        Some(ms) => format!(
            " writing paused for at most {:.1} seconds on any partition,",
            ms as f64 / 1000.0
        ),
        None => String::new(),
    }
}

/// What a failed check means to somebody who does not know Kafka.
fn plain(verdict: &Verdict) -> String {
    let count = number(verdict, "count").unwrap_or(0);
    if number(verdict, "count") == Some(0) && verdict.measured.contains_key("limit") {
        return format!("{} was expected, and did not come", verdict.id);
    }
    match verdict.id.as_str() {
        "lost-write" => match (number(verdict, "lost"), number(verdict, "acknowledged")) {
            (Some(0), _) if number(verdict, "vanished") == Some(0) => {
                "nothing was lost, though that was expected".into()
            }
            (Some(0), _) => "messages that had been read are gone".into(),
            (Some(lost), Some(all)) => format!("{} of {} confirmed messages are gone", grouped(lost), grouped(all)),
            _ => "confirmed messages are gone".into(),
        },
        "duplicate" => format!("{count} messages are stored twice"),
        "inconsistent-offset" => format!("{count} messages are not where they were confirmed to be"),
        "aborted-read" => format!("{count} messages are stored though their sender was told that they are not"),
        "phantom" => format!("{count} messages are stored that nobody sent"),
        "reorder" => format!("{count} messages are stored in the wrong order"),
        "offset-monotonicity" => "places that were taken were given out again".into(),
        "poll-skip" => "readers left messages out".into(),
        "nonmonotonic-poll" => "readers went back without a reason".into(),
        "committed-past-processed" => "readers were taken to have read what they had not".into(),
        "exactly-once" => format!("{count} messages were not copied once and in order"),
        "fault-healed" => "what was broken on purpose does not work again".into(),
        "steps" => "the cluster did not do in time what was waited for".into(),
        "progress" => "more was written or read meanwhile than should have been".into(),
        "leaders-moved" => "the other servers did not take over in time".into(),
        "gap" => "writing or reading stood still for too long".into(),
        "time-to-recover" => "it took too long until writing worked again".into(),
        "availability" => "too many attempts to write failed".into(),
        "isr-shrunk" => "the other servers did not notice in time".into(),
        "isr-restored" => "not every copy of the data is up to date again".into(),
        "leaders-balanced" => "the work is not spread over the servers as it should be".into(),
        "leader-epoch" => "the servers disagree about who was in charge of what, and when".into(),
        "one-controller" => "the servers do not agree on who is in charge".into(),
        "migration" => "the way from ZooKeeper to KRaft was not gone as it should be".into(),
        "quorum-restored" => "the servers that keep the metadata did not all come back".into(),
        "group-recovered" => "the readers are not all back at work".into(),
        id => format!("{id} does not hold"),
    }
}

fn number(verdict: &Verdict, name: &str) -> Option<u64> {
    verdict.measured.get(name)?.as_u64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::checks::{self, testing::Drill};
    use crate::verdicts::{judge, overall};

    fn sentence(drill: Drill) -> String {
        let evidence = drill.evidence();
        let verdicts = judge(&evidence);
        of(&evidence, &verdicts, overall(&verdicts))
    }

    #[test]
    fn it_says_what_was_done_and_what_came_of_it() {
        assert_eq!(
            sentence(Drill::good()),
            "kafka2 was stopped for 19 seconds: none of 200 confirmed messages was lost, writing never paused, and the \
             cluster is whole again."
        );
        let lost = sentence(Drill::good().log_without(7));
        assert!(lost.contains("1 of 200 confirmed messages are gone"), "{lost}");
    }

    #[test]
    fn several_faults_are_counted_and_the_first_are_named() {
        let mut evidence = Drill::good().evidence();
        let first = evidence.faults[0].clone();
        evidence.faults.push(FaultTimes {
            targets: vec!["kafka3".into(), "kafka1".into()],
            ..first.clone()
        });
        assert_eq!(
            did(&evidence),
            "2 faults in 19 seconds (stop of kafka2, stop of kafka3, kafka1)"
        );
        evidence.faults.extend([first.clone(), first]);
        assert!(did(&evidence).ends_with("stop of kafka2, …)"), "{}", did(&evidence));
        evidence.faults.drain(..3);
        evidence.faults[0].targets.push("kafka3".into());
        assert_eq!(did(&evidence), "kafka2 and kafka3 were stopped for 19 seconds");
    }

    #[test]
    fn a_loss_that_was_expected_is_said_to_have_been() {
        let mut bound = crate::timeline::limits::Bound::at_least(1.0);
        bound.asked = true;
        let told = sentence(Drill::good().log_without(7).limit("lost-write", bound));
        assert!(
            told.contains(": 1 of 200 confirmed messages were lost, as was expected,"),
            "{told}"
        );
    }

    #[test]
    fn every_check_that_can_fail_has_words_of_its_own() {
        let counted_only = ["fault-effective", "unseen", "rebalances", "redelivery"];
        for check in checks::ALL
            .into_iter()
            .filter(|check| !counted_only.contains(&check.id()))
        {
            let verdict = Verdict {
                id: check.id().into(),
                status: Status::Failed,
                summary: String::new(),
                measured: serde_json::Map::new(),
            };
            let words = plain(&verdict);
            assert!(!words.contains("does not hold"), "{}: {words}", check.id());
        }
    }
}
