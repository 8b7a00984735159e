//! Disconnect: the engine takes the target off the lab's network.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::links::server;
use super::probe::{self, Answer, Probe};
use crate::compose::render::NETWORK;
use crate::engine::{NetworkAttachment, labels};
use crate::error::Expected;
use crate::faults::{Fault, Field, Injection, Means, Proof, Target, lacking, of_each};
use crate::timeline::conditions::Lacking;
use crate::timeline::view::View;
use crate::topology::Topology;

/// The target runs on, without a network: nobody reaches it, and it reaches nobody.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Disconnect {}

/// How each container was attached.
type Attachments = BTreeMap<String, NetworkAttachment>;

/// The engine's name of the lab's network.
fn network(means: &Means) -> String {
    labels::object_name(&means.topology.project, NETWORK)
}

/// From somebody in the lab to each target that is a server: a target itself has no network to try it from.
fn probes(means: &Means, targets: &[Target]) -> Vec<Probe> {
    let topology = &means.topology;
    let brokers = topology.brokers.iter().map(|broker| &broker.service);
    let mut others = brokers
        .chain(topology.keepers())
        .filter(|name| targets.iter().all(|target| target.service != **name));
    let Some(from) = others.next() else {
        return Vec::new();
    };
    let probe = |target: &Target| {
        Some(Probe {
            from: from.clone(),
            to: target.name(),
            address: server(topology, &target.service)?,
        })
    };
    targets.iter().filter_map(probe).collect()
}

/// Targets that are attached to the lab's network, or are not.
async fn attached(means: &Means, injection: &Injection, wanted: bool) -> Result<(), Lacking> {
    let mut wrong = Lacking::new();
    for target in &injection.targets {
        let attachment = means.engine.attachment(&target.container, &network(means)).await;
        if attachment.map_err(lacking)?.is_some() != wanted {
            let words = if wanted { "is not" } else { "is still" };
            wrong.push(format!("{} {words} on the lab's network", target.name()));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

#[async_trait]
impl Fault for Disconnect {
    fn field(&self) -> Field {
        Field::Network
    }

    fn meaning(&self) -> &'static str {
        "take it off the lab's network: it runs on, but reaches nobody, and nobody reaches it"
    }

    fn takes(&self, _: &Topology, targets: &[Target]) -> BTreeSet<String> {
        of_each("the lab's network", targets)
    }

    async fn remember(&self, means: &Means, targets: &[Target]) -> anyhow::Result<Value> {
        let mut attachments = Attachments::new();
        for target in targets {
            let attachment = means.engine.attachment(&target.container, &network(means)).await?;
            let attachment = attachment.ok_or_else(|| {
                Expected::environment(format!("{} is not on the lab's network", target.name()))
                    .hint("undo what took it off: khd restore")
            })?;
            attachments.insert(target.container.clone(), attachment);
        }
        Ok(serde_json::to_value(attachments)?)
    }

    async fn inject(&self, means: &Means, injection: &Injection) -> anyhow::Result<()> {
        for target in &injection.targets {
            means.engine.disconnect(&target.container, &network(means)).await?;
        }
        Ok(())
    }

    async fn undo(&self, means: &Means, injection: &Injection) -> anyhow::Result<()> {
        let attachments: Attachments = serde_json::from_value(injection.before.clone())
            .context("the journal does not say how the targets were attached")?;
        let project = means.engine.project(&means.topology.project).await?;
        for (container, attachment) in &attachments {
            if project.containers.iter().any(|held| held.name == *container) {
                means.engine.connect(container, &network(means), attachment).await?;
            }
        }
        Ok(())
    }

    async fn effect(&self, means: &Means, injection: &Injection, _: &View) -> Proof {
        attached(means, injection, false).await?;
        let tried = probe::tried(means, &probes(means, &injection.targets), probe::PATIENCE).await;
        let reached: Lacking = tried
            .map_err(lacking)?
            .into_iter()
            .filter(|(_, answer)| matches!(answer, Some(Answer::Open(_))))
            .map(|(Probe { from, to, .. }, _)| format!("{from} still reaches {to}"))
            .collect();
        if reached.is_empty() {
            Ok(format!(
                "{} is on no network of the lab, and nobody reaches it",
                injection.names()
            ))
        } else {
            Err(reached)
        }
    }

    async fn healed(&self, means: &Means, injection: &Injection, view: &View) -> Proof {
        attached(means, injection, true).await?;
        probe::open(means, injection, view, &probes(means, &injection.targets)).await
    }
}
