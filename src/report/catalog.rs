//! The runs that are on disk: what each was and what it came to.
//!
//! A list must be quick, and must survive whatever lies in the folder. So of each run only the first line of its
//! timeline, the last ones, and the verdicts that were given are read, and what cannot be read is said in its place.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

use crate::timeline::event;
use crate::verdicts::{Status, Verdict};

/// The first line is read up to this length: it holds the expectation, some kilobytes.
const FIRST: u64 = 1 << 20;
/// So much of the end is read; the last line of a run that ended has some hundred bytes.
const LAST: u64 = 1 << 16;

/// A run on disk, as far as a list shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recorded {
    /// Its name.
    pub run: String,
    /// Its folder.
    pub path: PathBuf,
    /// The command that recorded it, as typed.
    pub command: Option<String>,
    /// The drill's name, if it is known that it was one.
    pub drill: Option<String>,
    /// Its faults, as far as it was judged.
    pub faults: Vec<GivenFault>,
    /// When it began.
    pub started: Option<Timestamp>,
    /// Milliseconds from its begin to its last event.
    pub duration_ms: Option<u64>,
    /// What it came to.
    pub verdict: Standing,
    /// Why there is no verdict.
    pub why: Option<String>,
    /// The longest time without an acknowledgement or a delivery on any partition, where it was measured.
    pub longest_gap_ms: Option<u64>,
    /// Version of its timeline.
    #[serde(skip)]
    schema: u32,
}

/// What a run came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It was judged.
    Judged(Status),
    /// It ended and was not judged: interrupted, or the lab was not fit for it.
    NotJudged,
    /// Its end was not recorded: khd was killed, or is still at it.
    Unfinished,
    /// It is a run that cannot be read.
    Unreadable,
    /// It is something else.
    NotARun,
}

impl Standing {
    /// The word for it in tables and JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Judged(status) => status.word(),
            Self::NotJudged => "not-judged",
            Self::Unfinished => "unfinished",
            Self::Unreadable => "unreadable",
            Self::NotARun => "not-a-run",
        }
    }
}

impl Serialize for Standing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

impl Recorded {
    /// Whether this khd can judge it again.
    pub fn is_readable(&self) -> bool {
        self.started.is_some() && self.schema == event::SCHEMA
    }
}

/// What is read of the first event, whatever else a version of the timeline puts into it.
#[derive(Deserialize)]
struct First {
    wall: Timestamp,
    schema: u32,
    command: String,
}

/// What is read of the last event.
#[derive(Deserialize)]
struct Last {
    elapsed_ms: u64,
    event: String,
    outcome: Option<String>,
}

/// What is read of the verdicts that were given.
#[derive(Deserialize)]
struct Given {
    drill: Option<String>,
    #[serde(default)]
    faults: Vec<GivenFault>,
    /// Of the first version, which knew one fault.
    target: Option<String>,
    fault: Option<String>,
    status: Status,
    verdicts: Vec<Verdict>,
}

/// A fault of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GivenFault {
    /// Its kind.
    pub fault: String,
    /// What it hit.
    pub targets: Vec<String>,
}

/// Every folder among the runs, those that began last first; what is no run comes last.
///
/// # Errors
/// When the folder of runs is there and cannot be read.
pub fn list(runs: &Path) -> anyhow::Result<Vec<Recorded>> {
    let cannot = || format!("cannot read {}", runs.display());
    let entries = match std::fs::read_dir(runs) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(cannot),
    };
    let mut list = Vec::new();
    for entry in entries {
        let path = entry.with_context(cannot)?.path();
        if path.is_dir() {
            list.push(look(path));
        }
    }
    list.sort_by(|a, b| b.started.cmp(&a.started).then_with(|| b.run.cmp(&a.run)));
    Ok(list)
}

