//! Stall: a consumer that hangs in its work, and polls no more.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Expected;
use crate::faults::{Fault, Field, Injection, Means, Proof, Target, of_each};
use crate::settings::duration;
use crate::timeline::conditions::Lacking;
use crate::timeline::view::View;
use crate::topology::{CONSUMER, Topology};

/// The longest `max.poll.interval.ms` that a drill waits for.
const LONGEST_INTERVAL: Duration = Duration::from_secs(60);
/// How long the group may take to go on without it.
const REBALANCE: Duration = Duration::from_secs(30);

/// It goes on with its heartbeats, so that the group gives it up only after `max.poll.interval.ms`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Stall {}

#[async_trait]
impl Fault for Stall {
    fn field(&self) -> Field {
        Field::Client
    }

    fn meaning(&self) -> &'static str {
        "let a consumer poll no more; the group gives it up after max.poll.interval.ms"
    }

    async fn possible(&self, means: &Means) -> anyhow::Result<()> {
        Ok(noticed_in_time(&means.topology)?)
    }

    fn check(&self, topology: &Topology, targets: &[Target]) -> Result<(), Expected> {
        if let Some(other) = targets.iter().find(|target| target.service != CONSUMER) {
            let message = format!("{} is no consumer, and cannot stall", other.name());
            return Err(Expected::usage(message).hint("such as consumer-1"));
        }
        noticed_in_time(topology)
    }

    fn takes(&self, _: &Topology, targets: &[Target]) -> BTreeSet<String> {
        of_each("the polling", targets)
    }

    async fn inject(&self, means: &Means, injection: &Injection) -> anyhow::Result<()> {
        for target in &injection.targets {
            means.engine.signal(&target.container, "SIGUSR1").await?;
        }
        Ok(())
    }

    async fn undo(&self, means: &Means, injection: &Injection) -> anyhow::Result<()> {
        let project = means.engine.project(&means.topology.project).await?;
        for target in &injection.targets {
            // One that has ended is stalled no more.
            let mut containers = project.containers.iter();
            if containers.any(|found| found.name == target.container && found.state == "running") {
                means.engine.signal(&target.container, "SIGUSR2").await?;
            }
        }
        Ok(())
    }

    fn effect_within(&self) -> Duration {
        LONGEST_INTERVAL + REBALANCE
    }

    async fn effect(&self, _: &Means, injection: &Injection, view: &View) -> Proof {
        let members = injection.targets.iter().filter(|target| is_member(target, view));
        let mut lacking: Lacking = members
            .map(|target| format!("{} is still a member of the group", target.name()))
            .collect();
        if view.group.is_none() {
            lacking.push("no broker coordinates the group".into());
        }
        // One that has ended is no member either.
        lacking.extend(injection.targets.iter().filter_map(|target| {
            let state = view.containers.get(&(target.service.clone(), target.number));
            let runs = state.is_some_and(|state| state == "running") && target.address.is_some();
            (!runs).then(|| format!("{} does not run", target.name()))
        }));
        if lacking.is_empty() {
            Ok(format!("{} is no longer a member of the group", injection.names()))
        } else {
            Err(lacking)
        }
    }

    async fn healed(&self, _: &Means, injection: &Injection, view: &View) -> Proof {
        let lacking: Vec<String> = injection
            .targets
            .iter()
            .filter(|target| !is_member(target, view))
            .map(|target| format!("{} is not yet a member of the group again", target.name()))
            .collect();
        if lacking.is_empty() {
            Ok(format!("{} is a member of the group again", injection.names()))
        } else {
            Err(lacking)
        }
    }
}

/// Refuses a group that would notice too late.
fn noticed_in_time(topology: &Topology) -> Result<(), Expected> {
    if topology.poll_interval <= LONGEST_INTERVAL {
        return Ok(());
    }
    let message = format!(
        "the group would give a consumer up that stalls only after {} (max.poll.interval.ms)",
        duration::format(topology.poll_interval)
    );
    let hint = "let it wait less: khd up --set consumer.properties.max.poll.interval.ms=15000";
    Err(Expected::environment(message).hint(hint))
}

/// Whether a consumer is a member of the group.
fn is_member(target: &Target, view: &View) -> bool {
    let mut members = view.group.iter().flat_map(|group| &group.members);
    members.any(|member| target.is_member(member))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::settings::Settings;
    use crate::timeline::event::Member;
    use crate::timeline::view::GroupView;

    fn view(hosts: &[&str]) -> View {
        let member = |host: &&str| Member {
            id: "m".into(),
            client: "c".into(),
            host: (*host).into(),
            assigned: BTreeMap::new(),
        };
        let group = GroupView {
            coordinator: 1,
            state: "Stable".into(),
            members: hosts.iter().map(member).collect(),
        };
        let mut view = View::default();
        view.group = Some(group);
        view
    }

    #[test]
    fn a_member_is_known_by_the_address_that_it_connects_from() {
        let mut consumer = Target::sample(CONSUMER);
        consumer.address = Some([172, 25, 0, 130].into());
        assert!(is_member(&consumer, &view(&["172.25.0.129", "172.25.0.130"])));
        assert!(!is_member(&consumer, &view(&["172.25.0.129"])));
    }

    #[test]
    fn a_stall_that_the_group_would_notice_too_late_is_refused_before_anything_is_touched() {
        let consumer = [Target::sample(CONSUMER)];
        let mut settings = Settings::default();
        let refused = Stall {}.check(&Topology::of(&settings), &consumer).unwrap_err();
        assert!(refused.to_string().contains("only after 5m"), "{refused}");
        settings
            .consumer
            .properties
            .insert("max.poll.interval.ms".into(), "15000".into());
        assert!(Stall {}.check(&Topology::of(&settings), &consumer).is_ok());
    }
}
