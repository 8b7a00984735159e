//! Disk-full: a broker that can write no more.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{back, registrations_expire, there};
use crate::engine::Helper;
use crate::error::Expected;
use crate::faults::{Fault, Field, Injection, Means, Proof, Target, of_each};
use crate::timeline::view::View;
use crate::topology::Topology;

/// Where the helper mounts the volume.
const MOUNT: &str = "/data";

/// Its data volume, which the setting `kafka.disk` has to bound, is filled to the last byte.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DiskFull {}

/// Runs a command of the helper on the data volume of a broker, and returns what it printed.
async fn on_volume(means: &Means, target: &Target, command: &str) -> anyhow::Result<String> {
    let helper = Helper {
        project: means.topology.project.clone(),
        purpose: format!("{command}-{}", target.service),
        image: means.nethelper.clone(),
        args: vec![command.into(), MOUNT.into()],
        network_of: None,
        // The volume belongs to the broker's user.
        capabilities: vec!["DAC_OVERRIDE".into()],
        volume: Some((data_volume(&target.service), MOUNT.into())),
    };
    let output = means.engine.run_helper(&helper).await?.unwrap_or_default();
    anyhow::ensure!(
        output.exit_code == 0,
        "cannot {command} the disk of {}: {}",
        target.name(),
        output.stderr.trim()
    );
    Ok(output.stdout)
}

/// Refuses disks that end where the machine's does.
fn bounded(topology: &Topology) -> Result<(), Expected> {
    let message = "the brokers' disks are not bounded, and the engine's own is not to be filled";
    let hint = "bound them: khd up --set kafka.disk=600m";
    match topology.disk {
        Some(_) => Ok(()),
        None => Err(Expected::environment(message).hint(hint)),
    }
}

fn data_volume(service: &str) -> String {
    format!("{service}-data")
}

#[async_trait]
impl Fault for DiskFull {
    fn field(&self) -> Field {
        Field::Process
    }

    fn meaning(&self) -> &'static str {
        "fill the disk of a broker to the last byte (the lab has to bound it: kafka.disk)"
    }

    async fn possible(&self, means: &Means) -> anyhow::Result<()> {
        Ok(bounded(&means.topology)?)
    }

    fn check(&self, topology: &Topology, targets: &[Target]) -> Result<(), Expected> {
        let is_broker = |target: &&Target| topology.brokers.iter().any(|broker| broker.service == target.service);
        if let Some(other) = targets.iter().find(|target| !is_broker(target)) {
            return Err(Expected::usage(format!(
                "{} is no broker, and has no disk to fill",
                other.name()
            )));
        }
        bounded(topology)
    }

    fn takes(&self, _: &Topology, targets: &[Target]) -> BTreeSet<String> {
        of_each("the process", targets)
    }

    async fn inject(&self, means: &Means, injection: &Injection) -> anyhow::Result<()> {
        for target in &injection.targets {
            on_volume(means, target, "fill").await?;
        }
        Ok(())
    }

    /// It dies of it.
    async fn undo_not_before(&self, means: &Means, injection: &Injection) -> anyhow::Result<Option<Timestamp>> {
        registrations_expire(means, injection).await
    }

    async fn undo(&self, means: &Means, injection: &Injection) -> anyhow::Result<()> {
        for target in there(means, injection).await? {
            on_volume(means, target, "drain").await?;
            means.engine.start(&target.container).await?;
        }
        Ok(())
    }

    /// A broker notices at its next write, and goes.
    fn effect_within(&self) -> Duration {
        Duration::from_secs(40)
    }

    async fn effect(&self, means: &Means, injection: &Injection, _: &View) -> Proof {
        for target in &injection.targets {
            let left = on_volume(means, target, "free")
                .await
                .map_err(|error| vec![format!("{error:#}")])?;
            if left.trim() != "0" {
                return Err(vec![format!(
                    "the disk of {} has {} bytes left",
                    target.name(),
                    left.trim()
                )]);
            }
        }
        Ok(format!("the disk of {} has no byte left", injection.names()))
    }

    async fn healed(&self, means: &Means, injection: &Injection, view: &View) -> Proof {
        back(means, injection, view)
    }
}
