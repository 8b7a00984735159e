//! What a producer or a consumer tells Prometheus of itself. A process is one client, so its metrics are the process's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use rdkafka::statistics::Statistics;

use crate::metrics::LATENCY_BUCKETS;
use crate::timeline::event::{Kind, TopicPartition};
use crate::workload::latency::Latency;
use crate::workload::message::now_ms;

/// The metrics of this process.
pub static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::default);

/// The metrics of a client.
#[derive(Debug)]
pub struct Metrics {
    sends: Family<[(&'static str, &'static str); 1], Counter>,
    deliveries: Counter,
    latency: Histogram,
    rebalances: Counter,
    errors: Counter,
    queued: Gauge,
    round_trip: Family<[(&'static str, String); 1], Gauge<f64, AtomicU64>>,
    connected: Family<[(&'static str, String); 1], Gauge>,
    assigned: Gauge,
    places: Arc<Mutex<Places>>,
}

/// What is known of partitions.
#[derive(Debug, Default)]
struct Places {
    assigned: BTreeSet<TopicPartition>,
    // Since when nothing was acknowledged, or delivered, in milliseconds since the Unix epoch.
    gaps: BTreeMap<TopicPartition, i64>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            sends: Family::default(),
            deliveries: Counter::default(),
            latency: Histogram::new(LATENCY_BUCKETS),
            rebalances: Counter::default(),
            errors: Counter::default(),
            queued: Gauge::default(),
            round_trip: Family::default(),
            connected: Family::default(),
            assigned: Gauge::default(),
            places: Arc::default(),
        }
    }
}

impl Metrics {
    /// What a producer serves.
    pub fn of_producer(&self) -> Registry {
        let mut registry = self.of_any_client();
        let (help, sends) = ("Sends that ended so", self.sends.clone());
        registry.register("khd_producer_messages", help, sends);
        let (help, latency) = ("From a send to its acknowledgement", self.latency.clone());
        registry.register("khd_producer_latency_seconds", help, latency);
        registry
    }

    /// What a consumer serves.
    pub fn of_consumer(&self) -> Registry {
        let mut registry = self.of_any_client();
        registry.register("khd_consumer_messages", "Deliveries", self.deliveries.clone());
        let (help, latency) = ("From a send to its delivery", self.latency.clone());
        registry.register("khd_consumer_latency_seconds", help, latency);
        let help = "Assignments and revocations that moved a partition";
        registry.register("khd_consumer_rebalances", help, self.rebalances.clone());
        let (help, assigned) = ("Partitions that it has now", self.assigned.clone());
        registry.register("khd_consumer_assigned_partitions", help, assigned);
        registry
    }

    fn of_any_client(&self) -> Registry {
        let mut registry = Registry::default();
        let (help, errors) = ("Errors that librdkafka told", self.errors.clone());
        registry.register("khd_client_errors", help, errors);
        let (help, queued) = ("Messages waiting to be sent or acknowledged", self.queued.clone());
        registry.register("khd_client_queued_messages", help, queued);
        let (help, round_trip) = ("Mean round trip to a broker", self.round_trip.clone());
        registry.register("khd_client_broker_rtt_seconds", help, round_trip);
        let (help, connected) = ("Whether it is connected to a broker", self.connected.clone());
        registry.register("khd_client_broker_connected", help, connected);
        registry.register_collector(Box::new(Gaps(self.places.clone())));
        registry
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in how many sends have ended so until now.
    pub fn sent(&self, outcome: &'static str, total: u64) {
        let counter = self.sends.get_or_create(&[("outcome", outcome)]);
        counter.inc_by(total.saturating_sub(counter.get()));
    }

    /// Takes in how many messages were delivered until now.
    pub fn delivered(&self, total: u64) {
        self.deliveries.inc_by(total.saturating_sub(self.deliveries.get()));
    }

    /// Takes in how long messages took.
    pub fn took(&self, latency: &Latency) {
        for (micros, count) in latency.buckets() {
            (0..count).for_each(|_| self.latency.observe(micros as f64 / 1e6));
        }
    }

    /// Takes in an event that is logged for the timeline as well.
    pub fn happened(&self, event: &Kind) {
        match event {
            Kind::GapOpened {
                topic,
                partition,
                since,
                ..
            } => {
                self.places().gaps.insert((topic.clone(), *partition), *since);
            }
            Kind::GapClosed { topic, partition, .. } => {
                self.places().gaps.remove(&(topic.clone(), *partition));
            }
            Kind::ClientError { suppressed, .. } => {
                self.errors.inc_by(1 + suppressed);
            }
            Kind::PartitionsAssigned { partitions, .. } => {
                self.moved(|places| places.assigned.extend(partitions.iter().cloned()), partitions);
            }
            Kind::PartitionsRevoked { partitions, .. } => {
                let give_up = |places: &mut Places| {
                    for partition in partitions {
                        places.assigned.remove(partition);
                        // It is someone else's now.
                        places.gaps.remove(partition);
                    }
                };
                self.moved(give_up, partitions);
            }
            _ => {}
        }
    }

    fn moved(&self, change: impl FnOnce(&mut Places), partitions: &[TopicPartition]) {
        self.rebalances.inc_by(u64::from(!partitions.is_empty()));
        let mut places = self.places();
        change(&mut places);
        self.assigned.set(places.assigned.len() as i64);
    }

    /// Takes in what librdkafka counts.
    pub fn counted(&self, statistics: &Statistics) {
        self.queued.set(statistics.msg_cnt as i64);
        // Those that were configured to begin with are the same brokers under another name.
        for broker in statistics.brokers.values().filter(|broker| broker.nodeid >= 0) {
            let label = [("broker", broker.nodeid.to_string())];
            let connected = i64::from(broker.state == "UP");
            self.connected.get_or_create(&label).set(connected);
            match &broker.rtt {
                Some(round_trip) if connected == 1 && round_trip.cnt > 0 => {
                    let seconds = round_trip.avg as f64 / 1e6;
                    self.round_trip.get_or_create(&label).set(seconds);
                }
                // A mean of none is 0, and no broker is that near.
                _ => {
                    self.round_trip.remove(&label);
                }
            }
        }
    }
}

/// The gaps that are open, and how long they are when that is asked.
#[derive(Debug)]
struct Gaps(Arc<Mutex<Places>>);

impl Collector for Gaps {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if places.gaps.is_empty() {
            return Ok(());
        }
        let help = "How long nothing was acknowledged, or delivered, while that is a gap";
        let mut metric = encoder.encode_descriptor("khd_gap_seconds", help, None, MetricType::Gauge)?;
        let now = now_ms();
        for ((topic, partition), since) in &places.gaps {
            let labels = [("topic", topic.as_str()), ("partition", &partition.to_string())];
            let seconds = now.saturating_sub(*since).max(0) as f64 / 1e3;
            ConstGauge::new(seconds).encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;
    use crate::timeline::event::Success;

    fn lines(registry: &Registry) -> Vec<String> {
        let mut text = String::new();
        encode(&mut text, registry).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(str::to_owned).collect()
    }

    #[test]
    fn totals_are_counted_once_however_often_they_are_told() {
        let metrics = Metrics::default();
        for total in [10, 10, 12] {
            metrics.sent("acknowledged", total);
        }
        let told = lines(&metrics.of_producer());
        let line = r#"khd_producer_messages_total{outcome="acknowledged"} 12"#;
        assert!(told.iter().any(|told| told == line), "{told:?}");
    }

    #[test]
    fn a_gap_is_told_while_it_is_open_and_goes_with_its_partition() {
        let metrics = Metrics::default();
        let opened = |partition| Kind::GapOpened {
            of: Success::Delivery,
            topic: "t".into(),
            partition,
            since: now_ms() - 2_000,
        };
        let gaps = || {
            let told = lines(&metrics.of_consumer());
            let gaps = told.into_iter().filter(|line| line.starts_with("khd_gap_seconds"));
            gaps.collect::<Vec<_>>()
        };
        assert_eq!(gaps(), [""; 0]);
        metrics.happened(&opened(0));
        metrics.happened(&opened(1));
        let told = gaps();
        assert_eq!(told.len(), 2);
        assert!(
            told[0].starts_with(r#"khd_gap_seconds{topic="t",partition="0"} 2."#),
            "{told:?}"
        );
        metrics.happened(&Kind::GapClosed {
            of: Success::Delivery,
            topic: "t".into(),
            partition: 0,
            from: 0,
            to: 1,
        });
        metrics.happened(&Kind::PartitionsRevoked {
            group: "test".into(),
            member: None,
            generation: None,
            partitions: vec![("t".into(), 1)],
            lost: false,
        });
        assert_eq!(gaps(), [""; 0]);
    }

    #[test]
    fn latencies_fall_into_buckets() {
        let metrics = Metrics::default();
        let mut latency = Latency::default();
        [400, 4_000, 4_000, 20_000_000]
            .iter()
            .for_each(|micros| latency.record(*micros));
        metrics.took(&latency);
        let told = lines(&metrics.of_producer());
        for line in [
            r#"khd_producer_latency_seconds_bucket{le="0.0005"} 1"#,
            r#"khd_producer_latency_seconds_bucket{le="0.005"} 3"#,
            r#"khd_producer_latency_seconds_bucket{le="30.0"} 4"#,
            "khd_producer_latency_seconds_count 4",
        ] {
            assert!(told.iter().any(|told| told == line), "{line}: {told:#?}");
        }
    }
}
