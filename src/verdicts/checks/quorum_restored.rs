//! quorum-restored: at the end one controller leads KRaft's metadata quorum, and every node has caught up with it again.

use std::collections::BTreeSet;

use crate::timeline::conditions;
use crate::topology::migration::Phase;
use crate::verdicts::checks::readable;
use crate::verdicts::evidence::Evidence;
use crate::verdicts::{Check, Finding, Measure, Status};

/// The metadata quorum is whole.
pub struct QuorumRestored;

impl Check for QuorumRestored {
    fn id(&self) -> &'static str {
        "quorum-restored"
    }

    fn meaning(&self) -> &'static str {
        "KRaft's metadata quorum has a leader at the end, and every voter and observer has caught up with it"
    }

    fn source(&self) -> &'static str {
        "Kafka: DescribeQuorum tells the leader, and when each voter and observer last had all of the metadata log"
    }

    fn measure(&self) -> Option<Measure> {
        Some(Measure::Time)
    }

    fn judge(&self, evidence: &Evidence) -> Finding {
        let expected = &evidence.expected;
        if !evidence.after.is_throughout(Phase::is_controlled_by_kraft) {
            return Finding::skipped("ZooKeeper keeps the metadata");
        }
        if evidence.after.quorum.is_none() {
            return Finding::new(Status::Unknown, "no controller told of the metadata quorum");
        }
        // In migration mode, brokers read no metadata log yet.
        let has_brokers = evidence.after.is_throughout(Phase::has_kraft_brokers);
        let (voters, nodes) = (
            expected.controllers.len(),
            expected
                .controllers
                .values()
                .chain(expected.brokers.values().filter(|_| has_brokers))
                .collect::<BTreeSet<_>>()
                .len(),
        );
        let whole = |view: &_| conditions::quorum(view, expected);
        if evidence.faults.is_empty() {
            let lacking = whole(&evidence.after);
            return if lacking.is_empty() {
                let summary = format!("one of {voters} voters leads, and all {nodes} nodes have caught up");
                Finding::of(true, summary).with("nodes", nodes)
            } else {
                Finding::of(false, lacking.join("; "))
            };
        }
        if let Some(left) = evidence.faults.iter().find(|fault| fault.undone.is_none()) {
            return Finding::skipped(format!("{} was left in place", left.words()));
        }
        let undone = evidence.faults.iter().filter_map(|fault| fault.undone).max();
        let undone = undone.unwrap_or_default();
        match evidence.held_since(undone, None, whole) {
            Ok(at) => {
                let took = evidence.since(undone, at);
                let summary = format!(
                    "one of {voters} voters led, and all {nodes} nodes had caught up, {} after the fault was undone",
                    readable(took)
                );
                Finding::measured(self, evidence, None, took as f64, summary)
                    .with("nodes", nodes)
                    .with("restored_after_ms", took)
            }
            Err(lacking) => Finding::of(false, lacking.join("; ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::checks::testing::Drill;

    fn found(drill: Drill) -> Finding {
        QuorumRestored.judge(&drill.evidence())
    }

    #[test]
    fn a_quorum_that_catches_up_passes_and_one_that_does_not_or_has_no_leader_fails() {
        let good = found(Drill::kraft().lags(5, &[2]).lags(23, &[]));
        assert_eq!(good.status, Status::Passed, "{}", good.summary);
        assert_eq!(good.measured["restored_after_ms"], 3_000);
        let late = found(Drill::kraft().lags(5, &[2]));
        assert_eq!(
            (late.status, late.summary.as_str()),
            (Status::Failed, "kafka2 has not caught up with the metadata log")
        );
        let headless = found(Drill::kraft().leads(24, -1, 7));
        assert_eq!(
            (headless.status, headless.summary.as_str()),
            (Status::Failed, "the metadata quorum has no leader")
        );
    }

    #[test]
    fn what_was_not_told_is_unknown_and_what_is_not_there_or_left_is_skipped() {
        assert_eq!(found(Drill::kraft().without_epoch()).status, Status::Unknown);
        assert_eq!(found(Drill::good()).status, Status::Skipped);
        assert_eq!(found(Drill::kraft().left_in_place()).status, Status::Skipped);
        assert_eq!(found(Drill::kraft().without_fault()).status, Status::Passed);
    }

    #[test]
    fn controllers_are_judged_as_soon_as_they_keep_the_metadata() {
        let migrated = |to| {
            let drill = Drill::good().migrates(1, Phase::Controllers, Some(2));
            found(drill.migrates(3, to, Some(4))).status
        };
        assert_eq!(migrated(Phase::ZooKeeper), Status::Skipped);
        // None of them has told of a quorum.
        assert_eq!(migrated(Phase::Hybrid), Status::Unknown);
    }
}
