//! When a run can be looked at: the moments just before faults are injected or undone, at which the lab had its time.
//!
//! A drill may inject a fault while others are in place, and undo it before anything could come of it. What a lab has to be
//! like under faults is therefore asked only where the drill waited for it, or where Kafka had the time that it needs.

use std::collections::BTreeSet;

use crate::timeline::conditions;
use crate::timeline::event::Kind;
use crate::timeline::view::View;
use crate::topology::Expectation;
use crate::verdicts::evidence::{Evidence, FaultTimes};

/// Beyond the session time-out: sessions expire once per tick, and the controller has to act.
const MARGIN_MS: u64 = 5_000;

/// The end of a time in which the same faults were in place.
#[derive(Debug, Clone)]
pub struct Moment<'a> {
    /// Its place among the events: the next fault is injected here, or one is undone, or messages are judged.
    pub at: usize,
    /// What was known just before.
    pub view: View,
    /// Faults in place, by when they were injected.
    pub faults: Vec<&'a FaultTimes>,
    /// Since where the same faults were in place.
    pub since: usize,
    /// Since where the same servers were out.
    pub servers_since: usize,
}

impl Moment<'_> {
    /// The moment's faults in words: `kill of kafka2`, `kill of kafka2 and stop of zookeeper1`.
    pub fn words(&self) -> String {
        let words: Vec<String> = self.faults.iter().map(|fault| fault.words()).collect();
        words.join(" and ")
    }

    /// The last injected of its faults that puts a broker out.
    pub fn last_on_broker(&self, expected: &Expectation) -> Option<&FaultTimes> {
        let mut faults = self.faults.iter().rev();
        faults.find(|fault| fault.brokers(expected).next().is_some()).copied()
    }

    /// How many brokers are left.
    pub fn brokers_left(&self, expected: &Expectation) -> usize {
        let brokers = expected.brokers.keys();
        brokers.filter(|broker| !self.view.is_out(broker)).count()
    }

    /// Whether each of its faults was proven.
    pub fn is_proven(&self) -> bool {
        let proven = |fault: &&FaultTimes| fault.effective.as_ref().is_some_and(|(place, _)| *place < self.at);
        self.faults.iter().all(proven)
    }
}

/// The moments at which faults are in place, in order.
pub fn under_faults(evidence: &Evidence) -> Vec<Moment<'_>> {
    let cut = evidence.events.iter().position(|event| matches!(event.kind, Kind::Cut));
    let end = cut.unwrap_or(evidence.events.len());
    let mut changes: BTreeSet<usize> = BTreeSet::from([end]);
    for fault in &evidence.faults {
        changes.insert(fault.injected);
        changes.extend(fault.undone);
    }
    let mut moments = Vec::new();
    let mut view = View::default();
    let (mut folded, mut since, mut servers_since) = (0, 0, 0);
    let mut out = BTreeSet::new();
    for at in changes.into_iter().filter(|at| *at <= end) {
        evidence.events[folded..at].iter().for_each(|event| view.apply(event));
        folded = at;
        let now = servers_out(&view, &evidence.expected);
        if now != out {
            (out, servers_since) = (now, since);
        }
        let in_place = |fault: &&FaultTimes| fault.injected < at && fault.undone.is_none_or(|undone| at <= undone);
        let faults: Vec<&FaultTimes> = evidence.faults.iter().filter(in_place).collect();
        if !faults.is_empty() {
            moments.push(Moment {
                at,
                view: view.clone(),
                faults,
                since,
                servers_since,
            });
        }
        since = at;
    }
    moments
}

/// Whether the run waited for one of these conditions, to its end, between two places.
pub fn waited(evidence: &Evidence, conditions: &[&str], from: usize, to: usize) -> bool {
    evidence.steps.iter().any(|step| {
        let ended_between = step.ended.is_some_and(|ended| (from..to).contains(&ended));
        ended_between && step.waits_for(conditions)
    })
}

/// Whether the same servers were out for long enough at a moment that Kafka must have noticed: the run waited until it did,
/// or for as long as a session takes to expire.
pub fn noticed(evidence: &Evidence, moment: &Moment<'_>) -> bool {
    let from = moment.servers_since;
    // Where nothing ends it, the last event does.
    let ends = evidence.events.get(moment.at).or(evidence.events.last());
    let last = ends.map_or(0, |event| event.elapsed_ms);
    let expiry = evidence.expected.session_timeout_ms + MARGIN_MS;
    let injected = evidence.faults.iter().any(|fault| fault.injected == from);
    // What comes back has no time of its own to do so.
    let had_time = injected && evidence.since(from, last) > expiry;
    let waited = waited(evidence, &["settled", "leaders-moved", "isr-shrunk"], from, moment.at);
    moment.is_proven() && (had_time || waited)
}

fn servers_out(view: &View, expected: &Expectation) -> BTreeSet<String> {
    view.out()
        .filter(|name| expected.is_server(name))
        .map(str::to_owned)
        .collect()
}

/// The moments under faults at which the lab had settled without whom the faults put out, as far as the drill waited for
/// it, and as it can at all: with a quorum and enough brokers to write to.
pub fn settled(evidence: &Evidence) -> Vec<Moment<'_>> {
    let expected = &evidence.expected;
    let mut moments = under_faults(evidence);
    moments.retain(|moment| {
        waited(evidence, &["settled"], moment.since, moment.at)
            && moment.is_proven()
            && conditions::can_write(&moment.view, expected)
    });
    moments
}
