//! A lab as commands see it: its settings, its topology, its engine, and the observers that watch it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::cli::settings::Args;
use crate::cli::terminal::Steps;
use crate::compose::model::ComposeFile;
use crate::compose::render::{NETHELPER_IMAGE, render};
use crate::engine::docker::Docker;
use crate::engine::{Engine, Project, converge};
use crate::error::Expected;
use crate::faults::journal::Journal;
use crate::faults::{Injection, Means};
use crate::observe::{self, Observer};
use crate::settings::load::Loaded;
use crate::settings::{Settings, duration};
use crate::state::{LabDir, StateDir};
use crate::timeline::event::{Kind, SCHEMA};
use crate::timeline::limits::{Bound, Limits};
use crate::timeline::record::Timeline;
use crate::topology::migration::Phase;
use crate::topology::{CONSUMER, COPIER, Expectation, PRODUCER, Topology};

/// A lab that a command works on.
pub struct Lab {
    /// Its settings.
    pub settings: Settings,
    /// What it looks like.
    pub topology: Topology,
    /// What it is as Compose.
    pub file: ComposeFile,
    /// The engine that runs it.
    pub engine: Arc<dyn Engine>,
    /// What khd keeps of it on disk.
    pub dir: LabDir,
    /// Where khd keeps its state.
    pub state: StateDir,
}

impl Lab {
    /// The lab that files, variables and flags ask for.
    pub async fn wanted(args: &Args) -> anyhow::Result<Self> {
        Self::of(args.wanted()?, args.state()?).await
    }

    /// The lab that is there, as it was brought up.
    pub async fn running(args: &Args) -> anyhow::Result<Self> {
        let state = args.state()?;
        Self::of(args.of_lab(&state)?, state).await
    }

    /// The lab of that name, as it was brought up, whatever the settings file says.
    pub async fn by_name(args: &Args) -> anyhow::Result<Self> {
        let state = args.state()?;
        Self::of(args.name_only(&state)?, state).await
    }

    async fn of(loaded: Loaded, state: StateDir) -> anyhow::Result<Self> {
        let settings = loaded.settings;
        let topology = Topology::of(&settings);
        Ok(Self {
            file: render(&settings, &topology),
            engine: Arc::new(Docker::connect().await?),
            dir: state.lab(&settings.project),
            state,
            topology,
            settings,
        })
    }

    /// It with other settings, in the same place.
    pub fn with(&self, settings: Settings) -> Self {
        let topology = Topology::of(&settings);
        Self {
            file: render(&settings, &topology),
            engine: self.engine.clone(),
            dir: self.dir.clone(),
            state: self.state.clone(),
            topology,
            settings,
        }
    }

    /// It as it is looked at while it migrates from ZooKeeper to KRaft: with controllers that it does not have yet.
    pub fn to_migrate(&self) -> Self {
        let mut lab = self.with(self.settings.clone());
        let id = lab.topology.cluster_id.clone();
        lab.topology.controllers = Topology::in_migration(&self.settings, Phase::Controllers, id).controllers;
        lab
    }

    /// What must be true of it, with as many clients as there are now.
    pub fn expectation(&self, project: &Project) -> Expectation {
        let mut expected = self.topology.expectation(self.settings.session_timeout());
        let count = |service: &str| project.containers.iter().filter(|c| c.service == service).count() as u16;
        expected.workload.producers = count(PRODUCER);
        expected.workload.consumers = count(CONSUMER);
        expected.workload.copiers = count(COPIER);
        expected
    }

    /// What must be true of it once faults are undone: those that they have added are gone.
    ///
    /// # Errors
    /// When the journal of faults cannot be read.
    pub fn expectation_without_faults(&self, project: &Project) -> anyhow::Result<Expectation> {
        let entries = self.journal().entries()?;
        let added: BTreeSet<&str> = entries.iter().flat_map(Injection::added).collect();
        let mut stay = project.clone();
        stay.containers
            .retain(|container| !added.contains(container.name.as_str()));
        Ok(self.expectation(&stay))
    }

    /// What faults are injected and undone with.
    pub fn means(&self, expected: Expectation) -> Means {
        Means {
            engine: self.engine.clone(),
            topology: self.topology.clone(),
            file: self.file.clone(),
            expected,
            nethelper: NETHELPER_IMAGE.into(),
        }
    }

    /// Removes helpers that an earlier khd left: one that still works when its fault is undone would put it there again.
    pub async fn remove_helpers(&self, project: &Project) -> anyhow::Result<()> {
        for helper in &project.helpers {
            self.engine.remove_container(helper).await?;
            tell!("removed {helper}, which an earlier khd left");
        }
        Ok(())
    }

