//! Injected failures: one file a fault, the targets they hit, and a journal that outlives khd.
//!
//! A fault is journaled before it is injected ([`journal`]), proven to have taken effect before anything is judged,
//! undone by whoever comes next (this khd, or `khd restore` and `khd down` after it died), and proven to be healed.
//! To add a fault, write its file, implement [`Fault`], and add a line to [`how`].

mod client;
pub mod how;
pub mod injection;
pub mod journal;
mod kafka;
pub mod network;
mod process;
pub mod selector;
pub mod target;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;

use crate::compose::model::ComposeFile;
use crate::engine::{Engine, Project};
use crate::error::Expected;
use crate::timeline::conditions::Lacking;
use crate::timeline::view::View;
use crate::topology::{Expectation, Topology};

use crate::faults::selector::Selector;

pub use how::How;
pub use injection::Injection;
pub use target::Target;

/// What faults are injected, proven and undone with.
#[derive(Clone)]
pub struct Means {
    /// The engine that runs the lab.
    pub engine: Arc<dyn Engine>,
    /// What the lab looks like: names, addresses, ports.
    pub topology: Topology,
    /// What the lab is as Compose.
    pub file: ComposeFile,
    /// What must be true of the lab.
    pub expected: Expectation,
    /// Image of the helper that works in a container's network namespace or volume.
    pub nethelper: String,
}

/// A failure as what is lacking for a proof: the next look may do better.
fn lacking(error: anyhow::Error) -> Lacking {
    vec![format!("{error:#}")]
}

/// Something that each target has one of, in words, such as `the process of kafka2`.
fn of_each(what: &str, targets: &[Target]) -> BTreeSet<String> {
    targets
        .iter()
        .map(|target| format!("{what} of {}", target.name()))
        .collect()
}

/// Whether something was proven: how, or else what is lacking.
pub type Proof = Result<String, Lacking>;

/// What a fault is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// Processes and what they may use.
    Process,
    /// The lab's network.
    Network,
    /// Kafka's own state: leadership, settings, groups.
    Kafka,
    /// Producers and consumers.
    Client,
}

/// One kind of failure, with its options.
#[async_trait]
pub trait Fault: Send + Sync + std::fmt::Debug {
    /// What it is about.
    fn field(&self) -> Field;

    /// One line on what it does.
    fn meaning(&self) -> &'static str;

    /// Refuses targets or options that it makes no sense for, before anything is touched.
    ///
    /// # Errors
    /// A usage error that says what is possible, or an environment error that says what is missing here.
    fn check(&self, topology: &Topology, targets: &[Target]) -> Result<(), Expected> {
        let _ = (topology, targets);
        Ok(())
    }

    /// Finds out whether it can be done here at all, before anything is touched.
    ///
    /// # Errors
    /// An environment error that says what the engine or the kernel lacks.
    async fn possible(&self, means: &Means) -> anyhow::Result<()> {
        let _ = means;
        Ok(())
    }

    /// Whom it hits, where its options say so: it then takes no other targets.
    fn implied_targets(&self) -> Option<Vec<Selector>> {
        None
    }

    /// Whom it hits, where others than it are named: one that adds containers hits those, not the ones that they join.
    fn aim(&self, named: Vec<Target>, topology: &Topology, project: &Project) -> Vec<Target> {
        let _ = (topology, project);
        named
    }

    /// Whether its targets are in the lab only while it is in place.
    fn adds(&self) -> bool {
        false
    }

    /// Which of its targets are out of the cluster while it is in place, by name, so that the lab has to do without them:
    /// leaders leave a broker, ISRs go without it, its word does not count.
    fn out(&self, targets: &[Target], topology: &Topology) -> BTreeSet<String> {
        let _ = topology;
        targets.iter().map(Target::name).collect()
    }

    /// What of the lab it takes for itself, in words: of two faults that take the same, one would undo the other, so they
    /// are never in place together.
    fn takes(&self, topology: &Topology, targets: &[Target]) -> BTreeSet<String> {
        let _ = (topology, targets);
        BTreeSet::new()
    }

    /// Whether it stays in place until it is undone. One that does not is proven, and then healed at once.
    fn stays(&self) -> bool {
        true
    }

    /// What undoing has to know of the time before: journaled before anything is injected.
    ///
    /// # Errors
    /// Those of the engine or of Kafka; nothing was touched.
    async fn remember(&self, means: &Means, targets: &[Target]) -> anyhow::Result<Value> {
        let _ = (means, targets);
        Ok(Value::Null)
    }

    /// Injects it.
    ///
    /// # Errors
    /// Those of the engine or of Kafka; the fault may be in place all the same.
    async fn inject(&self, means: &Means, injection: &Injection) -> anyhow::Result<()>;

    /// The moment before which it cannot be undone, if there is one.
    ///
    /// # Errors
    /// Those of the engine.
    async fn undo_not_before(&self, means: &Means, injection: &Injection) -> anyhow::Result<Option<Timestamp>> {
        let _ = (means, injection);
        Ok(None)
    }

    /// Undoes just what [`inject`](Self::inject) did, also where that was cut off half way. Undoing what is undone already
    /// is fine, and so is a target that is gone.
    ///
    /// # Errors
    /// Those of the engine or of Kafka; the fault is then still in place.
    async fn undo(&self, means: &Means, injection: &Injection) -> anyhow::Result<()>;

    /// Looks whether the fault took effect: asked again and again until it did, or [`effect_within`](Self::effect_within)
    /// has passed.
    async fn effect(&self, means: &Means, injection: &Injection, view: &View) -> Proof;

    /// Looks whether what it had broken works again, after it was undone: asked again and again, as
    /// [`effect`](Self::effect).
    async fn healed(&self, means: &Means, injection: &Injection, view: &View) -> Proof;

    /// How long the fault may take to show, beyond the time that injecting it takes.
    fn effect_within(&self) -> Duration {
        Duration::from_secs(10)
    }

    /// How long healing may take to show, beyond the time that undoing it takes.
    fn healed_within(&self) -> Duration {
        Duration::from_secs(60)
    }
}
