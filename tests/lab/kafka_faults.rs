//! Faults in Kafka's own state, and clients that are added: each takes effect on a real cluster, and leaves it as it was when
//! it is undone.
//!
//! What it was is asked by librdkafka's own admin client, not by khd's.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use khd::compose::render::render;
use khd::drill::wait::{proven, until};
use khd::engine::Engine;
use khd::engine::docker::Docker;
use khd::error::Expected;
use khd::faults::journal::Journal;
use khd::faults::selector::{self, Selector};
use khd::faults::{How, Means};
use khd::observe::{self, Observer};
use khd::settings::Settings;
use khd::timeline::conditions;
use khd::timeline::event::{Kind, SCHEMA};
use khd::timeline::limits::Limits;
use khd::timeline::record::Timeline;
use khd::timeline::view::View;
use khd::topology::Topology;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::Lab;

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_in_kafkas_own_state_takes_effect_and_leaves_it_as_it_was() {
    let lab = Lab::new("khdtest-kafka", 11);
    lab.run(&["up", "--set", "consumer.replicas=2"], 0);
    let stage = Stage::on(&lab).await;
    stage.until_whole().await;
    let before = stage.state().await;

    stage.leaders_move_away_and_back().await;
    stage.settings_of_topics_change_and_change_back().await;
    stage.settings_of_brokers_change_and_change_back().await;
    stage.what_kafka_refuses_is_told_and_changes_nothing().await;
    stage
        .a_preferred_election_is_refused_where_every_leader_is_at_home()
        .await;
    stage.a_removed_member_joins_again().await;
    stage.clients_are_added_and_removed().await;

    stage.until_whole().await;
    assert_eq!(stage.state().await, before);
}

/// A lab that is watched, and a journal of its faults.
struct Stage {
    means: Means,
    journal: Journal,
    timeline: Timeline,
    _observers: [Observer; 2],
}

impl Stage {
    async fn on(lab: &Lab) -> Self {
        let mut settings = Settings {
            project: lab.project().into(),
            ..Settings::default()
        };
        settings.ports.offset = lab.published(0).rsplit_once(':').unwrap().1.parse().unwrap();
        settings.network.subnet = lab.subnet().parse().unwrap();
        settings.consumer.replicas = 2;
        let topology = Topology::of(&settings);
        let engine: Arc<dyn Engine> = Arc::new(Docker::connect().await.unwrap());
        let expected = topology.expectation(settings.session_timeout());
        let timeline = Timeline::unrecorded();
        let started = Kind::RunStarted {
            schema: SCHEMA,
            khd: "test".into(),
            command: "test".into(),
            expectation: expected.clone().into(),
            limits: Limits::new(),
            skip: BTreeMap::new(),
        };
        timeline.emit("khd", started);
        let observers = [
            observe::start(&topology, &timeline),
            observe::containers(engine.clone(), &topology.project, &timeline),
        ];
        let means = Means {
            engine,
            file: render(&settings, &topology),
            topology,
            expected,
            nethelper: String::new(),
        };
        Self {
            means,
            journal: Journal::at(lab.journal()),
            timeline,
            _observers: observers,
        }
    }

    async fn until_whole(&self) {
        let whole = |view: &View| conditions::whole(view, &self.means.expected);
        let within = Duration::from_secs(30);
        let outcome = until(self.timeline.view(), within, &CancellationToken::new(), whole).await;
        assert_eq!(outcome, khd::drill::machine::Outcome::Done);
    }

