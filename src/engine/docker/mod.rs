//! The engine that is Docker, spoken to over its API with bollard.
//!
//! `endpoint` finds out where it listens, `connect` agrees on a version, `translate` turns a Compose service
//! into what the API wants (pure), `failure` says what went wrong with which object, and the other files hold the
//! verbs by the kind of object. Docker Engine 20.10 is the oldest that works.

mod attachments;
mod cgroup;
mod connect;
mod containers;
mod endpoint;
mod failure;
mod files;
mod helpers;
mod images;
mod limits;
mod logs;
mod machine;
mod objects;
mod project;
mod translate;
mod usage;
mod volumes;

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use super::{
    Build, Ended, Engine, EngineInfo, Helper, HelperOutput, Image, LogLine, LogOptions, NetworkAttachment, Progress,
    Project, PublishedPort, ResourceLimits, TakenSubnet, Usage,
};
use crate::compose::model::{ComposeFile, Network, Volume};

/// A Docker engine that has answered.
#[derive(Debug, Clone)]
pub struct Docker {
    client: bollard::Docker,
    /// Where it listens, as errors name it.
    address: String,
    /// Whether it listens on a socket of this machine.
    local: bool,
    /// Id and first process of containers that were asked for what they use, by name.
    processes: usage::Processes,
}

#[async_trait]
impl Engine for Docker {
    async fn info(&self) -> anyhow::Result<EngineInfo> {
        self.describe().await
    }

    async fn project(&self, project: &str) -> anyhow::Result<Project> {
        self.list_project(project).await
    }

    async fn subnets(&self) -> anyhow::Result<Vec<TakenSubnet>> {
        self.list_subnets().await
    }

    async fn published(&self) -> anyhow::Result<Vec<PublishedPort>> {
        self.list_published().await
    }

    async fn create_network(&self, project: &str, key: &str, network: &Network) -> anyhow::Result<()> {
        self.network_create(project, key, network).await
    }

    async fn remove_network(&self, name: &str) -> anyhow::Result<()> {
        self.network_remove(name).await
    }

    async fn create_volume(&self, project: &str, key: &str, volume: &Volume) -> anyhow::Result<()> {
        self.volume_create(project, key, volume).await
    }

    async fn remove_volume(&self, name: &str) -> anyhow::Result<()> {
        self.volume_remove(name).await
    }

    async fn create_container(&self, file: &ComposeFile, service: &str, number: u32) -> anyhow::Result<()> {
        self.container_create(file, service, number).await
    }

    async fn start(&self, container: &str) -> anyhow::Result<()> {
        self.container_start(container).await
    }

    async fn stop(&self, container: &str, grace: Option<Duration>) -> anyhow::Result<()> {
        self.container_stop(container, grace).await
    }

    async fn signal(&self, container: &str, signal: &str) -> anyhow::Result<()> {
        self.container_signal(container, signal).await
    }

    async fn pause(&self, container: &str) -> anyhow::Result<()> {
        self.container_pause(container).await
    }

    async fn ended(&self, container: &str) -> anyhow::Result<Option<Ended>> {
        self.container_ended(container).await
    }

    async fn limits(&self, container: &str) -> anyhow::Result<ResourceLimits> {
        self.container_limits(container).await
    }

    async fn limit(&self, container: &str, limits: &ResourceLimits) -> anyhow::Result<()> {
        self.container_limit(container, limits).await
    }

    async fn attachment(&self, container: &str, network: &str) -> anyhow::Result<Option<NetworkAttachment>> {
        self.container_attachment(container, network).await
    }

    async fn connect(&self, container: &str, network: &str, attachment: &NetworkAttachment) -> anyhow::Result<()> {
        self.container_connect(container, network, attachment).await
    }

    async fn disconnect(&self, container: &str, network: &str) -> anyhow::Result<()> {
        self.container_disconnect(container, network).await
    }

    async fn run_helper(&self, helper: &Helper) -> anyhow::Result<Option<HelperOutput>> {
        self.helper_run(helper).await
    }

    async fn kill(&self, container: &str) -> anyhow::Result<()> {
        self.container_kill(container).await
    }

    async fn unpause(&self, container: &str) -> anyhow::Result<()> {
        self.container_unpause(container).await
    }

    async fn remove_container(&self, container: &str) -> anyhow::Result<()> {
        self.container_remove(container).await
    }

    fn logs(&self, container: &str, options: LogOptions) -> BoxStream<'static, anyhow::Result<LogLine>> {
        self.container_logs(container, options)
    }

    async fn usage(&self, container: &str) -> anyhow::Result<Usage> {
        self.container_usage(container).await
    }

    async fn write_file(&self, container: &str, path: &str, content: &[u8]) -> anyhow::Result<()> {
        self.container_write(container, path, content).await
    }

    async fn copy_volume(&self, project: &str, key: &str, image: &str, folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
        self.volume_copy(project, key, image, folder).await
    }

    async fn image(&self, reference: &str) -> anyhow::Result<Option<Image>> {
        self.image_inspect(reference).await
    }

    async fn pull(&self, reference: &str, progress: &Progress) -> anyhow::Result<()> {
        self.image_pull(reference, progress).await
    }

    async fn build(&self, build: Build, progress: &Progress) -> anyhow::Result<()> {
        self.image_build(build, progress).await
    }

    async fn import(&self, reference: &str, root_file_system: &Path) -> anyhow::Result<()> {
        self.image_import(reference, root_file_system).await
    }

    async fn tag(&self, image: &str, reference: &str) -> anyhow::Result<()> {
        self.image_tag(image, reference).await
    }

    async fn remove_image(&self, image: &str) -> anyhow::Result<bool> {
        self.image_remove(image).await
    }
}
