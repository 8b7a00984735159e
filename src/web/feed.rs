//! Events in words, as the page lists them.

use serde::Serialize;

use crate::live::gaps::Gaps;
use crate::live::lines;
use crate::timeline::event::{Event, Kind};

/// A line of the feed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Line {
    /// When, in milliseconds since the Unix epoch.
    pub at: i64,
    /// Who says so.
    pub source: String,
    /// What.
    pub text: String,
}

/// Makes lines of events; those of gaps come together, a little later.
#[derive(Debug, Default)]
pub(super) struct Feed {
    gaps: Gaps,
}

impl Feed {
    /// Folds an event in, and gives its line, if it has one of its own.
    pub(super) fn take(&mut self, event: &Event) -> Option<Line> {
        if self.gaps.take(event) {
            return None;
        }
        Some(Line {
            at: event.wall.as_millisecond(),
            source: event.source.clone(),
            text: words(event)?,
        })
    }

    /// The lines of gaps that opened, or closed, since they were last asked for; the timeline began at `started`, in
    /// milliseconds since the Unix epoch.
    pub(super) fn of_gaps(&mut self, started: i64) -> Vec<Line> {
        let line = |(elapsed_ms, text): (u64, String)| {
            let (source, text) = text.split_once(": ").unwrap_or(("khd", &text));
            Line {
                at: started + elapsed_ms as i64,
                source: source.to_owned(),
                text: text.to_owned(),
            }
        };
        self.gaps.drain().map(line).collect()
    }
}

/// An event in words. A run says with its steps what it does to the lab; here only the lab is asked.
fn words(event: &Event) -> Option<String> {
    match &event.kind {
        Kind::FaultInjected { fault, targets, .. } => Some(format!("{fault} of {} is in place", targets.join(", "))),
        Kind::FaultUndone { .. } => Some("a fault is undone".into()),
        _ => lines::words(event).map(|text| text.trim_start().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::screen::testing::event;
    use crate::timeline::event::Success;

    #[test]
    fn events_become_lines_and_gaps_share_one() {
        let mut feed = Feed::default();
        let silent = Kind::BrokerSilent { error: "gone".into() };
        let line = feed.take(&event(1_500, "kafka2", silent)).unwrap();
        assert_eq!(
            (line.at, line.source.as_str(), line.text.as_str()),
            (1_500, "kafka2", "kafka2 is silent")
        );
        assert_eq!(feed.take(&event(1_600, "khd", Kind::Cut)), None);
        for partition in 0..3 {
            let opened = Kind::GapOpened {
                of: Success::Acknowledgement,
                topic: "test-1".into(),
                partition,
                since: 1_000,
            };
            assert_eq!(feed.take(&event(2_000, "producer-1", opened)), None);
        }
        let gaps = feed.of_gaps(100);
        assert_eq!(gaps.len(), 1);
        assert_eq!(gaps[0].at, 2_100);
        assert_eq!(gaps[0].source, "producer-1");
        assert_eq!(gaps[0].text, "nothing acknowledged on 3 partitions");
    }
}
