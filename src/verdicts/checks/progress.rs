//! progress: the workload went on while the fault was in place.

use crate::timeline::limits::Bound;
use crate::verdicts::evidence::Evidence;
use crate::verdicts::{Check, Finding, Measure, Status};
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

    fn measure(&self) -> Option<Measure> {
        Some(Measure::Count)
    }

    fn judge(&self, evidence: &Evidence) -> Finding {
        if evidence.fault.is_none() && !evidence.asked(self) {
            return Finding::skipped("no fault was injected");
        }
        let window = match &evidence.fault {
            Some(_) => evidence.effective_window(),
            None => evidence.window_for(self),
        };
        let Some(window) = window else {
            return Finding::new(Status::Unknown, "the fault was not proven, so it had no window");
        };
        let Some(ledgers) = evidence.ledgers() else {
            return Finding::new(Status::NoData, "the ledgers could not be collected");
        };
        let workload = &evidence.expected.workload;
        if workload.producers == 0 {
            return Finding::skipped("the lab has no producers");
        }
        let acknowledged = overall(&ledgers.acks()).count_within(window);
        let delivered = overall(&ledgers.deliveries()).count_within(window);
        let fewer = if workload.consumers > 0 {
            acknowledged.min(delivered)
        } else {
            acknowledged
        };
        let summary = format!("{acknowledged} messages acknowledged and {delivered} delivered during the fault");
        let some = Some(Bound::at_least(1.0));
        let mut finding = Finding::measured(self, evidence, some, fewer as f64, summary);
        if finding.status == Status::Failed {
            finding.status = Status::Hung;
        }
        finding.with("acknowledged", acknowledged).with("delivered", delivered)
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
