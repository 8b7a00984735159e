//! Cpu and memory: a server that gets less than it needs, as beside a noisy neighbour.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use async_trait::async_trait;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{back, registrations_expire, there};
use crate::engine::ResourceLimits;
use crate::error::Expected;
use crate::faults::{Fault, Field, Injection, Means, Proof, Target, lacking, of_each};
use crate::settings::size;
use crate::timeline::conditions::Lacking;
use crate::timeline::view::View;
use crate::topology::Topology;

/// Less processor time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Cpu {
    /// How many cores it may use, such as 0.1.
    pub cpus: f64,
}

/// Less memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Memory {
    /// How much it may use, such as `600m`; below what it uses, the kernel may end it.
    pub memory: String,
}

impl Default for Cpu {
    fn default() -> Self {
        Self { cpus: 0.1 }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self { memory: "600m".into() }
    }
}

/// One of the limits that a container has.
trait Resource: Send + Sync + std::fmt::Debug + 'static {
    /// Why it cannot be so, if it cannot.
    fn refused(&self) -> Option<Expected>;

    /// What it does.
    fn words(&self) -> &'static str;

    /// What of a target it changes.
    fn share(&self) -> &'static str;

    /// Whether the kernel may end a target for it.
    fn kills(&self) -> bool;

    /// The limit, in words.
    fn limit(&self) -> String;

    /// Sets this limit and no other.
    fn set(&self, limits: &mut ResourceLimits);

    /// Sets this limit, and no other, to what it was.
    fn reset(&self, limits: &mut ResourceLimits, before: &ResourceLimits);

    /// Whether two limits are the same in this.
    fn same(&self, one: &ResourceLimits, other: &ResourceLimits) -> bool;
}

impl Resource for Cpu {
    fn refused(&self) -> Option<Expected> {
        let possible = self.cpus >= 0.01 && self.cpus.is_finite();
        (!possible).then(|| Expected::usage(format!("cpus {} is not possible: 0.01 is the least", self.cpus)))
    }

    fn words(&self) -> &'static str {
        "let it use less processor time"
    }

    fn share(&self) -> &'static str {
        "the processor time"
    }

    fn kills(&self) -> bool {
        false
    }

    fn limit(&self) -> String {
        format!("{} cores", self.cpus)
    }

    fn set(&self, limits: &mut ResourceLimits) {
        limits.cpus = Some(self.cpus);
    }

    fn reset(&self, limits: &mut ResourceLimits, before: &ResourceLimits) {
        limits.cpus = before.cpus;
    }

    /// Engines hold cores to a hundred-thousandth.
    fn same(&self, one: &ResourceLimits, other: &ResourceLimits) -> bool {
        match (one.cpus, other.cpus) {
            (Some(one), Some(other)) => (one - other).abs() < 1e-4,
            (one, other) => one == other,
        }
    }
}

impl Resource for Memory {
    fn refused(&self) -> Option<Expected> {
        let size = size::bytes(&self.memory).ok();
        // The engine's own least.
        let possible = size.is_some_and(|bytes| bytes >= 6 << 20);
        (!possible).then(|| {
            Expected::usage(format!("memory {} is not possible", self.memory))
                .hint("write it like 600m or 1g; 6m is the least")
        })
    }

    fn words(&self) -> &'static str {
        "let it use less memory; below what it uses, the kernel may end it"
    }

    fn share(&self) -> &'static str {
        "the memory"
    }

    fn kills(&self) -> bool {
        true
    }

    fn limit(&self) -> String {
        format!("{} of memory", self.memory)
    }

    fn set(&self, limits: &mut ResourceLimits) {
        limits.memory = size::bytes(&self.memory).ok();
    }

    fn reset(&self, limits: &mut ResourceLimits, before: &ResourceLimits) {
        limits.memory = before.memory;
    }

    fn same(&self, one: &ResourceLimits, other: &ResourceLimits) -> bool {
        one.memory == other.memory
    }
}

/// The limits of each container, by its name, as they were.
type Before = BTreeMap<String, ResourceLimits>;

fn before(injection: &Injection) -> anyhow::Result<Before> {
    serde_json::from_value(injection.before.clone()).context("the journal does not say what the limits were")
}

/// Proves that the engine holds each target to its limits before, but for this one where it shall be set.
async fn held(means: &Means, injection: &Injection, resource: &impl Resource, set: bool) -> Result<(), Lacking> {
    for (container, mut limits) in before(injection).map_err(lacking)? {
        if set {
            resource.set(&mut limits);
        }
        let now = means.engine.limits(&container).await.map_err(lacking)?;
        if !resource.same(&now, &limits) {
            return Err(vec![format!("the engine holds {container} to {now:?}")]);
        }
    }
    Ok(())
}

/// A limit is changed in what the engine holds now, so that two on one target leave each other alone.
#[async_trait]
impl<R: Resource> Fault for R {
    fn field(&self) -> Field {
        Field::Process
    }

    fn meaning(&self) -> &'static str {
        self.words()
    }

    fn check(&self, _: &Topology, _: &[Target]) -> Result<(), Expected> {
        self.refused().map_or(Ok(()), Err)
    }

    fn out(&self, _: &[Target], _: &Topology) -> BTreeSet<String> {
        BTreeSet::new()
    }

    fn takes(&self, _: &Topology, targets: &[Target]) -> BTreeSet<String> {
        of_each(self.share(), targets)
    }

    async fn remember(&self, means: &Means, targets: &[Target]) -> anyhow::Result<Value> {
        let mut before = Before::new();
        for target in targets {
            let limits = means.engine.limits(&target.container).await?;
            before.insert(target.container.clone(), limits);
        }
        Ok(serde_json::to_value(before)?)
    }

    async fn inject(&self, means: &Means, injection: &Injection) -> anyhow::Result<()> {
        for target in &injection.targets {
            let mut limits = means.engine.limits(&target.container).await?;
            self.set(&mut limits);
            means.engine.limit(&target.container, &limits).await?;
        }
        Ok(())
    }

    async fn undo_not_before(&self, means: &Means, injection: &Injection) -> anyhow::Result<Option<Timestamp>> {
        if self.kills() {
            registrations_expire(means, injection).await
        } else {
            Ok(None)
        }
    }

    async fn undo(&self, means: &Means, injection: &Injection) -> anyhow::Result<()> {
        let before = before(injection)?;
        for target in there(means, injection).await? {
            let mut limits = means.engine.limits(&target.container).await?;
            if let Some(before) = before.get(&target.container) {
                self.reset(&mut limits, before);
            }
            means.engine.limit(&target.container, &limits).await?;
            let ended = means.engine.ended(&target.container).await?;
            if self.kills() && ended.is_some_and(|ended| ended.out_of_memory) {
                means.engine.start(&target.container).await?;
            }
        }
        Ok(())
    }

    async fn effect(&self, means: &Means, injection: &Injection, _: &View) -> Proof {
        held(means, injection, self, true).await?;
        Ok(format!("the engine holds {} to {}", injection.names(), self.limit()))
    }

    async fn healed(&self, means: &Means, injection: &Injection, view: &View) -> Proof {
        held(means, injection, self, false).await?;
        back(means, injection, view)
    }
}