    /// Settings of topics and brokers, and the replicas of each partition in their order, with its leader.
    async fn state(&self) -> (Vec<String>, BTreeMap<(String, i32), (i32, Vec<i32>)>) {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.means.topology.bootstrap());
        let client: AdminClient<DefaultClientContext> = config.create().unwrap();
        let topics = &self.means.expected.workload.topics;
        let topics = topics.iter().map(|topic| ResourceSpecifier::Topic(topic));
        let brokers = self.means.topology.brokers.iter();
        let brokers = brokers.map(|broker| ResourceSpecifier::Broker(broker.id));
        let mut settings = Vec::new();
        // librdkafka asks one broker in one call.
        for resource in topics.chain(brokers) {
            let described = client
                .describe_configs([&resource], &AdminOptions::new())
                .await
                .unwrap();
            for entry in described.into_iter().flat_map(|resource| resource.unwrap().entries) {
                settings.push(format!(
                    "{resource:?} {}={:?} by {:?}",
                    entry.name, entry.value, entry.source
                ));
            }
        }
        settings.sort();
        let view = self.timeline.view().borrow().clone();
        let partitions = self.means.expected.partitions().map(|partition| {
            let fact = view.told(&partition).unwrap();
            (partition, (fact.leader, fact.replicas.clone()))
        });
        (settings, partitions.collect())
    }

    async fn fails(&self, fault: Value, target: &str) -> anyhow::Result<How> {
        let how: How = serde_json::from_value(fault).unwrap();
        let project = self.means.engine.project(&self.means.topology.project).await?;
        let view = self.timeline.view().borrow().clone();
        let selector: Selector = target.parse().unwrap();
        let named = selector::resolve(&[selector], &project, &self.means.expected, &view, 0)?;
        let targets = how.fault().aim(named, &self.means.topology, &project);
        how.fault().check(&self.means.topology, &targets)?;
        let injection = self
            .journal
            .inject(&self.means, 1, &how, targets, "test", |_| {})
            .await?;
        let look = async |view: View| how.fault().effect(&self.means, &injection, &view).await;
        let cancel = CancellationToken::new();
        let proof = proven(self.timeline.view(), how.fault().effect_within(), &cancel, look).await;
        eprintln!("{}: {}", injection.words(), proof.unwrap());
        Ok(how)
    }

    /// Undoes what is in place, twice, and proves that it is healed.
    async fn heals(&self) {
        let undone = self.journal.undo(&self.means, |_| true, |_| {}).await.unwrap();
        assert_eq!(undone.len(), 1);
        for injection in undone {
            let fault = injection.how.fault();
            fault.undo(&self.means, &injection).await.unwrap();
            let look = async |view: View| fault.healed(&self.means, &injection, &view).await;
            let cancel = CancellationToken::new();
            let proof = proven(self.timeline.view(), fault.healed_within(), &cancel, look).await;
            eprintln!("{} is healed: {}", injection.words(), proof.unwrap());
        }
    }

    async fn leaders_move_away_and_back(&self) {
        self.fails(json!({ "how": "move-leaders" }), "kafka2").await.unwrap();
        let (_, partitions) = self.state().await;
        for (partition, (leader, replicas)) in &partitions {
            assert!(
                *leader != 2 && replicas.first() == Some(leader),
                "{partition:?} {leader} {replicas:?}"
            );
            assert!(replicas.contains(&2), "{partition:?} {replicas:?}");
        }
        let again = self
            .fails(json!({ "how": "move-leaders" }), "kafka2")
            .await
            .unwrap_err();
        // Internal partitions may not have moved yet.
        let words = again.to_string();
        assert!(
            words.contains("leads no partition") || words.contains("is in place already"),
            "{again:#}"
        );
        self.heals().await;
    }

    async fn settings_of_topics_change_and_change_back(&self) {
        // One that was set when the topic was made, and one that was not.
        let set = json!({ "min.insync.replicas": 3, "leader.replication.throttled.replicas": "*" });
        self.fails(json!({ "how": "config", "topic": "all", "set": set }), "all-brokers")
            .await
            .unwrap();
        let (settings, _) = self.state().await;
        let raised = settings
            .iter()
            .filter(|line| line.contains("Topic") && line.contains(r#"min.insync.replicas=Some("3")"#));
        assert_eq!(raised.count(), self.means.expected.workload.topics.len());
        self.heals().await;
    }

    async fn settings_of_brokers_change_and_change_back(&self) {
        let set = json!({ "leader.replication.throttled.rate": 1_048_576, "log.cleaner.threads": 2 });
        self.fails(json!({ "how": "config", "set": set }), "kafka3")
            .await
            .unwrap();
        let (settings, _) = self.state().await;
        let threads = settings
            .iter()
            .filter(|line| line.contains(r#"log.cleaner.threads=Some("2")"#));
        assert!(
            threads.map(|line| line.contains("Broker(3)")).eq([true]),
            "of kafka3 alone"
        );
        self.heals().await;
    }

    async fn what_kafka_refuses_is_told_and_changes_nothing(&self) {
        let before = self.state().await;
        for (set, topic, words) in [
            (
                json!({ "no.such.setting": 1, "min.insync.replicas": 1 }),
                Some("test-1"),
                "Unknown topic config name: no.such.setting",
            ),
            (
                json!({ "broker.id": 7 }),
                None,
                "INVALID_REQUEST: Cannot update these configs dynamically: Set(broker.id)",
            ),
        ] {
            let mut fault = json!({ "how": "config", "set": set });
            fault["topic"] = topic.into();
            let error = self.fails(fault, "kafka1").await.unwrap_err();
            assert!(format!("{error:#}").contains(words), "{error:#}");
            assert!(error.downcast_ref::<Expected>().is_some(), "{error:#}");
        }
        assert_eq!(self.state().await, before);
        assert_eq!(self.journal.entries().unwrap(), [], "nothing is in place");
    }

    async fn a_preferred_election_is_refused_where_every_leader_is_at_home(&self) {
        let refused = self.fails(json!({ "how": "elect-preferred" }), "all-brokers").await;
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("there is nothing to elect"), "{refused}");
    }

    async fn a_removed_member_joins_again(&self) {
        let members = || {
            let group = self.timeline.view().borrow().group.clone().unwrap();
            group
                .members
                .into_iter()
                .map(|member| member.id)
                .collect::<Vec<String>>()
        };
        let before = members();
        self.fails(json!({ "how": "remove-member" }), "consumer-1")
            .await
            .unwrap();
        self.heals().await;
        let after = members();
        assert_eq!((before.len(), after.len()), (2, 2));
        let stayed = after.iter().filter(|id| before.contains(id));
        assert_eq!(stayed.count(), 1, "{before:?} {after:?}");
    }

    async fn clients_are_added_and_removed(&self) {
        let containers = async || {
            let project = self.means.engine.project(&self.means.topology.project).await.unwrap();
            let mut all: Vec<(String, String)> = project
                .containers
                .into_iter()
                .map(|found| (found.name, found.id))
                .collect();
            all.sort();
            all
        };
        let before = containers().await;
        self.fails(json!({ "how": "add", "replicas": 2 }), "consumer")
            .await
            .unwrap();
        let again = self.fails(json!({ "how": "add" }), "consumer-1").await.unwrap_err();
        assert!(again.to_string().contains("has the number of consumers"), "{again:#}");
        let scaled = self.journal.require_not_added("consumer").unwrap_err();
        assert!(
            scaled.to_string().contains("add of consumer-3, consumer-4 is in place"),
            "{scaled:#}"
        );
        self.heals().await;
        self.fails(json!({ "how": "add" }), "producer").await.unwrap();
        self.heals().await;
        assert_eq!(containers().await, before);
    }
}
