//! The workload over time, as the ledgers tell it: rates, pauses, rebalances, latencies.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Clock;
use crate::timeline::event::TopicPartition;
use crate::verdicts::evidence::Evidence;
use crate::workload::latency;
use crate::workload::ledger::history::{RebalanceKind, overall};
use crate::workload::spans::{Activity, Span, Window, gaps};

/// Milliseconds that one figure of a rate stands for.
const STEP_MS: u64 = 1000;
/// The shortest part of a step of which a rate is told: samples are no finer.
const LEAST_STEP_MS: u64 = 250;

/// How much was acknowledged and delivered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rates {
    /// Milliseconds that one figure stands for.
    pub step_ms: u64,
    /// Acknowledgements.
    pub acknowledged: Rate,
    /// Deliveries.
    pub delivered: Rate,
}

/// How often something happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rate {
    /// Until when it is known; the last figure ends here.
    pub to_ms: u64,
    /// How many in each step from the start on, per second.
    pub per_second: Vec<f64>,
}

/// A time without a success, as `[from, length]` in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Pause(pub u64, pub u64);

/// Pauses of the whole workload, and the longest of single partitions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pauses {
    /// Since when pauses are told: the injection of the fault, or the run's start.
    pub from_ms: u64,
    /// Until when.
    pub to_ms: u64,
    /// When nothing was acknowledged on any partition.
    pub unacknowledged: Vec<Pause>,
    /// When nothing was delivered from any partition.
    pub undelivered: Vec<Pause>,
    /// The partition that went longest without an acknowledgement.
    pub worst_unacknowledged: Option<WorstPause>,
    /// The partition that went longest without a delivery.
    pub worst_undelivered: Option<WorstPause>,
}

/// The longest pause of its kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WorstPause {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// When, and how long.
    pub pause: Pause,
}

/// What a rebalance gave to a member, or took from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rebalance {
    /// When.
    pub at_ms: u64,
    /// The member, by its `client.id`.
    pub member: String,
    /// Whether partitions came; otherwise they went.
    pub assigned: bool,
    /// Whether the group had already given them to others.
    pub lost: bool,
    /// How many.
    pub partitions: usize,
    /// The group's generation, where known.
    pub generation: Option<i32>,
}

/// Latencies over time; empty where they are not known.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Latency {
    /// From a send to its acknowledgement.
    pub acknowledgement: Vec<LatencyPoint>,
    /// From a send to its delivery.
    pub end_to_end: Vec<LatencyPoint>,
}

/// Latencies around a moment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LatencyPoint {
    /// The moment.
    pub at_ms: u64,
    /// Half of all were at most this.
    pub p50_ms: f64,
    /// 99 of 100 were at most this.
    pub p99_ms: f64,
    /// The greatest.
    pub max_ms: f64,
}

/// Pauses by partition.
pub(super) struct ByPartition {
    pub(super) unacknowledged: BTreeMap<TopicPartition, Vec<Pause>>,
    pub(super) undelivered: BTreeMap<TopicPartition, Vec<Pause>>,
}

/// Pauses since the fault was injected; of a run without a fault, since its start.
pub(super) fn pauses(evidence: &Evidence, clock: Clock) -> Option<(Pauses, ByPartition)> {
    let ledgers = evidence.ledgers()?;
    let window = evidence.fault_window().unwrap_or(Window {
        from: clock.start,
        to: evidence.cut.unwrap_or(clock.start + clock.duration_ms as i64),
    });
    let workload = &evidence.expected.workload;
    let kind = |count: u16, activities: BTreeMap<TopicPartition, Activity>| {
        let silent = Activity::default();
        let told = |activity: &Activity| -> Vec<Pause> {
            let found = gaps(activity.spans(), window).into_iter();
            found
                .map(|gap| Pause(clock.since_start(gap.from), gap.length().unsigned_abs()))
                .collect()
        };
        let partitions = evidence.expected.partitions().filter(|_| count > 0);
        let pauses: BTreeMap<TopicPartition, Vec<Pause>> = partitions
            .map(|key| (key.clone(), told(activities.get(&key).unwrap_or(&silent))))
            .collect();
        let everywhere = if count > 0 {
            told(&overall(&activities))
        } else {
            Vec::new()
        };
        (everywhere, pauses)
    };
    let (unacknowledged, acks) = kind(workload.producers, ledgers.acks());
    let (undelivered, deliveries) = kind(workload.consumers, ledgers.deliveries());
    let pauses = Pauses {
        from_ms: clock.since_start(window.from),
        to_ms: clock.since_start(window.to),
        unacknowledged,
        undelivered,
        worst_unacknowledged: worst(&acks),
        worst_undelivered: worst(&deliveries),
    };
    let by_partition = ByPartition {
        unacknowledged: acks,
        undelivered: deliveries,
    };
    Some((pauses, by_partition))
}

/// The longest of all pauses; the last of equals, as the check of gaps has it.
fn worst(partitions: &BTreeMap<TopicPartition, Vec<Pause>>) -> Option<WorstPause> {
    let all = partitions
        .iter()
        .flat_map(|(key, pauses)| pauses.iter().map(move |pause| (key, *pause)));
    let (key, pause) = all.reduce(|longest, next| if next.1.1 >= longest.1.1 { next } else { longest })?;
    Some(WorstPause {
        topic: key.0.clone(),
        partition: key.1,
        pause,
    })
}

