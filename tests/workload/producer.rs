//! Producers that are hindered.

use super::*;

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
    goes_on(folder.path()).await;
    cancel.cancel();
    let totals = ended(producer).await;
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
    goes_on(folder.path()).await;
    cancel.cancel();
    let totals = ended(producer).await;
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
    let totals = ended(producer).await;
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
    // Nothing tells that it waits; if it is not yet there, it is cancelled before instead, which has to end as well.
    tokio::time::sleep(Duration::from_millis(300)).await;
    cancel.cancel();
    let totals = ended(producer).await;
    assert_eq!(totals.sent, 0);
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
    let last = times.spans().iter().map(|span| span.1).max().unwrap();
    let took = last - ledgers.producers[0].header.started;
    // 2 s at 1 ms each; a machine that stalls for more than the pace catches up with takes longer.
    assert!((1_999..12_000).contains(&took), "{took} ms");
}
