//! Stop: the orderly end of a server, as in a restart for maintenance.

use async_trait::async_trait;
use jiff::Timestamp;

use crate::engine::Engine;
use crate::faults::target::Target;
use crate::faults::{Fault, gone_proof, process_gone};
use crate::timeline::conditions::Lacking;
use crate::timeline::view::View;
use crate::topology::Expectation;

/// SIGTERM: a broker hands its leaders over before it goes (controlled shutdown).
#[derive(Debug)]
pub struct Stop;

#[async_trait]
impl Fault for Stop {
    fn name(&self) -> &'static str {
        "stop"
    }

    fn meaning(&self) -> &'static str {
        "end the server in order (SIGTERM); a broker hands over its leaders first"
    }

    async fn inject(&self, engine: &dyn Engine, target: &Target) -> anyhow::Result<()> {
        engine.stop(&target.container).await
    }

    async fn undo(&self, engine: &dyn Engine, target: &Target, _: Timestamp) -> anyhow::Result<()> {
        engine.start(&target.container).await
    }

    fn effect(&self, view: &View, expected: &Expectation, target: &Target) -> Lacking {
        process_gone(view, expected, target)
    }

    fn proof(&self, view: &View, target: &Target) -> String {
        gone_proof(view, target)
    }
}
