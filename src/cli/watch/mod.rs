//! Watching a run: its events as lines, and on a terminal a view of the lab beneath them.

mod draw;
mod painter;
pub mod stderr;

use std::time::Duration;

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::live::gaps::{Gaps, TOGETHER};
use crate::live::lines;
use crate::live::screen::Screen;
use crate::timeline::event::{Event, Kind};
use crate::timeline::record::Timeline;

/// Time between two pictures of the view.
const REDRAW: Duration = Duration::from_millis(100);

/// Shows the events of a run on stderr as they happen, in words; the view is taken down when this is dropped.
pub struct Live {
    shown: JoinHandle<()>,
}

impl Live {
    /// Begins to show a run from its first event on.
    pub fn show(timeline: &Timeline) -> Self {
        let raised = stderr::raise();
        let shown = tokio::spawn(show(timeline.clone(), timeline.live(), raised));
        Self { shown }
    }

    /// Waits until the end of the run was shown.
    pub async fn end(mut self) {
        // A task that failed has nothing more to show.
        let _ = (&mut self.shown).await;
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.shown.abort();
        stderr::lower();
    }
}

async fn show(timeline: Timeline, mut events: broadcast::Receiver<Event>, raised: bool) {
    let view = timeline.view();
    let mut screen = Screen::default();
    let mut gaps = Gaps::default();
    let mut due = Instant::now();
    let mut redraw = interval(REDRAW);
    redraw.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Ok(event) => {
                    let first = gaps.is_empty();
                    if gaps.take(&event) && first {
                        due = Instant::now() + TOGETHER;
                    }
                    screen.take(&event);
                    let last = matches!(event.kind, Kind::RunEnded { .. });
                    if last {
                        show_gaps(&mut gaps);
                    }
                    if let Some(line) = lines::line(&event) {
                        tell!("{line}");
                    }
                    if last {
                        return;
                    }
                }
                // What was missed here is in the timeline all the same.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            },
            () = sleep_until(due), if !gaps.is_empty() => show_gaps(&mut gaps),
            _ = redraw.tick(), if raised => {
                let model = screen.model(&view.borrow(), timeline.elapsed().as_millis() as u64);
                stderr::paint(&model);
            }
        }
    }
}

fn show_gaps(gaps: &mut Gaps) {
    for (elapsed_ms, words) in gaps.drain() {
        tell!("{}", lines::timed(elapsed_ms, &format!("  {words}")));
    }
}
