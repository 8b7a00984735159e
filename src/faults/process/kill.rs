//! Kill: sudden death, as by the kernel's OOM killer.

use async_trait::async_trait;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{back, gone, registration_expires, start, together};
use crate::faults::{Fault, Field, Injection, Means, Proof};
use crate::timeline::view::View;
use crate::topology::Expectation;

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
        let targets = injection.targets.iter();
        together(targets.map(|target| means.engine.kill(&target.container)).collect()).await
    }

    fn undo_not_before(&self, injection: &Injection, expected: &Expectation) -> Option<Timestamp> {
        registration_expires(injection, expected)
    }

    async fn undo(&self, means: &Means, injection: &Injection) -> anyhow::Result<()> {
        start(means, injection).await
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
    use std::time::Duration;

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
