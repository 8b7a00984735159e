//! What a run's folder holds, loaded once for all checks.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::thread;

use anyhow::Context as _;
use serde_json::{Map, Value};

use crate::state::RunFolder;
use crate::timeline::conditions::Lacking;
use crate::timeline::event::{Event, Kind};
use crate::timeline::limits::Limits;
use crate::timeline::record;
use crate::timeline::view::View;
use crate::topology::Expectation;
use crate::verdicts::Check;
use crate::verdicts::messages::Messages;
use crate::workload::audit::{self, LogSummary};
use crate::workload::ledger::Scope;
use crate::workload::ledger::history::Ledgers;
use crate::workload::spans::Window;

/// The evidence of one run.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// Every event, in order.
    pub events: Vec<Event>,
    /// What must be true of the lab.
    pub expected: Expectation,
    /// Limits that it is judged by.
    pub limits: Limits,
    /// Checks that do not apply to this run, by id, each with the reason.
    pub skip: BTreeMap<String, String>,
    /// The faults, in the order in which they were injected.
    pub faults: Vec<FaultTimes>,
    /// The steps that began, in order.
    pub steps: Vec<StepTimes>,
    /// What was known just before the first fault was injected; without a fault, at the end.
    pub before: View,
    /// What was known when the ledgers and the log were compared, or at the end.
    pub after: View,
    /// The cut, in milliseconds since the Unix epoch: sends begun before it are settled.
    pub cut: Option<i64>,
    /// What producers were told, what members delivered, and what the log holds, if that could be collected.
    pub messages: Option<Messages>,
}

/// When a fault was in place. Events are given by their place in [`Evidence::events`].
#[derive(Debug, Clone, PartialEq)]
pub struct FaultTimes {
    /// Its number in the run.
    pub id: u32,
    /// Its name.
    pub fault: String,
    /// What it hit.
    pub targets: Vec<String>,
    /// Those of them that were out of the cluster.
    pub out: BTreeSet<String>,
    /// Its options, by name.
    pub options: Map<String, Value>,
    /// Whom the user asked for, where that was a role.
    pub asked: Vec<String>,
    /// Where it was injected.
    pub injected: usize,
    /// Where it was proven, and the proof.
    pub effective: Option<(usize, String)>,
    /// Where undoing it began.
    pub undone: Option<usize>,
    /// Where it was proven to be healed, and the proof.
    pub healed: Option<(usize, String)>,
}

impl FaultTimes {
    /// It in words: `kill of kafka2`.
    pub fn words(&self) -> String {
        format!("{} of {}", self.fault, self.targets.join(", "))
    }

    /// Brokers that it put out.
    pub fn brokers<'a>(&'a self, expected: &'a Expectation) -> impl Iterator<Item = &'a str> {
        let out = self.out.iter().map(String::as_str);
        out.filter(|name| expected.broker_id(name).is_some())
    }
}

/// When a step ran. Events are given by their place in [`Evidence::events`].
#[derive(Debug, Clone, PartialEq)]
pub struct StepTimes {
    /// Its number in the run.
    pub step: u32,
    /// What sort of step it is: `fail`, `until`, `recover` …
    pub sort: String,
    /// What it does, in words.
    pub words: String,
    /// The condition that it waited for, by name, where it waited for one.
    pub until: Option<String>,
    /// Where it began.
    pub began: usize,
    /// Where it ended, if it did.
    pub ended: Option<usize>,
    /// What was lacking where it did not come true.
    pub lacking: Lacking,
}

impl StepTimes {
    /// Whether it waits for one of these conditions, by name.
    pub fn waits_for(&self, conditions: &[&str]) -> bool {
        self.until
            .as_deref()
            .is_some_and(|condition| conditions.contains(&condition))
    }
}

impl Evidence {
    /// Loads a run's folder.
    ///
    /// # Errors
    /// When the timeline, a ledger or the log's summary is there and cannot be read. What is missing is no error:
    /// checks that need it say so.
    pub fn load(run: &RunFolder) -> anyhow::Result<Self> {
        let events = record::read(&run.timeline())?;
        let since = events.first().map_or(i64::MIN, wall_ms);
        Self::new(events, load_messages(run, since)?)
    }

