//! What makes a topology real.
//!
//! [`Engine`] is a row of small verbs over one Compose project; [`docker`] implements it with bollard.
//! [`converge`] plans and carries out how a project becomes what its Compose file says, [`images`] obtains images
//! (local → pull → build), [`preflight`] refuses before anything is created. All three work on the trait, so they
//! are tested against [`fake`] as well as on Docker. Nothing here or above assumes that there is one machine.

pub mod converge;
pub mod docker;
pub mod fake;
pub mod images;
pub mod labels;
pub mod preflight;
pub mod progress;
#[cfg(test)]
mod samples;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::compose::model::{ComposeFile, Network, Volume};

pub use progress::{Progress, Step};

/// The verbs that khd needs of a container engine.
///
/// Errors name the operation and the object. An engine that cannot be reached is an
/// [`Expected`](crate::error::Expected) failure of the environment.
#[async_trait]
pub trait Engine: Send + Sync {
    /// What the engine says of itself.
    async fn info(&self) -> anyhow::Result<EngineInfo>;

    /// Everything that carries the project's label.
    async fn project(&self, project: &str) -> anyhow::Result<Project>;
    /// Subnets of all networks of the engine, with the network's name and project.
    async fn subnets(&self) -> anyhow::Result<Vec<TakenSubnet>>;
    /// Host ports that running containers of the engine publish, whatever project they belong to.
    async fn published(&self) -> anyhow::Result<Vec<PublishedPort>>;

    /// Creates a network of the project.
    async fn create_network(&self, project: &str, key: &str, network: &Network) -> anyhow::Result<()>;
    /// Removes a network. One that is gone already is fine.
    async fn remove_network(&self, name: &str) -> anyhow::Result<()>;
    /// Creates a named volume of the project. One that is there already stays as it is.
    async fn create_volume(&self, project: &str, key: &str, volume: &Volume) -> anyhow::Result<()>;
    /// Removes a volume. One that is gone already is fine.
    async fn remove_volume(&self, name: &str) -> anyhow::Result<()>;

    /// Creates, but does not start, the container of a service, with its configs in place.
    async fn create_container(&self, file: &ComposeFile, service: &str, number: u32) -> anyhow::Result<()>;
    /// Starts a container. One that runs already is fine.
    async fn start(&self, container: &str) -> anyhow::Result<()>;
    /// Stops a container with SIGTERM, and with SIGKILL after a grace period: its own where none is given. One that is
    /// stopped already is fine.
    async fn stop(&self, container: &str, grace: Option<Duration>) -> anyhow::Result<()>;
    /// Kills a container with SIGKILL. One that is stopped already is fine.
    async fn kill(&self, container: &str) -> anyhow::Result<()>;
    /// Sends a signal, such as `SIGUSR1`, to the first process of a container that runs.
    async fn signal(&self, container: &str, signal: &str) -> anyhow::Result<()>;
    /// Freezes all processes of a container that runs. One that is frozen already is fine.
    async fn pause(&self, container: &str) -> anyhow::Result<()>;
    /// Lets a paused container go on. One that is not paused is fine.
    async fn unpause(&self, container: &str) -> anyhow::Result<()>;
    /// How a container's last run ended; nothing while it runs, or where it never ran.
    async fn ended(&self, container: &str) -> anyhow::Result<Option<Ended>>;
    /// What a container may use at most.
    async fn limits(&self, container: &str) -> anyhow::Result<ResourceLimits>;
    /// Changes what a container may use at most, while it runs.
    async fn limit(&self, container: &str, limits: &ResourceLimits) -> anyhow::Result<()>;
    /// How a container is attached to a network; nothing when it is not.
    async fn attachment(&self, container: &str, network: &str) -> anyhow::Result<Option<NetworkAttachment>>;
    /// Attaches a container to a network. One that is attached already is fine.
    async fn connect(&self, container: &str, network: &str, attachment: &NetworkAttachment) -> anyhow::Result<()>;
    /// Takes a container off a network. One that is not attached is fine.
    async fn disconnect(&self, container: &str, network: &str) -> anyhow::Result<()>;
    /// Runs a container once, to its end, and removes it, also when nobody waits for it any more.
    ///
    /// Where it shall share the network of a container that does not run, nothing is run, and nothing returned.
    async fn run_helper(&self, helper: &Helper) -> anyhow::Result<Option<HelperOutput>>;
    /// Removes a container by force, with its anonymous volumes. One that is gone already is fine.
    async fn remove_container(&self, container: &str) -> anyhow::Result<()>;
    /// A container's output, oldest first; with `follow` it goes on until the container stops.
    fn logs(&self, container: &str, options: LogOptions) -> BoxStream<'static, anyhow::Result<LogLine>>;
    /// What a running container uses.
    async fn usage(&self, container: &str) -> anyhow::Result<Usage>;
    /// Writes a file into a container, in place of one that is there; anyone in it may read it.
    async fn write_file(&self, container: &str, path: &str, content: &[u8]) -> anyhow::Result<()>;
    /// Copies all files of a volume of the project into a folder, each whole or not at all, and gives their paths relative
    /// to it. A volume that is not there is a failure.
    ///
    /// Works when no container runs: the volume is read through a helper container that is never started. Takes no more
    /// memory for large volumes.
    async fn copy_volume(&self, project: &str, key: &str, image: &str, folder: &Path) -> anyhow::Result<Vec<PathBuf>>;

