//! group-recovered: the consumer group is whole, with and without the fault.

use crate::timeline::conditions;
use crate::verdicts::evidence::Evidence;
use crate::verdicts::{Check, Finding, Status, moments};

/// The group is stable, with every partition assigned exactly once.
pub struct GroupRecovered;

impl Check for GroupRecovered {
    fn id(&self) -> &'static str {
        "group-recovered"
    }

    fn meaning(&self) -> &'static str {
        "the group is stable with every partition assigned exactly once, at the end and where the drill waited for that"
    }

    fn source(&self) -> &'static str {
        "Kafka: DescribeGroups of the coordinator"
    }

    fn judge(&self, evidence: &Evidence) -> Finding {
        let expected = &evidence.expected;
        if expected.workload.consumers == 0 {
            return Finding::skipped("the lab has no consumers");
        }
        let settled = moments::settled(evidence);
        let during = settled
            .iter()
            .map(|moment| (format!("during {}", moment.words()), &moment.view));
        for (moment, view) in during.chain([("at the end".to_owned(), &evidence.after)]) {
            let lacking = conditions::group_stable(view, expected);
            if !lacking.is_empty() {
                return Finding::of(
                    false,
                    match evidence.faults.is_empty() {
                        false => format!("{moment}: {}", lacking.join("; ")),
                        true => lacking.join("; "),
                    },
                );
            }
        }
        if evidence.unproven() {
            return Finding::new(
                Status::Unknown,
                "the fault was not proven, so it is not known what to see during it",
            );
        }
        let coordinator = |view: &crate::timeline::view::View| {
            view.group
                .as_ref()
                .map_or_else(|| "none".to_owned(), |group| expected.node_service(group.coordinator))
        };
        let (before, after) = (coordinator(&evidence.before), coordinator(&evidence.after));
        let moved = if before == after {
            format!("coordinator {after}")
        } else {
            format!("coordinator {before} → {after}")
        };
        let summary = format!(
            "group {} is stable, {} partitions assigned once each; {moved}",
            expected.workload.group,
            expected.partitions().count(),
        );
        Finding::new(Status::Passed, summary)
            .with("coordinator_before", before)
            .with(
                "coordinator_during",
                settled.last().map(|moment| coordinator(&moment.view)),
            )
            .with("coordinator", after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::checks::testing::Drill;

    #[test]
    fn a_group_that_loses_a_partition_fails() {
        let good = GroupRecovered.judge(&Drill::good().evidence());
        assert_eq!(good.status, Status::Passed, "{}", good.summary);
        let bad = GroupRecovered.judge(&Drill::good().partition_without_owner().evidence());
        assert_eq!(bad.status, Status::Failed);
        assert!(
            bad.summary.contains("1 partitions are assigned to nobody"),
            "{}",
            bad.summary
        );
        let unproven = GroupRecovered.judge(&Drill::good().without_proof().evidence());
        assert_eq!(unproven.status, Status::Unknown, "{}", unproven.summary);
    }

    #[test]
    fn under_faults_it_is_asked_only_where_the_run_waited_and_enough_brokers_were_left() {
        let unstable = || Drill::good().group_is(12, "PreparingRebalance").group_is(26, "Stable");
        let found = |drill: Drill| GroupRecovered.judge(&drill.evidence());
        let bad = found(unstable());
        assert_eq!(bad.status, Status::Failed);
        assert!(bad.summary.starts_with("during stop of kafka2: "), "{}", bad.summary);
        let too_few = unstable()
            .beside_fault(9, &["kafka3"], 11, Some(20))
            .beside_wait(9, 13, 14);
        for drill in [unstable().without_waits(), too_few] {
            let fine = found(drill);
            assert_eq!(fine.status, Status::Passed, "{}", fine.summary);
        }
    }

    #[test]
    fn a_consumer_that_a_fault_put_out_is_not_missed_in_the_group() {
        let alone = Drill::of_consumer().group_is(3, "Empty").group_is(23, "Stable");
        let finding = GroupRecovered.judge(&alone.evidence());
        assert_eq!(finding.status, Status::Passed, "{}", finding.summary);
    }
}
