//! Moved leaders: a broker loses its leadership and stays in the cluster, as when its partitions are reassigned.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use kafka_protocol::error::ResponseError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{all_accepted, broker_ids, first_of};
use crate::error::Expected;
use crate::faults::{Fault, Field, Injection, Means, Proof, Target};
use crate::kafka::admin::Admin;
use crate::kafka::wire::answers::TopicMetadata;
use crate::kafka::wire::refusal::Refusals;
use crate::timeline::event::TopicPartition;
use crate::timeline::view::{PartitionView, View};
use crate::topology::{Expectation, Topology};

/// All partitions that the brokers lead, Kafka's internal ones among them, get another preferred replica and are led by it.
///
/// The replicas stay the same, so nothing is copied; only in their new order does leadership stay away, since Kafka
/// would soon bring it back to the old preferred replica.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MoveLeaders {}

/// A partition whose leadership moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Move {
    topic: String,
    partition: i32,
    /// Its replicas before, the preferred one first.
    from: Vec<i32>,
    /// Its replicas while the fault is in place.
    to: Vec<i32>,
}

impl Move {
    fn of(&self) -> TopicPartition {
        (self.topic.clone(), self.partition)
    }
}

#[async_trait]
impl Fault for MoveLeaders {
    fn field(&self) -> Field {
        Field::Kafka
    }

    fn meaning(&self) -> &'static str {
        "move leadership from a broker to other in-sync replicas; it stays in the cluster as a follower"
    }

    fn check(&self, topology: &Topology, targets: &[Target]) -> Result<(), Expected> {
        let away = broker_ids(topology, targets)?;
        if topology.brokers.iter().all(|broker| away.contains(&broker.id)) {
            return Err(Expected::usage("move-leaders leaves no broker to lead").hint("name fewer brokers"));
        }
        Ok(())
    }

    fn out(&self, _: &[Target], _: &Topology) -> BTreeSet<String> {
        BTreeSet::new()
    }

    fn takes(&self, _: &Topology, _: &[Target]) -> BTreeSet<String> {
        ["leadership".to_owned()].into()
    }

    async fn remember(&self, means: &Means, targets: &[Target]) -> anyhow::Result<Value> {
        let away = broker_ids(&means.topology, targets)?;
        let topics = Admin::of(&means.topology).topics().await?;
        Ok(serde_json::to_value(moves(&topics, &away)?)?)
    }

    async fn inject(&self, means: &Means, injection: &Injection) -> anyhow::Result<()> {
        let refusals = lead_in_order(means, &remembered(injection)?, |moved| &moved.to).await?;
        all_accepted("to move leadership", &refusals)
    }

    async fn undo(&self, means: &Means, injection: &Injection) -> anyhow::Result<()> {
        let mut refusals = lead_in_order(means, &remembered(injection)?, |moved| &moved.from).await?;
        // A topic may be gone. Where the preferred leader is down, Kafka's own rebalancing of leaders waits for it.
        let waits = [
            ResponseError::UnknownTopicOrPartition,
            ResponseError::PreferredLeaderNotAvailable,
        ];
        refusals.retain(|(_, refusal)| !waits.contains(&refusal.error));
        all_accepted("to move leadership back", &refusals)
    }

    async fn effect(&self, means: &Means, injection: &Injection, view: &View) -> Proof {
        let away: Vec<i32> = injection
            .targets
            .iter()
            .filter_map(|target| means.expected.broker_id(&target.service))
            .collect();
        let moves = remembered(injection).map_err(|error| vec![format!("{error:#}")])?;
        let still_led = means.expected.partitions().filter_map(|partition| {
            about(view, &partition, |fact| {
                let still = away.contains(&fact.leader);
                still.then(|| format!("is still led by {}", means.expected.node_service(fact.leader)))
            })
        });
        let mut lacking: Vec<String> = still_led.collect();
        lacking.extend(unlike(view, &moves, &means.expected, |moved| &moved.to));
        match first_of(lacking) {
            Some(lacking) => Err(vec![lacking]),
            None => Ok(format!(
                "no partition of the workload is led by {}; {} partitions, internal ones included, have another preferred leader",
                injection.names(),
                moves.len()
            )),
        }
    }

    async fn healed(&self, means: &Means, injection: &Injection, view: &View) -> Proof {
        let moves = remembered(injection).map_err(|error| vec![format!("{error:#}")])?;
        match first_of(unlike(view, &moves, &means.expected, |moved| &moved.from)) {
            Some(lacking) => Err(vec![lacking]),
            None => Ok("every partition has its old order of replicas, and the first of them leads".into()),
        }
    }
}

fn remembered(injection: &Injection) -> anyhow::Result<Vec<Move>> {
    Ok(serde_json::from_value(injection.before.clone())?)
}