    /// An image that is there, or nothing.
    async fn image(&self, reference: &str) -> anyhow::Result<Option<Image>>;
    /// Pulls an image.
    async fn pull(&self, reference: &str, progress: &Progress) -> anyhow::Result<()>;
    /// Builds an image from a tar of its context.
    async fn build(&self, build: Build, progress: &Progress) -> anyhow::Result<()>;
    /// Makes an image of a root file system as a tar file on the host.
    async fn import(&self, reference: &str, root_file_system: &Path) -> anyhow::Result<()>;
    /// Gives an image that is there a further reference.
    async fn tag(&self, image: &str, reference: &str) -> anyhow::Result<()>;
    /// Removes an image that nothing uses, and says whether it did. One that is gone already is fine.
    async fn remove_image(&self, image: &str) -> anyhow::Result<bool>;
}

/// The end of a container's run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// When, by the engine's clock.
    pub at: jiff::Timestamp,
    /// Its exit code: 128 and the signal's number where a signal ended it.
    pub exit_code: i64,
    /// Whether the kernel ended it because it used more memory than it may.
    pub out_of_memory: bool,
}

/// What the engine says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineInfo {
    /// Version, such as `20.10.24`.
    pub version: String,
    /// Version of the API that was agreed on.
    pub api_version: String,
    /// Processor architecture of its machine, as the kernel names it: `x86_64`, `aarch64`.
    pub architecture: String,
    /// Memory of its machine, in bytes.
    pub memory: u64,
    /// Free disk where it keeps its data, in bytes; unknown when the engine is on another machine.
    pub free_disk: Option<u64>,
    /// Memory that new processes can get, in bytes; unknown when the engine is on another machine.
    pub available_memory: Option<u64>,
    /// Whether the engine runs on this machine, so that loopback ports can be tried.
    pub local: bool,
}

/// Everything that carries a project's label.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Project {
    /// Containers of services.
    pub containers: Vec<Container>,
    /// Names of other containers, such as helpers.
    pub helpers: Vec<String>,
    /// Networks, by key.
    pub networks: BTreeMap<String, ProjectNetwork>,
    /// Names of volumes, by key.
    pub volumes: BTreeMap<String, String>,
}

/// A network of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectNetwork {
    /// Its name: `<project>_<key>`.
    pub name: String,
    /// Label `com.docker.compose.config-hash`; empty when it has none.
    pub config_hash: String,
}

