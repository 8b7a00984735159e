//! Telling the lab's exporter what khd does to the lab: faults in place, steps that go on, verdicts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::cli::lab::Lab;
use crate::compose::render::monitoring::NOTICE_PATH;
use crate::engine::{Engine, labels};
use crate::exporter::Notice;
use crate::exporter::notice::{Fault, Step, Verdict};
use crate::faults::journal::Journal;
use crate::report::Judgement;
use crate::timeline::event::{Event, Kind};
use crate::timeline::record::Timeline;
use crate::topology::EXPORTER;

/// How long the engine may take for a notice: no drill waits for its dashboard.
const PATIENCE: Duration = Duration::from_secs(3);

/// The place in a lab's exporter where notices are put. Which faults are in place is always what the journal says.
#[derive(Clone)]
pub struct Board {
    engine: Arc<dyn Engine>,
    container: String,
    journal: Journal,
}

impl Board {
    /// That of a lab, if the lab has an exporter.
    pub fn of(lab: &Lab) -> Option<Self> {
        lab.topology.monitoring.as_ref().map(|_| Self {
            engine: lab.engine.clone(),
            container: labels::container_name(&lab.settings.project, EXPORTER, 1),
            journal: lab.journal(),
        })
    }

    /// Puts a notice in the place of the last one. No drill fails because its dashboard is not up to date.
    async fn put(&self, run: &str, steps: Vec<Step>, verdicts: Vec<Verdict>) {
        let notice = Notice {
            faults: self.faults(),
            run: run.to_owned(),
            steps,
            verdicts,
        };
        let content = serde_json::to_vec(&notice).unwrap_or_default();
        let putting = self.engine.write_file(&self.container, NOTICE_PATH, &content);
        match timeout(PATIENCE, putting).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!("{error:#}"),
            Err(_) => tracing::debug!("the engine takes too long to tell the exporter"),
        }
    }

    /// Faults in place; none where the journal cannot be read.
    fn faults(&self) -> Vec<Fault> {
        let entries = self.journal.entries().unwrap_or_default();
        let faults = entries.iter().flat_map(|entry| {
            entry.targets.iter().map(|target| Fault {
                fault: entry.how.name().to_owned(),
                target: target.name(),
            })
        });
        faults.collect()
    }

    /// Tells what a run came to, and what it left.
    pub async fn judged(&self, judgement: &Judgement) {
        let verdicts = judgement.report.verdicts.iter().map(|verdict| Verdict {
            check: verdict.id.clone(),
            verdict: verdict.status.word().to_owned(),
        });
        self.put(&judgement.report.run, Vec::new(), verdicts.collect()).await;
    }

    /// Tells that nothing goes on, and which faults are left.
    pub async fn at_rest(&self) {
        self.put("", Vec::new(), Vec::new()).await;
    }

    /// Tells of a run as it goes on, until it has ended.
    pub fn follow(self, run: String, timeline: &Timeline) -> JoinHandle<()> {
        tokio::spawn(follow(self, run, timeline.live()))
    }
}

async fn follow(board: Board, run: String, mut events: broadcast::Receiver<Event>) {
    let mut story = Story::default();
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
            board
                .put(&run, story.steps.values().cloned().collect(), Vec::new())
                .await;
        }
        if story.ended {
            return;
        }
    }
}

/// What goes on in a run: the fold of its events.
#[derive(Debug, Default)]
struct Story {
    steps: BTreeMap<u32, Step>,
    ended: bool,
}

impl Story {
    /// Folds an event in, and says whether it is news.
    fn take(&mut self, event: &Event) -> bool {
        match &event.kind {
            Kind::StepStarted { step, sort, words, .. } => {
                let (sort, words) = (sort.clone(), words.clone());
                self.steps.insert(*step, Step { sort, words });
            }
            Kind::StepEnded { step, .. } => {
                self.steps.remove(step);
            }
            Kind::RunEnded { .. } => self.ended = true,
            // The journal tells which are in place.
            Kind::FaultInjected { .. } | Kind::FaultUndone { .. } | Kind::FaultHealed { .. } => {}
            _ => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_story_holds_the_steps_that_go_on_and_none_that_is_over() {
        let mut story = Story::default();
        let mut take = |kind| {
            let news = story.take(&Event {
                wall: jiff::Timestamp::UNIX_EPOCH,
                elapsed_ms: 0,
                source: "khd".into(),
                kind,
            });
            (news, story.steps.len())
        };
        let started = |step| Kind::StepStarted {
            step,
            sort: "wait".into(),
            words: "wait".into(),
            until: None,
        };
        assert_eq!(take(started(0)), (true, 1));
        assert_eq!(take(Kind::BrokerAnswers), (false, 1));
        assert_eq!(take(started(1)), (true, 2));
        assert_eq!(take(Kind::FaultUndone { id: 1 }), (true, 2), "the journal has changed");
        let (ok, lacking) = (true, Vec::new());
        assert_eq!(take(Kind::StepEnded { step: 0, ok, lacking }), (true, 1));
    }

    #[tokio::test]
    async fn what_is_put_names_the_faults_of_the_journal() {
        let settings = crate::settings::Settings::default();
        let topology = crate::topology::Topology::of(&settings);
        let file = crate::compose::render::render(&settings, &topology);
        let engine = Arc::new(crate::engine::fake::FakeEngine::with_images(&file));
        for (key, network) in &file.networks {
            engine.create_network(&file.name, key, network).await.unwrap();
        }
        engine.create_container(&file, EXPORTER, 1).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("faults.json");
        let left = r#"[{"id": 1, "how": "kill", "targets": [{"service": "kafka2", "number": 1, "container": "khd-kafka2-1",
                        "address": null, "numbered": false}], "since": "2026-01-01T00:00:00Z", "run": "run"}]"#;
        std::fs::write(&path, left).unwrap();
        let board = Board {
            engine: engine.clone(),
            container: labels::container_name(&file.name, EXPORTER, 1),
            journal: Journal::at(path),
        };
        board.at_rest().await;
        let (container, written) = engine.written().remove(0);
        assert_eq!(container, format!("khd-exporter-1:{NOTICE_PATH}"));
        let notice: Notice = serde_json::from_slice(&written).unwrap();
        let faults: Vec<_> = notice
            .faults
            .iter()
            .map(|fault| (fault.fault.as_str(), fault.target.as_str()))
            .collect();
        assert_eq!(faults, [("kill", "kafka2")]);
    }
}
