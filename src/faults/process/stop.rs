//! Stop: the orderly end of a server or a client, as in a restart for maintenance.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{back, gone, start, startable, together};
use crate::faults::{Fault, Field, Injection, Means, Proof, Target, of_each};
use crate::settings::duration;
use crate::timeline::view::View;
use crate::topology::Topology;

/// SIGTERM: a broker hands its leaders over before it goes (controlled shutdown).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Stop {
    /// Time between SIGTERM and SIGKILL; by default the container's own.
    #[serde(with = "duration::option")]
    #[schemars(with = "Option<String>")]
    pub grace: Option<Duration>,
}

#[async_trait]
impl Fault for Stop {
    fn field(&self) -> Field {
        Field::Process
    }

    fn meaning(&self) -> &'static str {
        "end it in order (SIGTERM); a broker hands over its leaders first"
    }

    fn takes(&self, _: &Topology, targets: &[Target]) -> BTreeSet<String> {
        of_each("the process", targets)
    }

    async fn inject(&self, means: &Means, injection: &Injection) -> anyhow::Result<()> {
        let targets = injection.targets.iter();
        together(
            targets
                .map(|target| means.engine.stop(&target.container, self.grace))
                .collect(),
        )
        .await
    }

    /// One that did not end in its grace time was killed.
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