    /// Puts evidence together.
    ///
    /// # Errors
    /// When the events do not begin with the start of a run.
    pub fn new(events: Vec<Event>, messages: Option<Messages>) -> anyhow::Result<Self> {
        let Some(Kind::RunStarted {
            expectation,
            limits,
            skip,
            ..
        }) = events.first().map(|event| &event.kind)
        else {
            anyhow::bail!("the timeline does not begin with the start of a run");
        };
        let (expected, limits, skip) = (Expectation::clone(expectation), limits.clone(), skip.clone());
        let cut_at = events.iter().position(|event| matches!(event.kind, Kind::Cut));
        let (mut faults, mut steps): (Vec<FaultTimes>, Vec<StepTimes>) = (Vec::new(), Vec::new());
        let mut view = View::default();
        let (mut before, mut after) = (None, None);
        for (place, event) in events.iter().enumerate() {
            if matches!(event.kind, Kind::FaultInjected { .. }) {
                before.get_or_insert_with(|| view.clone());
            }
            take_fault(&mut faults, place, event);
            take_step(&mut steps, place, event);
            view.apply(event);
            if Some(place) == cut_at {
                after = Some(view.clone());
            }
        }
        let after = after.unwrap_or(view);
        Ok(Self {
            cut: cut_at.map(|place| wall_ms(&events[place])),
            before: before.unwrap_or_else(|| after.clone()),
            after,
            events,
            expected,
            limits,
            skip,
            faults,
            steps,
            messages,
        })
    }

    /// What producers were told and what members delivered, if it could be collected.
    pub fn ledgers(&self) -> Option<&Ledgers> {
        self.messages.as_ref().map(|messages| &messages.ledgers)
    }

    /// Milliseconds since the start from which a condition held on end, between two events.
    ///
    /// Returns what was lacking at the end when it did not hold there.
    pub fn held_since(
        &self,
        from: usize,
        to: Option<usize>,
        condition: impl Fn(&View) -> Lacking,
    ) -> Result<u64, Lacking> {
        let to = to.unwrap_or(self.events.len());
        let mut view = View::default();
        self.events[..from].iter().for_each(|event| view.apply(event));
        let mut held: Result<u64, Lacking> = Err(vec!["nothing was observed".into()]);
        for event in &self.events[from..to] {
            view.apply(event);
            held = match (condition(&view), held) {
                (lacking, Ok(since)) if lacking.is_empty() => Ok(since),
                (lacking, Err(_)) if lacking.is_empty() => Ok(event.elapsed_ms),
                (lacking, _) => Err(lacking),
            };
        }
        held
    }

    /// The time from the first fault's injection to the cut: what happened in it is the faults' doing.
    pub fn fault_window(&self) -> Option<Window> {
        let first = self.faults.first()?;
        let from = wall_ms(&self.events[first.injected]);
        Some(Window { from, to: self.end() })
    }

    /// The window in which a check looks for harm: that of the fault, or, where somebody asked for it, all of the run.
    pub fn window_for(&self, check: &dyn Check) -> Option<Window> {
        let whole = || Window {
            from: self.events.first().map_or(0, wall_ms),
            to: self.end(),
        };
        self.fault_window().or_else(|| self.asked(check).then(whole))
    }

    /// Whether somebody asked for this run to be judged by a limit of theirs.
    pub fn asked(&self, check: &dyn Check) -> bool {
        self.limits.get(check.id()).is_some_and(|bound| bound.asked)
    }

    /// The time in which a fault was proven to be in place.
    pub fn effective_window(&self, fault: &FaultTimes) -> Option<Window> {
        let (effective, _) = fault.effective.as_ref()?;
        let to = fault
            .undone
            .map_or_else(|| self.end(), |place| wall_ms(&self.events[place]));
        let from = wall_ms(&self.events[*effective]);
        Some(Window { from, to })
    }

    /// For how long a fault was proven to be in place, in milliseconds, until it was undone, or until the cut.
    pub fn effective_for_ms(&self, fault: &FaultTimes) -> Option<u64> {
        let (effective, _) = fault.effective.as_ref()?;
        let cut = || self.events.iter().position(|event| matches!(event.kind, Kind::Cut));
        let end = fault.undone.or_else(cut).unwrap_or(self.events.len() - 1);
        Some(self.since(*effective, self.events[end].elapsed_ms))
    }

