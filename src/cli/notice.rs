//! Telling the lab's exporter what khd does to the lab: faults in place, steps that go on, verdicts.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::task::JoinHandle;

use crate::cli::lab::Lab;
use crate::compose::render::monitoring::NOTICE_PATH;
use crate::engine::{Engine, labels};
use crate::exporter::Notice;
use crate::exporter::notice::{Fault, Step, Verdict};
use crate::report::Judgement;
use crate::timeline::event::{Event, Kind};
use crate::timeline::record::Timeline;
use crate::topology::EXPORTER;

/// The place in a lab's exporter where notices are put.
#[derive(Clone)]
pub struct Board {
    engine: Arc<dyn Engine>,
    container: String,
}

impl Board {
    /// That of a lab, if the lab has an exporter.
    pub fn of(lab: &Lab) -> Option<Self> {
        lab.topology.monitoring.as_ref().map(|_| Self {
            engine: lab.engine.clone(),
            container: labels::container_name(&lab.settings.project, EXPORTER, 1),
        })
    }

    /// Puts a notice in the place of the last one. No drill fails because its dashboard is not up to date.
    async fn put(&self, notice: &Notice) {
        let content = serde_json::to_vec(notice).unwrap_or_default();
        if let Err(error) = self.engine.write_file(&self.container, NOTICE_PATH, &content).await {
            tracing::debug!("{error:#}");
        }
    }

    /// Tells what a run came to, and what it left.
    pub async fn judged(&self, lab: &Lab, judgement: &Judgement) {
        let verdicts = judgement.report.verdicts.iter().map(|verdict| Verdict {
            check: verdict.id.clone(),
            verdict: verdict.status.word().to_owned(),
        });
        self.put(&Notice {
            faults: left(lab),
            run: judgement.report.run.clone(),
            steps: Vec::new(),
            verdicts: verdicts.collect(),
        })
        .await;
    }

    /// Tells that only those faults are in place that the lab's journal holds.
    pub async fn left(&self, lab: &Lab) {
        let faults = left(lab);
        self.put(&Notice {
            faults,
            ..Notice::default()
        })
        .await;
    }

    /// Tells of a run as it goes on, until it has ended.
    pub fn follow(self, run: String, timeline: &Timeline) -> JoinHandle<()> {
        tokio::spawn(follow(self, run, timeline.live()))
    }
}

/// Faults that the journal holds; none where it cannot be read.
fn left(lab: &Lab) -> Vec<Fault> {
    let entries = lab.journal().entries().unwrap_or_default();
    let faults = entries.iter().flat_map(|entry| {
        entry.targets.iter().map(|target| Fault {
            fault: entry.how.name().to_owned(),
            target: target.name(),
        })
    });
    faults.collect()
}

async fn follow(board: Board, run: String, mut events: broadcast::Receiver<Event>) {
    let mut story = Story {
        run,
        ..Story::default()
    };
    loop {
        let mut news = match events.recv().await {
            Ok(event) => story.take(&event),
            Err(RecvError::Lagged(_)) => false,
            Err(RecvError::Closed) => return,
        };
        // What has come up meanwhile is told at once.
        loop {
            match events.try_recv() {
                Ok(event) => news |= story.take(&event),
                Err(TryRecvError::Lagged(_)) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        if news {
            board.put(&story.notice()).await;
        }
        if story.ended {
            return;
        }
    }
}

/// What goes on in a run: the fold of its events.
#[derive(Debug, Default)]
struct Story {
    run: String,
    faults: BTreeMap<u32, (String, Vec<String>)>,
    steps: BTreeMap<u32, Step>,
    ended: bool,
}

impl Story {
    /// Folds an event in, and says whether it is news.
    fn take(&mut self, event: &Event) -> bool {
        match &event.kind {
            Kind::FaultInjected { id, fault, targets, .. } => {
                self.faults.insert(*id, (fault.clone(), targets.clone()));
            }
            Kind::FaultUndone { id } => {
                self.faults.remove(id);
            }
            Kind::StepStarted { step, sort, words, .. } => {
                let (sort, words) = (sort.clone(), words.clone());
                self.steps.insert(*step, Step { sort, words });
            }
            Kind::StepEnded { step, .. } => {
                self.steps.remove(step);
            }
            Kind::RunEnded { .. } => self.ended = true,
            _ => return false,
        }
        true
    }

    fn notice(&self) -> Notice {
        let faults = self.faults.values().flat_map(|(fault, targets)| {
            targets.iter().map(|target| Fault {
                fault: fault.clone(),
                target: target.clone(),
            })
        });
        Notice {
            faults: faults.collect(),
            run: self.run.clone(),
            steps: self.steps.values().cloned().collect(),
            verdicts: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_holds_what_goes_on_and_nothing_that_is_over() {
        let mut story = Story::default();
        let mut take = |kind| {
            story.take(&Event {
                wall: jiff::Timestamp::UNIX_EPOCH,
                elapsed_ms: 0,
                source: "khd".into(),
                kind,
            });
            let notice = story.notice();
            (notice.faults.len(), notice.steps.len())
        };
        let started = |step| Kind::StepStarted {
            step,
            sort: "wait".into(),
            words: "wait".into(),
            until: None,
        };
        let injected = Kind::FaultInjected {
            id: 1,
            fault: "kill".into(),
            targets: vec!["kafka1".into(), "kafka2".into()],
            out: Default::default(),
            adds: false,
            options: Default::default(),
            asked: Vec::new(),
        };
        assert_eq!(take(started(0)), (0, 1));
        assert_eq!(take(injected), (2, 1));
        assert_eq!(take(started(1)), (2, 2));
        let (ok, lacking) = (true, Vec::new());
        assert_eq!(take(Kind::StepEnded { step: 0, ok, lacking }), (2, 1));
        assert_eq!(take(Kind::FaultUndone { id: 1 }), (0, 1));
    }
}