pub(super) fn rebalances(evidence: &Evidence, clock: Clock) -> Vec<Rebalance> {
    let consumers = evidence.ledgers().into_iter().flat_map(|ledgers| &ledgers.consumers);
    let mut all: Vec<Rebalance> = consumers
        .flat_map(|consumer| consumer.rebalances.iter().map(move |rebalance| (consumer, rebalance)))
        .filter(|(_, rebalance)| clock.within(rebalance.what.at))
        .map(|(consumer, rebalance)| Rebalance {
            at_ms: clock.since_start(rebalance.what.at),
            member: consumer.header.consumer.clone(),
            assigned: rebalance.kind == RebalanceKind::Assigned,
            lost: rebalance.what.lost,
            partitions: rebalance.what.partitions.len(),
            generation: rebalance.what.generation,
        })
        .collect();
    all.sort_by_key(|rebalance| rebalance.at_ms);
    all
}

/// Latencies by the second in which clients noted them.
pub(super) fn latency(evidence: &Evidence, clock: Clock) -> Latency {
    let Some(ledgers) = evidence.ledgers() else {
        return Latency::default();
    };
    Latency {
        acknowledgement: points(ledgers.producers.iter().map(|producer| &producer.latency), clock),
        end_to_end: points(ledgers.consumers.iter().map(|consumer| &consumer.latency), clock),
    }
}

fn points<'a>(clients: impl Iterator<Item = &'a BTreeMap<i64, latency::Latency>>, clock: Clock) -> Vec<LatencyPoint> {
    let mut seconds: BTreeMap<i64, latency::Latency> = BTreeMap::new();
    for (second, latency) in clients.flatten().filter(|(second, _)| clock.within(**second * 1000)) {
        seconds.entry(*second).or_default().merge(latency);
    }
    let point = |(second, latency): (i64, latency::Latency)| {
        let told = latency.percentiles()?;
        Some(LatencyPoint {
            at_ms: clock.since_start(second * 1000),
            p50_ms: told.p50_ms,
            p99_ms: told.p99_ms,
            max_ms: told.max_ms,
        })
    };
    seconds.into_iter().filter_map(point).collect()
}

pub(super) fn rates(evidence: &Evidence, clock: Clock) -> Option<Rates> {
    let ledgers = evidence.ledgers()?;
    let written = |last: Option<i64>| clock.since_start(last.unwrap_or(clock.start));
    let producers = ledgers.producers.iter().map(|producer| producer.last).max();
    let consumers = ledgers.consumers.iter().map(|consumer| consumer.last).max();
    let acks = ledgers.acks();
    let deliveries = ledgers.deliveries();
    Some(Rates {
        step_ms: STEP_MS,
        acknowledged: rate(acks.values(), clock.start, written(producers)),
        delivered: rate(deliveries.values(), clock.start, written(consumers)),
    })
}

/// Successes per second and step; those of a sample are spread evenly over its time.
fn rate<'a>(activities: impl Iterator<Item = &'a Activity>, start: i64, known_to: u64) -> Rate {
    let (whole, rest) = (known_to / STEP_MS, known_to % STEP_MS);
    let last_ms = if rest < LEAST_STEP_MS { 0 } else { rest };
    let mut counts = vec![0.0; whole as usize + usize::from(last_ms > 0)];
    activities
        .flat_map(Activity::samples)
        .for_each(|sample| spread(&mut counts, sample, start, known_to as i64));
    let lengths = std::iter::repeat_n(STEP_MS, whole as usize).chain([last_ms]);
    let per_second = counts.iter().zip(lengths);
    Rate {
        to_ms: whole * STEP_MS + last_ms,
        // A decimal is more than anybody can see.
        per_second: per_second
            .map(|(count, length)| (count * 10_000.0 / length as f64).round() / 10.0)
            .collect(),
    }
}

fn spread(counts: &mut [f64], sample: &Span, start: i64, known_to: i64) {
    let step = STEP_MS as i64;
    // A millisecond is what a time stands for, so a sample's end is one later than its last.
    let (first, end) = (sample.first - start, sample.last + 1 - start);
    let density = sample.count as f64 / (end - first) as f64;
    for place in first.div_euclid(step)..=(end - 1).div_euclid(step) {
        let within = end.min((place + 1) * step).min(known_to) - first.max(place * step);
        if let Some(count) = usize::try_from(place).ok().and_then(|place| counts.get_mut(place)) {
            *count += density * within.max(0) as f64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn activity(samples: &[(i64, i64, u64)]) -> Activity {
        let mut activity = Activity::default();
        samples.iter().for_each(|sample| activity.add((*sample).into()));
        activity
    }

    #[test]
    fn a_sample_is_spread_over_the_seconds_it_lies_in() {
        // Half of the second sample lies before the second second; the last is beyond what is known.
        let activity = activity(&[(10_100, 10_199, 10), (10_900, 11_099, 20), (13_700, 13_799, 50)]);
        let rate = rate([&activity].into_iter(), 10_000, 3_500);
        assert_eq!(rate.per_second, [20.0, 10.0, 0.0, 0.0]);
        assert_eq!(rate.to_ms, 3_500);
    }

    #[test]
    fn the_last_part_of_a_second_counts_by_its_length_and_is_left_out_when_too_short() {
        let activity = activity(&[(0, 249, 25), (1_000, 1_249, 25), (1_250, 1_499, 25)]);
        let told = |to| rate([&activity].into_iter(), 0, to).per_second;
        assert_eq!(told(1_500), [25.0, 100.0]);
        assert_eq!(told(1_200), [25.0]);
    }

    #[test]
    fn the_longest_pause_is_named_and_the_last_of_equals_wins() {
        let key = |n| ("t".to_owned(), n);
        let pauses = BTreeMap::from([
            (key(0), vec![Pause(0, 300), Pause(900, 800)]),
            (key(1), vec![Pause(50, 800)]),
            (key(2), vec![]),
        ]);
        let worst = worst(&pauses).unwrap();
        assert_eq!((worst.partition, worst.pause), (1, Pause(50, 800)));
    }
}
