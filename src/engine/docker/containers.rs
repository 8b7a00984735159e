//! Containers: made with their configs in place, started, stopped, removed.

use std::time::Duration;

use anyhow::Context as _;
use bollard::body_full;
use bollard::models::{ContainerInspectResponse, ContainerStateStatusEnum};
use bollard::query_parameters::{
    CreateContainerOptions, InspectContainerOptions, KillContainerOptions, RemoveContainerOptions,
    StartContainerOptions, StopContainerOptions, UploadToContainerOptions, WaitContainerOptions,
};
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::time::Instant;

use super::failure::{could_not_freeze, is_missing, is_port_in_use, status};
use super::{Docker, files, translate};
use crate::compose::model::ComposeFile;
use crate::engine::{Ended, labels};
use crate::error::Expected;

/// Docker's own grace period, for a container that names none.
const USUAL_GRACE: i64 = 10;
/// What the engine needs beyond the grace period to end a container.
const STOP_MARGIN: Duration = Duration::from_secs(60);
/// How long a removal that someone else began may take.
const REMOVAL: Duration = Duration::from_secs(60);
/// How long a port may be held by a passing connection: the demo's 39092 lies where the kernel takes the ports of
/// clients from, so anybody may hold it for a moment while its broker is down.
const PORT_FREE_WITHIN: Duration = Duration::from_secs(10);
/// Time between two attempts to start a container whose port is held.
const PORT_PAUSE: Duration = Duration::from_millis(250);
/// How often freezing is tried again. Where a process begins or ends just then, as health checks do, runc may not freeze a
/// container (cgroup v1): it thaws it, and leaves it to its caller to try again (opencontainers/runc, #2791 and #4388).
const FREEZES: u32 = 5;
/// Time between two tries to freeze a container.
const FREEZE_PAUSE: Duration = Duration::from_millis(250);

impl Docker {
    pub(super) async fn container_create(&self, file: &ComposeFile, service: &str, number: u32) -> anyhow::Result<()> {
        let name = labels::container_name(&file.name, service, number);
        let operation = format!("cannot create container {name}");
        let reference = file
            .services
            .get(service)
            .map(|service| service.image.as_str())
            .unwrap_or_default();
        let image = self.image_inspect(reference).await?.ok_or_else(|| {
            Expected::environment(format!("{operation}: image {reference} is not there"))
                .hint("`khd images build` makes or pulls all images")
        })?;
        let body = translate::container(file, service, number, &image.id).map_err(|e| e.context(operation.clone()))?;
        let configs = files::configs(file, &file.services[service]).map_err(|e| e.context(operation.clone()))?;
        let options = CreateContainerOptions {
            name: Some(name.clone()),
            ..CreateContainerOptions::default()
        };
        let created = self.client.create_container(Some(options), body).await;
        created.map_err(self.failed(&operation))?;

        match configs {
            Some(configs) => self.upload(&name, configs, "configs").await,
            None => Ok(()),
        }
    }

    pub(super) async fn container_write(&self, container: &str, path: &str, content: &[u8]) -> anyhow::Result<()> {
        self.upload(container, files::archive(&[(path, content)])?, path).await
    }

    /// Unpacks a tar at the root of a container; errors call it by `what` it holds.
    async fn upload(&self, container: &str, archive: Bytes, what: &str) -> anyhow::Result<()> {
        let options = UploadToContainerOptions {
            path: "/".into(),
            ..UploadToContainerOptions::default()
        };
        let archive = body_full(archive);
        let uploaded = self.client.upload_to_container(container, Some(options), archive).await;
        uploaded.map_err(self.failed(format_args!("cannot copy {what} into container {container}")))
    }

    pub(super) async fn container_start(&self, container: &str) -> anyhow::Result<()> {
        let deadline = Instant::now() + PORT_FREE_WITHIN;
        loop {
            let started = self
                .client
                .start_container(container, None::<StartContainerOptions>)
                .await;
            match started {
                Err(error) if is_port_in_use(&error) && Instant::now() < deadline => {
                    tokio::time::sleep(PORT_PAUSE).await;
                }
                started => return started.map_err(self.failed(format_args!("cannot start container {container}"))),
            }
        }
    }

    pub(super) async fn container_stop(&self, container: &str, grace: Option<Duration>) -> anyhow::Result<()> {
        let operation = format!("cannot stop container {container}");
        let seconds = match grace {
            Some(grace) => grace.as_secs(),
            None => {
                let inspected = self.inspect(container, &operation).await?;
                let own = inspected.config.and_then(|config| config.stop_timeout);
                own.unwrap_or(USUAL_GRACE).unsigned_abs()
            }
        };
        // The call answers when the container has stopped, so it may take the whole grace period.
        let client = self
            .client
            .clone()
            .with_timeout(Duration::from_secs(seconds) + STOP_MARGIN);
        let options = grace.map(|_| StopContainerOptions {
            t: i32::try_from(seconds).ok(),
            ..StopContainerOptions::default()
        });
        let stopped = client.stop_container(container, options).await;
        stopped.map_err(self.failed(&operation))
    }

