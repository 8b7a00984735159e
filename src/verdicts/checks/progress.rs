//! progress: the workload went on while the fault was in place.

use crate::verdicts::evidence::Evidence;
use crate::verdicts::{Check, Finding, Status};
use crate::workload::ledger::history::overall;

/// Producers were acknowledged and members delivered while the fault was in place.
pub struct Progress;

impl Check for Progress {
    fn id(&self) -> &'static str {
        "progress"
    }

    fn meaning(&self) -> &'static str {
        "messages were acknowledged and delivered while the fault was in place"
    }

    fn source(&self) -> &'static str {
        "redpanda-data/chaos: at least N successes inside the fault's window, otherwise it hung"
    }

    fn judge(&self, evidence: &Evidence) -> Finding {
        if evidence.fault.is_none() {
            return Finding::skipped("no fault was injected");
        }
        let Some(window) = evidence.effective_window() else {
            return Finding::new(Status::Unknown, "the fault was not proven, so it had no window");
        };
        let Some(ledgers) = &evidence.ledgers else {
            return Finding::new(Status::NoData, "the ledgers could not be collected");
        };
        let workload = &evidence.expected.workload;
        if workload.producers == 0 {
            return Finding::skipped("the lab has no producers");
        }
        let fewest = evidence.limits.progress;
        let acknowledged = overall(&ledgers.acks()).count_within(window);
        let delivered = overall(&ledgers.deliveries()).count_within(window);
        let hung = acknowledged < fewest || (workload.consumers > 0 && delivered < fewest);
        let summary = format!("{acknowledged} messages acknowledged and {delivered} delivered during the fault");
        Finding::new(if hung { Status::Hung } else { Status::Passed }, summary)
            .with("acknowledged", acknowledged)
            .with("delivered", delivered)
            .with("fewest", fewest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::checks::testing::Drill;

    #[test]
    fn a_workload_that_stands_still_is_hung_and_never_passed() {
        let good = Progress.judge(&Drill::good().evidence());
        assert_eq!(good.status, Status::Passed, "{}", good.summary);
        assert_eq!(
            Progress
                .judge(&Drill::good().nothing_acknowledged_during_the_fault().evidence())
                .status,
            Status::Hung
        );
        assert_eq!(
            Progress.judge(&Drill::good().without_ledgers().evidence()).status,
            Status::NoData
        );
    }
}
