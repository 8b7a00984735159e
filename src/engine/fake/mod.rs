//! An engine in memory, for tests of everything above the engine without Docker.
//!
//! It keeps what was created, refuses what Docker would refuse (a network that is in use, a name that is taken),
//! records the calls that change something, and lets a test make any call fail, or the whole engine die and come
//! back. Containers are only states: nothing runs, and a test sets what they did.

mod follow;
mod namespace;
mod verbs;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, bail};
use bytes::Bytes;

use self::namespace::Namespace;
use super::{
    Container, Ended, EngineInfo, HelperOutput, Image, LogLine, ProjectNetwork, PublishedPort, ResourceLimits,
    TakenSubnet, labels,
};
use crate::compose::model::ComposeFile;
use crate::error::Expected;

/// An engine in memory.
#[derive(Debug, Default)]
pub struct FakeEngine {
    // Shared with the readers of a container's output.
    state: Arc<Mutex<State>>,
}

/// How calls begin that shall fail, each with what it then says.
type Failures = Vec<(String, String)>;

#[derive(Debug, Default)]
struct State {
    containers: BTreeMap<String, Held>,
    helpers: BTreeMap<String, String>,
    networks: BTreeMap<String, Owned<ProjectNetwork>>,
    volumes: BTreeMap<String, Owned<BTreeMap<PathBuf, Bytes>>>,
    images: BTreeMap<String, Image>,
    pullable: BTreeSet<String>,
    subnets: Vec<TakenSubnet>,
    published: Vec<PublishedPort>,
    info: Option<EngineInfo>,
    calls: Vec<String>,
    /// Files written into containers, as `container:path`, with their content.
    written: Vec<(String, Vec<u8>)>,
    failures: Failures,
    /// Of calls that do what they are for all the same.
    late_failures: Failures,
    helper_says: Option<Option<HelperOutput>>,
    dead: bool,
    made: u32,
}

/// A container, and what the engine keeps of it besides.
#[derive(Debug)]
struct Held {
    project: String,
    container: Container,
    fixed_address: Option<Ipv4Addr>,
    networks: Vec<String>,
    volumes: Vec<String>,
    logs: Vec<LogLine>,
    // How often its output was cut off under those who follow it.
    cuts: u32,
    limits: ResourceLimits,
    ended: Option<Ended>,
    namespace: Namespace,
}

/// Something of a project, under its key.
#[derive(Debug)]
struct Owned<T> {
    project: String,
    key: String,
    value: T,
}

impl FakeEngine {
    /// An engine that has nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// An engine that has all images of a Compose file.
    pub fn with_images(file: &ComposeFile) -> Self {
        let engine = Self::new();
        for service in file.services.values() {
            engine.add_image(&service.image, BTreeMap::new());
        }
        engine
    }

    /// The calls so far that change something, such as `start khd-kafka1-1`, in their order.
    pub fn calls(&self) -> Vec<String> {
        self.lock().calls.clone()
    }

    /// Files that were written into containers, as `container:path`, with their content.
    pub fn written(&self) -> Vec<(String, Vec<u8>)> {
        self.lock().written.clone()
    }

    /// Forgets the calls so far.
    pub fn clear_calls(&self) {
        self.lock().calls.clear();
    }

    /// Makes the next call fail whose text begins like this: `start khd-kafka1-1`, `create_network`, `project`.
    pub fn fail(&self, call: &str, message: &str) {
        self.lock().failures.push((call.into(), message.into()));
    }

    /// Makes the next such call fail after it has done what it is for, as when the engine dies over it; only calls that
    /// change a container, and helpers.
    pub fn fail_late(&self, call: &str, message: &str) {
        self.lock().late_failures.push((call.into(), message.into()));
    }

    /// Lets no call fail any more that has not failed yet.
    pub fn forget_failures(&self) {
        let mut state = self.lock();
        state.failures.clear();
        state.late_failures.clear();
    }

    /// Makes every call fail, as if the engine was gone.
    pub fn die(&self) {
        self.lock().dead = true;
    }

    /// Brings the engine back, with all it had.
    pub fn come_back(&self) {
        self.lock().dead = false;
    }

    /// Puts a container into a state, such as `exited` or `paused`. One that is not there stays so.
    pub fn set_state(&self, container: &str, state: &str) {
        if let Some(held) = self.lock().containers.get_mut(container) {
            held.enter(state);
        }
    }

    /// Sets a container's health: `starting`, `healthy`, `unhealthy`. One that is not there stays so.
    pub fn set_health(&self, container: &str, health: &str) {
        if let Some(held) = self.lock().containers.get_mut(container) {
            held.container.health = Some(health.into());
        }
    }

    /// Sets a container's output. One that is not there stays so.
    pub fn set_logs(&self, container: &str, logs: Vec<LogLine>) {
        if let Some(held) = self.lock().containers.get_mut(container) {
            held.logs = logs;
        }
    }

