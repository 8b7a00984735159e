//! The run that another khd is recording: its steps, read from its timeline as it grows.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde::Deserialize;

use super::state::{Run, ShownStep};
use crate::live::steps::Steps;
use crate::state::{LabDir, RunFolder};
use crate::timeline::event::{Event, Kind};
use crate::verdicts::Status;

/// A timeline that has not grown for so long is that of a khd that was killed: what containers use is told more often.
const STALE: Duration = Duration::from_secs(300);
/// So much of a timeline is read at once, in bytes: a browser that waits for news shall not wait for a whole soak.
const READ_AT_ONCE: u64 = 1 << 20;
/// Among so many of the newest runs, of all labs, the one that is being recorded is looked for.
const NEWEST: usize = 20;
/// How long a run is shown after its end.
const SHOWN: Duration = Duration::from_secs(60);
/// How long its verdicts may take; one that was interrupted has none.
const JUDGING: Duration = Duration::from_secs(20);

/// Follows the runs of one lab, one after the other.
#[derive(Debug)]
pub(super) struct Follower {
    runs: PathBuf,
    project: String,
    lab: LabDir,
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    folder: RunFolder,
    timeline: File,
    /// The beginning of a line whose end was not written yet.
    rest: Vec<u8>,
    title: String,
    started: Timestamp,
    steps: Steps,
    /// What was told of a migration and is not taken note of yet.
    migration: Vec<Kind>,
    ended: Option<(Timestamp, String)>,
    outcome: Option<String>,
}

impl Follower {
    /// Follows the runs of a project that are recorded in a folder, while some khd works on the lab.
    pub(super) fn new(runs: &Path, project: &str, lab: &LabDir) -> Self {
        Self {
            runs: runs.to_owned(),
            project: project.to_owned(),
            lab: lab.clone(),
            current: None,
        }
    }

    /// What the run that goes on has told of a migration since this was asked last.
    pub(super) fn migration(&mut self) -> Vec<Kind> {
        let going_on = self.current.as_mut().filter(|current| current.ended.is_none());
        going_on.map_or_else(Vec::new, |current| std::mem::take(&mut current.migration))
    }

    /// The run that is being recorded at this moment, or ended just before. A run that cannot be read is none.
    pub(super) fn look(&mut self, now: Timestamp) -> Option<Run> {
        let at_work = self.lab.is_at_work();
        let over = self
            .current
            .as_ref()
            .is_none_or(|current| current.is_over(at_work, now));
        if over
            && at_work
            && let Some(newer) = self.newest()
        {
            self.current = Some(newer);
        }
        let current = self.current.as_mut()?;
        current.read();
        current.judge(now);
        if current.is_past(at_work, now) {
            self.current = None;
            return None;
        }
        Some(current.shown(now))
    }

    /// The newest run of the lab, if it is still being recorded and not followed already.
    fn newest(&self) -> Option<Current> {
        let names = std::fs::read_dir(&self.runs).ok()?.flatten();
        let mut names: Vec<String> = names.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        // Their names begin with the time.
        names.sort_unstable();
        let followed = self.current.as_ref().map(|current| current.folder.name());
        let newer = names.iter().rev().take_while(|name| Some(*name) != followed.as_ref());
        newer
            .take(NEWEST)
            .filter(|name| name.contains(&self.project))
            .filter_map(|name| RunFolder::open(&self.runs.join(name)).ok())
            .filter(|folder| is_growing(&folder.timeline()))
            .filter(|folder| is_of(folder, &self.project))
            .find_map(Current::open)
    }
}

/// Whether a timeline was written to just now.
fn is_growing(timeline: &Path) -> bool {
    let modified = std::fs::metadata(timeline).and_then(|metadata| metadata.modified());
    let age = |modified| SystemTime::now().duration_since(modified).unwrap_or_default();
    modified.is_ok_and(|modified| age(modified) < STALE)
}

