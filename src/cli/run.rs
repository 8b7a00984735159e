//! A recorded run of a command: its folder, its timeline, its observers, and at its end the verdicts.

use std::io::Write as _;

use tokio_util::sync::CancellationToken;

use crate::cli::lab::Lab;
use crate::cli::terminal::{Live, Output};
use crate::drill::stage::Stage;
use crate::error::Exit;
use crate::faults::journal::Journal;
use crate::observe::Observer;
use crate::report::Report;
use crate::state::RunFolder;
use crate::timeline::event::Kind;
use crate::timeline::record::Timeline;
use crate::topology::PRODUCER;
use crate::verdicts::evidence::Evidence;
use crate::verdicts::judge;

/// A run that is being recorded.
pub struct Run {
    /// What drills need.
    pub stage: Stage,
    observers: [Observer; 3],
    live: Live,
}

impl Run {
    /// Begins to record and to observe.
    ///
    /// # Errors
    /// When there is no lab, or the run's folder cannot be made.
    pub async fn start(lab: &Lab, what: &str, cancel: CancellationToken) -> anyhow::Result<Self> {
        let expected = lab.expectation(&lab.project().await?);
        let run = RunFolder::create(lab.state.runs(), &lab.settings.project, what)?;
        run.write("compose.yaml", lab.file.to_yaml()?.as_bytes())?;
        let timeline = Timeline::create(&run.timeline())?;
        let live = Live::show(timeline.live());
        lab.start(&timeline, &expected);
        let observers = lab.observe_all(&timeline);
        let stage = Stage {
            engine: lab.engine.clone(),
            project: lab.settings.project.clone(),
            expected,
            timeline,
            journal: Journal::at(lab.dir.journal()),
            run,
            ledger_image: lab.file.services[PRODUCER].image.clone(),
            bootstrap: lab.topology.bootstrap(),
            cancel,
        };
        Ok(Self { stage, observers, live })
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
        self.stage.run
    }
}

/// Judges a run from its folder, writes the verdicts into it and to stdout, and picks the exit code.
///
/// # Errors
/// When the evidence cannot be read.
pub fn conclude(run: &RunFolder, output: &Output) -> anyhow::Result<Exit> {
    let evidence = Evidence::load(run)?;
    let report = Report::of(run.name(), &evidence, judge(&evidence));
    run.write("verdicts.json", report.render(crate::report::Format::Json)?.as_bytes())?;
    tell!();
    // A reader that went away does not change the verdict.
    let _ = std::io::stdout().write_all(report.render(output.format())?.as_bytes());
    tell!("\nevidence: {}", run.path().display());
    Ok(report.status.exit())
}
