//! Kill: the sudden death of a server, as by the kernel's OOM killer.

use async_trait::async_trait;

use crate::engine::Engine;
use crate::faults::target::Target;
use crate::faults::{Fault, gone_proof, process_gone};
use crate::timeline::conditions::Lacking;
use crate::timeline::view::View;
use crate::topology::Expectation;

/// SIGKILL: a broker's leaders move only when its ZooKeeper session has expired.
#[derive(Debug)]
pub struct Kill;

#[async_trait]
impl Fault for Kill {
    fn name(&self) -> &'static str {
        "kill"
    }

    fn meaning(&self) -> &'static str {
        "end the server at once (SIGKILL); a broker's leaders move when its ZooKeeper session expires"
    }

    async fn inject(&self, engine: &dyn Engine, target: &Target) -> anyhow::Result<()> {
        engine.kill(&target.container).await
    }

    async fn undo(&self, engine: &dyn Engine, target: &Target) -> anyhow::Result<()> {
        engine.start(&target.container).await
    }

    fn effect(&self, view: &View, expected: &Expectation, target: &Target) -> Lacking {
        process_gone(view, expected, target)
    }

    fn proof(&self, view: &View, target: &Target) -> String {
        gone_proof(view, target)
    }
}
