//! inconsistent-offset: one offset with two values, or an acknowledged offset that holds another value, or nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::timeline::event::TopicPartition;
use crate::verdicts::checks::by_log;
use crate::verdicts::evidence::Evidence;
use crate::verdicts::messages::{Anomaly, Found, Messages, Pair};
use crate::verdicts::{Check, Finding, Measure, MessageCheck};
use crate::workload::placements::{Placed, Placements};
use crate::workload::ranges::Ranges;

/// Every offset holds one value, and the one that was acknowledged there.
pub struct InconsistentOffset;

impl Check for InconsistentOffset {
    fn id(&self) -> &'static str {
        "inconsistent-offset"
    }

    fn meaning(&self) -> &'static str {
        "every offset holds one value, and the one that was acknowledged there"
    }

    fn source(&self) -> &'static str {
        "Jepsen, Kafka workload: inconsistent offsets; one offset with two values"
    }

    fn measure(&self) -> Option<Measure> {
        Some(Measure::Count)
    }

    fn judge(&self, evidence: &Evidence) -> Finding {
        by_log(
            self,
            evidence,
            "every message is at the offset that was acknowledged",
            |count| {
                format!(
                    "{count} offsets hold something else than the message that was acknowledged, or delivered, there"
                )
            },
        )
    }
}

impl MessageCheck for InconsistentOffset {
    fn find(&self, messages: &Messages) -> Found {
        let mut found = Found::none(messages);
        let pairs = messages.pairs();
        if messages.told.values.is_some() {
            for ((partition, offset), values) in disputed(messages, &pairs) {
                found.add(|| told(partition, offset, values));
            }
            return found;
        }
        for pair in &pairs {
            for part in astray(pair, &pair.sends.placed, true) {
                found.add_each(part.sequences(), |sequence| {
                    let offset = part.offset_of(sequence);
                    let mut values = BTreeSet::from([messages.value(&pair.partition, pair.producer, sequence)]);
                    values.extend(held(messages, &pairs, &pair.partition, offset));
                    told(&pair.partition, offset, values)
                });
            }
        }
        found
    }
}

fn told(partition: &TopicPartition, offset: i64, values: BTreeSet<String>) -> Anomaly {
    Anomaly::at(partition)
        .with("offset", offset)
        .with("values", Vec::from_iter(values))
}

/// What the log holds at an offset, if anything of khd's.
fn held(messages: &Messages, pairs: &[Pair<'_>], partition: &TopicPartition, offset: i64) -> Option<String> {
    let here = pairs.iter().filter(|pair| pair.partition == *partition);
    let mut held = here.filter_map(|pair| Some((pair.producer, pair.placed.iter().find(|run| run.holds(offset))?)));
    let (producer, run) = held.next()?;
    Some(messages.value(partition, producer, run.sequence + (offset - run.offset) as u64))
}

/// Messages that are said to be where the log, which was read there, does not have them: `strictly`, also where it has
/// nothing, as long as it has the message elsewhere. One that is nowhere is lost, and that is another check's.
fn astray(pair: &Pair<'_>, said: &Placements, strictly: bool) -> Vec<Placed> {
    let Some(log) = pair.log else { return Vec::new() };
    let doubtful = said.sequences().without(&agreed(said, pair.placed));
    let in_log = pair.placed.sequences();
    let mut astray = Vec::new();
    for part in said.within(&doubtful) {
        let mut wrong = Ranges::default();
        for read in log.covered.within_range(part.offsets()).iter() {
            for taken in log.offsets.within_range(read.clone()).iter() {
                wrong.insert_range(part.at(taken));
            }
            if strictly {
                wrong.extend(&in_log.within_range(part.at(read)));
            }
        }
        astray.extend(wrong.iter().filter_map(|range| part.part(range)));
    }
    astray
}

/// The messages that both have at the same offset.
fn agreed(said: &Placements, log: &Placements) -> Ranges {
    let mut agreed = Ranges::default();
    let mut whole = 0..0;
    let mut runs = log.by_sequence().peekable();
    let mut open: Vec<Placed> = Vec::new();
    for run in said.by_sequence() {
        open.retain(|other| other.sequence + other.count > run.sequence);
        while let Some(next) = runs.next_if(|next| next.sequence < run.sequence + run.count) {
            if next.sequence + next.count > run.sequence {
                open.push(next);
            }
        }
        for other in &open {
            let same = other
                .part(run.sequences())
                .filter(|part| part.offset == run.offset_of(part.sequence));
            if let Some(part) = same {
                if part.sequence == whole.end {
                    whole.end += part.count;
                } else {
                    agreed.insert_range(std::mem::replace(&mut whole, part.sequences()));
                }
            }
        }
    }
    agreed.insert_range(whole);
    agreed
}

/// Values by partition and offset.
type Values<'a> = BTreeMap<(&'a TopicPartition, i64), BTreeSet<String>>;

