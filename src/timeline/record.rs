//! Writing a timeline as it happens, and reading it again.

use std::fs::File;
use std::io::{BufRead, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use jiff::Timestamp;
use tokio::sync::{broadcast, watch};

use crate::lines;
use crate::timeline::event::{Event, Kind, SCHEMA};
use crate::timeline::view::View;

/// Longest line in bytes: hundreds of times what the largest event of a large lab takes.
const LONGEST_LINE: usize = 4 << 20;

/// A timeline in the making. Clones write to the same one; events get their one order here.
#[derive(Debug, Clone)]
pub struct Timeline {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    started: Instant,
    // The lock is what orders events: elapsed time is taken, the line written and the view folded under it.
    file: Mutex<Option<File>>,
    view: watch::Sender<View>,
    live: broadcast::Sender<Event>,
}

impl Timeline {
    /// Starts a timeline that is written to `path` as it happens.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        let file = File::create_new(path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self::new(Some(file)))
    }

    /// Starts a timeline that is kept by nobody: for commands that watch a lab without recording a run.
    pub fn unrecorded() -> Self {
        Self::new(None)
    }

    fn new(file: Option<File>) -> Self {
        Self {
            inner: Arc::new(Inner {
                started: Instant::now(),
                file: Mutex::new(file),
                view: watch::Sender::new(View::default()),
                live: broadcast::Sender::new(4096),
            }),
        }
    }

    /// Records that something happened now.
    ///
    /// A line that cannot be written is logged and the run goes on: a full disk must not leave a fault in place.
    pub fn emit(&self, source: &str, kind: Kind) {
        let mut file = self.inner.file.lock().unwrap_or_else(PoisonError::into_inner);
        let event = Event {
            wall: Timestamp::now(),
            elapsed_ms: self.elapsed().as_millis() as u64,
            source: source.to_owned(),
            kind,
        };
        if let Some(file) = file.as_mut() {
            let written = serde_json::to_vec(&event)
                .map_err(anyhow::Error::from)
                .and_then(|mut line| {
                    line.push(b'\n');
                    Ok(file.write_all(&line)?)
                });
            if let Err(error) = written {
                tracing::error!("cannot write the timeline: {error:#}");
            }
        }
        self.inner.view.send_modify(|view| view.apply(&event));
        // Nobody listening is fine.
        let _ = self.inner.live.send(event);
    }

    /// Time since the timeline started.
    pub fn elapsed(&self) -> Duration {
        self.inner.started.elapsed()
    }

    /// What is known of the lab, now and whenever it changes.
    pub fn view(&self) -> watch::Receiver<View> {
        self.inner.view.subscribe()
    }

    /// Events from now on, for whoever shows them.
    pub fn live(&self) -> broadcast::Receiver<Event> {
        self.inner.live.subscribe()
    }
}

/// Reads a timeline. A last line that was cut off by a crash is left out.
///
/// # Errors
/// When the file cannot be read, a line other than the last is not an event, a line is longer than any event, or the
/// schema is not this khd's.
pub fn read(path: &Path) -> anyhow::Result<Vec<Event>> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    read_from(lines::buffered(file), &path.display().to_string())
}

/// Reads a timeline from `source`; errors call it by `name`.
///
/// # Errors
/// As those of [`read`].
pub fn read_from(source: impl BufRead, name: &str) -> anyhow::Result<Vec<Event>> {
    let mut events: Vec<Event> = Vec::new();
    let mut bad: Option<(usize, serde_json::Error)> = None;
    // Of another version, other fields may be missing or misshapen.
    let schema = |line: &[u8]| serde_json::from_slice(line).ok().map(|Version { schema }| schema);
    let parse = |line: &[u8]| (line != b"\n").then(|| Event::parse(line).map_err(|error| (error, schema(line))));
    let read = lines::read(source, LONGEST_LINE, parse, |number, event| {
        let Some(event) = event else { return Ok(()) };
        if let Some((number, error)) = bad.take() {
            return Err(error).with_context(|| format!("line {number} is not an event"));
        }
        let schema = match &event {
            Ok(event) => event.schema(),
            Err((_, schema)) => *schema,
        };
        if events.is_empty()
            && let Some(schema) = schema.filter(|schema| *schema != SCHEMA)
        {
            anyhow::bail!("it has schema {schema}; this khd reads schema {SCHEMA}");
        }
        match event {
            Ok(event) => events.push(event),
            Err((error, _)) => bad = Some((number, error)),
        }
        Ok(())
    });
    read.with_context(|| format!("cannot read {name}"))?;
    match events.first().map(|event| &event.kind) {
        Some(Kind::RunStarted { .. }) => Ok(events),
        _ => anyhow::bail!("{name} does not begin with the start of a run"),
    }
}

