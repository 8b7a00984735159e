//! Pause: a process that is there and does nothing, as in a long garbage collection or on a frozen machine.

use std::collections::BTreeSet;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{answers, back, state, there, together};
use crate::faults::{Fault, Field, Injection, Means, Proof, Target, of_each};
use crate::timeline::conditions::Lacking;
use crate::timeline::view::View;
use crate::topology::Topology;

/// All processes are frozen: connections stay open, and nobody answers on them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Pause {}

#[async_trait]
impl Fault for Pause {
    fn field(&self) -> Field {
        Field::Process
    }

    fn meaning(&self) -> &'static str {
        "freeze it: its connections stay open, and nobody answers on them"
    }

    fn takes(&self, _: &Topology, targets: &[Target]) -> BTreeSet<String> {
        of_each("the process", targets)
    }

    async fn inject(&self, means: &Means, injection: &Injection) -> anyhow::Result<()> {
        let targets = injection.targets.iter();
        together(targets.map(|target| means.engine.pause(&target.container)).collect()).await
    }

    async fn undo(&self, means: &Means, injection: &Injection) -> anyhow::Result<()> {
        let targets = there(means, injection).await?;
        together(
            targets
                .iter()
                .map(|target| means.engine.unpause(&target.container))
                .collect(),
        )
        .await
    }

    async fn effect(&self, means: &Means, injection: &Injection, view: &View) -> Proof {
        let mut lacking = Lacking::new();
        for target in &injection.targets {
            let (name, state) = (target.name(), state(target, view));
            if state != Some("paused") {
                lacking.push(format!("the engine says that {name} is {}", state.unwrap_or("unknown")));
            }
            if answers(target, &means.expected, view) == Some(true) {
                lacking.push(format!("{name} still answers"));
            }
        }
        if lacking.is_empty() {
            Ok(format!("{} is paused, and does not answer", injection.names()))
        } else {
            Err(lacking)
        }
    }

    async fn healed(&self, means: &Means, injection: &Injection, view: &View) -> Proof {
        back(means, injection, view)
    }
}
