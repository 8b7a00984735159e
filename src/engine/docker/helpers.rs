//! Containers that are run once and removed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use bollard::container::LogOutput;
use bollard::models::{ContainerCreateBody, HostConfig, Mount, MountType};
use bollard::query_parameters::{CreateContainerOptions, LogsOptions, StartContainerOptions, WaitContainerOptions};
use futures_util::StreamExt as _;

use super::Docker;
use super::failure::{is_missing, status};
use crate::engine::{Helper, HelperOutput, labels};

/// Tells apart helpers that this process runs at the same time.
static COUNTER: AtomicU32 = AtomicU32::new(0);
/// How long a helper may take: those that fill a disk take longest.
const PATIENCE: Duration = Duration::from_secs(60);

impl Docker {
    pub(super) async fn helper_run(&self, helper: &Helper) -> anyhow::Result<Option<HelperOutput>> {
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{}-{}-{number}", helper.project, helper.purpose, std::process::id());
        let (docker, helper) = (self.clone(), helper.clone());
        // In a task of its own it is removed even when nobody waits for the answer any more.
        tokio::spawn(async move {
            docker.create_helper(&name, &helper).await?;
            let output = tokio::time::timeout(PATIENCE, docker.follow_helper(&name)).await;
            let removed = docker.container_remove(&name).await;
            let output = output.with_context(|| format!("helper {name} did not end within {PATIENCE:?}"))??;
            removed?;
            Ok(output)
        })
        .await
        .context("a helper's task ended early")?
    }

    async fn create_helper(&self, name: &str, helper: &Helper) -> anyhow::Result<()> {
        let network = helper.network_of.as_ref();
        let mounts = helper.volume.iter().map(|(key, path)| Mount {
            typ: Some(MountType::VOLUME),
            source: Some(labels::object_name(&helper.project, key)),
            target: Some(path.clone()),
            ..Mount::default()
        });
        let body = ContainerCreateBody {
            image: Some(helper.image.clone()),
            cmd: Some(helper.args.clone()),
            labels: Some(HashMap::from([
                (labels::PROJECT.to_owned(), helper.project.clone()),
                (labels::HELPER.to_owned(), helper.purpose.clone()),
            ])),
            host_config: Some(HostConfig {
                network_mode: Some(network.map_or_else(|| "none".to_owned(), |name| format!("container:{name}"))),
                cap_drop: Some(vec!["ALL".into()]),
                cap_add: Some(helper.capabilities.clone()),
                security_opt: Some(vec!["no-new-privileges:true".into()]),
                mounts: Some(mounts.collect()),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        let options = CreateContainerOptions {
            name: Some(name.to_owned()),
            ..CreateContainerOptions::default()
        };
        let created = self.client.create_container(Some(options), body).await;
        created.map_err(self.failed(format_args!("cannot create helper {name}")))?;
        Ok(())
    }

    /// Starts a helper and waits for its end; nothing when the container whose network it shares does not run.
    async fn follow_helper(&self, name: &str) -> anyhow::Result<Option<HelperOutput>> {
        let operation = format!("cannot run helper {name}");
        match self.client.start_container(name, None::<StartContainerOptions>).await {
            Err(error) if status(&error) == Some(409) || is_missing(&error) => return Ok(None),
            result => result.map_err(self.failed(&operation))?,
        }
        let mut waiting = self.client.wait_container(name, None::<WaitContainerOptions>);
        let exit_code = match waiting.next().await {
            Some(Ok(ended)) => ended.status_code,
            Some(Err(bollard::errors::Error::DockerContainerWaitError { code, .. })) => code,
            Some(Err(error)) => return Err(self.failed(&operation)(error)),
            None => anyhow::bail!("{operation}: the engine did not say how it ended"),
        };
        let options = LogsOptions {
            stdout: true,
            stderr: true,
            ..LogsOptions::default()
        };
        let mut lines = self.client.logs(name, Some(options));
        let mut output = HelperOutput {
            exit_code,
            ..HelperOutput::default()
        };
        while let Some(line) = lines.next().await {
            match line.map_err(self.failed(&operation))? {
                LogOutput::StdErr { message } => output.stderr += &String::from_utf8_lossy(&message),
                other => output.stdout += &String::from_utf8_lossy(&other.into_bytes()),
            }
        }
        Ok(Some(output))
    }
}
