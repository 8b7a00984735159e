//! A lab of containers that are only states, and all that a drill on it needs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use khd::compose::model::Volume;
use khd::compose::render::{LEDGERS, render};
use khd::drill::machine::Ending;
use khd::drill::plan::{Fail, Plan};
use khd::drill::runner;
use khd::drill::stage::Stage;
use khd::engine::fake::FakeEngine;
use khd::engine::{Engine as _, LogLine};
use khd::faults::journal::Journal;
use khd::faults::{Injection, Means};
use khd::observe::{self, Observer};
use khd::settings::Settings;
use khd::state::RunFolder;
use khd::timeline::event::{Event, Kind, SCHEMA};
use khd::timeline::limits::{Bound, Limits};
use khd::timeline::record::{self, Timeline};
use khd::topology::Topology;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::cluster;

pub const PROJECT: &str = "khd";
pub const TOPICS: [&str; 2] = ["test-1", "test-2"];
pub const PARTITIONS: i32 = 3;
/// Longer than all deadlines of the longest drill together.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// The container of a service.
pub fn container(service: &str) -> String {
    format!("{PROJECT}-{service}-1")
}

/// Brokers that nobody is.
pub fn nowhere() -> String {
    "127.0.0.1:1".into()
}

pub struct Lab {
    pub engine: Arc<FakeEngine>,
    pub stage: Stage,
    pub limits: Limits,
    /// Time between two looks of the script at the containers.
    pub pace: Duration,
    tasks: JoinSet<()>,
    observers: Vec<Observer>,
    folder: TempDir,
}

impl Lab {
    /// A lab that runs, and whose log is read at `bootstrap`. Nobody observes it yet.
    pub async fn up(bootstrap: String) -> Self {
        let mut settings = Settings::default();
        settings.topics.names = TOPICS.map(str::to_owned).to_vec();
        settings.topics.partitions = PARTITIONS;
        let topology = Topology::of(&settings);
        let file = render(&settings, &topology);
        let engine = Arc::new(FakeEngine::with_images(&file));
        for (key, network) in &file.networks {
            engine.create_network(PROJECT, key, network).await.unwrap();
        }
        for key in file.volumes.keys() {
            engine.create_volume(PROJECT, key, &Volume::default()).await.unwrap();
        }
        for service in file.services.keys() {
            engine.create_container(&file, service, 1).await.unwrap();
            engine.start(&container(service)).await.unwrap();
            let text = format!("{service} says hello");
            engine.set_logs(&container(service), vec![LogLine { at: None, text }]);
        }
        engine.clear_calls();

        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::create(&folder.path().join("runs"), PROJECT, "drill").unwrap();
        let limits = Limits::from([
            ("gap".to_owned(), Bound::at_most(28_000.0)),
            ("leaders-moved".to_owned(), Bound::at_most(23_000.0)),
        ]);
        let stage = Stage {
            means: Means {
                engine: engine.clone(),
                expected: topology.expectation(Duration::from_secs(18)),
                topology: topology.clone(),
                file: file.clone(),
                nethelper: "nethelper".into(),
            },
            project: PROJECT.into(),
            settings: settings.clone(),
            expected: topology.expectation(Duration::from_secs(18)),
            timeline: Timeline::create(&run.timeline()).unwrap(),
            journal: Journal::at(folder.path().join("labs/khd/faults.json")),
            run,
            ledger_image: file.services["producer"].image.clone(),
            bootstrap,
            cancel: CancellationToken::new(),
        };
        Self {
            engine,
            stage,
            limits,
            pace: Duration::from_millis(20),
            tasks: JoinSet::new(),
            observers: Vec::new(),
            folder,
        }
    }

    /// Begins the recording, and watches containers (as a real run does) and servers (as a script has it).
    pub fn observe(&mut self, deathless: Option<&'static str>) {
        let timeline = &self.stage.timeline;
        timeline.emit(
            "khd",
            Kind::RunStarted {
                schema: SCHEMA,
                khd: "test".into(),
                command: "khd fail".into(),
                expectation: self.stage.expected.clone().into(),
                limits: self.limits.clone(),
                skip: BTreeMap::new(),
            },
        );
        let script = cluster::tell(
            self.engine.clone(),
            timeline.clone(),
            self.stage.expected.clone(),
            self.pace,
            deathless,
        );
        self.tasks.spawn(script);
        self.observers = vec![
            observe::containers(self.engine.clone(), PROJECT, timeline),
            observe::details(self.engine.clone(), PROJECT, timeline),
        ];
    }

