//! Kill: sudden death, as by the kernel's OOM killer.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{back, gone};
use crate::faults::{Fault, Field, Injection, Means, Proof};
use crate::timeline::view::View;
use crate::topology::Expectation;

/// ZooKeeper expires sessions once per tick, and needs one to tell the quorum.
const EXPIRY: Duration = Duration::from_secs(4);

/// SIGKILL: a broker's leaders move only when its ZooKeeper session has expired.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Kill {}

#[async_trait]
impl Fault for Kill {
    fn field(&self) -> Field {
        Field::Process
    }

    fn meaning(&self) -> &'static str {
        "end it at once (SIGKILL); a broker's leaders move when its ZooKeeper session expires"
    }

    async fn inject(&self, means: &Means, injection: &Injection) -> anyhow::Result<()> {
        for target in &injection.targets {
            means.engine.kill(&target.container).await?;
        }
        Ok(())
    }

    /// A broker that starts while its former self is still registered in ZooKeeper gives up (`NodeExists`), and khd's
    /// containers are not restarted by anybody else.
    fn undo_not_before(&self, injection: &Injection, expected: &Expectation) -> Option<Timestamp> {
        let mut targets = injection.targets.iter();
        let registered = targets.any(|target| expected.broker_id(&target.service).is_some());
        let expiry = Duration::from_millis(expected.session_timeout_ms) + EXPIRY;
        registered.then(|| injection.since.saturating_add(expiry).unwrap_or(injection.since))
    }

    async fn undo(&self, means: &Means, injection: &Injection) -> anyhow::Result<()> {
        for target in &injection.targets {
            means.engine.start(&target.container).await?;
        }
        Ok(())
    }

    async fn effect(&self, means: &Means, injection: &Injection, view: &View) -> Proof {
        gone(injection, &means.expected, view)
    }

    async fn healed(&self, means: &Means, injection: &Injection, view: &View) -> Proof {
        back(means, injection, view)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::{How, Target};
    use crate::settings::Settings;
    use crate::topology::Topology;

    #[test]
    fn a_killed_broker_is_not_started_while_zookeeper_still_knows_it() {
        let expected = Topology::of(&Settings::default()).expectation(Duration::from_secs(18));
        let mut injection = Injection {
            id: 1,
            how: How::Kill(Kill {}),
            targets: vec![Target::sample("kafka2")],
            before: serde_json::Value::Null,
            since: Timestamp::UNIX_EPOCH,
            run: "run".into(),
        };
        let not_before = |injection: &Injection| Kill {}.undo_not_before(injection, &expected);
        assert_eq!(not_before(&injection).unwrap().as_second(), 22);
        injection.targets = vec![Target::sample("zookeeper1")];
        assert_eq!(not_before(&injection), None);
    }
}