fn look(path: PathBuf) -> Recorded {
    let mut found = Recorded {
        run: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        command: None,
        drill: None,
        faults: Vec::new(),
        started: None,
        duration_ms: None,
        verdict: Standing::NotARun,
        why: None,
        longest_gap_ms: None,
        schema: 0,
        path,
    };
    let timeline = found.path.join("timeline.jsonl");
    if !timeline.is_file() {
        found.why = Some("it has no timeline".into());
        return found;
    }
    let last = match ends(&timeline) {
        Ok((first, last)) => {
            found.started = Some(first.wall);
            found.command = Some(first.command);
            found.schema = first.schema;
            last
        }
        Err(error) => {
            found.verdict = Standing::Unreadable;
            found.why = Some(format!("{error:#}"));
            return found;
        }
    };
    found.duration_ms = last.as_ref().map(|last| last.elapsed_ms);
    let outcome = last
        .filter(|last| last.event == "run-ended")
        .and_then(|last| last.outcome);
    (found.verdict, found.why) = match outcome {
        Some(outcome) => (Standing::NotJudged, Some(outcome)),
        None => (Standing::Unfinished, None),
    };
    match given(&found.path.join("verdicts.json")) {
        Ok(Some(given)) => {
            found.verdict = Standing::Judged(given.status);
            found.why = None;
            found.longest_gap_ms = longest_gap(&given.verdicts);
            (found.drill, found.faults) = (given.drill, given.faults);
            if let (Some(fault), Some(target)) = (given.fault, given.target) {
                found.drill = Some(format!("{fault}-{target}"));
                let targets = vec![target];
                found.faults = vec![GivenFault { fault, targets }];
            }
        }
        Ok(None) => {}
        // The run itself may be fine, and can be judged again.
        Err(error) => found.why = Some(format!("{error:#}")),
    }
    found
}

/// The first event of a timeline and the last one that is whole.
fn ends(timeline: &Path) -> anyhow::Result<(First, Option<Last>)> {
    let mut file = File::open(timeline).context("cannot open its timeline")?;
    let mut line = Vec::new();
    BufReader::new((&mut file).take(FIRST))
        .read_until(b'\n', &mut line)
        .context("cannot read its timeline")?;
    let first = serde_json::from_slice(&line).ok();
    let first = first.context("its timeline does not begin with the start of a run")?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LAST)))?;
    let mut tail = Vec::new();
    file.take(LAST).read_to_end(&mut tail)?;
    let mut lines = tail.rsplit(|byte| *byte == b'\n');
    Ok((first, lines.find_map(|line| serde_json::from_slice(line).ok())))
}

/// The verdicts that were given, if there are any.
fn given(path: &Path) -> anyhow::Result<Option<Given>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).context("cannot open its verdicts"),
    };
    let given = serde_json::from_reader(BufReader::new(file)).context("cannot read its verdicts")?;
    Ok(Some(given))
}