/// A container of a service.
#[derive(Debug, Clone, PartialEq)]
pub struct Container {
    /// The engine's id.
    pub id: String,
    /// Name: `<project>-<service>-<number>`.
    pub name: String,
    /// Its service.
    pub service: String,
    /// Its number within the service, from 1.
    pub number: u32,
    /// State in Docker's words: `created`, `running`, `paused`, `exited`, `dead` …
    pub state: String,
    /// Health in Docker's words, where it has a healthcheck: `starting`, `healthy`, `unhealthy`.
    pub health: Option<String>,
    /// Docker's line about it: `Up 3 minutes (healthy)`, `Exited (143) 2 seconds ago`.
    pub status: String,
    /// Image reference that it was created from.
    pub image: String,
    /// Id of the image it was created from.
    pub image_id: String,
    /// Label `com.docker.compose.config-hash`.
    pub config_hash: String,
    /// Services that it needs, by label `com.docker.compose.depends_on`.
    pub depends_on: Vec<String>,
    /// Published ports, as `127.0.0.1:19092->9092/tcp`.
    pub ports: Vec<String>,
    /// Its address in the lab, while it runs.
    pub address: Option<Ipv4Addr>,
}

/// A subnet that a network of the engine holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenSubnet {
    /// Name of the network.
    pub network: String,
    /// The Compose project it belongs to, if any.
    pub project: Option<String>,
    /// The subnet.
    pub subnet: Ipv4Net,
}

impl Container {
    /// Whether it has processes, be they frozen: it holds its address, its ports and its memory.
    pub fn is_up(&self) -> bool {
        matches!(self.state.as_str(), "running" | "paused" | "restarting")
    }
}

/// A host port that a running container publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedPort {
    /// Name of the container.
    pub container: String,
    /// The Compose project it belongs to, if any.
    pub project: Option<String>,
    /// Host address and port; an unspecified address means all of them.
    pub address: SocketAddr,
}

/// Which part of a container's output to read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LogOptions {
    /// Go on until the container stops.
    pub follow: bool,
    /// Only the last lines.
    pub tail: Option<u32>,
    /// Only from this moment on.
    pub since: Option<jiff::Timestamp>,
}

/// A line of a container's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When the engine got it.
    pub at: Option<jiff::Timestamp>,
    /// The line, without its line feed.
    pub text: String,
}

/// What a container uses; counts are since its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// When the engine counted.
    pub at: jiff::Timestamp,
    /// Processor time, in nanoseconds.
    pub cpu_ns: u64,
    /// Memory in bytes, without cached files that can be dropped.
    pub memory: u64,
    /// Bytes received over the network.
    pub received: u64,
    /// Bytes sent over the network.
    pub sent: u64,
    /// Bytes read from disks.
    pub read: u64,
    /// Bytes written to disks.
    pub written: u64,
}

/// What a container may use at most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct ResourceLimits {
    /// Processor time, in cores; nothing for no limit.
    pub cpus: Option<f64>,
    /// Memory, in bytes; nothing for no limit.
    pub memory: Option<u64>,
}

/// How a container is attached to a network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkAttachment {
    /// The fixed address that it asks for, if it does.
    pub address: Option<Ipv4Addr>,
    /// Names by which others find it.
    pub aliases: Vec<String>,
}

/// A container that is run once, beside or inside those of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Helper {
    /// The Compose project that it works for.
    pub project: String,
    /// What it is for, in a word that is part of its name.
    pub purpose: String,
    /// Its image.
    pub image: String,
    /// Arguments of the image's entrypoint.
    pub args: Vec<String>,
    /// The container whose network it shares; none for no network at all.
    pub network_of: Option<String>,
    /// Capabilities, besides which it has none.
    pub capabilities: Vec<String>,
    /// The volume of the project, by key, that is mounted, and where.
    pub volume: Option<(String, String)>,
}

/// What came of a helper.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HelperOutput {
    /// Its exit code.
    pub exit_code: i64,
    /// What it printed to stdout.
    pub stdout: String,
    /// What it printed to stderr.
    pub stderr: String,
}

/// An image that is there.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    /// Its id.
    pub id: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// An image to be built.
#[derive(Debug, Clone)]
pub struct Build {
    /// The reference it gets.
    pub reference: String,
    /// A tar of the context, with its `Dockerfile` at the root.
    pub context: Bytes,
    /// Build arguments.
    pub args: BTreeMap<String, String>,
    /// Labels it gets.
    pub labels: BTreeMap<String, String>,
}