/// Offsets of a history that are said to hold what they do not, or of which it tells two values, whoever tells:
/// acknowledgements, polls, or the final read.
fn disputed<'a>(messages: &'a Messages, pairs: &'a [Pair<'a>]) -> Values<'a> {
    let mut disputed = Values::new();
    for pair in pairs {
        let of_acks = astray(pair, &pair.sends.placed, true);
        let of_polls = astray(pair, pair.polled, false);
        for part in of_acks.into_iter().chain(of_polls) {
            for sequence in part.sequences() {
                let values = disputed.entry((&pair.partition, part.offset_of(sequence))).or_default();
                values.insert(messages.value(&pair.partition, pair.producer, sequence));
            }
        }
    }
    for of_partition in pairs.chunk_by(|one, other| one.partition == other.partition) {
        let partition = &of_partition[0].partition;
        // Offset, producer (by its place), and sequence number.
        let mut told: Vec<(i64, usize, u64)> = Vec::new();
        for (index, pair) in of_partition.iter().enumerate() {
            for said in [pair.placed, pair.polled, &pair.sends.placed] {
                let single = |run: Placed| {
                    run.sequences()
                        .map(move |sequence| (run.offset_of(sequence), index, sequence))
                };
                told.extend(said.iter().flat_map(single));
            }
        }
        told.sort();
        told.dedup();
        let value = |index: usize, sequence| messages.value(partition, of_partition[index].producer, sequence);
        for two in told.windows(2).filter(|two| two[0].0 == two[1].0) {
            let values = disputed.entry((partition, two[0].0)).or_default();
            values.extend(two.iter().map(|(_, index, sequence)| value(*index, *sequence)));
        }
        // Values whose own partition is another one.
        for (home, producer, sequence, other, offset) in &messages.told.elsewhere {
            let first = told.partition_point(|(at, ..)| at < offset);
            let here = told[first..].iter().take_while(|(at, ..)| at == offset);
            let here: BTreeSet<String> = here.map(|(_, index, sequence)| value(*index, *sequence)).collect();
            if other == partition && !here.is_empty() {
                let values = disputed.entry((partition, *offset)).or_default();
                values.extend(here);
                values.insert(messages.value(home, producer, *sequence));
            }
        }
    }
    disputed
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::verdicts::Status;
    use crate::verdicts::checks::testing::Drill;

    #[test]
    fn an_acknowledged_offset_that_holds_another_message_fails_and_names_both() {
        let good = InconsistentOffset.judge(&Drill::good().evidence());
        assert_eq!(good.status, Status::Passed, "{}", good.summary);
        let bad = InconsistentOffset.judge(&Drill::good().swapped(10, 11).evidence());
        assert_eq!(bad.status, Status::Failed, "{}", bad.summary);
        assert_eq!(bad.measured["count"], 2);
        assert_eq!(
            bad.measured["examples"][0]["values"],
            serde_json::json!(["p:0:10", "p:0:11"])
        );
    }

    #[test]
    fn a_message_that_is_nowhere_is_lost_and_its_offset_is_not_inconsistent() {
        let lost = InconsistentOffset.judge(&Drill::good().log_without(7).evidence());
        assert_eq!(lost.status, Status::Passed, "{}", lost.summary);
    }

    proptest! {
        #[test]
        fn agreed_are_the_messages_at_the_same_offset(
            said in proptest::collection::vec((0..20u64, 1..4u64, 0..20i64), 0..10),
            log in proptest::collection::vec((0..20u64, 1..4u64, 0..20i64), 0..10),
        ) {
            let placements = |runs: &[(u64, u64, i64)]| runs.iter().map(|run| Placed::from(*run)).collect::<Placements>();
            let singles = |placements: &Placements| -> BTreeSet<(u64, i64)> {
                placements.iter().flat_map(|run| run.sequences().map(move |s| (s, run.offset_of(s)))).collect()
            };
            let (said, log) = (placements(&said), placements(&log));
            let both: BTreeSet<u64> = singles(&said).intersection(&singles(&log)).map(|(sequence, _)| *sequence).collect();
            let told: BTreeSet<u64> = agreed(&said, &log).iter().flatten().collect();
            prop_assert_eq!(told, both);
        }
    }
}
