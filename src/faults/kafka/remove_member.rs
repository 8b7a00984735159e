//! Removed member: the coordinator is told that a consumer left its group, and the consumer is not.

use std::collections::BTreeSet;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Expected;
use crate::faults::{Fault, Field, Injection, Means, Proof, Target};
use crate::kafka::admin::Admin;
use crate::timeline::conditions::group_stable;
use crate::timeline::event::Member;
use crate::timeline::view::View;
use crate::topology::{CONSUMER, Topology};

/// The consumer's member is removed from its group, as an administrator would. It learns so from its next heartbeat, and
/// joins again: as a new member in the classic group protocol, under its old id in the new one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RemoveMember {}

#[async_trait]
impl Fault for RemoveMember {
    fn field(&self) -> Field {
        Field::Kafka
    }

    fn meaning(&self) -> &'static str {
        "remove a consumer's member from its group; the consumer has to find out and join again"
    }

    fn check(&self, _: &Topology, targets: &[Target]) -> Result<(), Expected> {
        match targets.iter().find(|target| target.service != CONSUMER) {
            None => Ok(()),
            Some(other) => {
                Err(Expected::usage(format!("{} is no consumer", other.name())).hint("name one such as consumer-1"))
            }
        }
    }

    /// The lab has to do without none: they come back by themselves.
    fn out(&self, _: &[Target], _: &Topology) -> BTreeSet<String> {
        BTreeSet::new()
    }

    fn stays(&self) -> bool {
        false
    }

    /// The ids of the members that are to go.
    async fn remember(&self, means: &Means, targets: &[Target]) -> anyhow::Result<Value> {
        let group = &means.expected.workload.group;
        let (_, described) = Admin::of(&means.topology).coordinator(group).await?;
        let ids: Result<Vec<&str>, Expected> = targets
            .iter()
            .map(|target| member_of(target, group, &described.members))
            .collect();
        Ok(serde_json::to_value(ids?)?)
    }

    async fn inject(&self, means: &Means, injection: &Injection) -> anyhow::Result<()> {
        let (group, ids) = (&means.expected.workload.group, remembered(injection)?);
        let (mut coordinator, _) = Admin::of(&means.topology).coordinator(group).await?;
        let removed = coordinator.remove_members(group, &ids).await;
        removed.map_err(|error| error.context(format!("cannot remove {} from group {group}", injection.names())))
    }

    async fn undo(&self, _: &Means, _: &Injection) -> anyhow::Result<()> {
        Ok(())
    }

    async fn effect(&self, means: &Means, injection: &Injection, view: &View) -> Proof {
        let group = &means.expected.workload.group;
        let ids = remembered(injection).map_err(|error| vec![format!("{error:#}")])?;
        let Some(now) = &view.group else {
            return Err(vec![format!("no broker coordinates group {group}")]);
        };
        // A consumer that joins again gets another id; in the new group protocol it keeps its own, and is gone for a
        // heartbeat or two.
        let left: Vec<&str> = now.members.iter().map(|member| member.id.as_str()).collect();
        match ids.iter().find(|id| left.contains(&id.as_str())) {
            Some(id) => Err(vec![format!("group {group} still has the member {id}")]),
            None => Ok(format!("group {group} no longer has {}", ids.join(", "))),
        }
    }

    async fn healed(&self, means: &Means, injection: &Injection, view: &View) -> Proof {
        // That it was gone is proven: whether it has another id now says nothing.
        let lacking = group_stable(view, &means.expected);
        if lacking.is_empty() {
            let group = &means.expected.workload.group;
            Ok(format!(
                "{} joined group {group} again, which is stable with all its members",
                injection.names()
            ))
        } else {
            Err(lacking)
        }
    }
}

fn remembered(injection: &Injection) -> anyhow::Result<Vec<String>> {
    Ok(serde_json::from_value(injection.before.clone())?)
}

/// The id of the member that a consumer is: the one that connects from its address.
fn member_of<'a>(target: &Target, group: &str, members: &'a [Member]) -> Result<&'a str, Expected> {
    let member = members.iter().find(|member| target.is_member(member));
    member.map(|member| member.id.as_str()).ok_or_else(|| {
        let from = target
            .address
            .map_or_else(|| "no address".to_owned(), |address| address.to_string());
        Expected::environment(format!("{} ({from}) is no member of group {group} now", target.name()))
            .hint("wait until the group is stable: khd status")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_consumer_is_the_member_that_connects_from_its_address() {
        let members = ["10.0.0.7", "10.0.0.8"].map(|host| Member {
            id: format!("rdkafka-{host}"),
            client: "c".into(),
            host: host.into(),
            assigned: Default::default(),
        });
        let mut target = Target {
            address: Some([10, 0, 0, 8].into()),
            numbered: true,
            ..Target::sample(CONSUMER)
        };
        assert_eq!(member_of(&target, "test", &members).unwrap(), "rdkafka-10.0.0.8");
        target.address = Some([10, 0, 0, 9].into());
        let error = member_of(&target, "test", &members).unwrap_err();
        assert_eq!(error.message, "consumer-1 (10.0.0.9) is no member of group test now");
    }
}