    /// Whether there was a fault of which nothing shows that it took effect: what was seen during it proves nothing.
    pub fn unproven(&self) -> bool {
        self.faults.iter().any(|fault| fault.effective.is_none())
    }

    /// Milliseconds from one event to a moment since the start.
    pub fn since(&self, place: usize, elapsed_ms: u64) -> u64 {
        elapsed_ms.saturating_sub(self.events[place].elapsed_ms)
    }

    fn end(&self) -> i64 {
        self.cut.or_else(|| self.events.last().map(wall_ms)).unwrap_or_default()
    }
}

/// When it happened, in milliseconds since the Unix epoch.
pub fn wall_ms(event: &Event) -> i64 {
    event.wall.as_millisecond()
}

/// Folds one event into the faults.
fn take_fault(faults: &mut Vec<FaultTimes>, place: usize, event: &Event) {
    fn of<'a>(faults: &'a mut [FaultTimes], id: &u32) -> Option<&'a mut FaultTimes> {
        faults.iter_mut().rfind(|fault| fault.id == *id)
    }
    match &event.kind {
        Kind::FaultInjected {
            id,
            fault,
            targets,
            out,
            options,
            asked,
            adds: _,
        } => faults.push(FaultTimes {
            id: *id,
            fault: fault.clone(),
            targets: targets.clone(),
            out: out.clone(),
            options: options.clone(),
            asked: asked.clone(),
            injected: place,
            effective: None,
            undone: None,
            healed: None,
        }),
        Kind::FaultEffective { id, proof } => {
            if let Some(fault) = of(faults, id) {
                fault.effective = Some((place, proof.clone()));
            }
        }
        Kind::FaultUndone { id } => {
            // Where undoing was tried again, the first try counts.
            if let Some(fault) = of(faults, id).filter(|fault| fault.undone.is_none()) {
                fault.undone = Some(place);
            }
        }
        Kind::FaultHealed { id, proof } => {
            if let Some(fault) = of(faults, id) {
                fault.healed = Some((place, proof.clone()));
            }
        }
        _ => {}
    }
}

/// Folds one event into the steps.
fn take_step(steps: &mut Vec<StepTimes>, place: usize, event: &Event) {
    match &event.kind {
        Kind::StepStarted {
            step,
            sort,
            words,
            until,
        } => steps.push(StepTimes {
            step: *step,
            sort: sort.clone(),
            words: words.clone(),
            until: until.clone(),
            began: place,
            ended: None,
            lacking: Lacking::new(),
        }),
        Kind::StepEnded { step, lacking, .. } => {
            if let Some(open) = steps.iter_mut().rfind(|open| open.step == *step) {
                open.ended = Some(place);
                open.lacking.clone_from(lacking);
            }
        }
        _ => {}
    }
}

/// What the ledgers and the log's summary tell of messages; nothing, where the log was not read.
fn load_messages(run: &RunFolder, since: i64) -> anyhow::Result<Option<Messages>> {
    let path = run.log_summary();
    let mut file = match File::open(&path) {
        Ok(file) => BufReader::new(file),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot open {}", path.display())),
    };
    let cannot = || format!("cannot read {}", path.display());
    let taken = LogSummary::taken_by(file.fill_buf().with_context(cannot)?);
    let read_log = || read_log(file).with_context(cannot);
    let read_ledgers = |taken: i64| {
        let scope = Scope {
            since,
            // What was acknowledged after the end offsets were taken need not be in the log that was read.
            until: taken,
        };
        Ledgers::load(&run.ledgers(), scope)
    };
    let (log, ledgers) = match taken {
        Some(taken) => thread::scope(|scope| {
            let log = scope.spawn(read_log);
            let ledgers = read_ledgers(taken);
            let log = log.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            anyhow::Ok((log?, ledgers?))
        })?,
        None => {
            let log = read_log()?;
            let ledgers = read_ledgers(log.taken)?;
            (log, ledgers)
        }
    };
    Ok(Some(Messages::of_run(ledgers, log, since)))
}

fn read_log(file: impl BufRead) -> anyhow::Result<LogSummary> {
    let log: LogSummary = serde_json::from_reader(file)?;
    anyhow::ensure!(
        log.schema == audit::SCHEMA,
        "it has schema {}; this khd reads schema {}",
        log.schema,
        audit::SCHEMA
    );
    Ok(log)
}