/// Whether a run is of that project; the name of its folder alone does not tell `khd-2` from `khd`.
fn is_of(folder: &RunFolder, project: &str) -> bool {
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    let file = std::fs::read(folder.path().join("compose.yaml")).unwrap_or_default();
    serde_yaml::from_slice::<Named>(&file).is_ok_and(|file| file.name == project)
}

impl Current {
    fn open(folder: RunFolder) -> Option<Self> {
        let timeline = File::open(folder.timeline()).ok()?;
        Some(Self {
            folder,
            timeline,
            rest: Vec::new(),
            title: String::new(),
            started: Timestamp::now(),
            steps: Steps::default(),
            migration: Vec::new(),
            ended: None,
            outcome: None,
        })
    }

    /// Reads what was written since the last time.
    fn read(&mut self) {
        let mut some = (&self.timeline).take(READ_AT_ONCE);
        if some.read_to_end(&mut self.rest).is_err() {
            return;
        }
        let whole = self
            .rest
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        let lines: Vec<u8> = self.rest.drain(..whole).collect();
        let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        // An event of another version of khd is none of this one's business.
        lines
            .filter_map(|line| serde_json::from_slice(line).ok())
            .for_each(|event| self.take(&event));
    }

    fn take(&mut self, event: &Event) {
        self.steps.take(event);
        match &event.kind {
            Kind::RunStarted { command, .. } => {
                self.title.clone_from(command);
                self.started = event.wall;
            }
            Kind::StepsPlanned { drill, .. } => self.title.clone_from(drill),
            Kind::MigrationStarted { .. } | Kind::MigrationEnded { .. } => self.migration.push(event.kind.clone()),
            Kind::RunEnded { outcome } => self.ended = Some((event.wall, outcome.clone())),
            _ => {}
        }
    }

    /// Looks for its verdicts, once it has ended.
    fn judge(&mut self, now: Timestamp) {
        #[derive(Deserialize)]
        struct Verdicts {
            status: Status,
        }
        let Some((at, outcome)) = self.ended.as_ref().filter(|_| self.outcome.is_none()) else {
            return;
        };
        let verdicts = std::fs::read(self.folder.verdicts()).unwrap_or_default();
        self.outcome = match serde_json::from_slice::<Verdicts>(&verdicts) {
            Ok(verdicts) => Some(verdicts.status.word().to_owned()),
            Err(_) if since(*at, now) > JUDGING => Some(outcome.clone()),
            Err(_) => None,
        };
    }

    /// Whether another run may begin: this one came to its end, or its khd was killed.
    fn is_over(&self, at_work: bool, now: Timestamp) -> bool {
        self.ended.is_some() || self.is_past(at_work, now)
    }

    /// Whether it is of no interest any more.
    fn is_past(&self, at_work: bool, now: Timestamp) -> bool {
        match &self.ended {
            Some((at, _)) => since(*at, now) > SHOWN,
            None => !at_work || !is_growing(&self.folder.timeline()),
        }
    }

    fn shown(&self, now: Timestamp) -> Run {
        let until = self.ended.as_ref().map_or(now, |(at, _)| *at);
        let elapsed_ms = since(self.started, until).as_millis() as u64;
        let steps = self.steps.all().into_iter();
        Run {
            name: self.folder.name(),
            title: self.title.clone(),
            elapsed_ms,
            steps: steps.map(|step| ShownStep::of(step, elapsed_ms)).collect(),
            ended: self.ended.is_some(),
            outcome: self.outcome.clone(),
        }
    }
}

