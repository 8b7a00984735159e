//! Flow of network faults on an engine in memory.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::json;

use crate::compose::render::render;
use crate::engine::fake::FakeEngine;
use crate::engine::{Engine as _, HelperOutput, labels};
use crate::error::{Exit, Expected};
use crate::faults::journal::Journal;
use crate::faults::{How, Means, Target};
use crate::settings::Settings;
use crate::timeline::view::View;
use crate::topology::Topology;

struct Stage {
    engine: Arc<FakeEngine>,
    means: Means,
    journal: Journal,
    _folder: tempfile::TempDir,
}

impl Stage {
    /// The default lab, running.
    async fn new() -> Self {
        let settings = Settings::default();
        let topology = Topology::of(&settings);
        let file = render(&settings, &topology);
        let engine = Arc::new(FakeEngine::with_images(&file));
        for (key, network) in &file.networks {
            engine.create_network(&file.name, key, network).await.unwrap();
        }
        for service in file.services.keys() {
            engine.create_container(&file, service, 1).await.unwrap();
            engine
                .start(&labels::container_name(&file.name, service, 1))
                .await
                .unwrap();
        }
        engine.clear_calls();
        let folder = tempfile::tempdir().unwrap();
        Self {
            means: Means {
                engine: engine.clone(),
                file,
                expected: topology.expectation(settings.session_timeout()),
                topology,
                nethelper: "khd/nethelper:1".into(),
            },
            engine,
            journal: Journal::at(folder.path().join("faults.json")),
            _folder: folder,
        }
    }

    async fn inject(
        &self,
        id: u32,
        how: serde_json::Value,
        targets: &[&str],
    ) -> anyhow::Result<crate::faults::Injection> {
        let how: How = serde_json::from_value(how).unwrap();
        let targets: Vec<Target> = targets.iter().map(|name| Target::sample(name)).collect();
        self.journal.inject(&self.means, id, &how, targets, "run", |_| {}).await
    }

    async fn undo(&self, id: u32) {
        let undone = self
            .journal
            .undo(&self.means, |entry| entry.id == id, |_| {})
            .await
            .unwrap();
        assert_eq!(undone.len(), 1);
    }

    fn put(&self, container: &str) -> BTreeSet<String> {
        self.engine.put_by_helpers().remove(container).unwrap_or_default()
    }
}

fn chains(id: u32) -> BTreeSet<String> {
    [format!("KHD-{id}-IN"), format!("KHD-{id}-OUT")].into()
}

#[tokio::test]
async fn of_two_faults_on_one_container_each_takes_away_its_own_rules_only() {
    let stage = Stage::new().await;
    let block = stage.inject(1, json!({ "how": "block" }), &["kafka1"]).await.unwrap();
    let sets = json!([["kafka1"], ["kafka2", "zookeeper1"]]);
    let names = ["kafka1", "kafka2", "zookeeper1"];
    let split = stage
        .inject(12, json!({ "how": "partition", "sets": sets }), &names)
        .await
        .unwrap();
    for injection in [&block, &split] {
        let proof = injection
            .how
            .fault()
            .effect(&stage.means, injection, &View::default())
            .await;
        assert!(proof.unwrap().starts_with("no connection opens from kafka1 to kafka2"));
    }
    assert_eq!(stage.put("khd-kafka1-1"), &chains(1) | &chains(12));
    stage.undo(1).await;
    assert_eq!(stage.put("khd-kafka1-1"), chains(12));
    assert_eq!(stage.put("khd-zookeeper1-1"), chains(12));
    stage.undo(12).await;
    assert!(stage.engine.put_by_helpers().is_empty());
    for injection in [&block, &split] {
        let proof = injection
            .how
            .fault()
            .healed(&stage.means, injection, &View::default())
            .await;
        assert!(proof.unwrap().starts_with("connections open from kafka1 to kafka2"));
    }
}

#[tokio::test]
async fn rules_that_went_with_a_container_need_no_undoing() {
    let stage = Stage::new().await;
    stage
        .inject(1, json!({ "how": "loss", "percent": 5 }), &["kafka1", "kafka2"])
        .await
        .unwrap();
    stage.engine.kill("khd-kafka1-1").await.unwrap();
    assert_eq!(stage.put("khd-kafka2-1"), chains(1));
    stage.undo(1).await;
    assert!(stage.engine.put_by_helpers().is_empty());
    assert_eq!(stage.journal.entries().unwrap(), []);
}

#[tokio::test]
async fn a_kernel_that_cannot_delay_is_told_before_anything_is_touched() {
    let stage = Stage::new().await;
    let said = "iptables yes\nstatistic yes\nhtb yes\nu32 yes\nnetem no Error: Specified qdisc kind is unknown.\n";
    stage.engine.let_helpers_say(Some(HelperOutput {
        stdout: said.into(),
        ..HelperOutput::default()
    }));
    let error = stage
        .inject(1, json!({ "how": "delay" }), &["kafka1"])
        .await
        .unwrap_err();
    let expected = error.downcast_ref::<Expected>().unwrap();
    assert_eq!(expected.exit, Exit::Environment);
    assert!(
        expected.message.contains("cannot delay packets (netem)"),
        "{}",
        expected.message
    );
    assert_eq!(stage.engine.calls(), ["run_helper capabilities in nothing"]);
    assert_eq!(stage.journal.entries().unwrap(), []);
}

#[tokio::test]
async fn what_is_narrowed_already_is_not_narrowed_again() {
    let stage = Stage::new().await;
    stage.inject(1, json!({ "how": "rate" }), &["kafka1"]).await.unwrap();
    let refused = stage.inject(2, json!({ "how": "delay" }), &["kafka2", "kafka1"]).await;
    assert_eq!(
        refused.unwrap_err().to_string(),
        "rate of kafka1 is in place already, and has the queue of kafka1"
    );
    assert!(!stage.engine.calls().iter().any(|call| call.contains("delay")));
    assert_eq!(stage.journal.entries().unwrap().len(), 1);
}

#[tokio::test]
async fn a_disconnected_container_comes_back_as_it_was_attached() {
    let stage = Stage::new().await;
    let injection = stage
        .inject(1, json!({ "how": "disconnect" }), &["kafka2"])
        .await
        .unwrap();
    assert_eq!(injection.before["khd-kafka2-1"]["address"], "172.25.0.22");
    let attachment = || stage.engine.attachment("khd-kafka2-1", "khd_kafka-net");
    assert_eq!(attachment().await.unwrap(), None);
    stage.undo(1).await;
    assert!(attachment().await.unwrap().is_some());
    let healed = injection
        .how
        .fault()
        .healed(&stage.means, &injection, &View::default())
        .await;
    healed.unwrap();
}
