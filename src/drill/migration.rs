//! The migration from ZooKeeper to KRaft, one phase at a time, as Kafka's guide has it done: under load, one server after
//! another, each only when the cluster is whole without faults.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::compose::model::ComposeFile;
use crate::compose::render::render;
use crate::drill::machine::Outcome;
use crate::drill::stage::Stage;
use crate::drill::wait::until;
use crate::engine::{Progress, converge, images};
use crate::kafka::migration;
use crate::kafka::wire::{BrokerConnection, Timeouts};
use crate::timeline::conditions;
use crate::timeline::event::Kind;
use crate::timeline::view::View;
use crate::topology::migration::Phase;
use crate::topology::{Controller, EXPORTER, PROMETHEUS, Topology};

/// How long a server may take until the cluster has taken it back.
const BACK_WITHIN: Duration = Duration::from_secs(120);
/// How long controllers may take to read all metadata from ZooKeeper, once every broker is ready for it.
const LOADED_WITHIN: Duration = Duration::from_secs(60);
/// Time between two looks for what nobody tells.
const LOOK: Duration = Duration::from_millis(200);
/// What controllers see as `client.id`.
const CLIENT_ID: &str = "khd-migration";

/// Brings the lab to the next phase, or back to the one before.
///
/// # Errors
/// When no way leads there, or the engine or ZooKeeper fails.
pub async fn migrate(stage: &Stage, to: Phase, cancel: &CancellationToken) -> anyhow::Result<Outcome> {
    let before = stage.timeline.view().borrow().clone();
    let (was, from) = before.phases();
    anyhow::ensure!(was == from, "the migration to {from} is still on its way");
    anyhow::ensure!(from.leads_to(to), "a migration does not lead from {from} to {to}");
    anyhow::ensure!(
        before.faults.is_empty(),
        "a fault is in place, and a migration restarts servers"
    );
    // A server that a fault had out runs again before its replicas have caught up, and the next one to be restarted may be who
    // has the others' records.
    let whole = |view: &View| conditions::healthy(view, &stage.expected);
    match until(stage.timeline.view(), BACK_WITHIN, cancel, whole).await {
        Outcome::Done => {}
        outcome => return Ok(outcome),
    }
    stage.timeline.emit("khd", Kind::MigrationStarted { phase: to });
    let zookeepers = zookeepers(stage);
    let cluster_id = migration::cluster_id(&zookeepers).await?;
    if to == Phase::Controllers {
        let text = format!("controllers are formatted with the cluster's id, {cluster_id}");
        stage.timeline.emit("khd", Kind::Note { text });
    }
    let topology = Topology::in_migration(&stage.settings, to, cluster_id);
    let file = render(&stage.settings, &topology);
    // What the engine does is told by the observer of containers.
    let (progress, _) = mpsc::unbounded_channel();
    let wanted = images::needed(&file.without_profiles()).into_keys();
    let images = images::obtain(stage.engine(), wanted, &progress).await?;
    let lab = Lab {
        stage,
        topology,
        file,
        images,
        progress,
        cancel,
    };
    let outcome = match (from, to) {
        (_, Phase::Controllers) => lab.start_controllers().await?,
        (_, Phase::ZooKeeper) => lab.go_back(from, &zookeepers).await?,
        (_, Phase::Finalized) => lab.roll_controllers().await?,
        _ => lab.roll_brokers().await?,
    };
    if outcome != Outcome::Done {
        return Ok(outcome);
    }
    lab.let_monitoring_follow().await?;
    let outcome = lab.has_come_to(to, &zookeepers).await;
    if outcome == Outcome::Done {
        stage.timeline.emit("khd", Kind::MigrationEnded { phase: to });
    }
    Ok(outcome)
}

/// The ensemble, as reached from here.
fn zookeepers(stage: &Stage) -> String {
    let servers = stage.means.topology.zookeepers.iter();
    let servers: Vec<String> = servers.map(|server| server.published.to_string()).collect();
    servers.join(",")
}

/// The lab as it shall be.
struct Lab<'a> {
    stage: &'a Stage,
    topology: Topology,
    file: ComposeFile,
    images: BTreeMap<String, String>,
    progress: Progress,
    cancel: &'a CancellationToken,
}

