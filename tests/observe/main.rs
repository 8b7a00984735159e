//! The observer, and the exporter, against brokers that answer what a test tells them to, or misbehave: hang, close, send garbage.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests may fail as tests do; Clippy sees only functions marked as tests"
)]

mod exporter;
mod fake_broker;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fake_broker::{Cluster, FakeBroker, Manner};
use khd::kafka::admin::Admin;
use khd::observe::{self, Observer};
use khd::settings::Settings;
use khd::timeline::event::{Event, Kind, SCHEMA};
use khd::timeline::limits::Limits;
use khd::timeline::record::Timeline;
use khd::timeline::view::View;
use khd::topology::Topology;
use tokio::sync::broadcast;

/// Two fake brokers and the observer that watches them.
struct Lab {
    brokers: [FakeBroker; 2],
    cluster: Arc<Mutex<Cluster>>,
    timeline: Timeline,
    live: broadcast::Receiver<Event>,
    observer: Observer,
    topology: Topology,
}

impl Lab {
    async fn start() -> Self {
        let cluster = Arc::new(Mutex::new(Cluster {
            leader: 1,
            coordinator: 1,
            controller: 1,
            election: 0,
            end_offset: 20,
            committed_offset: 10,
        }));
        let brokers = [
            FakeBroker::start(1, cluster.clone()).await,
            FakeBroker::start(2, cluster.clone()).await,
        ];
        let mut topology = Topology::of(&Settings::default());
        topology.zookeepers.clear();
        topology.brokers.truncate(2);
        for (described, broker) in topology.brokers.iter_mut().zip(&brokers) {
            described.published = broker.address;
        }
        let timeline = Timeline::unrecorded();
        timeline.emit(
            "khd",
            Kind::RunStarted {
                schema: SCHEMA,
                khd: "test".into(),
                command: "test".into(),
                expectation: topology.expectation(Duration::from_secs(18)).into(),
                limits: Limits::new(),
                skip: std::collections::BTreeMap::new(),
            },
        );
        let live = timeline.live();
        let observer = observe::start(&topology, &timeline);
        Self {
            brokers,
            cluster,
            timeline,
            live,
            observer,
            topology,
        }
    }

    fn change(&self, change: impl FnOnce(&mut Cluster)) {
        change(&mut self.cluster.lock().unwrap());
    }

    async fn wait_until(&self, what: &str, is: impl FnMut(&View) -> bool) {
        let mut view = self.timeline.view();
        let came = tokio::time::timeout(Duration::from_secs(10), view.wait_for(is))
            .await
            .is_ok();
        assert!(
            came,
            "{what} did not come; last seen: {:?}",
            self.timeline.view().borrow()
        );
    }

    async fn wait_until_all_answer(&self) {
        self.wait_until("that both brokers answer", |view| {
            view.brokers.len() == 2 && view.brokers.values().all(|b| b.answers && !b.partitions.is_empty())
        })
        .await;
    }

    /// Events of a broker since the last call.
    fn events(&mut self, source: &str) -> Vec<Kind> {
        let mut events = Vec::new();
        while let Ok(event) = self.live.try_recv() {
            if event.source == source {
                events.push(event.kind);
            }
        }
        events
    }
}

fn leader(view: &View, broker: i32) -> Option<i32> {
    let said = view.brokers.get(&broker)?.partitions.get(&("test-1".to_owned(), 0));
    said.map(|partition| partition.leader)
}

/// Lets one broker misbehave, expects that only it falls silent, and for this reason, and that it is told whole after.
async fn a_broker_that_misbehaves_falls_silent_and_returns(manner: Manner, reason: &str) {
    let mut lab = Lab::start().await;
    lab.wait_until_all_answer().await;
    lab.events("kafka1");

    lab.brokers[0].behave(manner);
    let since = lab.timeline.elapsed();
    lab.wait_until("silence", |view| !view.brokers[&1].answers).await;
    let took = lab.timeline.elapsed() - since;
    assert!(took < Duration::from_millis(1500), "took {took:?}");
    // Long enough for attempts that fail for other reasons.
    tokio::time::sleep(Duration::from_millis(400)).await;
    let error = lab.timeline.view().borrow().brokers[&1].error.clone().unwrap();
    assert!(error.contains("kafka1") && error.contains(reason), "{error}");

    lab.change(|cluster| cluster.leader = 2);
    lab.wait_until("the other broker's word", |view| leader(view, 2) == Some(2))
        .await;

    lab.brokers[0].behave(Manner::Well);
    lab.wait_until("the return", |view| leader(view, 1) == Some(2)).await;
    let told = lab.events("kafka1");
    let silences = told
        .iter()
        .filter(|kind| matches!(kind, Kind::BrokerSilent { .. }))
        .count();
    assert_eq!(silences, 1, "{told:?}");
    lab.observer.stop().await;
}

#[tokio::test]
async fn a_broker_that_hangs_is_given_up_after_a_second() {
    a_broker_that_misbehaves_falls_silent_and_returns(Manner::Hangs, "did not answer").await;
}

