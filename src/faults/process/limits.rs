//! Cpu and memory: a server that gets less than it needs, as beside a noisy neighbour.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::back;
use crate::engine::ResourceLimits;
use crate::error::Expected;
use crate::faults::{Fault, Field, Injection, Means, Proof, Target};
use crate::settings::size;
use crate::timeline::view::View;
use crate::topology::Topology;

/// The limits of each container, by its name, as they were.
type Before = BTreeMap<String, ResourceLimits>;

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

async fn before(means: &Means, targets: &[Target]) -> anyhow::Result<Value> {
    let mut before = Before::new();
    for target in targets {
        let limits = means.engine.limits(&target.container).await?;
        before.insert(target.container.clone(), limits);
    }
    Ok(serde_json::to_value(before)?)
}

fn remembered(injection: &Injection) -> anyhow::Result<Before> {
    serde_json::from_value(injection.before.clone()).context("the journal does not say what the limits were")
}

/// Changes the limits of each target from what they were before.
async fn change(
    means: &Means,
    injection: &Injection,
    to: impl Fn(ResourceLimits) -> ResourceLimits,
) -> anyhow::Result<()> {
    for (container, limits) in remembered(injection)? {
        means.engine.limit(&container, &to(limits)).await?;
    }
    Ok(())
}

/// Takes the limits back; a container that is gone has none, and one that the kernel has ended is started.
async fn restore(means: &Means, injection: &Injection) -> anyhow::Result<()> {
    let project = means.engine.project(&means.topology.project).await?;
    for (container, limits) in remembered(injection)? {
        let Some(found) = project.containers.iter().find(|found| found.name == container) else {
            continue;
        };
        means.engine.limit(&container, &limits).await?;
        if !found.is_up() {
            means.engine.start(&container).await?;
        }
    }
    Ok(())
}

/// Proves that the engine holds every target to these limits.
async fn limited(
    means: &Means,
    injection: &Injection,
    to: impl Fn(ResourceLimits) -> ResourceLimits,
) -> Result<(), Vec<String>> {
    let told = |error: anyhow::Error| vec![format!("{error:#}")];
    for (container, before) in remembered(injection).map_err(told)? {
        let now = means.engine.limits(&container).await.map_err(told)?;
        if now != to(before) {
            return Err(vec![format!("the engine holds {container} to {now:?}")]);
        }
    }
    Ok(())
}

#[async_trait]
impl Fault for Cpu {
    fn field(&self) -> Field {
        Field::Process
    }

    fn meaning(&self) -> &'static str {
        "let it use less processor time"
    }

    fn check(&self, _: &Topology, _: &[Target]) -> Result<(), Expected> {
        if self.cpus >= 0.01 && self.cpus.is_finite() {
            Ok(())
        } else {
            Err(Expected::usage(format!(
                "cpus {} is not possible: 0.01 is the least",
                self.cpus
            )))
        }
    }

    fn out(&self, _: &[Target], _: &Topology) -> BTreeSet<String> {
        BTreeSet::new()
    }

    async fn remember(&self, means: &Means, targets: &[Target]) -> anyhow::Result<Value> {
        before(means, targets).await
    }

    async fn inject(&self, means: &Means, injection: &Injection) -> anyhow::Result<()> {
        change(means, injection, |before| self.over(before)).await
    }

    async fn undo(&self, means: &Means, injection: &Injection) -> anyhow::Result<()> {
        restore(means, injection).await
    }

    async fn effect(&self, means: &Means, injection: &Injection, _: &View) -> Proof {
        limited(means, injection, |before| self.over(before)).await?;
        Ok(format!("the engine holds {} to {} cores", injection.names(), self.cpus))
    }

    async fn healed(&self, means: &Means, injection: &Injection, view: &View) -> Proof {
        limited(means, injection, |before| before).await?;
        back(means, injection, view)
    }
}

impl Cpu {
    fn over(&self, before: ResourceLimits) -> ResourceLimits {
        ResourceLimits {
            cpus: Some(self.cpus),
            ..before
        }
    }
}

impl Memory {
    fn over(&self, before: ResourceLimits) -> ResourceLimits {
        ResourceLimits {
            memory: size::bytes(&self.memory).ok().or(before.memory),
            ..before
        }
    }
}

#[async_trait]
impl Fault for Memory {
    fn field(&self) -> Field {
        Field::Process
    }

    fn meaning(&self) -> &'static str {
        "let it use less memory; below what it uses, the kernel may end it"
    }

    fn check(&self, _: &Topology, _: &[Target]) -> Result<(), Expected> {
        match size::bytes(&self.memory) {
            // The engine's own least.
            Ok(bytes) if bytes >= 6 << 20 => Ok(()),
            _ => {
                Err(Expected::usage(format!("memory {} is not possible", self.memory)).hint("write it like 600m or 1g"))
            }
        }
    }

    fn out(&self, _: &[Target], _: &Topology) -> BTreeSet<String> {
        BTreeSet::new()
    }

    async fn remember(&self, means: &Means, targets: &[Target]) -> anyhow::Result<Value> {
        before(means, targets).await
    }

    async fn inject(&self, means: &Means, injection: &Injection) -> anyhow::Result<()> {
        change(means, injection, |before| self.over(before)).await
    }

    async fn undo(&self, means: &Means, injection: &Injection) -> anyhow::Result<()> {
        restore(means, injection).await
    }

    async fn effect(&self, means: &Means, injection: &Injection, _: &View) -> Proof {
        limited(means, injection, |before| self.over(before)).await?;
        Ok(format!(
            "the engine holds {} to {} of memory",
            injection.names(),
            self.memory
        ))
    }

    async fn healed(&self, means: &Means, injection: &Injection, view: &View) -> Proof {
        limited(means, injection, |before| before).await?;
        back(means, injection, view)
    }
}