/// What has to move so that those brokers neither lead nor are preferred: the replicas rotate until another one that is
/// in sync comes first, which keeps the leaders of the rest spread out.
fn moves(topics: &[TopicMetadata], away: &[i32]) -> Result<Vec<Move>, Expected> {
    let mut moves = Vec::new();
    for topic in topics {
        for partition in &topic.partitions {
            let preferred = partition.replicas.first().copied().unwrap_or(-1);
            if !away.contains(&partition.leader) && !away.contains(&preferred) {
                continue;
            }
            let mut replicas = partition.replicas.iter();
            let first = replicas.position(|id| !away.contains(id) && partition.isr.contains(id));
            let first = first.ok_or_else(|| {
                Expected::environment(format!(
                    "{}/{} has no other replica in sync that could lead it (replicas {:?}, in sync {:?})",
                    topic.name, partition.partition, partition.replicas, partition.isr
                ))
                .hint("name fewer brokers, or wait until replicas are in sync: khd verify")
            })?;
            let mut to = partition.replicas.clone();
            to.rotate_left(first);
            moves.push(Move {
                topic: topic.name.clone(),
                partition: partition.partition,
                from: partition.replicas.clone(),
                to,
            });
        }
    }
    if moves.is_empty() {
        return Err(Expected::environment(
            "there is no leadership to move: the broker leads no partition",
        ));
    }
    Ok(moves)
}

/// Puts the replicas of partitions in order and has the first of them elected; returns what was refused.
async fn lead_in_order(means: &Means, moves: &[Move], order: fn(&Move) -> &Vec<i32>) -> anyhow::Result<Refusals> {
    let admin = Admin::of(&means.topology);
    let replicas: BTreeMap<TopicPartition, Vec<i32>> =
        moves.iter().map(|moved| (moved.of(), order(moved).clone())).collect();
    let mut refusals = admin.reassign(&replicas).await?;
    let partitions: Vec<TopicPartition> = replicas.into_keys().collect();
    refusals.extend(admin.elect_preferred(&partitions).await?);
    Ok(refusals)
}

/// Which partitions of the workload do not have that order of replicas, with the first of it as leader.
fn unlike(view: &View, moves: &[Move], expected: &Expectation, order: fn(&Move) -> &Vec<i32>) -> Vec<String> {
    let watched = moves
        .iter()
        .filter(|moved| expected.workload.topics.contains(&moved.topic));
    watched
        .filter_map(|moved| {
            let order = order(moved);
            about(view, &moved.of(), |fact| {
                (fact.replicas != *order || Some(&fact.leader) != order.first()).then(|| {
                    format!(
                        "is led by {} of {:?}, not by the first of {order:?}",
                        fact.leader, fact.replicas
                    )
                })
            })
        })
        .collect()
}

/// What is to be said of a partition.
fn about(
    view: &View,
    partition: &TopicPartition,
    question: impl Fn(&PartitionView) -> Option<String>,
) -> Option<String> {
    let answer = match view.told(partition) {
        Some(fact) => question(fact)?,
        None => "is not known to any broker".into(),
    };
    Some(format!("{}/{} {answer}", partition.0, partition.1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::wire::answers::PartitionMetadata;
    use crate::settings::Settings;

    fn topics(partitions: &[(i32, &[i32], &[i32])]) -> Vec<TopicMetadata> {
        let partitions = partitions.iter().enumerate();
        let partitions = partitions.map(|(partition, (leader, replicas, isr))| PartitionMetadata {
            partition: partition as i32,
            leader: *leader,
            leader_epoch: 0,
            replicas: replicas.to_vec(),
            isr: isr.to_vec(),
        });
        vec![TopicMetadata {
            name: "test-1".into(),
            partitions: partitions.collect(),
        }]
    }

    #[test]
    fn what_a_broker_leads_or_would_be_given_back_goes_to_the_next_replica_in_sync() {
        let topics = topics(&[
            (2, &[2, 3, 1], &[1, 2, 3]),
            (2, &[2, 3, 1], &[1, 2]),
            (1, &[2, 1, 3], &[1, 3]),
            (1, &[1, 2, 3], &[1, 2, 3]),
        ]);
        let moved: Vec<(i32, Vec<i32>)> = moves(&topics, &[2])
            .unwrap()
            .into_iter()
            .map(|m| (m.partition, m.to))
            .collect();
        assert_eq!(moved, [(0, vec![3, 1, 2]), (1, vec![1, 2, 3]), (2, vec![1, 3, 2])]);
        let moved = moves(&topics, &[2, 3]).unwrap();
        assert_eq!(moved[0].to, [1, 2, 3], "not to the other target");
    }

    #[test]
    fn where_nobody_else_could_lead_nothing_is_moved() {
        let error = moves(&topics(&[(2, &[2, 3], &[2])]), &[2]).unwrap_err();
        assert_eq!(
            error.message,
            "test-1/0 has no other replica in sync that could lead it (replicas [2, 3], in sync [2])"
        );
        assert!(
            moves(&topics(&[(1, &[1, 2], &[1, 2])]), &[2]).is_err(),
            "it leads nothing"
        );
        let topology = Topology::of(&Settings::default());
        let all = ["kafka1", "kafka2", "kafka3"].map(Target::sample);
        assert!(MoveLeaders {}.check(&topology, &all[..2]).is_ok());
        assert!(MoveLeaders {}.check(&topology, &all).is_err());
    }
}