#[tokio::test]
async fn a_broker_that_closes_the_connection_amid_an_answer_is_silent() {
    a_broker_that_misbehaves_falls_silent_and_returns(Manner::ClosesAmidAnswer, "early eof").await;
}

#[tokio::test]
async fn an_answer_that_claims_two_gigabytes_is_refused_before_memory_is_taken() {
    a_broker_that_misbehaves_falls_silent_and_returns(Manner::ClaimsTooMuch, "an answer of 2147483647 bytes").await;
}

#[tokio::test]
async fn an_answer_to_another_request_is_refused() {
    a_broker_that_misbehaves_falls_silent_and_returns(Manner::AnswersAnotherRequest, "the answer is to request").await;
}

#[tokio::test]
async fn an_answer_in_a_foreign_protocol_is_refused() {
    a_broker_that_misbehaves_falls_silent_and_returns(Manner::SpeaksHttp, "bytes is not one of Kafka's").await;
}

#[tokio::test]
async fn an_answer_that_ends_too_soon_within_its_frame_is_refused() {
    a_broker_that_misbehaves_falls_silent_and_returns(Manner::AnswersInPart, "Not enough bytes").await;
}

#[tokio::test]
async fn a_broker_that_refuses_connections_is_silent_until_it_listens_again() {
    let lab = Lab::start().await;
    lab.wait_until_all_answer().await;
    lab.brokers[1].behave(Manner::RefusesConnections);
    lab.wait_until("silence", |view| !view.brokers[&2].answers).await;
    let error = lab.timeline.view().borrow().brokers[&2].error.clone().unwrap();
    assert!(error.contains("kafka2"), "{error}");
    lab.brokers[1].behave(Manner::Well);
    lab.wait_until_all_answer().await;
}

#[tokio::test]
async fn the_group_is_followed_from_one_coordinator_to_the_next() {
    let mut lab = Lab::start().await;
    let coordinator = |view: &View| {
        view.group
            .as_ref()
            .map(|group| (group.coordinator, group.state.clone()))
    };
    lab.wait_until("the first coordinator", |view| {
        coordinator(view) == Some((1, "Stable".into()))
    })
    .await;
    lab.change(|cluster| cluster.coordinator = 2);
    lab.wait_until("the second coordinator", |view| {
        coordinator(view) == Some((2, "Stable".into()))
    })
    .await;
    lab.wait_until("that the first gave up", |view| view.brokers[&1].group.is_none())
        .await;
    let lost = Kind::CoordinatorLost { group: "test".into() };
    assert!(lab.events("kafka1").contains(&lost));
}

#[tokio::test]
async fn end_offsets_of_all_leaders_and_commits_at_the_coordinator_are_summed() {
    let lab = Lab::start().await;
    let sums = |view: &View| view.offsets.map(|o| (o.end, o.committed, o.partitions));
    lab.wait_until("the first sums", |view| sums(view) == Some((20, 10, 1)))
        .await;
    lab.change(|cluster| {
        cluster.leader = 2;
        cluster.end_offset = 40;
        cluster.coordinator = 2;
        cluster.committed_offset = 30;
    });
    lab.wait_until("sums by other brokers", |view| sums(view) == Some((40, 30, 1)))
        .await;
}

#[tokio::test]
async fn a_lab_at_rest_is_told_once() {
    let mut lab = Lab::start().await;
    lab.wait_until_all_answer().await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    lab.events("kafka2");
    tokio::time::sleep(Duration::from_millis(1000)).await;
    assert!(lab.live.try_recv().is_err());
}

#[tokio::test]
async fn a_stopped_observer_leaves_no_task_behind() {
    let lab = Lab::start().await;
    lab.wait_until_all_answer().await;
    let alive = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = alive();
    lab.observer.stop().await;
    // Two brokers and the sums; the fakes' tasks end with their connections.
    assert!(alive() <= before - 3, "{before} tasks before, {} after", alive());
}

#[tokio::test]
async fn an_election_goes_to_the_broker_that_acts_as_the_controller_whoever_is_named() {
    const ELECTION_NOT_NEEDED: i16 = 84;
    const PREFERRED_LEADER_NOT_AVAILABLE: i16 = 80;
    let lab = Lab::start().await;
    let admin = Admin::of(&lab.topology);
    let partition = [("test-1".to_owned(), 0)];
    for (controller, election, refused) in [
        (1, 0, None),
        (2, 0, None),
        (2, ELECTION_NOT_NEEDED, None),
        (
            2,
            PREFERRED_LEADER_NOT_AVAILABLE,
            Some("PREFERRED_LEADER_NOT_AVAILABLE"),
        ),
    ] {
        lab.change(|cluster| (cluster.controller, cluster.election) = (controller, election));
        let refusals = admin.elect_preferred(&partition).await.unwrap();
        let words = refusals.first().map(|(_, refusal)| refusal.to_string());
        assert_eq!(words.as_deref(), refused);
    }
    lab.brokers[0].behave(Manner::RefusesConnections);
    lab.change(|cluster| cluster.election = 0);
    assert_eq!(admin.elect_preferred(&partition).await.unwrap(), []);
}
