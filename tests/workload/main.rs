//! Producers, consumers and the audit against librdkafka's mock cluster: the whole flow without Docker.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic, as tests do")]

mod consumer;
mod copier;
mod producer;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use khd::error::{Exit, Expected};
use khd::kafka::log::{Extent, Isolation, Source};
use khd::settings::{Acks, Assignment};
use khd::timeline::event::TopicPartition;
use khd::topology::copy_of;
use khd::verdicts::checks;
use khd::verdicts::messages::Messages;
use khd::workload::audit::{LogSummary, read_log, read_topic};
use khd::workload::ledger::Scope;
use khd::workload::ledger::history::{ConsumerHistory, Ledgers, RebalanceKind};
use khd::workload::message::now_ms;
use khd::workload::{consume, copy, produce};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

type Mock = MockCluster<'static, DefaultProducerContext>;

const TOPICS: [&str; 2] = ["test-1", "test-2"];
const PARTITIONS: i32 = 3;
const PATIENCE: Duration = Duration::from_secs(30);

fn cluster() -> Mock {
    let cluster = MockCluster::new(3).unwrap();
    for topic in TOPICS {
        cluster.create_topic(topic, PARTITIONS, 3).unwrap();
    }
    cluster
}

fn topics() -> Vec<String> {
    TOPICS.map(str::to_owned).to_vec()
}

fn producing(cluster: &Mock, ledger: &Path) -> produce::Options {
    produce::Options {
        partitions: PARTITIONS,
        create: None,
        ledger: Some(ledger.to_owned()),
        ..produce::Options::new(cluster.bootstrap_servers(), topics())
    }
}

fn consuming(cluster: &Mock, ledger: &Path) -> consume::Options {
    consume::Options {
        ledger: Some(ledger.to_owned()),
        ..consume::Options::new(cluster.bootstrap_servers(), topics())
    }
}

fn ledgers(folder: &Path, until: i64) -> Ledgers {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        (path.display().to_string(), std::io::Cursor::new(bytes))
    });
    let scope = Scope { until, ..Scope::ALL };
    Ledgers::read(files, scope).unwrap()
}

async fn log_of(cluster: &Mock, ledgers: &Ledgers) -> LogSummary {
    let partitions: BTreeSet<TopicPartition> = TOPICS
        .iter()
        .flat_map(|topic| (0..PARTITIONS).map(|partition| ((*topic).to_owned(), partition)))
        .collect();
    let source = Source::new(cluster.bootstrap_servers());
    read_log(
        source,
        partitions,
        ledgers.last_offsets(),
        Duration::from_secs(5),
        PATIENCE,
    )
    .await
    .unwrap()
}

async fn audit(cluster: &Mock, folder: &Path) -> Messages {
    let log = log_of(cluster, &ledgers(folder, i64::MAX)).await;
    Messages::of_run(ledgers(folder, log.taken), log, i64::MIN)
}

/// How many anomalies each check of messages finds, where it finds any.
fn anomalies(messages: &Messages) -> BTreeMap<&'static str, u64> {
    let checks = checks::ANOMALIES.into_iter().chain([checks::UNSEEN]);
    let counted = checks.map(|check| (check.id(), check.find(messages).count));
    counted.filter(|(_, count)| *count > 0).collect()
}

/// Waits until the ledgers show something.
async fn until(folder: &Path, what: &str, shown: impl Fn(&Ledgers) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !shown(&ledgers(folder, i64::MAX)) {
        assert!(Instant::now() < deadline, "no {what} in time");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until messages are acknowledged again.
async fn goes_on(folder: &Path) {
    let before = acked(&ledgers(folder, i64::MAX));
    until(folder, "new acknowledgement", |ledgers| acked(ledgers) > before + 20).await;
}

/// What a producer, a consumer or a copier did, that is to end soon.
async fn ended<T>(client: JoinHandle<anyhow::Result<T>>) -> T {
    tokio::time::timeout(PATIENCE, client).await.unwrap().unwrap().unwrap()
}

fn acked(ledgers: &Ledgers) -> u64 {
    ledgers.acks().values().map(|acks| acks.count()).sum()
}

fn delivered(ledgers: &Ledgers) -> u64 {
    ledgers.deliveries().values().map(|times| times.count()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_produced_is_acknowledged_consumed_and_found_in_the_log() {
    let (cluster, folder) = (cluster(), tempfile::tempdir().unwrap());
    let cancel = CancellationToken::new();
    // A test that fails must not leave the runtime waiting for its producers and consumers.
    let _ended = cancel.clone().drop_guard();
    let consumer = tokio::spawn(consume::run(
        consume::Options {
            count: Some(3_000),
            ..consuming(&cluster, folder.path())
        },
        cancel.clone(),
    ));
    let options = produce::Options {
        interval: Duration::ZERO,
        count: Some(3_000),
        size: 100,
        ..producing(&cluster, folder.path())
    };
    let totals = produce::run(options, cancel).await.unwrap();
    assert_eq!((totals.sent, totals.acknowledged), (3_000, 3_000));
    assert_eq!((totals.failed, totals.unknown), (0, 0));
    let consumed = ended(consumer).await;
    assert_eq!(consumed.delivered, 3_000);

    let messages = audit(&cluster, folder.path()).await;
    assert_eq!(anomalies(&messages), BTreeMap::new());
    let log = messages.log;
    assert!(log.read_committed.is_empty(), "both kinds of readers get the same");
    assert_eq!(log.partitions.iter().map(|log| log.records).sum::<u64>(), 3_000);
    assert!(log.partitions.iter().all(|log| log.is_whole() && log.foreign == 0));

    let ledgers = ledgers(folder.path(), log.taken);
    let producer = &ledgers.producers[0];
    assert!(producer.closed && producer.header.producer == totals.producer);
    assert_eq!(producer.partitions.len(), 6);
    assert!(ledgers.behind(producer.last + 1).next().is_none());
    let consumer = &ledgers.consumers[0];
    assert!(consumer.closed);
    for (partition, deliveries) in &consumer.partitions {
        let end = log
            .partitions
            .iter()
            .find(|log| (&log.topic, &log.partition) == (&partition.0, &partition.1));
        assert_eq!(deliveries.committed, end.map(|log| log.end), "{partition:?}");
        assert_eq!(
            (deliveries.jumps.len(), deliveries.count()),
            (0, deliveries.offsets().count())
        );
    }
    let json = serde_json::to_string(&log).unwrap();
    assert_eq!(serde_json::from_str::<LogSummary>(&json).unwrap(), log);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_lacks_acknowledged_messages_has_lost_them() {
    let (cluster, other, folder) = (cluster(), self::cluster(), tempfile::tempdir().unwrap());
    let options = produce::Options {
        interval: Duration::ZERO,
        count: Some(600),
        ..producing(&cluster, folder.path())
    };
    produce::run(options, CancellationToken::new()).await.unwrap();
    // Another cluster's log never had them, and its end offsets never reach those that were acknowledged.
    let asked = Instant::now();
    let messages = audit(&other, folder.path()).await;
    assert!(asked.elapsed() < Duration::from_secs(15), "it goes on after waiting");
    // The log was read to its end, which is before where they should be.
    assert_eq!(anomalies(&messages), BTreeMap::from([("lost-write", 600)]));
}