impl Lab<'_> {
    async fn start_controllers(&self) -> anyhow::Result<Outcome> {
        let starting = self.topology.controllers.iter();
        let starting = starting.map(|controller| self.start(&controller.service));
        futures_util::future::try_join_all(starting).await?;
        for controller in &self.topology.controllers {
            match self.answers(controller).await {
                Outcome::Done => {}
                outcome => return Ok(outcome),
            }
        }
        Ok(Outcome::Done)
    }

    /// Removes the controllers, and what they have left in ZooKeeper and in brokers.
    async fn go_back(&self, from: Phase, zookeepers: &str) -> anyhow::Result<Outcome> {
        let engine = self.stage.engine();
        let project = engine.project(&self.stage.project).await?;
        let is_controllers = |service: &str| self.stage.expected.controllers.contains_key(service);
        let containers = project
            .containers
            .into_iter()
            .filter(|one| is_controllers(&one.service));
        converge::retire(engine, &containers.collect::<Vec<_>>(), &self.progress).await?;
        if from.is_controlled_by_kraft() {
            match self.leave_migration_mode(zookeepers).await? {
                Outcome::Done => {}
                outcome => return Ok(outcome),
            }
        }
        // Another attempt begins with controllers that know nothing of this one. Until here their volumes tell whoever comes
        // upon the lab that it is between two worlds.
        for (key, volume) in &project.volumes {
            if key.strip_suffix("-data").is_some_and(is_controllers) {
                engine.remove_volume(volume).await?;
            }
        }
        Ok(Outcome::Done)
    }

    /// Has brokers elect a controller among themselves, and restarts them as they were before the migration.
    async fn leave_migration_mode(&self, zookeepers: &str) -> anyhow::Result<Outcome> {
        // Nobody is controller until this is done.
        migration::give_control_back(zookeepers).await?;
        let expected = &self.stage.expected;
        // A broker that is stopped while it takes a controller of KRaft for the one asks that for leave, and waits until it is
        // killed; its next start then meets its own registration, and ends.
        let named = |view: &View| {
            let elected = view.controller.map_or(-1, |(controller, _)| controller);
            let is_broker = expected.brokers.values().any(|id| *id == elected);
            match is_broker {
                true => conditions::brokers_name_one_controller(view, expected),
                false => vec!["no broker was elected controller yet".to_owned()],
            }
        };
        match until(self.stage.timeline.view(), BACK_WITHIN, self.cancel, named).await {
            Outcome::Done => self.roll_brokers().await,
            outcome => Ok(outcome),
        }
    }

    async fn roll_brokers(&self) -> anyhow::Result<Outcome> {
        for broker in &self.topology.brokers {
            self.start(&broker.service).await?;
            match self.settled().await {
                Outcome::Done => {}
                outcome => return Ok(outcome),
            }
        }
        Ok(Outcome::Done)
    }

    async fn roll_controllers(&self) -> anyhow::Result<Outcome> {
        for controller in &self.topology.controllers {
            self.start(&controller.service).await?;
            // The quorum notices only after a while that one is gone, so it is asked itself whether it is back.
            let outcome = match self.answers(controller).await {
                Outcome::Done => self.settled().await,
                outcome => outcome,
            };
            if outcome != Outcome::Done {
                return Ok(outcome);
            }
        }
        Ok(Outcome::Done)
    }

    /// Waits until the cluster is what it has to be in a phase, and no longer what it has been on the way there.
    async fn has_come_to(&self, phase: Phase, zookeepers: &str) -> Outcome {
        if phase == Phase::Hybrid {
            match self.loaded(zookeepers).await {
                Outcome::Done => {}
                outcome => return outcome,
            }
        }
        let expected = &self.stage.expected;
        until(self.stage.timeline.view(), BACK_WITHIN, self.cancel, |view| {
            let mut come = view.clone();
            come.migration = Some((phase, phase));
            conditions::healthy(&come, expected)
        })
        .await
    }

    /// Exporter and Prometheus are told of the servers that there are now.
    async fn let_monitoring_follow(&self) -> anyhow::Result<()> {
        for service in [EXPORTER, PROMETHEUS] {
            if self.file.services.contains_key(service) {
                self.start(service).await?;
            }
        }
        Ok(())
    }

    /// Makes a service what it shall be; where it is that already, nothing happens.
    async fn start(&self, service: &str) -> anyhow::Result<()> {
        let engine = self.stage.engine();
        converge::start_service(engine, &self.file, service, &self.images, &self.progress).await
    }

    /// Waits until the cluster is healthy with as many servers as there are.
    async fn settled(&self) -> Outcome {
        let expected = &self.stage.expected;
        until(self.stage.timeline.view(), BACK_WITHIN, self.cancel, |view| {
            conditions::healthy(view, expected)
        })
        .await
    }

    async fn answers(&self, controller: &Controller) -> Outcome {
        self.look(BACK_WITHIN, async || {
            let (name, address) = (&controller.service, controller.published);
            let asked = BrokerConnection::connect_to_controller(name, address, CLIENT_ID, Timeouts::default());
            asked.await.map(|_| true)
        })
        .await
    }

    async fn loaded(&self, zookeepers: &str) -> Outcome {
        self.look(LOADED_WITHIN, async || migration::is_loaded(zookeepers).await)
            .await
    }

    /// Looks again and again until it is so.
    async fn look(&self, within: Duration, so: impl AsyncFn() -> anyhow::Result<bool>) -> Outcome {
        let deadline = Instant::now() + within;
        loop {
            let lacking = match so().await {
                Ok(true) => return Outcome::Done,
                Ok(false) => "KRaft's controllers have not taken over ZooKeeper's metadata".to_owned(),
                Err(error) => format!("{error:#}"),
            };
            if Instant::now() >= deadline {
                return Outcome::Expired(vec![lacking]);
            }
            // Until the next look; the deadline above bounds them all.
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = self.cancel.cancelled() => return Outcome::Interrupted,
            }
        }
    }
}