fn since(then: Timestamp, now: Timestamp) -> Duration {
    now.duration_since(then).try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use std::sync::Arc;

    use super::*;
    use crate::settings::Settings;
    use crate::timeline::event::SCHEMA;
    use crate::timeline::limits::Limits;
    use crate::timeline::record::Timeline;
    use crate::topology::Topology;
    use crate::topology::migration::Phase;
    use crate::web::{Site, Watched, watch};

    /// A run that is being recorded, as another khd does it.
    struct Recording {
        run: RunFolder,
        timeline: File,
        started: Timestamp,
    }

    impl Recording {
        fn begin(runs: &Path, project: &str) -> Self {
            let run = RunFolder::create(runs, project, "fail-kafka2").unwrap();
            run.write("compose.yaml", format!("name: {project}\nservices: {{}}\n").as_bytes())
                .unwrap();
            let timeline = File::create(run.timeline()).unwrap();
            let mut recording = Self {
                run,
                timeline,
                started: Timestamp::now(),
            };
            recording.tell(
                0,
                Kind::RunStarted {
                    schema: SCHEMA,
                    khd: "test".into(),
                    command: "khd fail kafka2".into(),
                    expectation: Topology::of(&Settings::default())
                        .expectation(Duration::from_secs(18))
                        .into(),
                    limits: Limits::new(),
                    skip: Default::default(),
                },
            );
            recording
        }

        fn tell(&mut self, elapsed_ms: u64, kind: Kind) {
            let event = Event {
                wall: self.started + Duration::from_millis(elapsed_ms),
                elapsed_ms,
                source: "khd".into(),
                kind,
            };
            let line = serde_json::to_string(&event).unwrap() + "\n";
            self.timeline.write_all(line.as_bytes()).unwrap();
        }

        fn after(&self, millis: u64) -> Timestamp {
            self.started + Duration::from_millis(millis)
        }
    }

    /// A lab of which nothing is known on disk.
    fn lab() -> LabDir {
        LabDir::at(&tempfile::tempdir().unwrap().keep())
    }

    fn step(step: u32) -> Kind {
        Kind::StepStarted {
            step,
            sort: "fail".into(),
            words: "stop kafka2".into(),
            until: None,
        }
    }

    #[test]
    fn the_run_of_this_lab_is_followed_from_its_begin_to_its_verdict() {
        let (runs, lab) = (tempfile::tempdir().unwrap(), lab());
        let lock = lab.lock("khd fail kafka2").unwrap();
        let mut follower = Follower::new(runs.path(), "khd", &lab);
        assert_eq!(follower.look(Timestamp::now()), None);
        let _another_lab = Recording::begin(runs.path(), "khd-2");
        assert_eq!(follower.look(Timestamp::now()), None);

        let mut recording = Recording::begin(runs.path(), "khd");
        std::thread::sleep(Duration::from_millis(2)); // runs are named by the millisecond
        let another_lab = Recording::begin(runs.path(), "khd-2");
        let long_ago = SystemTime::now() - 2 * STALE;
        another_lab.timeline.set_modified(long_ago).unwrap();
        recording.tell(500, step(0));
        let run = follower.look(recording.after(2_000)).unwrap();
        assert_eq!(
            (run.title.as_str(), run.elapsed_ms, run.ended),
            ("khd fail kafka2", 2_000, false)
        );
        assert_eq!(
            run.steps,
            [ShownStep::of(
                crate::live::steps::Step {
                    words: "stop kafka2".into(),
                    state: crate::live::steps::State::Running(500),
                },
                2_000,
            )]
        );

        // A line that is only half written is waited for.
        let ended = Event {
            wall: recording.after(3_000),
            elapsed_ms: 3_000,
            source: "khd".into(),
            kind: Kind::RunEnded { outcome: "done".into() },
        };
        let line = serde_json::to_string(&ended).unwrap() + "\n";
        let (first, second) = line.split_at(20);
        recording.timeline.write_all(first.as_bytes()).unwrap();
        assert!(!follower.look(recording.after(3_100)).unwrap().ended);
        recording.timeline.write_all(second.as_bytes()).unwrap();
        let run = follower.look(recording.after(3_200)).unwrap();
        assert_eq!(
            (run.ended, run.elapsed_ms, run.outcome),
            (true, 3_000, None),
            "it is being judged"
        );

        recording
            .run
            .write("verdicts.json", br#"{"status": "failed"}"#)
            .unwrap();
        assert_eq!(
            follower.look(recording.after(4_000)).unwrap().outcome.unwrap(),
            "failed"
        );
        assert_eq!(follower.look(recording.after(90_000)), None, "it is of the past");
        drop(lock);
    }

    #[test]
    fn a_migration_is_told_once_while_its_run_goes_on() {
        let (runs, lab) = (tempfile::tempdir().unwrap(), lab());
        let _lock = lab.lock("khd drill run migrate-to-kraft").unwrap();
        let mut follower = Follower::new(runs.path(), "khd", &lab);
        let mut recording = Recording::begin(runs.path(), "khd");
        let phase = Phase::Controllers;
        recording.tell(500, Kind::MigrationStarted { phase });
        follower.look(recording.after(600)).unwrap();
        assert_eq!(follower.migration(), [Kind::MigrationStarted { phase }]);
        assert_eq!(follower.migration(), []);
        recording.tell(700, Kind::MigrationEnded { phase });
        recording.tell(800, Kind::RunEnded { outcome: "done".into() });
        follower.look(recording.after(900)).unwrap();
        assert_eq!(follower.migration(), [], "the lab is about to go");
    }

    #[tokio::test]
    async fn who_watches_learns_of_a_migration_from_its_run() {
        let (runs, lab) = (tempfile::tempdir().unwrap(), lab());
        let _lock = lab.lock("khd drill run migrate-to-kraft").unwrap();
        let topology = Topology::of(&Settings::default());
        let timeline = Timeline::unrecorded();
        let watched = Watched {
            expected: topology.expectation(Duration::from_secs(18)),
            topology,
            timeline: timeline.clone(),
            dir: lab,
            runs: runs.path().to_owned(),
        };
        let site = Arc::new(Site::new(runs.path()));
        let watching = tokio::spawn(watch(watched, site.clone()));
        let mut recording = Recording::begin(runs.path(), "khd");
        let phase = Phase::Controllers;
        recording.tell(500, Kind::MigrationStarted { phase });
        let mut view = timeline.view();
        let told = view.wait_for(|view| view.phases() == (Phase::ZooKeeper, phase));
        let patience = Duration::from_secs(20);
        tokio::time::timeout(patience, told).await.unwrap().unwrap();
        // It goes on.
        let mut states = site.state();
        tokio::time::timeout(patience, states.changed()).await.unwrap().unwrap();
        assert_eq!(
            states.borrow_and_update().run.as_ref().unwrap().name,
            recording.run.name()
        );
        watching.abort();
    }

    #[test]
    fn a_run_whose_khd_was_killed_is_no_longer_shown() {
        let (runs, lab) = (tempfile::tempdir().unwrap(), lab());
        let lock = lab.lock("khd fail kafka2").unwrap();
        let mut follower = Follower::new(runs.path(), "khd", &lab);
        let recording = Recording::begin(runs.path(), "khd");
        assert!(follower.look(recording.after(100)).is_some());
        drop(lock);
        assert_eq!(follower.look(recording.after(200)), None);
    }

    #[test]
    fn a_run_without_verdicts_comes_to_what_it_said_itself_and_makes_room_for_the_next() {
        let (runs, lab) = (tempfile::tempdir().unwrap(), lab());
        let _lock = lab.lock("khd fail kafka2").unwrap();
        let mut follower = Follower::new(runs.path(), "khd", &lab);
        let mut first = Recording::begin(runs.path(), "khd");
        first.tell(
            1_000,
            Kind::RunEnded {
                outcome: "interrupted".into(),
            },
        );
        assert_eq!(follower.look(first.after(1_500)).unwrap().outcome, None);
        assert_eq!(
            follower.look(first.after(25_000)).unwrap().outcome.unwrap(),
            "interrupted"
        );
        std::thread::sleep(Duration::from_millis(2)); // runs are named by the millisecond
        let second = Recording::begin(runs.path(), "khd");
        assert_eq!(follower.look(second.after(100)).unwrap().name, second.run.name());
    }
}
