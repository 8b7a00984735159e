//! A recorded run of a command: its folder, its timeline, its observers, and at its end the verdicts.

use std::collections::BTreeMap;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::cli::lab::Lab;
use crate::cli::notice::Board;
use crate::cli::reports::Reports;
use crate::cli::watch::Live;
use crate::drill::stage::Stage;
use crate::error::Exit;
use crate::faults::journal::Journal;
use crate::observe::Observer;
use crate::report::{Format, Judgement};
use crate::state::RunFolder;
use crate::timeline::event::Kind;
use crate::timeline::limits::Limits;
use crate::timeline::record::{self, Timeline};
use crate::topology::PRODUCER;
use crate::verdicts::evidence::Evidence;

/// A run that is being recorded.
pub struct Run {
    /// What drills need.
    pub stage: Stage,
    observers: [Observer; 3],
    live: Live,
    told: Option<JoinHandle<()>>,
}

impl Run {
    /// Begins to record and to observe.
    ///
    /// # Errors
    /// When there is no lab, or the run's folder cannot be made.
    pub async fn start(
        lab: &Lab,
        what: &str,
        limits: &Limits,
        skip: &BTreeMap<String, String>,
        cancel: CancellationToken,
    ) -> anyhow::Result<Self> {
        let expected = lab.expectation(&lab.project().await?);
        let run = RunFolder::create(lab.state.runs(), &lab.settings.project, what)?;
        run.write("compose.yaml", lab.file.to_yaml()?.as_bytes())?;
        let timeline = Timeline::create(&run.timeline())?;
        let live = Live::show(&timeline);
        let told = Board::of(lab).map(|board| board.follow(run.name(), &timeline));
        lab.start(&timeline, &expected, limits, skip);
        let observers = lab.observe_all(&timeline);
        let stage = Stage {
            means: lab.means(expected.clone()),
            project: lab.settings.project.clone(),
            settings: lab.settings.clone(),
            expected,
            timeline,
            journal: Journal::at(lab.dir.journal()),
            run,
            ledger_image: lab.file.services[PRODUCER].image.clone(),
            bootstrap: lab.topology.bootstrap(),
            cancel,
        };
        Ok(Self {
            stage,
            observers,
            live,
            told,
        })
    }

    /// Ends the recording.
    pub async fn end(self, outcome: &str) -> RunFolder {
        for observer in self.observers {
            observer.stop().await;
        }
        self.stage.timeline.emit(
            "khd",
            Kind::RunEnded {
                outcome: outcome.into(),
            },
        );
        self.live.end().await;
        if let Some(told) = self.told {
            // A task that failed has nothing more to tell.
            let _ = told.await;
        }
        self.stage.run
    }
}

/// Judges a run from its folder, writes the verdicts into it, to stdout and where they were asked for, and picks the
/// exit code.
///
/// # Errors
/// When the evidence cannot be read, or a file cannot be written.
pub async fn conclude(lab: &Lab, run: &RunFolder, reports: &Reports) -> anyhow::Result<Exit> {
    let judgement = Judgement::load(run)?;
    if let Some(board) = Board::of(lab) {
        board.judged(&judgement).await;
    }
    run.write(run.verdicts(), judgement.render(Format::Json, false)?.as_bytes())?;
    tell!();
    reports.show(&judgement)?;
    tell!("\nevidence: {}", run.path().display());
    reports.write(&judgement, run.path())?;
    Ok(judgement.report.status.exit())
}

/// Tells whoever asked for more than a table, such as a CI server, why a run was not judged.
///
/// # Errors
/// When the timeline cannot be read, or a file cannot be written.
pub fn withhold(run: &RunFolder, reports: &Reports, why: &str) -> anyhow::Result<()> {
    if !reports.for_machines() {
        return Ok(());
    }
    let evidence = Evidence::new(record::read(&run.timeline())?, None)?;
    let judgement = Judgement::withheld(run.name(), evidence, why);
    reports.show_to_machines(&judgement)?;
    reports.write(&judgement, run.path())
}
