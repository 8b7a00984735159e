//! Copiers.

use khd::kafka::client;
use khd::topology::COPY_GROUP;
use rdkafka::consumer::{BaseConsumer, Consumer as _, DefaultConsumerContext};
use rdkafka::mocking::MockCoordinator;

use super::*;

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
async fn a_copier_goes_on_when_the_coordinator_of_its_group_is_gone_for_good() {
    let (cluster, folder) = (cluster(), tempfile::tempdir().unwrap());
    let cancel = CancellationToken::new();
    let _ended = cancel.clone().drop_guard();
    let copies = TOPICS.map(copy_of);
    for topic in &copies {
        cluster.create_topic(topic, PARTITIONS, 3).unwrap();
    }
    // The second broker has nothing but the group.
    for topic in TOPICS.into_iter().chain(copies.iter().map(String::as_str)) {
        for partition in 0..PARTITIONS {
            cluster.partition_leader(topic, partition, Some(1)).unwrap();
        }
    }
    let options = copy::Options {
        count: Some(1_200),
        ..copy::Options::new(cluster.bootstrap_servers(), topics())
    };
    let transactions = MockCoordinator::Transaction(options.transactional_id.clone());
    cluster.coordinator(transactions, 1).unwrap();
    let coordinated_by = |broker| cluster.coordinator(MockCoordinator::Group(COPY_GROUP.into()), broker);
    coordinated_by(2).unwrap();
    let copier = tokio::spawn(copy::run(options, cancel.clone()));
    let half = || produce::Options {
        interval: Duration::ZERO,
        count: Some(600),
        ..producing(&cluster, folder.path())
    };
    produce::run(half(), cancel.clone()).await.unwrap();
    let client: BaseConsumer = client::create(
        &client::config(&cluster.bootstrap_servers(), "test"),
        DefaultConsumerContext,
    )
    .unwrap();
    let copied = || -> i64 {
        let partitions = copies
            .iter()
            .flat_map(|topic| (0..PARTITIONS).map(move |partition| (topic, partition)));
        let ends = partitions.map(|(topic, partition)| client.fetch_watermarks(topic, partition, PATIENCE).unwrap().1);
        ends.sum()
    };
    let deadline = Instant::now() + PATIENCE;
    while copied() < 600 {
        assert!(Instant::now() < deadline, "{} copies", copied());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Copies are in the log before their transaction has ended, of which the mock tells nobody. The coordinator shall go between
    // two transactions: asked for anew in the midst of one, librdkafka finds the next.
    tokio::time::sleep(Duration::from_secs(2)).await;
    coordinated_by(3).unwrap();
    cluster.broker_down(2).unwrap();
    produce::run(half(), cancel.clone()).await.unwrap();
    let totals = tokio::time::timeout(2 * PATIENCE, copier)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    // The mock keeps no offsets of transactions: new clients begin anew, and more is copied than there is.
    assert!(totals.copied >= 1_200 && totals.replaced > 0, "{totals:?}");
}