/// What is read of the first event before the rest of it.
#[derive(serde::Deserialize)]
struct Version {
    schema: u32,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::settings::Settings;
    use crate::timeline::limits::Limits;
    use crate::topology::Topology;

    fn started() -> Kind {
        Kind::RunStarted {
            schema: SCHEMA,
            khd: "test".into(),
            command: "khd verify".into(),
            expectation: Topology::of(&Settings::default())
                .expectation(Duration::from_secs(18))
                .into(),
            limits: Limits::new(),
            skip: BTreeMap::new(),
        }
    }

    #[test]
    fn a_timeline_cut_off_at_any_byte_is_read_up_to_its_last_whole_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("timeline.jsonl");
        let timeline = Timeline::create(&path).unwrap();
        timeline.emit("khd", started());
        let head = std::fs::metadata(&path).unwrap().len() as usize;
        timeline.emit("kafka1", Kind::BrokerAnswers);
        timeline.emit("khd", Kind::Cut);
        let whole = std::fs::read(&path).unwrap();
        let lines_until = |end: usize| whole[..end].iter().filter(|byte| **byte == b'\n').count();
        for end in head..=whole.len() {
            std::fs::write(&path, &whole[..end]).unwrap();
            let read = read(&path).unwrap().len();
            // A line that lacks only its line feed is whole.
            assert!(
                read == lines_until(end) || read == lines_until(end) + 1,
                "cut at byte {end}"
            );
        }
    }

    #[test]
    fn a_broken_line_in_the_middle_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("timeline.jsonl");
        let timeline = Timeline::create(&path).unwrap();
        timeline.emit("khd", started());
        let mut text = std::fs::read_to_string(&path).unwrap();
        let copy = text.clone();
        text.push_str("garbage\n");
        text.push_str(&copy);
        std::fs::write(&path, text).unwrap();
        let error = format!("{:#}", read(&path).unwrap_err());
        assert!(error.contains("timeline.jsonl: line 2 is not an event: "), "{error}");
    }

    #[test]
    fn the_view_knows_what_each_broker_said_and_forgets_a_silent_one() {
        let timeline = Timeline::unrecorded();
        timeline.emit("khd", started());
        timeline.emit("kafka2", Kind::BrokerAnswers);
        timeline.emit(
            "kafka2",
            Kind::Cluster {
                controller: 1,
                brokers: [1, 2, 3].into(),
            },
        );
        assert_eq!(timeline.view().borrow().brokers[&2].controller, Some(1));
        timeline.emit(
            "kafka2",
            Kind::BrokerSilent {
                error: "refused".into(),
            },
        );
        assert_eq!(timeline.view().borrow().brokers[&2].controller, None);
        assert_eq!(timeline.view().borrow().witnesses().count(), 0);
    }

    #[test]
    fn the_generation_is_the_latest_that_any_member_told_of() {
        let timeline = Timeline::unrecorded();
        for (member, generation) in [
            ("consumer-1", Some(4)),
            ("consumer-2", Some(5)),
            ("consumer-1", Some(4)),
        ] {
            let partitions = Vec::new();
            let group = "test".to_owned();
            let assigned = Kind::PartitionsAssigned {
                group,
                member: None,
                generation,
                partitions,
            };
            timeline.emit(member, assigned);
        }
        assert_eq!(timeline.view().borrow().generation, Some(5));
    }

    #[test]
    fn a_broker_that_wrongly_believes_to_coordinate_the_group_does_not_outlast_its_own_correction() {
        let timeline = Timeline::unrecorded();
        timeline.emit("khd", started());
        let group = || Kind::Group {
            group: "test".into(),
            state: "Stable".into(),
            members: Vec::new(),
        };
        let coordinator = || timeline.view().borrow().group.as_ref().map(|group| group.coordinator);
        for broker in ["kafka1", "kafka2"] {
            timeline.emit(broker, Kind::BrokerAnswers);
        }
        timeline.emit("kafka1", group());
        std::thread::sleep(Duration::from_millis(2));
        timeline.emit("kafka2", group());
        assert_eq!(coordinator(), Some(2));
        timeline.emit("kafka2", Kind::CoordinatorLost { group: "test".into() });
        assert_eq!(coordinator(), Some(1));
        timeline.emit(
            "khd",
            Kind::FaultInjected {
                id: 1,
                fault: "pause".into(),
                targets: vec!["kafka1".into()],
                out: ["kafka1".to_owned()].into(),
                adds: false,
                options: serde_json::Map::new(),
                asked: Vec::new(),
            },
        );
        assert_eq!(coordinator(), None);
    }
}
