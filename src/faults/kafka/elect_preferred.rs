//! Preferred election: leadership goes home at once, as by `kafka-leader-election --all-topic-partitions`.

use std::collections::BTreeSet;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::all_accepted;
use crate::error::Expected;
use crate::faults::{Fault, Field, Injection, Means, Proof, Target};
use crate::kafka::admin::Admin;
use crate::timeline::conditions::leaders_balanced;
use crate::timeline::event::TopicPartition;
use crate::timeline::view::View;
use crate::topology::Topology;

/// A preferred election of all partitions, whichever brokers are named.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ElectPreferred {}

#[async_trait]
impl Fault for ElectPreferred {
    fn field(&self) -> Field {
        Field::Kafka
    }

    fn meaning(&self) -> &'static str {
        "elect the preferred replica of every partition as its leader"
    }

    fn out(&self, _: &[Target], _: &Topology) -> BTreeSet<String> {
        BTreeSet::new()
    }

    fn stays(&self) -> bool {
        false
    }

    async fn remember(&self, means: &Means, _: &[Target]) -> anyhow::Result<Value> {
        let topics = Admin::of(&means.topology).topics().await?;
        let mut partitions = topics.iter().flat_map(|topic| &topic.partitions);
        if partitions.all(|partition| partition.replicas.first() == Some(&partition.leader)) {
            let message = "every partition is led by its preferred replica: there is nothing to elect";
            return Err(Expected::environment(message)
                .hint("use it in a drill, after leaders have moved")
                .into());
        }
        Ok(Value::Null)
    }

    async fn inject(&self, means: &Means, _: &Injection) -> anyhow::Result<()> {
        let admin = Admin::of(&means.topology);
        let topics = admin.topics().await?;
        let partitions: Vec<TopicPartition> = topics
            .iter()
            .flat_map(|topic| {
                let partitions = topic.partitions.iter();
                partitions.map(|partition| (topic.name.clone(), partition.partition))
            })
            .collect();
        all_accepted("a preferred election", &admin.elect_preferred(&partitions).await?)
    }

    async fn undo(&self, _: &Means, _: &Injection) -> anyhow::Result<()> {
        Ok(())
    }

    async fn effect(&self, means: &Means, _: &Injection, view: &View) -> Proof {
        let lacking = leaders_balanced(view, &means.expected);
        if lacking.is_empty() {
            Ok("every partition is led by its preferred replica".into())
        } else {
            Err(lacking)
        }
    }

    async fn healed(&self, means: &Means, injection: &Injection, view: &View) -> Proof {
        self.effect(means, injection, view).await
    }
}
