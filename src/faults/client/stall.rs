//! Stall: a consumer that hangs in its work, and polls no more.

use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Expected;
use crate::faults::{Fault, Field, Injection, Means, Proof, Target};
use crate::timeline::view::View;
use crate::topology::{CONSUMER, Topology};

/// It goes on with its heartbeats, so that the group gives it up only after `max.poll.interval.ms`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Stall {}

#[async_trait]
impl Fault for Stall {
    fn field(&self) -> Field {
        Field::Client
    }

    fn meaning(&self) -> &'static str {
        "let a consumer poll no more; the group gives it up after max.poll.interval.ms"
    }

    fn check(&self, _: &Topology, targets: &[Target]) -> Result<(), Expected> {
        match targets.iter().find(|target| target.service != CONSUMER) {
            None => Ok(()),
            Some(other) => Err(
                Expected::usage(format!("{} is no consumer, and cannot stall", other.name()))
                    .hint("such as consumer-1"),
            ),
        }
    }

    async fn inject(&self, means: &Means, injection: &Injection) -> anyhow::Result<()> {
        for target in &injection.targets {
            means.engine.signal(&target.container, "SIGUSR1").await?;
        }
        Ok(())
    }

    async fn undo(&self, means: &Means, injection: &Injection) -> anyhow::Result<()> {
        let project = means.engine.project(&means.topology.project).await?;
        for target in &injection.targets {
            // One that has ended is stalled no more.
            let mut containers = project.containers.iter();
            if containers.any(|found| found.name == target.container && found.state == "running") {
                means.engine.signal(&target.container, "SIGUSR2").await?;
            }
        }
        Ok(())
    }

    /// Its interval, which the lab sets, and a rebalance.
    fn effect_within(&self) -> Duration {
        Duration::from_secs(90)
    }

    async fn effect(&self, _: &Means, injection: &Injection, view: &View) -> Proof {
        let lacking: Vec<String> = injection
            .targets
            .iter()
            .filter(|target| is_member(target, view))
            .map(|target| format!("{} is still a member of the group", target.name()))
            .collect();
        let mut lacking = lacking;
        if view.group.is_none() {
            lacking.push("no broker coordinates the group".into());
        }
        // One that has ended is no member either.
        lacking.extend(injection.targets.iter().filter_map(|target| {
            let state = view.containers.get(&(target.service.clone(), target.number));
            let runs = state.is_some_and(|state| state == "running") && target.address.is_some();
            (!runs).then(|| format!("{} does not run", target.name()))
        }));
        if lacking.is_empty() {
            Ok(format!("{} is no longer a member of the group", injection.names()))
        } else {
            Err(lacking)
        }
    }

    async fn healed(&self, _: &Means, injection: &Injection, view: &View) -> Proof {
        let lacking: Vec<String> = injection
            .targets
            .iter()
            .filter(|target| !is_member(target, view))
            .map(|target| format!("{} is not yet a member of the group again", target.name()))
            .collect();
        if lacking.is_empty() {
            Ok(format!("{} is a member of the group again", injection.names()))
        } else {
            Err(lacking)
        }
    }
}

/// Whether a consumer is a member of the group, known by the address that it connects from.
fn is_member(target: &Target, view: &View) -> bool {
    let address = target.address.map(|address| format!("/{address}"));
    let mut members = view.group.iter().flat_map(|group| &group.members);
    members.any(|member| Some(&member.host) == address.as_ref())
}
