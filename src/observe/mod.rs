//! Samplers that turn the state of the cluster, the group and the containers into events.
//!
//! Every broker is asked by a task of its own over a connection of its own, so that one which hangs hides nothing of
//! the others, and each event carries the broker that told it. Of states, only changes are told:
//!
//! ```text
//! broker tasks ─┬─ told: what changed ───────────────┐
//!               └─ offsets ──> offsets: sums ────────┤
//! ZooKeeper tasks, controller task: what changed ────┤
//! controller tasks ──> quorum: what changed ─────────┼──> Timeline
//! container task: what changed ──────────────────────┤
//! clients task: what producers and consumers log ────┤
//! resources task: samples ───────────────────────────┘
//! ```

mod broker;
mod clients;
#[cfg(test)]
mod clients_tests;
mod containers;
mod offsets;
mod quorum;
mod resources;
mod told;
mod zookeeper;

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::engine::Engine;
use crate::timeline::record::Timeline;
use crate::topology::Topology;

/// Tasks that observe. Dropping it ends them.
#[derive(Debug)]
#[must_use = "dropping the observer ends it"]
pub struct Observer {
    tasks: JoinSet<()>,
}

impl Observer {
    /// Ends all tasks and waits until they have: no event of this observer comes after that.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

/// Starts to observe brokers, the group and who keeps the metadata, through the ports published on the host.
///
/// Nothing of the lab has to run yet: what does not answer is told as silent, and asked again until it answers.
/// Needs a Tokio runtime.
pub fn start(topology: &Topology, timeline: &Timeline) -> Observer {
    let mut tasks = JoinSet::new();
    let (reports, received) = mpsc::channel(64);
    for broker in &topology.brokers {
        tasks.spawn(broker::observe(
            broker.clone(),
            topology.workload.clone(),
            timeline.clone(),
            reports.clone(),
        ));
    }
    if !topology.controllers.is_empty() {
        let (words, heard) = mpsc::channel(64);
        for controller in &topology.controllers {
            tasks.spawn(quorum::ask(controller.clone(), words.clone()));
        }
        tasks.spawn(quorum::observe(heard, timeline.clone()));
    }
    tasks.spawn(offsets::observe(received, timeline.clone()));
    for server in &topology.zookeepers {
        tasks.spawn(zookeeper::observe_mode(server.clone(), timeline.clone()));
    }
    if !topology.zookeepers.is_empty() {
        let servers = topology.zookeepers.iter().map(|server| server.published).collect();
        tasks.spawn(zookeeper::observe_controller(servers, timeline.clone()));
    }
    Observer { tasks }
}

/// Starts to observe the states of a project's containers.
///
/// Needs a Tokio runtime.
pub fn containers(engine: Arc<dyn Engine>, project: &str, timeline: &Timeline) -> Observer {
    let mut tasks = JoinSet::new();
    tasks.spawn(containers::observe(engine, project.to_owned(), timeline.clone()));
    Observer { tasks }
}

/// Starts to observe what no wait asks for and a record should hold: what a project's containers use, and what its
/// producers and consumers log of themselves from now on.
///
/// Needs a Tokio runtime.
pub fn details(engine: Arc<dyn Engine>, project: &str, timeline: &Timeline) -> Observer {
    let mut tasks = JoinSet::new();
    let begun = Timestamp::now();
    tasks.spawn(clients::observe(
        engine.clone(),
        project.to_owned(),
        begun,
        timeline.clone(),
    ));
    tasks.spawn(resources::observe(engine, project.to_owned(), timeline.clone()));
    Observer { tasks }
}
