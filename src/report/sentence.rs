//! The outcome in one sentence, for people who do not know Kafka.

use crate::verdicts::evidence::Evidence;
use crate::verdicts::{Status, Verdict};

/// Says what was done and what came of it.
pub fn of(evidence: &Evidence, verdicts: &[Verdict], status: Status) -> String {
    let did = did(evidence);
    let worst: Vec<&Verdict> = verdicts.iter().filter(|verdict| verdict.status == status).collect();
    match status {
        Status::Passed => {
            let whole = match evidence.faults.last() {
                Some(fault) if fault.undone.is_none() => "the rest of the cluster goes on without it",
                Some(_) => "the cluster is whole again",
                None => "it is whole",
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
    let (Some(fault), Some(last)) = (evidence.faults.first(), evidence.faults.last()) else {
        return "The cluster was looked at as it stands".into();
    };
    if evidence.faults.len() > 1 {
        let until = last.undone.unwrap_or(evidence.events.len() - 1);
        let seconds = evidence.since(fault.injected, evidence.events[until].elapsed_ms) / 1000;
        return format!(
            "{} faults hit the cluster within {seconds} seconds",
            evidence.faults.len()
        );
    }
    let target = fault.targets.join(", ");
    let verb = match fault.fault.as_str() {
        "stop" => "stopped".to_owned(),
        "kill" => "killed".to_owned(),
        other => format!("hit by {other}"),
    };
    let until = fault.undone.unwrap_or(evidence.events.len() - 1);
    let seconds = evidence.since(fault.injected, evidence.events[until].elapsed_ms) / 1000;
    match fault.undone {
        Some(_) => format!("{target} was {verb} for {seconds} seconds"),
        None => format!("{target} was {verb} and is still down"),
    }
}

/// What was kept, or lost as was expected.
fn kept(verdicts: &[Verdict]) -> String {
    let Some(lost_write) = verdicts.iter().find(|verdict| verdict.id == "lost-write") else {
        return String::new();
    };
    match (number(lost_write, "acknowledged"), number(lost_write, "lost")) {
        (Some(acknowledged), Some(0)) => format!(" none of {acknowledged} confirmed messages was lost,"),
        (Some(acknowledged), Some(lost)) => {
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
            (Some(lost), Some(all)) => format!("{lost} of {all} confirmed messages are gone"),
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
        "leaders-moved" => "the other servers did not take over in time".into(),
        "gap" => "writing or reading stood still for too long".into(),
        "time-to-recover" => "it took too long until writing worked again".into(),
        "availability" => "too many attempts to write failed".into(),
        "isr-shrunk" => "the other servers did not notice in time".into(),
        "isr-restored" => "not every copy of the data is up to date again".into(),
        "leaders-balanced" => "the work is not spread over the servers as it should be".into(),
        "leader-epoch" => "the servers disagree about who was in charge of what, and when".into(),
        "one-controller" => "the servers do not agree on who is in charge".into(),
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
    fn every_check_that_can_fail_has_words_of_its_own() {
        let counted_only = ["fault-effective", "progress", "unseen", "redelivery"];
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
