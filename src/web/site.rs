//! All that the page is told: what holds now, how it came to that, and what is new.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use tokio::sync::{broadcast, watch};

use super::feed::Line;
use super::state::State;

/// How many samples are kept: those of ten minutes, at one a second.
const SAMPLES: usize = 600;
/// How many lines are kept.
const LINES: usize = 200;
/// How many messages a browser may lag behind before it misses some.
const AHEAD: usize = 256;

/// What the page is told. Shared between what watches a lab and the browsers that look.
#[derive(Debug)]
pub struct Site {
    runs: PathBuf,
    state: watch::Sender<State>,
    news: broadcast::Sender<News>,
    past: Mutex<Past>,
}

/// What was told so far, and is still of interest.
#[derive(Debug, Default)]
struct Past {
    samples: VecDeque<Sample>,
    lines: VecDeque<Line>,
}

/// Something new, to be told once.
#[derive(Debug, Clone)]
pub(super) enum News {
    /// A second has passed.
    Sample(Sample),
    /// Something happened.
    Line(Line),
}

/// The lab at one second, as charts draw it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Sample {
    /// When, in milliseconds since the Unix epoch.
    pub at: i64,
    /// Messages written a second.
    pub written: Option<f64>,
    /// Messages a second whose offsets the group committed.
    pub committed: Option<f64>,
    /// Messages in the log whose offsets the group has not committed.
    pub lag: Option<i64>,
    /// Latencies in seconds.
    pub ack_p50: Option<f64>,
    /// As above.
    pub ack_p99: Option<f64>,
    /// As above.
    pub delivered_p50: Option<f64>,
    /// As above.
    pub delivered_p99: Option<f64>,
    /// How long the longest gap of acknowledgements has been open, in milliseconds.
    pub gap_ack_ms: i64,
    /// How long the longest gap of deliveries has been open, in milliseconds.
    pub gap_delivery_ms: i64,
    /// Whether a fault is in place.
    pub fault: bool,
}

impl Site {
    /// A site of which nothing is known yet; it lists the runs of a folder.
    pub fn new(runs: &Path) -> Self {
        Self {
            runs: runs.to_owned(),
            state: watch::Sender::new(State::default()),
            news: broadcast::Sender::new(AHEAD),
            past: Mutex::new(Past::default()),
        }
    }

    /// The folder of runs.
    pub(super) fn runs(&self) -> &Path {
        &self.runs
    }

    /// What holds now, and whenever it changes.
    pub(super) fn state(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// Tells what holds now.
    pub(super) fn set_state(&self, state: State) {
        self.state.send_if_modified(|told| {
            let changed = *told != state;
            *told = state;
            changed
        });
    }

    /// Tells that a second has passed.
    pub(super) fn add_sample(&self, sample: Sample) {
        let mut past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        past.samples.push_back(sample);
        if past.samples.len() > SAMPLES {
            past.samples.pop_front();
        }
        // Under the lock, so that whoever joins gets each sample once. Nobody looking is fine.
        let _ = self.news.send(News::Sample(sample));
    }

    /// Tells that something happened.
    pub(super) fn add_line(&self, line: Line) {
        let mut past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        past.lines.push_back(line.clone());
        if past.lines.len() > LINES {
            past.lines.pop_front();
        }
        let _ = self.news.send(News::Line(line));
    }

    /// What was told so far, and what will be from now on.
    pub(super) fn join(&self) -> (Vec<Sample>, Vec<Line>, broadcast::Receiver<News>) {
        let past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        let samples = past.samples.iter().copied().collect();
        let lines = past.lines.iter().cloned().collect();
        (samples, lines, self.news.subscribe())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(at: i64) -> Line {
        Line {
            at,
            source: "khd".into(),
            text: "so it goes".into(),
        }
    }

    #[test]
    fn who_comes_later_is_told_the_last_of_what_was_and_then_what_is_new() {
        let site = Site::new(Path::new("/nowhere"));
        (0..300).for_each(|at| site.add_line(line(at)));
        let (samples, lines, mut news) = site.join();
        assert!(samples.is_empty());
        assert_eq!((lines.len(), lines[0].at), (LINES, 100));
        site.add_line(line(300));
        assert!(matches!(news.try_recv().unwrap(), News::Line(new) if new.at == 300));
        assert!(news.try_recv().is_err());
    }

    #[test]
    fn a_state_is_told_only_when_it_changed() {
        let site = Site::new(Path::new("/nowhere"));
        let mut state = site.state();
        state.mark_unchanged();
        let changed = State {
            healthy: true,
            ..State::default()
        };
        site.set_state(State::default());
        assert!(!state.has_changed().unwrap());
        site.set_state(changed);
        assert!(state.has_changed().unwrap());
    }
}
