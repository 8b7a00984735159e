//! Members of a group that come, go and stall.

use super::*;

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
    ended(second).await;
    until(folder.path(), "all partitions for the first", |ledgers| {
        ledgers.consumers[0].assignment().len() == 6
    })
    .await;
    cancel.cancel();
    let produced = ended(producer).await;
    ended(first).await;

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
        ended(consumer).await;
    }
    ended(producer).await;

    let messages = audit(&cluster, folder.path()).await;
    let lost = |consumer: &ConsumerHistory| consumer.rebalances.iter().any(|rebalance| rebalance.what.lost);
    assert_eq!(messages.ledgers.consumers.iter().filter(|c| lost(c)).count(), 1);
    assert_eq!(anomalies(&messages), BTreeMap::new());
}
