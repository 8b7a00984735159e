//! Producers, consumers and the audit against librdkafka's mock cluster: the whole flow without Docker.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic, as tests do")]

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
    let consumed = tokio::time::timeout(PATIENCE, consumer)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
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
async fn every_record_is_copied_once_to_the_same_partition_and_keeps_who_sent_it() {
    let (cluster, folder) = (cluster(), tempfile::tempdir().unwrap());
    let cancel = CancellationToken::new();
    let _ended = cancel.clone().drop_guard();
    for topic in TOPICS {
        cluster.create_topic(&copy_of(topic), PARTITIONS, 3).unwrap();
    }
    let options = produce::Options {
        interval: Duration::ZERO,
        count: Some(1_200),
        ..producing(&cluster, folder.path())
    };
    produce::run(options, cancel.clone()).await.unwrap();
    let options = copy::Options {
        count: Some(1_200),
        ..copy::Options::new(cluster.bootstrap_servers(), topics())
    };
    let copied = tokio::time::timeout(PATIENCE, copy::run(options, cancel)).await;
    let copied = copied.unwrap().unwrap();
    assert_eq!((copied.copied, copied.aborted), (1_200, 0));
    let source = Source::new(cluster.bootstrap_servers());
    for log in log_of(&cluster, &ledgers(folder.path(), i64::MAX)).await.partitions {
        // The mock writes no markers of transactions, so that the offsets are the same.
        let whole = BTreeMap::from([(
            log.partition,
            Extent {
                begin: log.begin,
                end: log.end,
            },
        )]);
        let (topic, deadline) = (copy_of(&log.topic), Instant::now() + PATIENCE);
        let copies = read_topic(&source, &topic, &whole, Isolation::ReadCommitted, deadline).unwrap();
        assert_eq!(
            (&copies[0].producers, &copies[0].offsets),
            (&log.producers, &log.offsets)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_send_is_unknown_when_no_answer_came_in_time_whether_it_left_or_not() {
    let (cluster, folder) = (cluster(), tempfile::tempdir().unwrap());
    let cancel = CancellationToken::new();
    let _ended = cancel.clone().drop_guard();
    let options = produce::Options {
        message_timeout: Duration::from_millis(1500),
        ..producing(&cluster, folder.path())
    };
    let producer = tokio::spawn(produce::run(options, cancel.clone()));
    until(folder.path(), "acknowledgement", |ledgers| acked(ledgers) > 20).await;

    // Written, but answered too late.
    cluster.broker_round_trip_time(-1, Duration::from_secs(4)).unwrap();
    until(folder.path(), "unknown send", |ledgers| {
        let mut sends = ledgers
            .producers
            .iter()
            .flat_map(|producer| producer.partitions.values());
        sends.any(|sends| !sends.unknown.is_empty())
    })
    .await;
    // Never sent, or tried before: nothing tells these apart.
    cluster.broker_down(-1).unwrap();
    let unknown = |ledgers: &Ledgers| {
        let producers = ledgers.producers.iter();
        let sends = producers.flat_map(|producer| producer.partitions.values());
        sends.map(|sends| sends.unknown.count()).sum::<u64>()
    };
    let before = unknown(&ledgers(folder.path(), i64::MAX));
    until(folder.path(), "further unknown sends", |ledgers| {
        unknown(ledgers) > before + 20
    })
    .await;
    let troubled = ledgers(folder.path(), i64::MAX).troubled();
    assert!(troubled.values().any(|troubled| troubled.first_after(0).is_some()));

    cluster.broker_round_trip_time(-1, Duration::ZERO).unwrap();
    cluster.broker_up(-1).unwrap();
    let before = acked(&ledgers(folder.path(), i64::MAX));
    until(folder.path(), "new acknowledgement", |ledgers| {
        acked(ledgers) > before + 20
    })
    .await;
    cancel.cancel();
    let totals = tokio::time::timeout(PATIENCE, producer)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(
        totals.acknowledged > 40 && totals.failed == 0 && totals.unknown > 20,
        "{totals:?}"
    );
    assert_eq!(totals.sent, totals.acknowledged + totals.failed + totals.unknown);

    let messages = audit(&cluster, folder.path()).await;
    // What was in flight when the client gave up is excused; the mock cluster knows no epochs.
    assert_eq!(anomalies(&messages), BTreeMap::new());
    let written = messages.pairs().iter().fold(0, |sum, pair| {
        sum + pair.sends.unknown.within(&pair.placed.sequences()).count()
    });
    assert!(written > 0, "the mock cluster writes before it waits");
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

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_cannot_go_on_is_replaced() {
    let (cluster, folder) = (cluster(), tempfile::tempdir().unwrap());
    let cancel = CancellationToken::new();
    let _ended = cancel.clone().drop_guard();
    let producer = tokio::spawn(produce::run(producing(&cluster, folder.path()), cancel.clone()));
    until(folder.path(), "acknowledgement", |ledgers| acked(ledgers) > 20).await;
    let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
    cluster.request_errors(RDKafkaApiKey::Produce, &[error]);
    until(folder.path(), "note of it", |ledgers| {
        let mut notes = ledgers.producers.iter().flat_map(|producer| &producer.notes);
        notes.any(|(_, note)| note.contains("replaced"))
    })
    .await;
    let before = acked(&ledgers(folder.path(), i64::MAX));
    until(folder.path(), "new acknowledgement", |ledgers| {
        acked(ledgers) > before + 20
    })
    .await;
    cancel.cancel();
    let totals = tokio::time::timeout(PATIENCE, producer)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(totals.unknown > 0, "{totals:?}");
    assert_eq!(totals.sent, totals.acknowledged + totals.failed + totals.unknown);
    let found = anomalies(&audit(&cluster, folder.path()).await);
    assert!(
        !found.contains_key("lost-write") && !found.contains_key("phantom"),
        "{found:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_in_flight_when_a_client_took_a_new_epoch_is_known() {
    let (cluster, folder) = (cluster(), tempfile::tempdir().unwrap());
    let cancel = CancellationToken::new();
    let _ended = cancel.clone().drop_guard();
    let producer = tokio::spawn(produce::run(producing(&cluster, folder.path()), cancel.clone()));
    let excused = |ledgers: &Ledgers| {
        let mut sends = ledgers
            .producers
            .iter()
            .flat_map(|producer| producer.partitions.values());
        sends.any(|sends| !sends.excused.is_empty())
    };
    // Long enough that the epoch was looked at.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!excused(&ledgers(folder.path(), i64::MAX)));
    let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID;
    cluster.request_errors(RDKafkaApiKey::Produce, &[error]);
    until(folder.path(), "new epoch", excused).await;
    cancel.cancel();
    let totals = tokio::time::timeout(PATIENCE, producer)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(totals.sent, totals.acknowledged, "nothing was given up: {totals:?}");
    assert_eq!(anomalies(&audit(&cluster, folder.path()).await), BTreeMap::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_acknowledgements_every_send_is_unknown() {
    let (cluster, folder) = (cluster(), tempfile::tempdir().unwrap());
    let options = produce::Options {
        interval: Duration::ZERO,
        count: Some(60),
        acks: Acks::Zero,
        ..producing(&cluster, folder.path())
    };
    let totals = produce::run(options, CancellationToken::new()).await.unwrap();
    assert_eq!((totals.acknowledged, totals.unknown), (0, 60));
}

#[tokio::test(flavor = "multi_thread")]
async fn options_that_cannot_work_are_refused_before_anything_is_sent() {
    let (cluster, folder) = (cluster(), tempfile::tempdir().unwrap());
    let too_many = produce::Options {
        partitions: 12,
        ..producing(&cluster, folder.path())
    };
    let both = produce::Options {
        acks: Acks::One,
        idempotence: Some(true),
        ..producing(&cluster, folder.path())
    };
    let nowhere = produce::Options {
        brokers: " ,".into(),
        ..producing(&cluster, folder.path())
    };
    for (options, says) in [
        (too_many, "has 3 partitions, fewer than the 12"),
        (both, "acks=all"),
        (nowhere, "no broker is named"),
    ] {
        let error = produce::run(options, CancellationToken::new()).await.unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!(
            error.downcast_ref::<Expected>().map(|error| error.exit),
            Some(Exit::Usage)
        );
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_a_cluster_ends_when_it_is_cancelled() {
    let folder = tempfile::tempdir().unwrap();
    let cancel = CancellationToken::new();
    let _ended = cancel.clone().drop_guard();
    let options = produce::Options {
        ledger: Some(folder.path().to_owned()),
        ..produce::Options::new("127.0.0.1:1", topics())
    };
    let producer = tokio::spawn(produce::run(options, cancel.clone()));
    tokio::time::sleep(Duration::from_millis(300)).await;
    cancel.cancel();
    let totals = tokio::time::timeout(PATIENCE, producer)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(totals.sent, 0);
}

/// A second member joins and leaves again; afterwards every message was delivered, and nothing was skipped.
async fn a_member_comes_and_goes(assignment: Assignment) {
    let (cluster, folder) = (cluster(), tempfile::tempdir().unwrap());
    let cancel = CancellationToken::new();
    let _ended = cancel.clone().drop_guard();
    let producer = tokio::spawn(produce::run(producing(&cluster, folder.path()), cancel.clone()));
    let member = || {
        consume::run(
            consume::Options {
                assignment,
                ..consuming(&cluster, folder.path())
            },
            cancel.child_token(),
        )
    };
    let first = tokio::spawn(member());
    until(folder.path(), "delivery", |ledgers| delivered(ledgers) > 50).await;
    let leave = cancel.child_token();
    let second = tokio::spawn(consume::run(
        consume::Options {
            assignment,
            ..consuming(&cluster, folder.path())
        },
        leave.clone(),
    ));
    until(folder.path(), "partitions for both", |ledgers| {
        let held: Vec<usize> = ledgers
            .consumers
            .iter()
            .map(|consumer| consumer.assignment().len())
            .collect();
        let delivering = ledgers.consumers.iter().all(|consumer| !consumer.partitions.is_empty());
        held.len() == 2 && held[0] + held[1] == 6 && !held.contains(&0) && delivering
    })
    .await;
    leave.cancel();
    tokio::time::timeout(PATIENCE, second).await.unwrap().unwrap().unwrap();
    until(folder.path(), "all partitions for the first", |ledgers| {
        ledgers.consumers[0].assignment().len() == 6
    })
    .await;
    cancel.cancel();
    let produced = tokio::time::timeout(PATIENCE, producer)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    tokio::time::timeout(PATIENCE, first).await.unwrap().unwrap().unwrap();

    let ledgers = ledgers(folder.path(), i64::MAX);
    let mut generations = BTreeSet::new();
    for consumer in &ledgers.consumers {
        assert!(consumer.closed, "{consumer:?}");
        for rebalance in &consumer.rebalances {
            assert!(rebalance.what.member.is_some(), "{rebalance:?}");
            generations.extend(rebalance.what.generation);
        }
        assert!(
            consumer
                .partitions
                .values()
                .all(|deliveries| deliveries.jumps.is_empty() && deliveries.overcommits.is_empty())
        );
    }
    assert!(generations.len() >= 3, "{generations:?}");
    let revoked = ledgers.consumers[0]
        .rebalances
        .iter()
        .find(|rebalance| rebalance.kind == RebalanceKind::Revoked && !rebalance.what.partitions.is_empty())
        .unwrap();
    let expected = match assignment {
        Assignment::Cooperative => 3,
        Assignment::Eager => 6,
    };
    assert_eq!(revoked.what.partitions.len(), expected);
    // Both ended at about the same time, so some of the last messages may be undelivered; none before them is.
    let mut positions: BTreeMap<&TopicPartition, khd::workload::ranges::Ranges> = BTreeMap::new();
    for (partition, deliveries) in ledgers.consumers.iter().flat_map(|consumer| &consumer.partitions) {
        positions.entry(partition).or_default().extend(&deliveries.offsets());
        let end = deliveries.offsets().last().map(|last| last as i64 + 1);
        assert!(deliveries.committed <= end, "committed past processed: {deliveries:?}");
    }
    assert_eq!(positions.len(), 6);
    for (partition, offsets) in &positions {
        assert_eq!(offsets.iter().count(), 1, "{partition:?}: {offsets:?}");
    }
    let delivered: u64 = positions.values().map(|offsets| offsets.count()).sum();
    assert!(delivered > produced.sent / 2 && delivered <= produced.sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn cooperative_members_give_away_only_what_moves() {
    a_member_comes_and_goes(Assignment::Cooperative).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn eager_members_give_everything_away_first() {
    a_member_comes_and_goes(Assignment::Eager).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_keeps_its_pace() {
    let (cluster, folder) = (cluster(), tempfile::tempdir().unwrap());
    let cancel = CancellationToken::new();
    let _ended = cancel.clone().drop_guard();
    let options = produce::Options {
        interval: Duration::from_millis(1),
        count: Some(2_000),
        ..producing(&cluster, folder.path())
    };
    let totals = produce::run(options, cancel).await.unwrap();
    assert_eq!(totals.acknowledged, 2_000);
    let ledgers = ledgers(folder.path(), i64::MAX);
    let times = khd::workload::ledger::history::overall(&ledgers.acks());
    let (first, last) = times.spans().iter().fold((i64::MAX, 0), |(first, last), span| {
        (first.min(span.0), last.max(span.1))
    });
    // 2 s at 1 ms each; a machine that stalls for more than the pace catches up with takes longer.
    assert!((1_500..10_000).contains(&(last - first)), "{} ms", last - first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_member_shows_life_loses_its_place_and_skips_nothing_when_it_goes_on() {
    let (cluster, folder) = (cluster(), tempfile::tempdir().unwrap());
    let cancel = CancellationToken::new();
    let _ended = cancel.clone().drop_guard();
    let producer = tokio::spawn(produce::run(producing(&cluster, folder.path()), cancel.clone()));
    let member = |stalled: &Arc<AtomicBool>| {
        let options = consume::Options {
            session_timeout: Duration::from_secs(4),
            properties: [("max.poll.interval.ms".to_owned(), "5000".to_owned())].into(),
            stalled: stalled.clone(),
            ..consuming(&cluster, folder.path())
        };
        tokio::spawn(consume::run(options, cancel.clone()))
    };
    let stalled = Arc::new(AtomicBool::new(false));
    let first = member(&stalled);
    until(folder.path(), "delivery", |ledgers| delivered(ledgers) > 50).await;
    let second = member(&Arc::default());
    let both = |ledgers: &Ledgers| {
        let held = ledgers.consumers.iter().map(|consumer| consumer.assignment().len());
        held.collect::<Vec<_>>() == [3, 3]
    };
    until(folder.path(), "partitions for both", both).await;

    stalled.store(true, Ordering::Relaxed);
    until(folder.path(), "all partitions for the second", |ledgers| {
        let other = ledgers
            .consumers
            .iter()
            .max_by_key(|consumer| consumer.assignment().len());
        other.is_some_and(|consumer| consumer.assignment().len() == 6)
    })
    .await;
    let since = now_ms();
    until(folder.path(), "sign of life of the stalled member", |ledgers| {
        let living = ledgers.consumers.iter().filter(|consumer| consumer.last > since);
        living.count() == 2
    })
    .await;
    stalled.store(false, Ordering::Relaxed);
    until(folder.path(), "partitions for both again", both).await;
    let again = delivered(&ledgers(folder.path(), i64::MAX));
    until(folder.path(), "delivery after the stall", |ledgers| {
        delivered(ledgers) > again + 50
    })
    .await;
    cancel.cancel();
    for consumer in [first, second] {
        tokio::time::timeout(PATIENCE, consumer)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
    }
    tokio::time::timeout(PATIENCE, producer)
        .await
        .unwrap()
        .unwrap()
        .unwrap();

    let messages = audit(&cluster, folder.path()).await;
    let lost = |consumer: &ConsumerHistory| consumer.rebalances.iter().any(|rebalance| rebalance.what.lost);
    assert_eq!(messages.ledgers.consumers.iter().filter(|c| lost(c)).count(), 1);
    assert_eq!(anomalies(&messages), BTreeMap::new());
}