    /// Does something as soon as a step of that sort begins.
    pub fn when(&mut self, begins: &'static str, act: impl FnOnce() + Send + 'static) {
        let mut live = self.stage.timeline.live();
        self.tasks.spawn(async move {
            while let Ok(event) = live.recv().await {
                if matches!(&event.kind, Kind::StepStarted { sort, .. } if sort == begins) {
                    return act();
                }
            }
        });
    }

    /// Cancels the drill as soon as a step of that sort begins, as a signal would.
    pub fn cancel_when(&mut self, begins: &'static str) {
        let cancel = self.stage.cancel.clone();
        self.when(begins, move || cancel.cancel());
    }

    /// A plan of a fault that is held for so long.
    pub fn plan(&self, fault: &str, service: &str, hold: Duration, leave: bool) -> Plan {
        let how = serde_json::from_value(serde_json::json!({ "how": fault })).unwrap();
        let targets = vec![service.parse().unwrap()];
        let label = "it".to_owned();
        Plan::of_one(Fail { label, targets, how }, hold, leave, self.limits.clone(), 1)
    }

    /// Runs a drill to its end and ends the recording.
    pub async fn run(&mut self, plan: &Plan) -> Ending {
        if self.observers.is_empty() {
            self.observe(None);
        }
        let ending = timeout(PATIENCE, runner::run(&self.stage, plan)).await.unwrap();
        self.tasks.shutdown().await;
        for observer in self.observers.drain(..) {
            observer.stop().await;
        }
        let outcome = format!("{ending:?}");
        self.stage.timeline.emit("khd", Kind::RunEnded { outcome });
        ending
    }

    /// The timeline as it was recorded.
    pub fn events(&self) -> Vec<Event> {
        record::read(&self.stage.run.timeline()).unwrap()
    }

    /// The course of the drill as it was recorded: what khd did, and how each step ended.
    pub fn course(&self) -> Vec<String> {
        let mut running: BTreeMap<u32, String> = BTreeMap::new();
        let mut faults: BTreeMap<u32, String> = BTreeMap::new();
        let mut course = Vec::new();
        for event in self.events() {
            match event.kind {
                Kind::StepStarted { step, sort, .. } => assert_eq!(running.insert(step, sort), None),
                Kind::StepEnded { step, ok, lacking } => {
                    let phase = running.remove(&step).unwrap();
                    assert_eq!(ok, lacking.is_empty());
                    course.push(if ok {
                        format!("{phase} ok")
                    } else {
                        format!("{phase}: {}", lacking.join("; "))
                    });
                }
                Kind::FaultInjected { id, fault, targets, .. } => {
                    let targets = targets.join(" ");
                    course.push(format!("{fault} {targets}"));
                    faults.insert(id, targets);
                }
                Kind::FaultEffective { .. } => course.push("effective".into()),
                Kind::FaultUndone { id } => course.push(format!("undone {}", faults[&id])),
                Kind::FaultHealed { .. } => course.push("healed".into()),
                Kind::Cut => course.push("cut".into()),
                _ => {}
            }
        }
        assert_eq!(running, BTreeMap::new());
        course
    }

    /// The state of a service's container.
    pub async fn state(&self, service: &str) -> String {
        let project = self.engine.project(PROJECT).await.unwrap();
        let found = project.containers.iter().find(|found| found.service == service);
        found.unwrap().state.clone()
    }

    /// The services that the journal on disk says are hit by a fault, by a fresh reader.
    pub fn journaled(&self) -> Vec<String> {
        let entries = self.journal_on_disk().entries().unwrap();
        entries
            .into_iter()
            .map(|entry| format!("{} {} {}", entry.run, entry.how.name(), entry.names()))
            .collect()
    }

    /// The journal as the khd that comes next opens it.
    pub fn journal_on_disk(&self) -> Journal {
        Journal::at(self.folder.path().join("labs/khd/faults.json"))
    }

    /// Undoes journaled faults as the khd that comes next does.
    pub async fn undo(&self, which: impl Fn(&Injection) -> bool) -> anyhow::Result<Vec<Injection>> {
        self.journal_on_disk().undo(&self.stage.means, which, |_| {}).await
    }

    /// Puts a ledger into the lab's volume.
    pub fn put_ledger(&self, name: &str, content: impl Into<Bytes>) {
        self.engine.put_file(PROJECT, LEDGERS, name, content);
    }
}
