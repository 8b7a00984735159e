//! progress: the workload went on while the fault was in place.

use std::collections::BTreeMap;

use serde_json::json;

use crate::timeline::event::TopicPartition;
use crate::timeline::limits::{Bound, Op};
use crate::topology::{CONSUMER, PRODUCER};
use crate::verdicts::checks::{by_leader, name, named};
use crate::verdicts::evidence::{Evidence, FaultTimes};
use crate::verdicts::{Check, Finding, Measure, Status, moments};
use crate::workload::spans::{Activity, Window};

/// A shorter time shows nothing.
const LEAST_MS: u64 = 1_000;

/// Producers were acknowledged and members delivered under each fault: the least of them counts.
pub struct Progress;

impl Check for Progress {
    fn id(&self) -> &'static str {
        "progress"
    }

    fn meaning(&self) -> &'static str {
        "messages were acknowledged and delivered while each fault was in place"
    }

    fn source(&self) -> &'static str {
        "redpanda-data/chaos: at least N successes inside the fault's window, otherwise it hung"
    }

    fn measure(&self) -> Option<Measure> {
        Some(Measure::Count)
    }

    fn judge(&self, evidence: &Evidence) -> Finding {
        if evidence.faults.is_empty() && !evidence.asked(self) {
            return Finding::skipped("no fault was injected");
        }
        if evidence.unproven() {
            return Finding::new(Status::Unknown, "the fault was not proven, so it had no window");
        }
        let windows = windows(self, evidence);
        if windows.is_empty() {
            return Finding::skipped("no fault was in place for long enough, beside clients that could go on");
        }
        let Some(ledgers) = evidence.ledgers() else {
            return Finding::new(Status::NoData, "the ledgers could not be collected");
        };
        let workload = &evidence.expected.workload;
        if workload.producers == 0 {
            return Finding::skipped("the lab has no producers");
        }
        let (acks, deliveries, none) = (ledgers.acks(), ledgers.deliveries(), Activity::default());
        let add = |one: (u64, u64), other: (u64, u64)| (one.0 + other.0, one.1 + other.1);
        let counted = windows.into_iter().map(|(words, window)| {
            let within = |activities: &BTreeMap<TopicPartition, Activity>, partition: &TopicPartition| {
                activities.get(partition).unwrap_or(&none).count_within(window)
            };
            let of = |partition: TopicPartition| {
                let counts = (within(&acks, &partition), within(&deliveries, &partition));
                (partition, counts)
            };
            let partitions: BTreeMap<TopicPartition, (u64, u64)> = evidence.expected.partitions().map(of).collect();
            let all = partitions.values().fold((0, 0), |all, each| add(all, *each));
            (words, partitions, all)
        });
        let fewer = |(acknowledged, delivered): (u64, u64)| match workload.consumers {
            0 => acknowledged,
            _ => acknowledged.min(delivered),
        };
        // Who says that there shall be none, or not so many, means acknowledgements, and in every window.
        let bound = evidence.limits.get(self.id()).copied().unwrap_or(Bound::at_least(1.0));
        let from_below = matches!(bound.op, Op::AtLeast | Op::Greater);
        let chosen = if from_below {
            counted.min_by_key(|(.., all)| fewer(*all))
        } else {
            counted.max_by_key(|(.., (acknowledged, _))| *acknowledged)
        };
        let Some((words, partitions, (acknowledged, delivered))) = chosen else {
            return Finding::skipped("no fault was injected");
        };
        let value = if from_below {
            fewer((acknowledged, delivered))
        } else {
            acknowledged
        };
        let summary = format!("{acknowledged} messages acknowledged and {delivered} delivered {words}");
        let mut finding = Finding::measured(self, evidence, Some(bound), value as f64, summary);
        if finding.status == Status::Failed && from_below {
            finding.status = Status::Hung;
        }
        let least = partitions.iter().min_by_key(|(_, counts)| **counts);
        // As acknowledged and delivered.
        finding
            .with("acknowledged", acknowledged)
            .with("delivered", delivered)
            .with("partitions", json!(named(&partitions)))
            .with("by_leader", json!(by_leader(evidence, &partitions, add)))
            .with("partition", least.map(|(partition, _)| name(partition)))
    }
}

/// The times in which the workload is to go on, each in words: those in which a fault was proven to be in place, unless
/// there was nobody left to send or to receive.
fn windows(check: &dyn Check, evidence: &Evidence) -> Vec<(String, Window)> {
    if evidence.faults.is_empty() {
        let asked = evidence.window_for(check).into_iter();
        return asked.map(|window| ("during the run".to_owned(), window)).collect();
    }
    let moments = moments::under_faults(evidence);
    let lonely = |fault: &FaultTimes| {
        let mut of = moments.iter().filter(|moment| moment.faults.contains(&fault));
        of.any(|moment| {
            [PRODUCER, CONSUMER]
                .into_iter()
                .any(|service| moment.view.all_out(service))
        })
    };
    let faults = evidence.faults.iter().filter(|fault| !lonely(fault));
    // In less nobody could tell a workload that goes on from one that hangs.
    let long = |fault: &&FaultTimes| evidence.effective_for_ms(fault).is_some_and(|time| time >= LEAST_MS);
    let windows = faults.filter(long).filter_map(|fault| {
        let words = format!("during {}", fault.words());
        Some((words, evidence.effective_window(fault)?))
    });
    windows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::event::Kind;
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

    #[test]
    fn of_several_faults_the_one_under_which_least_went_on_counts() {
        let calm = Drill::good().beside_fault(9, &["kafka3"], 21, Some(28));
        let least = Progress.judge(&calm.clone().evidence());
        assert_eq!(least.status, Status::Passed, "{}", least.summary);
        assert!(least.summary.contains("during kill of kafka3"), "{}", least.summary);
        let hung = Progress.judge(&calm.nothing_acknowledged_during_the_fault().evidence());
        assert_eq!(hung.status, Status::Hung, "{}", hung.summary);
        assert!(hung.summary.contains("during stop of kafka2"), "{}", hung.summary);
    }

    #[test]
    fn a_run_may_expect_that_nothing_is_acknowledged() {
        let mut none = Bound::at_most(0.0);
        (none.op, none.asked) = (Op::Equal, true);
        let still = Drill::good().nothing_acknowledged_during_the_fault();
        let finding = Progress.judge(&still.limit("progress", none).evidence());
        assert_eq!(finding.status, Status::Passed, "{}", finding.summary);
        let finding = Progress.judge(&Drill::good().limit("progress", none).evidence());
        assert_eq!(finding.status, Status::Failed, "{}", finding.summary);
    }

    #[test]
    fn without_any_consumer_left_and_in_too_short_a_time_nothing_is_judged() {
        let consumer = Kind::Container {
            service: CONSUMER.into(),
            number: 1,
            state: "running".into(),
            exit_code: None,
        };
        let other = Kind::Container {
            service: CONSUMER.into(),
            number: 2,
            state: "running".into(),
            exit_code: None,
        };
        let alone = || {
            let stalls = Drill::of_consumer().nothing_acknowledged_during_the_fault();
            stalls.beside(0, "engine", consumer.clone())
        };
        assert_eq!(Progress.judge(&alone().evidence()).status, Status::Skipped);
        let not_alone = alone().beside(0, "engine", other);
        assert_eq!(Progress.judge(&not_alone.evidence()).status, Status::Hung);
    }
}
