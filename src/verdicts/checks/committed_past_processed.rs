//! committed-past-processed: the group's committed offset is beyond what a member delivered to the application.

use crate::verdicts::checks::by_log;
use crate::verdicts::evidence::Evidence;
use crate::verdicts::messages::{Anomaly, Found, Messages};
use crate::verdicts::{Check, Finding, Measure, MessageCheck, Status};
use crate::workload::ledger::history::{ConsumerHistory, Deliveries, Overcommit};
use crate::workload::ranges::Ranges;

/// Nothing was committed that was not processed.
pub struct CommittedPastProcessed;

impl Check for CommittedPastProcessed {
    fn id(&self) -> &'static str {
        "committed-past-processed"
    }

    fn meaning(&self) -> &'static str {
        "no committed offset is beyond what members had delivered until then, and every record reached a member"
    }

    fn source(&self) -> &'static str {
        "Apache Kafka system tests, consumer_test.py: the committed position never passes the consumed one"
    }

    fn measure(&self) -> Option<Measure> {
        Some(Measure::Count)
    }

    fn judge(&self, evidence: &Evidence) -> Finding {
        if evidence.expected.workload.consumers == 0 {
            return Finding::skipped("the lab has no consumers");
        }
        let clean = "nothing was committed before it was processed";
        let finding = by_log(self, evidence, clean, |count| {
            format!("{count} times an offset was committed beyond what was processed")
        });
        let Some(messages) = &evidence.messages else {
            return finding;
        };
        let undelivered = undelivered(messages);
        let none_expected = evidence.limits.get(self.id()).is_none_or(|bound| bound.holds(0.0));
        let finding = match finding.status {
            Status::Passed | Status::Unknown if undelivered > 0 && none_expected => {
                let summary = format!("{undelivered} records never reached a member, though later ones did");
                Finding::of(false, summary).with("value", 0.0).with("count", 0)
            }
            Status::Passed if undelivered == 0 => {
                let summary = format!("{}, and every record reached a member", finding.summary);
                Finding { summary, ..finding }
            }
            _ => finding,
        };
        finding.with("undelivered", undelivered)
    }
}

impl MessageCheck for CommittedPastProcessed {
    fn find(&self, messages: &Messages) -> Found {
        let mut found = Found::none(messages);
        for ((_, partition), members) in messages.deliveries() {
            let log = messages.log.committed(partition);
            for (consumer, deliveries) in &members {
                for commit in &deliveries.overcommits {
                    let processed = processed(consumer, commit, &members).max(log.map_or(0, |log| log.begin));
                    let beyond = processed..commit.offset;
                    // Beyond may lie nothing but holes, such as markers of transactions.
                    let empty = |log: &crate::workload::audit::PartitionLog| {
                        log.covers(beyond.clone()) && log.records_in(beyond.clone()).is_empty()
                    };
                    if beyond.is_empty() || log.is_some_and(empty) {
                        continue;
                    }
                    found.add(|| {
                        Anomaly::at(partition)
                            .with("process", consumer.header.consumer.clone())
                            .with("committed", commit.offset)
                            .with("processed", processed)
                    });
                }
            }
        }
        found
    }
}

/// The offset after the last one that was processed when something was committed, by whichever member.
fn processed(committer: &ConsumerHistory, commit: &Overcommit, members: &[(&ConsumerHistory, &Deliveries)]) -> i64 {
    let others = members
        .iter()
        .filter(|(member, _)| member.header.consumer != committer.header.consumer)
        .flat_map(|(_, deliveries)| &deliveries.tenures)
        .filter(|tenure| tenure.until <= commit.at);
    let last = others.filter_map(|tenure| tenure.offsets.last()).max();
    last.map_or(0, |last| last as i64 + 1).max(commit.processed)
}

/// Records between those that a group was given, and that none of its members ever was.
fn undelivered(messages: &Messages) -> u64 {
    let mut count = 0;
    for ((_, partition), members) in messages.deliveries() {
        let mut delivered = Ranges::default();
        members
            .iter()
            .for_each(|(_, deliveries)| delivered.extend(&deliveries.offsets()));
        let first = delivered.iter().next().map(|range| range.start);
        if let (Some(first), Some(last), Some(log)) = (first, delivered.last(), messages.log.committed(partition)) {
            count += log.records_in(first as i64..last as i64).without(&delivered).count();
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::checks::testing::Drill;

    #[test]
    fn a_commit_beyond_what_was_delivered_fails() {
        let good = CommittedPastProcessed.judge(&Drill::good().evidence());
        assert_eq!(good.status, Status::Passed, "{}", good.summary);
        let bad = CommittedPastProcessed.judge(&Drill::good().committed(120, 100).evidence());
        assert_eq!(bad.status, Status::Failed, "{}", bad.summary);
        assert_eq!(bad.measured["examples"][0]["processed"], 100);
    }

    #[test]
    fn a_commit_over_holes_is_none() {
        let holes = CommittedPastProcessed.judge(&Drill::good().log_without(99).committed(100, 99).evidence());
        assert_eq!(holes.status, Status::Passed, "{}", holes.summary);
    }

    #[test]
    fn a_record_that_no_member_was_given_fails() {
        let none = crate::timeline::limits::Bound::at_most(0.0);
        let asked = Drill::good().jump(10, 20).limit("committed-past-processed", none);
        assert_eq!(CommittedPastProcessed.judge(&asked.evidence()).status, Status::Failed);
        let bad = CommittedPastProcessed.judge(&Drill::good().jump(10, 20).evidence());
        assert_eq!(bad.status, Status::Failed, "{}", bad.summary);
        assert_eq!(bad.measured["undelivered"], 9);
    }
}
