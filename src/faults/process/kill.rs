//! Kill: sudden death, as by the kernel's OOM killer.

use std::collections::BTreeSet;

use async_trait::async_trait;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{back, gone, start, startable, together};
use crate::faults::{Fault, Field, Injection, Means, Proof, Target, of_each};
use crate::timeline::view::View;
use crate::topology::Topology;

/// SIGKILL: a broker's leaders move only when its session has expired.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Kill {}

#[async_trait]
impl Fault for Kill {
    fn field(&self) -> Field {
        Field::Process
    }

    fn meaning(&self) -> &'static str {
        "end it at once (SIGKILL); a broker's leaders move when its session expires"
    }

    fn takes(&self, _: &Topology, targets: &[Target]) -> BTreeSet<String> {
        of_each("the process", targets)
    }

    async fn inject(&self, means: &Means, injection: &Injection) -> anyhow::Result<()> {
        let targets = injection.targets.iter();
        together(targets.map(|target| means.engine.kill(&target.container)).collect()).await
    }

    async fn undo_not_before(&self, means: &Means, injection: &Injection) -> anyhow::Result<Option<Timestamp>> {
        startable(means, injection).await
    }

    async fn undo(&self, means: &Means, injection: &Injection) -> anyhow::Result<()> {
        start(means, injection).await
    }

    async fn effect(&self, means: &Means, injection: &Injection, view: &View) -> Proof {
        gone(injection, &means.expected, view)
    }

    async fn healed(&self, means: &Means, injection: &Injection, view: &View) -> Proof {
        back(means, injection, view)
    }
}
