//! What a drill plays on: the lab, its engine, and where everything is recorded.

use tokio_util::sync::CancellationToken;

use crate::engine::Engine;
use crate::faults::Means;
use crate::faults::journal::Journal;
use crate::settings::Settings;
use crate::state::RunFolder;
use crate::timeline::record::Timeline;
use crate::topology::Expectation;

/// All that a drill needs besides its plan.
#[derive(Clone)]
pub struct Stage {
    /// What faults are injected and undone with, the engine among it.
    pub means: Means,
    /// The Compose project.
    pub project: String,
    /// What the lab was made of.
    pub settings: Settings,
    /// What must be true of the lab.
    pub expected: Expectation,
    /// Where events go, and what is known of the lab.
    pub timeline: Timeline,
    /// Faults in place.
    pub journal: Journal,
    /// The run's folder.
    pub run: RunFolder,
    /// The image through which the ledgers' volume is read.
    pub ledger_image: String,
    /// Brokers, as reached from here.
    pub bootstrap: String,
    /// Cancelled by a signal.
    pub cancel: CancellationToken,
}

impl Stage {
    /// The engine that runs the lab.
    pub fn engine(&self) -> &dyn Engine {
        self.means.engine.as_ref()
    }
}
