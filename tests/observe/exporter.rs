//! The exporter against brokers that are not there, hang, or die.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use khd::exporter::{self, Broker, Exporter};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use tokio::time::{Instant, sleep};

use crate::fake_broker::{Cluster, FakeBroker, Manner};

struct Lab {
    brokers: [FakeBroker; 2],
    cluster: Arc<Mutex<Cluster>>,
    registry: Registry,
    _exporter: Exporter,
}

impl Lab {
    async fn start() -> Self {
        let cluster = Arc::new(Mutex::new(Cluster {
            leader: 1,
            coordinator: 2,
            controller: 1,
            election: 0,
            end_offset: 20,
            committed_offset: 15,
        }));
        let brokers = [
            FakeBroker::start(1, cluster.clone()).await,
            FakeBroker::start(2, cluster.clone()).await,
        ];
        // The third is nowhere.
        let addresses = brokers
            .iter()
            .map(|broker| broker.address.to_string())
            .chain(["127.0.0.1:1".into()]);
        let all = (1..)
            .zip(addresses)
            .map(|(id, address)| format!("{id}@{address}").parse::<Broker>().unwrap());
        let (exporter, registry) = exporter::start(all.collect(), Vec::new(), Vec::new(), None).unwrap();
        Self {
            brokers,
            cluster,
            registry,
            _exporter: exporter,
        }
    }

    fn scraped(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).unwrap();
        text
    }

    /// Waits until a scrape has a line, and says how long that took.
    async fn until(&self, line: &str) -> Duration {
        let begun = Instant::now();
        while !self.scraped().lines().any(|told| told == line) {
            assert!(
                begun.elapsed() < Duration::from_secs(10),
                "{line} is not in {}",
                self.scraped()
            );
            // Between two scrapes; the deadline above bounds them.
            sleep(Duration::from_millis(20)).await;
        }
        begun.elapsed()
    }
}

const LAG: &str = r#"kafka_consumergroup_lag{consumergroup="test",topic="test-1",partition="0"}"#;

#[tokio::test]
async fn a_scrape_needs_no_broker_and_tells_of_those_that_come() {
    let lab = Lab::start().await;
    let first = lab.scraped();
    assert!(first.contains("kafka_brokers 0"), "{first}");
    lab.until("kafka_brokers 2").await;
    lab.until(&format!("{LAG} 5")).await;
    let told = lab.scraped();
    let series: Vec<&str> = told.lines().filter_map(|line| Some(line.rsplit_once(' ')?.0)).collect();
    let different: BTreeSet<&&str> = series.iter().collect();
    assert_eq!(
        different.len(),
        series.len(),
        "three brokers on one host are told apart: {told}"
    );
    lab.cluster.lock().unwrap().end_offset = 30;
    lab.until(&format!("{LAG} 15")).await;
    lab.until(r#"kafka_topic_partition_oldest_offset{topic="test-1",partition="0"} 30"#)
        .await;
}

#[test]
fn two_brokers_with_one_id_are_refused() {
    let twice = ["1@kafka1:9092", "1@kafka2:9092"].map(|broker| broker.parse::<Broker>().unwrap());
    let refused = exporter::start(twice.into(), Vec::new(), Vec::new(), None).unwrap_err();
    assert_eq!(refused.message, "two brokers have the id 1");
}

#[tokio::test]
async fn a_broker_that_hangs_or_dies_is_missed_and_its_lag_stays_as_it_was() {
    let lab = Lab::start().await;
    lab.until("kafka_brokers 2").await;
    lab.until(&format!("{LAG} 5")).await;
    for manner in [Manner::Hangs, Manner::RefusesConnections] {
        lab.brokers[1].behave(manner);
        // By its own intervals after 1.5 s; the machine of a test may be slow.
        let missed = lab.until("kafka_brokers 1").await;
        assert!(missed < Duration::from_secs(4), "{manner:?}: {missed:?}");
        let told = lab.scraped();
        assert!(told.contains(&format!("{LAG} 5")), "{manner:?}: {told}");
        lab.brokers[1].behave(Manner::Well);
        lab.until("kafka_brokers 2").await;
    }
    lab.brokers.iter().for_each(|broker| broker.behave(Manner::Hangs));
    lab.until("kafka_brokers 0").await;
    let leader = r#"kafka_topic_partition_leader{topic="test-1",partition="0"} 1"#;
    assert!(lab.scraped().contains(leader), "what was known last is still told");
}
