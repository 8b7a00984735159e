//! duplicate: no message is in the log at more than one offset.

use std::collections::BTreeMap;

use crate::verdicts::checks::by_log;
use crate::verdicts::evidence::Evidence;
use crate::verdicts::messages::{Anomaly, Found, Messages, Pair};
use crate::verdicts::{Check, Finding, Measure, MessageCheck};
use crate::workload::ranges::Ranges;

/// Tells whether no message is in the log at more than one offset.
pub struct Duplicate;

impl Check for Duplicate {
    fn id(&self) -> &'static str {
        "duplicate"
    }

    fn meaning(&self) -> &'static str {
        "no message is in the log at more than one offset"
    }

    fn source(&self) -> &'static str {
        "Jepsen, Kafka workload: the same value at more than one offset"
    }

    fn measure(&self) -> Option<Measure> {
        Some(Measure::Count)
    }

    fn judge(&self, evidence: &Evidence) -> Finding {
        let finding = by_log(self, evidence, "no message is in the log twice", |count| {
            format!("{count} messages are in the log more than once")
        });
        let excused = evidence.messages.as_ref().map_or(0, excused);
        finding.with("excused", excused)
    }
}

/// Messages that are in the log again because an idempotent client gave another one up and began anew.
fn excused(messages: &Messages) -> u64 {
    let of = |pair: &Pair<'_>| repeated(pair).within(&pair.sends.excused).count();
    messages.pairs().iter().map(of).sum()
}

/// What is in the log more than once.
fn repeated(pair: &Pair<'_>) -> Ranges {
    let repeats = pair.placed.disorder().repeats;
    repeats.iter().map(|part| part.sequences()).collect()
}

impl MessageCheck for Duplicate {
    fn find(&self, messages: &Messages) -> Found {
        let mut found = Found::none(messages);
        for pair in messages.pairs() {
            let repeated = repeated(&pair).without(&pair.sends.excused);
            let mut offsets: BTreeMap<u64, Vec<i64>> = BTreeMap::new();
            for part in pair.placed.within(&repeated.first(found.room())) {
                for sequence in part.sequences() {
                    offsets.entry(sequence).or_default().push(part.offset_of(sequence));
                }
            }
            offsets.values_mut().for_each(|offsets| offsets.sort_unstable());
            for range in repeated.iter() {
                found.add_each(range, |sequence| {
                    Anomaly::at(&pair.partition)
                        .with("value", messages.value(&pair.partition, pair.producer, sequence))
                        .with("offsets", offsets.get(&sequence).cloned().unwrap_or_default())
                });
            }
        }
        for (partition, producer, sequence, other, offset) in &messages.told.elsewhere {
            found.add(|| {
                Anomaly::at(partition)
                    .with("value", messages.value(partition, producer, *sequence))
                    .with("also_in_partition", other.1)
                    .with("offsets", vec![*offset])
            });
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::Status;
    use crate::verdicts::checks::testing::Drill;

    #[test]
    fn of_a_log_that_was_not_read_to_its_end_nobody_knows_that_there_are_none() {
        let unread = Duplicate.judge(&Drill::good().log_read_halfway().evidence());
        assert_eq!(unread.status, Status::Unknown, "{}", unread.summary);
    }

    #[test]
    fn a_message_at_two_offsets_fails_whoever_sent_it_and_is_excused_only_around_a_send_that_was_given_up() {
        assert_eq!(Duplicate.judge(&Drill::good().evidence()).status, Status::Passed);
        for drill in [Drill::good(), Drill::good().not_idempotent()] {
            let bad = Duplicate.judge(&drill.duplicates(3).evidence());
            assert_eq!(bad.status, Status::Failed, "{}", bad.summary);
            assert_eq!(bad.measured["count"], 3);
            assert_eq!(bad.measured["examples"][0]["offsets"], serde_json::json!([0, 100]));
        }
        let excused = Duplicate.judge(&Drill::good().duplicates(3).excused(0..3).evidence());
        assert_eq!(excused.status, Status::Passed, "{}", excused.summary);
        assert_eq!(excused.measured["excused"], 3);
    }
}
