//! leaders-moved: no partition is led by the broker that is gone, and every one is led by somebody.

use crate::timeline::conditions;
use crate::verdicts::checks::{readable, without_brokers};
use crate::verdicts::evidence::Evidence;
use crate::verdicts::{Check, Finding, Measure};

/// Leadership left the target of the fault in time, and every partition found another leader.
pub struct LeadersMoved;

impl Check for LeadersMoved {
    fn id(&self) -> &'static str {
        "leaders-moved"
    }

    fn meaning(&self) -> &'static str {
        "leadership left the broker that is gone, in time, and every partition found another leader"
    }

    fn source(&self) -> &'static str {
        "Kafka: a dead broker counts as alive for at most zookeeper.session.timeout.ms (broker.session.timeout.ms in KRaft)"
    }

    fn measure(&self) -> Option<Measure> {
        Some(Measure::Time)
    }

    fn judge(&self, evidence: &Evidence) -> Finding {
        let moved = without_brokers(evidence, "leaders had not moved", |view| {
            conditions::led_by_survivors(view, &evidence.expected)
        });
        match moved {
            Ok(Some(slowest)) => {
                let summary = format!("every partition was led by another broker after {}", readable(slowest));
                Finding::measured(self, evidence, None, slowest as f64, summary).with("moved_after_ms", slowest)
            }
            Ok(None) => Finding::of(true, "every partition was led by another broker"),
            Err(finding) => finding,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::limits::Bound;
    use crate::verdicts::Status;
    use crate::verdicts::checks::testing::Drill;

    #[test]
    fn leaders_that_stay_or_move_too_late_fail() {
        let good = LeadersMoved.judge(&Drill::good().evidence());
        assert_eq!(good.status, Status::Passed, "{}", good.summary);
        assert_eq!(good.measured["moved_after_ms"], 2_000);
        assert_eq!(
            LeadersMoved.judge(&Drill::good().leaders_stay().evidence()).status,
            Status::Failed
        );
        assert_eq!(
            LeadersMoved
                .judge(&Drill::good().limit("leaders-moved", Bound::at_most(1_000.0)).evidence())
                .status,
            Status::Failed
        );
    }

    #[test]
    fn a_zookeeper_server_leads_nothing_so_this_is_skipped() {
        assert_eq!(
            LeadersMoved.judge(&Drill::of_zookeeper().evidence()).status,
            Status::Skipped
        );
    }

    fn found(drill: Drill) -> (Status, String) {
        let finding = LeadersMoved.judge(&drill.evidence());
        (finding.status, finding.summary)
    }

    #[test]
    fn a_fault_is_judged_only_where_the_run_waited_or_a_session_had_time_to_expire() {
        let (status, why) = found(Drill::good().without_waits().leaders_stay());
        assert_eq!(status, Status::Skipped, "{why}");
        assert!(why.contains("undone before the lab had to notice"), "{why}");
        // Until the cut, 29 s, which is more than a session of 18 s.
        let long = || Drill::good().without_waits().left_in_place();
        assert_eq!(found(long()).0, Status::Passed);
        assert_eq!(found(long().leaders_stay()).0, Status::Failed);
    }

    #[test]
    fn without_a_quorum_of_zookeeper_servers_leaders_need_not_move() {
        let stuck = |servers: &[&str]| found(Drill::good().leaders_stay().beside_fault(9, servers, 1, None));
        let (status, why) = stuck(&["zookeeper1", "zookeeper2"]);
        assert_eq!(status, Status::Skipped, "{why}");
        assert!(why.contains("without a quorum"), "{why}");
        assert_eq!(stuck(&["zookeeper1"]).0, Status::Failed);
    }

    #[test]
    fn of_faults_that_overlap_each_time_is_judged_by_itself() {
        let short = || Drill::good().beside_fault(9, &["kafka3"], 10, Some(15));
        // Partition 1 is led by kafka3 then, but nothing waited for another leader.
        let (status, why) = found(short());
        assert_eq!(status, Status::Passed, "{why}");
        assert!(
            why.starts_with("every partition was led by another broker after 2.0 s"),
            "{why}"
        );
        let (status, why) = found(short().beside_wait(9, 12, 14));
        assert_eq!(status, Status::Failed);
        assert!(why.contains("during stop of kafka2 and kill of kafka3: "), "{why}");
        assert!(why.contains("kafka1 names kafka3 as leader"), "{why}");
        // A client that dies meanwhile changes nothing, and nothing has to be waited for again.
        let (status, why) = found(Drill::good().beside_fault(9, &["consumer-1"], 10, Some(15)));
        assert_eq!(status, Status::Passed, "{why}");
    }

    #[test]
    fn with_no_broker_left_nobody_can_lead() {
        let (status, why) = found(
            Drill::good()
                .leaders_stay()
                .beside_fault(9, &["kafka1", "kafka3"], 1, Some(20)),
        );
        assert_eq!(status, Status::Skipped);
        assert!(why.contains("no broker was left"), "{why}");
    }
}