fn longest_gap(verdicts: &[Verdict]) -> Option<u64> {
    let gap = verdicts.iter().find(|verdict| verdict.id == "gap")?;
    let kinds = ["acknowledgement", "delivery"].map(|kind| gap.measured.get(kind)?.get("longest_ms")?.as_u64());
    kinds.into_iter().flatten().max()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn put(runs: &Path, name: &str, lines: &[serde_json::Value]) -> PathBuf {
        let folder = runs.join(name);
        std::fs::create_dir(&folder).unwrap();
        let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
        std::fs::write(folder.join("timeline.jsonl"), lines).unwrap();
        folder
    }

    fn first(second: u32) -> serde_json::Value {
        json!({
            "wall": format!("2026-11-24T06:00:{second:02}Z"), "elapsed_ms": 0, "source": "khd",
            "event": "run-started", "schema": event::SCHEMA, "khd": "test", "command": "khd fail kafka2",
        })
    }

    fn ended(outcome: &str) -> serde_json::Value {
        json!({
            "wall": "2026-11-24T07:00:00Z", "elapsed_ms": 1234, "source": "khd", "event": "run-ended",
            "outcome": outcome,
        })
    }

    #[test]
    fn runs_are_listed_by_their_start_whatever_they_are_called() {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), "z-first", &[first(1), ended("done")]);
        put(folder.path(), "a-last", &[first(3), ended("done")]);
        put(folder.path(), "m-middle", &[first(2), ended("done")]);
        std::fs::create_dir(folder.path().join("zz-no-run")).unwrap();
        std::fs::write(folder.path().join("a-file"), "").unwrap();
        let list = list(folder.path()).unwrap();
        let names: Vec<&str> = list.iter().map(|found| found.run.as_str()).collect();
        assert_eq!(names, ["a-last", "m-middle", "z-first", "zz-no-run"]);
    }

    #[test]
    fn where_nothing_was_ever_recorded_the_list_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(list(&folder.path().join("none")).unwrap(), []);
    }

    #[test]
    fn a_row_says_what_is_wrong_with_a_run() {
        let folder = tempfile::tempdir().unwrap();
        let look = |name: &str, lines: &[serde_json::Value]| {
            let found = look(put(folder.path(), name, lines));
            let readable = found.is_readable();
            (found.verdict, found.why.unwrap_or_default(), readable)
        };
        let (standing, why, readable) = look("interrupted", &[first(1), ended("interrupted")]);
        assert_eq!((standing, &*why, readable), (Standing::NotJudged, "interrupted", true));
        let (standing, _, readable) = look("killed", &[first(1)]);
        assert_eq!((standing, readable), (Standing::Unfinished, true));
        let (standing, why, readable) = look("headless", &[ended("done")]);
        assert_eq!((standing, readable), (Standing::Unreadable, false));
        assert!(why.contains("does not begin with the start"), "{why}");
        let (standing, _, readable) = look("empty", &[]);
        assert_eq!((standing, readable), (Standing::Unreadable, false));
        let mut newer = first(1);
        newer["schema"] = json!(event::SCHEMA + 1);
        assert!(!look("newer", &[newer]).2);
    }

    #[test]
    fn the_last_whole_line_of_a_timeline_that_was_cut_off_tells_how_long_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let run = put(folder.path(), "cut", &[first(1), ended("done")]);
        let timeline = run.join("timeline.jsonl");
        let text = std::fs::read_to_string(&timeline).unwrap();
        std::fs::write(&timeline, &text[..text.len() - 3]).unwrap();
        let found = look(run);
        assert_eq!(found.verdict, Standing::Unfinished);
        assert_eq!(found.duration_ms, Some(0));
    }

    #[test]
    fn verdicts_that_were_given_are_shown_and_broken_ones_do_not_hide_the_run() {
        let folder = tempfile::tempdir().unwrap();
        let run = put(folder.path(), "judged", &[first(1), ended("done")]);
        let gap = json!({
            "id": "gap", "status": "failed", "summary": "",
            "measured": {"acknowledgement": {"longest_ms": 700}, "delivery": {"longest_ms": 900}},
        });
        let given = json!({"target": "kafka2", "fault": "stop", "status": "failed", "verdicts": [gap]});
        std::fs::write(run.join("verdicts.json"), given.to_string()).unwrap();
        let found = look(run.clone());
        assert_eq!(found.verdict, Standing::Judged(Status::Failed));
        let of_one = GivenFault {
            fault: "stop".into(),
            targets: vec!["kafka2".into()],
        };
        assert_eq!(
            (found.longest_gap_ms, &found.faults[..]),
            (Some(900), &[of_one.clone()][..])
        );
        assert_eq!(found.drill.as_deref(), Some("stop-kafka2"));
        let given = json!({
            "schema": 2, "drill": "stop-broker", "faults": [{"fault": "stop", "targets": ["kafka2"], "injected_ms": 5}],
            "status": "passed", "verdicts": [],
        });
        std::fs::write(run.join("verdicts.json"), given.to_string()).unwrap();
        let found = look(run.clone());
        assert_eq!(
            (found.drill.as_deref(), &found.faults[..]),
            (Some("stop-broker"), &[of_one][..])
        );
        std::fs::write(run.join("verdicts.json"), "{").unwrap();
        let found = look(run);
        assert_eq!((found.verdict, found.is_readable()), (Standing::NotJudged, true));
        assert!(found.why.unwrap().contains("cannot read its verdicts"));
    }
}
