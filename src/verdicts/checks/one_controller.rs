//! one-controller: every broker, asked by itself, names the same live controller.

use crate::timeline::conditions;
use crate::timeline::event::Kind;
use crate::timeline::view::{QUORUM, View};
use crate::verdicts::evidence::Evidence;
use crate::verdicts::{Check, Finding, Status, moments};

/// There is one controller, before and after the faults, and under those that the lab was given time to settle without.
pub struct OneController;

impl Check for OneController {
    fn id(&self) -> &'static str {
        "one-controller"
    }

    fn meaning(&self) -> &'static str {
        "every broker, asked by itself, names the same live controller, or KRaft's quorum has a leader; its epoch never goes back"
    }

    fn source(&self) -> &'static str {
        "Kafka: ActiveControllerCount sums to 1; /controller_epoch in ZooKeeper, or the quorum leader's epoch, grows with each election"
    }

    fn judge(&self, evidence: &Evidence) -> Finding {
        let settled = moments::settled(evidence);
        let during = settled
            .iter()
            .map(|moment| (format!("during {}", moment.words()), &moment.view));
        let ends = [("before", &evidence.before), ("after", &evidence.after)];
        let ends = ends.map(|(moment, view)| (format!("{moment} the faults"), view));
        let epoch = |view: &View| view.controller.map(|(_, epoch)| epoch);
        for (moment, view) in ends.into_iter().chain(during) {
            let lacking = conditions::one_controller(view, &evidence.expected);
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
        let (Some(first), Some(last)) = (epoch(&evidence.before), epoch(&evidence.after)) else {
            return Finding::new(Status::Unknown, "nobody told the controller's epoch");
        };
        let (from, to) = evidence.after.phases();
        if from != to {
            return Finding::new(
                Status::Unknown,
                format!("the migration to {to} did not come to its end"),
            );
        }
        if to.is_controlled_by_kraft() {
            return leaders(evidence, first, last);
        }
        let named = |view: &View| view.witnesses().find_map(|(_, broker)| broker.controller).unwrap_or(-1);
        let (before, after) = (named(&evidence.before), named(&evidence.after));
        let service = |id: i32| evidence.expected.node_service(id);
        let summary = if first == last {
            format!("every broker names {} (epoch {last}) throughout", service(after))
        } else {
            format!(
                "every broker names {} (epoch {last}); it was {} (epoch {first})",
                service(after),
                service(before)
            )
        };
        if let Some((elected, _)) = evidence.after.controller
            && elected != after
        {
            let summary = format!(
                "every broker names {}, but ZooKeeper holds {}",
                service(after),
                service(elected)
            );
            return Finding::of(false, summary);
        }
        Finding::of(!went_back(evidence), summary)
            .with("controller", after)
            .with("controller_before", before)
            .with("epoch", last)
            .with("epoch_before", first)
            .with(
                "asked",
                evidence
                    .after
                    .witnesses()
                    .map(|(id, _)| service(id))
                    .collect::<Vec<_>>(),
            )
    }
}

/// What is found in KRaft, where no broker names the controller by itself: the quorum's leader, before and after.
fn leaders(evidence: &Evidence, first: i32, last: i32) -> Finding {
    let leader = |view: &View| view.controller.map_or(-1, |(leader, _)| leader);
    let (before, after) = (leader(&evidence.before), leader(&evidence.after));
    let service = |id: i32| evidence.expected.node_service(id);
    let summary = if !evidence.expected.flavor.is_kraft() {
        format!(
            "{} leads the metadata quorum (epoch {last}), to which the cluster has migrated",
            service(after)
        )
    } else if first == last {
        format!("{} led the metadata quorum (epoch {last}) throughout", service(after))
    } else {
        format!(
            "{} leads the metadata quorum (epoch {last}); it was {} (epoch {first})",
            service(after),
            service(before)
        )
    };
    Finding::of(!went_back(evidence), summary)
        .with("controller", after)
        .with("controller_before", before)
        .with("epoch", last)
        .with("epoch_before", first)
}

