//! What a run's folder holds, loaded once for all checks.

use std::fs::File;
use std::io::BufReader;

use anyhow::Context as _;

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
    /// The fault, if the run had one.
    pub fault: Option<FaultTimes>,
    /// What was known just before the fault was injected; without a fault, at the end.
    pub before: View,
    /// What was known just before the fault was undone, or at the end where it was left in place.
    pub during: View,
    /// What was known when the ledgers and the log were compared, or at the end.
    pub after: View,
    /// The cut, in milliseconds since the Unix epoch: sends begun before it are settled.
    pub cut: Option<i64>,
    /// What producers were told, what members delivered, and what the log holds, if that could be collected.
    pub messages: Option<Messages>,
}

/// When a fault was in place. Events are given by their place in [`Evidence::events`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultTimes {
    /// Its name.
    pub fault: String,
    /// The service it hit.
    pub target: String,
    /// Where it was injected.
    pub injected: usize,
    /// Where it was proven, and the proof.
    pub effective: Option<(usize, String)>,
    /// Where it was undone.
    pub undone: Option<usize>,
}

impl Evidence {
    /// Loads a run's folder.
    ///
    /// # Errors
    /// When the timeline, a ledger or the log's summary is there and cannot be read. What is missing is no error:
    /// checks that need it say so.
    pub fn load(run: &RunFolder) -> anyhow::Result<Self> {
        let events = record::read(&run.timeline())?;
        let path = run.log_summary();
        let messages = match File::open(&path) {
            Ok(file) => {
                let log = read_log(file).with_context(|| format!("cannot read {}", path.display()))?;
                let scope = Scope {
                    since: events.first().map_or(i64::MIN, wall_ms),
                    // What was acknowledged after the end offsets were taken need not be in the log that was read.
                    until: log.taken,
                };
                Some(Messages::of_run(
                    Ledgers::load(&run.ledgers(), scope)?,
                    log,
                    scope.since,
                ))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("cannot open {}", path.display())),
        };
        Self::new(events, messages)
    }

    /// Puts evidence together.
    ///
    /// # Errors
    /// When the events do not begin with the start of a run.
    pub fn new(events: Vec<Event>, messages: Option<Messages>) -> anyhow::Result<Self> {
        let Some(Kind::RunStarted {
            expectation, limits, ..
        }) = events.first().map(|event| &event.kind)
        else {
            anyhow::bail!("the timeline does not begin with the start of a run");
        };
        let (expected, limits) = (expectation.clone(), limits.clone());
        let fault = fault_times(&events);
        let cut_at = events.iter().position(|event| matches!(event.kind, Kind::Cut));
        let mut view = View::default();
        let (mut before, mut during, mut after) = (None, None, None);
        for (place, event) in events.iter().enumerate() {
            if let Some(fault) = &fault {
                if place == fault.injected {
                    before = Some(view.clone());
                }
                if Some(place) == fault.undone {
                    during = Some(view.clone());
                }
            }
            view.apply(event);
            if Some(place) == cut_at {
                after = Some(view.clone());
            }
        }
        let after = after.unwrap_or(view);
        Ok(Self {
            cut: cut_at.map(|place| wall_ms(&events[place])),
            before: before.unwrap_or_else(|| after.clone()),
            during: during.unwrap_or_else(|| after.clone()),
            after,
            events,
            expected,
            limits,
            fault,
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

    /// The time from a fault's injection to the cut: what happened in it is the fault's doing.
    pub fn fault_window(&self) -> Option<Window> {
        let fault = self.fault.as_ref()?;
        let from = wall_ms(&self.events[fault.injected]);
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
    pub fn effective_window(&self) -> Option<Window> {
        let fault = self.fault.as_ref()?;
        let (effective, _) = fault.effective.as_ref()?;
        let to = fault
            .undone
            .map_or_else(|| self.end(), |place| wall_ms(&self.events[place]));
        let from = wall_ms(&self.events[*effective]);
        Some(Window { from, to })
    }

    /// Whether there was a fault of which nothing shows that it took effect: what was seen during it proves nothing.
    pub fn unproven(&self) -> bool {
        self.fault.as_ref().is_some_and(|fault| fault.effective.is_none())
    }

    /// Milliseconds from one event to a moment since the start.
    pub fn since(&self, place: usize, elapsed_ms: u64) -> u64 {
        elapsed_ms.saturating_sub(self.events[place].elapsed_ms)
    }

    fn end(&self) -> i64 {
        self.cut.or_else(|| self.events.last().map(wall_ms)).unwrap_or_default()
    }
}

fn wall_ms(event: &Event) -> i64 {
    event.wall.as_millisecond()
}

fn fault_times(events: &[Event]) -> Option<FaultTimes> {
    let mut times: Option<FaultTimes> = None;
    for (place, event) in events.iter().enumerate() {
        match (&event.kind, &mut times) {
            (Kind::FaultInjected { fault, target }, None) => {
                times = Some(FaultTimes {
                    fault: fault.clone(),
                    target: target.clone(),
                    injected: place,
                    effective: None,
                    undone: None,
                });
            }
            (Kind::FaultEffective { proof, .. }, Some(times)) => times.effective = Some((place, proof.clone())),
            (Kind::FaultUndone { .. }, Some(times)) => times.undone = Some(place),
            _ => {}
        }
    }
    times
}

fn read_log(file: File) -> anyhow::Result<LogSummary> {
    let log: LogSummary = serde_json::from_reader(BufReader::new(file))?;
    anyhow::ensure!(
        log.schema == audit::SCHEMA,
        "it has schema {}; this khd reads schema {}",
        log.schema,
        audit::SCHEMA
    );
    Ok(log)
}
