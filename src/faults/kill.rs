//! Kill: the sudden death of a server, as by the kernel's OOM killer.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

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

    async fn undo(&self, engine: &dyn Engine, target: &Target, since: Timestamp) -> anyhow::Result<()> {
        tokio::time::sleep(session_left(target, since, Timestamp::now())).await;
        engine.start(&target.container).await
    }

    fn effect(&self, view: &View, expected: &Expectation, target: &Target) -> Lacking {
        process_gone(view, expected, target)
    }

    fn proof(&self, view: &View, target: &Target) -> String {
        gone_proof(view, target)
    }
}

/// How long ZooKeeper may still hold the registration of a broker that was killed at `since`.
///
/// A broker that starts while its former self is still registered gives up (`NodeExists`), and khd's containers are
/// not restarted by anybody else.
fn session_left(target: &Target, since: Timestamp, now: Timestamp) -> Duration {
    let Some(session) = target.session_timeout_ms else {
        return Duration::ZERO;
    };
    // ZooKeeper expires sessions once per tick, and needs one to tell the quorum.
    let until = since.as_millisecond() + session as i64 + 4_000;
    Duration::from_millis(u64::try_from(until - now.as_millisecond()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_killed_broker_is_not_started_while_zookeeper_still_knows_it() {
        let at = |ms| Timestamp::from_millisecond(ms).unwrap();
        let mut target = Target {
            service: "kafka2".into(),
            number: 1,
            container: "khd-kafka2-1".into(),
            session_timeout_ms: Some(18_000),
        };
        assert_eq!(session_left(&target, at(0), at(5_000)), Duration::from_secs(17));
        assert_eq!(session_left(&target, at(0), at(60_000)), Duration::ZERO);
        target.session_timeout_ms = None;
        assert_eq!(session_left(&target, at(0), at(5_000)), Duration::ZERO);
    }
}