/// Whether an epoch was ever followed by a lower one. ZooKeeper and KRaft's quorum count by themselves, and each quorum anew.
fn went_back(evidence: &Evidence) -> bool {
    let (mut of_zookeeper, mut of_quorum) = (i32::MIN, i32::MIN);
    evidence.events.iter().any(|event| match event.kind {
        Kind::ControllerElected { epoch, .. } => {
            let last = if event.source == QUORUM {
                &mut of_quorum
            } else {
                &mut of_zookeeper
            };
            std::mem::replace(last, epoch) > epoch
        }
        Kind::MigrationStarted { phase } if !phase.has_controllers() => {
            of_quorum = i32::MIN;
            false
        }
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::migration::Phase;
    use crate::verdicts::checks::testing::Drill;

    #[test]
    fn brokers_that_name_two_controllers_fail_and_a_missing_epoch_is_unknown() {
        let good = OneController.judge(&Drill::good().evidence());
        assert_eq!(good.status, Status::Passed, "{}", good.summary);
        assert_eq!(
            OneController.judge(&Drill::good().two_controllers().evidence()).status,
            Status::Failed
        );
        assert_eq!(
            OneController.judge(&Drill::good().without_epoch().evidence()).status,
            Status::Unknown
        );
    }

    #[test]
    fn without_proof_of_the_fault_nothing_is_passed_and_two_controllers_at_the_end_still_fail() {
        let unproven = OneController.judge(&Drill::good().without_proof().evidence());
        assert_eq!(unproven.status, Status::Unknown, "{}", unproven.summary);
        let two = Drill::good().two_controllers().without_proof();
        assert_eq!(OneController.judge(&two.evidence()).status, Status::Failed);
    }

    #[test]
    fn in_kraft_it_is_the_leader_of_the_quorum_whose_epoch_must_not_go_back() {
        let found = |drill: Drill| OneController.judge(&drill.evidence());
        let moved = found(Drill::kraft().leads(3, 3, 8));
        assert_eq!(moved.status, Status::Passed, "{}", moved.summary);
        assert_eq!(
            moved.summary,
            "kafka3 leads the metadata quorum (epoch 8); it was kafka1 (epoch 7)"
        );
        assert_eq!(found(Drill::kraft()).measured["controller"], 1);
        assert_eq!(found(Drill::kraft().leads(3, 3, 6)).status, Status::Failed);
        assert_eq!(found(Drill::kraft().leads(24, -1, 7)).status, Status::Failed);
        assert_eq!(found(Drill::kraft().without_proof()).status, Status::Unknown);
    }

    #[test]
    fn after_a_migration_it_is_the_quorums_leader_whose_epochs_are_not_those_of_zookeeper() {
        let hybrid = |drill: Drill, at: u64| {
            let drill = drill.migrates(at, Phase::Controllers, Some(at + 1)).leads(at + 1, 1, 1);
            drill.migrates(at + 2, Phase::Hybrid, Some(at + 3)).leads(at + 4, 2, 2)
        };
        let found = |drill: Drill| OneController.judge(&drill.evidence());
        let good = found(hybrid(Drill::good(), 1));
        assert_eq!(good.status, Status::Passed, "{}", good.summary);
        assert!(
            good.summary.contains("kafka2 leads the metadata quorum (epoch 2)"),
            "{}",
            good.summary
        );
        assert_eq!(found(hybrid(Drill::good(), 1).leads(6, 2, 1)).status, Status::Failed);
        assert_eq!(found(hybrid(Drill::good(), 1).leads(6, -1, 2)).status, Status::Failed);
        // Controllers that are provisioned anew begin with the first epoch.
        let again = hybrid(Drill::good(), 1).migrates(6, Phase::ZooKeeper, Some(7));
        assert_eq!(found(hybrid(again, 8)).status, Status::Passed);
    }

    #[test]
    fn under_faults_it_is_asked_only_where_the_run_waited_and_zookeeper_could_decide() {
        let differ = || {
            Drill::good()
                .says_controller(12, "kafka3", 3)
                .says_controller(22, "kafka3", 1)
        };
        let found = |drill: Drill| OneController.judge(&drill.evidence());
        let bad = found(differ());
        assert_eq!(bad.status, Status::Failed);
        assert!(bad.summary.starts_with("during stop of kafka2: "), "{}", bad.summary);
        let without_quorum = differ().beside_fault(9, &["zookeeper1", "zookeeper2"], 11, Some(20));
        for drill in [differ().without_waits(), without_quorum.beside_wait(9, 13, 14)] {
            let fine = found(drill);
            assert_eq!(fine.status, Status::Passed, "{}", fine.summary);
        }
    }
}