    /// Removes all of it but the data, where that is kept, and tells how many containers, networks and volumes that were.
    /// Faults in Kafka's own state are in that data, and stay journaled.
    pub async fn remove(&self, keep_data: bool) -> anyhow::Result<usize> {
        let steps = Steps::show();
        let project = &self.settings.project;
        let removed = converge::down(self.engine.as_ref(), project, keep_data, steps.sender()).await;
        steps.end().await;
        let removed = removed?;
        if keep_data {
            self.journal().forget_missing(&self.engine.project(project).await?)?;
            self.dir.forget_settings()?;
        } else {
            self.dir.forget()?;
        }
        Ok(removed)
    }

    /// Which faults are in place in it.
    pub fn journal(&self) -> Journal {
        Journal::at(self.dir.journal())
    }

    /// Refuses a lab in which a fault is in place.
    pub fn require_no_fault(&self, project: &Project) -> anyhow::Result<()> {
        let journal = self.journal();
        journal.forget_missing(project)?;
        journal.require_empty()
    }

    /// Everything of it that the engine holds, which must be something, and not on its way from ZooKeeper to KRaft.
    pub async fn project(&self) -> anyhow::Result<Project> {
        let project = self.there().await?;
        require_no_migration(&project)?;
        Ok(project)
    }

    /// Everything of it that the engine holds, which must be something.
    pub async fn there(&self) -> anyhow::Result<Project> {
        let project = self.engine.project(&self.settings.project).await?;
        if project.containers.is_empty() {
            return Err(
                Expected::environment(format!("there is no lab `{}`", self.settings.project))
                    .hint("bring it up first: khd up")
                    .into(),
            );
        }
        Ok(project)
    }

    /// Limits that verdicts are judged by: as set, otherwise derived from the lab.
    pub fn limits(&self) -> Limits {
        let session = self.settings.session_timeout();
        let limits = &self.settings.limits;
        let time = |set: Option<Duration>, beyond: u64| {
            let limit = set.unwrap_or(session + Duration::from_secs(beyond));
            Bound::at_most(limit.as_secs_f64() * 1000.0)
        };
        let mut all = Limits::from([
            // A broker may coordinate the group as well: when its session has ended, its successor waits for those of the
            // members that have to join anew (10 s). Members were seen to go on after 28 to 29 s.
            ("gap".to_owned(), time(limits.gap, 20)),
            ("leaders-moved".to_owned(), time(limits.leaders_moved, 5)),
            ("time-to-recover".to_owned(), time(limits.time_to_recover, 10)),
        ]);
        let least = |id: &str, limit: Option<f64>| limit.map(|limit| (id.to_owned(), Bound::at_least(limit)));
        all.extend(least("progress", limits.progress.map(|fewest| fewest as f64)));
        all.extend(least("availability", limits.availability));
        all
    }

    /// Records the start of a run: what it is about and what must be true.
    pub fn start(&self, timeline: &Timeline, expected: &Expectation, limits: &Limits, skip: &BTreeMap<String, String>) {
        timeline.emit(
            "khd",
            Kind::RunStarted {
                schema: SCHEMA,
                khd: env!("CARGO_PKG_VERSION").into(),
                command: command_line(),
                expectation: expected.clone().into(),
                limits: limits.clone(),
                skip: skip.clone(),
            },
        );
    }

    /// Starts watching what waits ask for: brokers, ZooKeeper servers and containers.
    pub fn observe(&self, timeline: &Timeline) -> [Observer; 2] {
        [
            observe::start(&self.topology, timeline),
            observe::containers(self.engine.clone(), &self.settings.project, timeline),
        ]
    }

    /// Starts watching all that belongs into the record of a run: also what containers use and what clients log.
    pub fn observe_all(&self, timeline: &Timeline) -> [Observer; 3] {
        let [cluster, containers] = self.observe(timeline);
        let details = observe::details(self.engine.clone(), &self.settings.project, timeline);
        [cluster, containers, details]
    }
}

/// Refuses a lab with the data of both worlds: it migrates from ZooKeeper to KRaft, or was left on its way, and is not what its
/// settings say.
pub fn require_no_migration(project: &Project) -> Result<(), Expected> {
    let has = |server: &str| project.volumes.keys().any(|key| key.starts_with(server));
    if !has("zookeeper") || !has("controller") {
        return Ok(());
    }
    let message =
        "the lab is on its way from ZooKeeper to KRaft, which only the drill that takes it there knows how far";
    Err(Expected::environment(message).hint("wait for the drill, or remove what one has left: khd down --volumes"))
}

/// The command as typed, without the path of the binary.
pub fn command_line() -> String {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    format!("khd {}", arguments.join(" ")).trim_end().to_owned()
}

/// A flag's duration, such as `20s`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    duration::parse(text)
}

/// Runs work until it is done or a signal comes.
///
/// # Errors
/// Those of the work, or an interruption.
pub async fn unless_interrupted<T>(
    cancel: &CancellationToken,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    tokio::select! {
        result = work => result,
        () = cancel.cancelled() => Err(Expected::interrupted("interrupted").into()),
    }
}