    pub(super) async fn container_kill(&self, container: &str) -> anyhow::Result<()> {
        match self
            .client
            .kill_container(container, None::<KillContainerOptions>)
            .await
        {
            // It does not run.
            Err(error) if status(&error) == Some(409) => Ok(()),
            result => result.map_err(self.failed(format_args!("cannot kill container {container}"))),
        }
    }

    pub(super) async fn container_signal(&self, container: &str, signal: &str) -> anyhow::Result<()> {
        let options = KillContainerOptions { signal: signal.into() };
        let sent = self.client.kill_container(container, Some(options)).await;
        sent.map_err(self.failed(format_args!("cannot send {signal} to container {container}")))
    }

    pub(super) async fn container_ended(&self, container: &str) -> anyhow::Result<Option<Ended>> {
        let operation = format!("cannot tell how container {container} ended");
        let state = self.inspect(container, &operation).await?.state.unwrap_or_default();
        if !matches!(
            state.status,
            Some(ContainerStateStatusEnum::EXITED | ContainerStateStatusEnum::DEAD)
        ) {
            return Ok(None);
        }
        let finished = state.finished_at.unwrap_or_default();
        Ok(Some(Ended {
            at: finished
                .parse()
                .with_context(|| format!("{operation}: `{finished}` is no time"))?,
            exit_code: state.exit_code.unwrap_or_default(),
            out_of_memory: state.oom_killed.unwrap_or_default(),
        }))
    }

    pub(super) async fn container_pause(&self, container: &str) -> anyhow::Result<()> {
        let operation = format!("cannot pause container {container}");
        let mut paused = self.client.pause_container(container).await;
        for _ in 0..FREEZES {
            if !paused.as_ref().is_err_and(could_not_freeze) {
                break;
            }
            tokio::time::sleep(FREEZE_PAUSE).await;
            paused = self.client.pause_container(container).await;
        }
        let Err(refused) = paused else {
            return Ok(());
        };
        // Engines refuse with different codes when it is paused already: its state tells whether that is the reason.
        let inspected = self.inspect(container, &operation).await?;
        match inspected.state.and_then(|state| state.status) {
            Some(ContainerStateStatusEnum::PAUSED) => Ok(()),
            _ => Err(self.failed(operation)(refused)),
        }
    }

    pub(super) async fn inspect(&self, container: &str, operation: &str) -> anyhow::Result<ContainerInspectResponse> {
        let inspected = self
            .client
            .inspect_container(container, None::<InspectContainerOptions>)
            .await;
        inspected.map_err(self.failed(operation))
    }

    pub(super) async fn container_unpause(&self, container: &str) -> anyhow::Result<()> {
        let operation = format!("cannot unpause container {container}");
        let Err(refused) = self.client.unpause_container(container).await else {
            return Ok(());
        };
        // Engines refuse with different codes when it is not paused: its state tells whether that is the reason.
        let inspected = self
            .client
            .inspect_container(container, None::<InspectContainerOptions>)
            .await;
        let state = inspected.ok().and_then(|container| container.state?.status);
        match state {
            Some(ContainerStateStatusEnum::PAUSED) | None => Err(self.failed(operation)(refused)),
            Some(_) => Ok(()),
        }
    }

    pub(super) async fn container_remove(&self, container: &str) -> anyhow::Result<()> {
        let options = RemoveContainerOptions {
            v: true,
            force: true,
            ..RemoveContainerOptions::default()
        };
        let operation = format!("cannot remove container {container}");
        match self.client.remove_container(container, Some(options)).await {
            Err(error) if is_missing(&error) => Ok(()),
            Err(error) if status(&error) == Some(409) => {
                tracing::debug!(container, %error, "somebody else removes it already");
                self.removed(container, &operation).await
            }
            result => result.map_err(self.failed(operation)),
        }
    }

    /// Waits until a container is gone that somebody else is removing.
    async fn removed(&self, container: &str, operation: &str) -> anyhow::Result<()> {
        let options = WaitContainerOptions {
            condition: "removed".into(),
        };
        let mut waiting = self.client.wait_container(container, Some(options));
        let ended = tokio::time::timeout(REMOVAL, waiting.next()).await;
        match ended.map_err(|_| self.too_late(operation, REMOVAL))? {
            // Its exit code comes as an error when it is not zero; either way it is gone.
            None | Some(Ok(_) | Err(bollard::errors::Error::DockerContainerWaitError { .. })) => Ok(()),
            Some(Err(error)) if is_missing(&error) => Ok(()),
            Some(Err(error)) => Err(self.failed(operation)(error)),
        }
    }
}