    /// Lets a container print a line now. One that is not there prints nothing.
    pub fn print(&self, container: &str, text: &str) {
        if let Some(held) = self.lock().containers.get_mut(container) {
            held.logs.push(LogLine {
                at: Some(jiff::Timestamp::now()),
                text: text.into(),
            });
        }
    }

    /// Cuts off the output of a container under those who follow it, as an engine does that is started again.
    pub fn cut_logs(&self, container: &str) {
        if let Some(held) = self.lock().containers.get_mut(container) {
            held.cuts += 1;
        }
    }

    /// Puts a file into a volume, which is made if it is not there.
    pub fn put_file(&self, project: &str, key: &str, path: &str, content: impl Into<Bytes>) {
        let volume = labels::object_name(project, key);
        let mut state = self.lock();
        let volume = state
            .volumes
            .entry(volume)
            .or_insert_with(|| owned(project, key, BTreeMap::new()));
        volume.value.insert(path.into(), content.into());
    }

    /// Adds an image, or puts a new one in the place of the one that has this reference, and gives its id.
    pub fn add_image(&self, reference: &str, labels: BTreeMap<String, String>) -> String {
        self.lock().add_image(reference, labels)
    }

    /// Lets a reference be pulled; all others fail.
    pub fn allow_pull(&self, reference: &str) {
        self.lock().pullable.insert(reference.into());
    }

    /// Makes every helper end so, whatever it is asked; nothing stands for a container that does not run.
    pub fn let_helpers_say(&self, output: Option<HelperOutput>) {
        self.lock().helper_says = Some(output);
    }

    /// What helpers have put into the network namespaces of containers: chains of rules, and queueing disciplines.
    pub fn put_by_helpers(&self) -> BTreeMap<String, BTreeSet<String>> {
        let state = self.lock();
        let put = state
            .containers
            .iter()
            .map(|(name, held)| (name.clone(), held.namespace.put()));
        put.filter(|(_, put)| !put.is_empty()).collect()
    }

    /// Adds a container of the project that runs no service.
    pub fn add_helper(&self, project: &str, name: &str) {
        self.lock().helpers.insert(name.into(), project.into());
    }

    /// Adds a subnet of another network.
    pub fn add_subnet(&self, subnet: TakenSubnet) {
        self.lock().subnets.push(subnet);
    }

    /// Adds a port that another container publishes.
    pub fn add_published(&self, port: PublishedPort) {
        self.lock().published.push(port);
    }

    /// Sets what the engine says of itself.
    pub fn set_info(&self, info: EngineInfo) {
        self.lock().info = Some(info);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Begins a call that only looks.
    fn look(&self, call: &str) -> anyhow::Result<MutexGuard<'_, State>> {
        let mut state = self.lock();
        if state.dead {
            return Err(Expected::environment(format!("cannot {call}: no connection to the engine")).into());
        }
        due(&mut state.failures, call)?;
        Ok(state)
    }

    /// Begins a call that changes something.
    fn change(&self, call: &str) -> anyhow::Result<MutexGuard<'_, State>> {
        let mut state = self.look(call)?;
        state.calls.push(call.into());
        Ok(state)
    }

    fn container(&self, call: &str, name: &str, act: impl FnOnce(&mut Held)) -> anyhow::Result<()> {
        let words = format!("{call} {name}");
        let mut state = self.change(&words)?;
        let held = state.containers.get_mut(name);
        act(held.with_context(|| format!("cannot {words}: no such container"))?);
        due(&mut state.late_failures, &words)
    }
}

impl State {
    fn add_image(&mut self, reference: &str, labels: BTreeMap<String, String>) -> String {
        self.made += 1;
        let id = format!("sha256:{:064x}", self.made);
        let image = Image {
            id: id.clone(),
            size: 1 << 20,
            labels,
        };
        self.images.insert(reference.into(), image);
        id
    }
}

impl Held {
    fn enter(&mut self, state: &str) {
        self.ended = None;
        let container = &mut self.container;
        container.state = state.into();
        container.status = format!("fake {state}");
        container.address = if matches!(state, "running" | "paused") {
            self.fixed_address
        } else {
            self.namespace = Namespace::default();
            None
        };
    }

    /// Ends it if it is up, with the code of a process that this signal ended.
    fn end_by(&mut self, signal: i64) {
        if matches!(self.container.state.as_str(), "running" | "paused") {
            self.enter("exited");
            self.ended = Some(Ended {
                at: jiff::Timestamp::now(),
                exit_code: 128 + signal,
                out_of_memory: false,
            });
        }
    }
}

/// Fails if this call shall, and then no other for it.
fn due(failures: &mut Failures, call: &str) -> anyhow::Result<()> {
    let mut due = failures.iter();
    if let Some(at) = due.position(|(prefix, _)| call.starts_with(prefix.as_str())) {
        let (_, message) = failures.remove(at);
        bail!("cannot {call}: {message}");
    }
    Ok(())
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // A test that panicked elsewhere has failed already.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn owned<T>(project: &str, key: &str, value: T) -> Owned<T> {
    Owned {
        project: project.into(),
        key: key.into(),
        value,
    }
}
