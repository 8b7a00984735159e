//! Delay: what the target sends to the lab arrives late.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::helper;
use super::kernel::{Needs, kernel};
use super::links::Links;
use super::probe::{self, Answer};
use super::rate::MARK;
use crate::error::Expected;
use crate::faults::{Fault, Field, Injection, Means, Proof, Target, lacking, of_each};
use crate::settings::duration;
use crate::timeline::conditions::Lacking;
use crate::timeline::view::View;
use crate::topology::Topology;

/// What the target sends to others of the lab is held back for a time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Delay {
    /// For how long, such as 100ms.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub delay: Duration,
    /// By how much that varies, either way.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub jitter: Duration,
}

impl Default for Delay {
    fn default() -> Self {
        Self {
            delay: Duration::from_millis(100),
            jitter: Duration::ZERO,
        }
    }
}

impl Delay {
    /// One connection from each target to a server of the lab.
    fn probes(&self, means: &Means, targets: &[Target]) -> Vec<probe::Probe> {
        let mut links = Links::default();
        for target in targets.iter().map(Target::name) {
            let mut brokers = means.topology.brokers.iter();
            if let Some(peer) = brokers.find(|broker| broker.service != target) {
                links.cut(&target, &peer.service);
            }
        }
        probe::over(&links, means, targets)
    }
}

#[async_trait]
impl Fault for Delay {
    fn field(&self) -> Field {
        Field::Network
    }

    fn meaning(&self) -> &'static str {
        "hold back what it sends to the others of the lab for a time"
    }

    fn check(&self, _: &Topology, _: &[Target]) -> Result<(), Expected> {
        if self.delay < Duration::from_millis(1) || self.jitter >= self.delay {
            return Err(Expected::usage(
                "a delay is at least 1ms, and its jitter less than the delay",
            ));
        }
        Ok(())
    }

    async fn possible(&self, means: &Means) -> anyhow::Result<()> {
        Ok(kernel(means).await?.require(&[Needs::Htb, Needs::U32, Needs::Netem])?)
    }

    fn out(&self, _: &[Target], _: &Topology) -> BTreeSet<String> {
        BTreeSet::new()
    }

    fn takes(&self, _: &Topology, targets: &[Target]) -> BTreeSet<String> {
        of_each("the queue", targets)
    }

    async fn inject(&self, means: &Means, injection: &Injection) -> anyhow::Result<()> {
        let Topology { subnet, gateway, .. } = &means.topology;
        let args = [
            "delay".to_owned(),
            self.delay.as_millis().to_string(),
            self.jitter.as_millis().to_string(),
            subnet.to_string(),
            gateway.to_string(),
        ];
        helper::at_each(means, &injection.targets, |_| args.to_vec()).await?;
        Ok(())
    }

    async fn undo(&self, means: &Means, injection: &Injection) -> anyhow::Result<()> {
        helper::unshape(means, injection).await
    }

    async fn effect(&self, means: &Means, injection: &Injection, _: &View) -> Proof {
        let least = (self.delay - self.jitter).as_millis() as u64;
        let patience = 1000 + 2 * (self.delay + self.jitter).as_millis() as u64;
        let probes = self.probes(means, &injection.targets);
        let (mut late, mut prompt) = (Vec::new(), Lacking::new());
        for (probe, answer) in probe::tried(means, &probes, patience).await.map_err(lacking)? {
            let (from, to) = (probe.from, probe.to);
            match answer {
                Some(Answer::Open(time)) if time >= least => late.push(format!("{from} reaches {to} after {time} ms")),
                Some(Answer::Open(time)) => prompt.push(format!("{from} reaches {to} after {time} ms already")),
                _ => prompt.push(format!("{from} does not reach {to}")),
            }
        }
        if prompt.is_empty() {
            Ok(late.join("; "))
        } else {
            Err(prompt)
        }
    }

    async fn healed(&self, means: &Means, injection: &Injection, view: &View) -> Proof {
        helper::left(means, injection, MARK).await?;
        probe::open(means, injection, view, &self.probes(means, &injection.targets)).await
    }
}
