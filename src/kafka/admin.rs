//! Changes to Kafka's own state, from the host: finds the broker that can make them, and asks it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use kafka_protocol::error::ResponseError;
use tokio::time::Instant;

use crate::error::Expected;
use crate::kafka::wire::answers::{GroupDescription, PartitionOffsets, TopicMetadata};
use crate::kafka::wire::changes::{Resource, Setting};
use crate::kafka::wire::refusal::{Refusal, Refusals};
use crate::kafka::wire::{BrokerConnection, Timeouts};
use crate::timeline::event::TopicPartition;
use crate::topology::{Broker, Topology};

/// What brokers see as `client.id`, in their request logs and metrics.
const CLIENT_ID: &str = "khd-admin";
/// A change is not tried in vain only because a broker is slow; it gives up well before the user does.
const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(2),
    request: Duration::from_secs(10),
};
/// How long to look for a broker that acts as the controller: the cluster may be about to elect one.
const CONTROLLER_WITHIN: Duration = Duration::from_secs(15);
/// Time between two rounds of looking for it.
const PAUSE: Duration = Duration::from_millis(200);

/// A way to the cluster's controller, to its coordinators, and to each of its brokers.
#[derive(Debug, Clone, Copy)]
pub struct Admin<'a> {
    brokers: &'a [Broker],
}

impl<'a> Admin<'a> {
    /// For the brokers of a lab, by their published ports.
    pub fn of(topology: &'a Topology) -> Self {
        Self {
            brokers: &topology.brokers,
        }
    }

    /// All topics with their partitions, Kafka's internal ones among them.
    ///
    /// # Errors
    /// When no broker answers.
    pub async fn topics(&self) -> anyhow::Result<Vec<TopicMetadata>> {
        let mut connection = self.any().await?;
        Ok(connection.metadata_of_all().await?.topics)
    }

    /// Has the preferred replicas of partitions elected as their leaders, and returns what was refused.
    ///
    /// # Errors
    /// When no broker acts as the controller, or it refuses the whole.
    pub async fn elect_preferred(&self, partitions: &[TopicPartition]) -> anyhow::Result<Refusals> {
        self.at_controller(Order::ElectPreferred(partitions)).await
    }

    /// Gives partitions other replicas, or the same in another order, and returns what was refused.
    ///
    /// # Errors
    /// When no broker acts as the controller, or it refuses the whole.
    pub async fn reassign(&self, replicas: &BTreeMap<TopicPartition, Vec<i32>>) -> anyhow::Result<Refusals> {
        self.at_controller(Order::Reassign(replicas)).await
    }

    /// Some of a topic's or a broker's settings; those that Kafka does not know of are left out.
    ///
    /// # Errors
    /// A [`Refusal`], or that of the connection.
    pub async fn settings(
        &self,
        of: &Resource,
        names: impl Iterator<Item = &String>,
    ) -> anyhow::Result<BTreeMap<String, Setting>> {
        self.for_settings(of).await?.settings(of, names).await
    }

    /// Sets some of a topic's or a broker's settings, or deletes what was set: `None`. With `validate_only`, says only
    /// whether it would.
    ///
    /// # Errors
    /// A [`Refusal`]: then none is changed; or that of the connection.
    pub async fn change_settings(
        &self,
        of: &Resource,
        changes: &BTreeMap<String, Option<String>>,
        validate_only: bool,
    ) -> anyhow::Result<()> {
        let mut connection = self.for_settings(of).await?;
        connection.change_settings(of, changes, validate_only).await
    }

    /// A group as its coordinator describes it, and the connection to the coordinator.
    ///
    /// # Errors
    /// When none of the brokers that answer coordinates it.
    pub async fn coordinator(&self, group: &str) -> anyhow::Result<(BrokerConnection, GroupDescription)> {
        for broker in self.brokers {
            let Ok(mut connection) = connect(broker).await else {
                continue;
            };
            if let Ok(Some(described)) = connection.describe_group(group).await {
                return Ok((connection, described));
            }
        }
        Err(
            Expected::environment(format!("no broker that answers coordinates group {group}"))
                .hint("look with khd status")
                .into(),
        )
    }

    /// What a group has committed, by its coordinator.
    ///
    /// # Errors
    /// When none of the brokers that answer coordinates it.
    pub async fn committed_offsets(&self, group: &str) -> anyhow::Result<PartitionOffsets> {
        let (mut coordinator, _) = self.coordinator(group).await?;
        let offsets = coordinator.committed_offsets(group).await?;
        offsets.with_context(|| format!("group {group} has just lost its coordinator"))
    }

    /// A broker's settings are told and changed by itself alone; a topic's by any.
    async fn for_settings(&self, of: &Resource) -> anyhow::Result<BrokerConnection> {
        match of {
            Resource::Topic(_) => self.any().await,
            Resource::Broker(id) => {
                let broker = self.brokers.iter().find(|broker| broker.id == *id);
                connect(broker.with_context(|| format!("the lab has no broker {id}"))?).await
            }
        }
    }

    async fn any(&self) -> anyhow::Result<BrokerConnection> {
        let mut failure = None;
        for broker in self.brokers {
            match connect(broker).await {
                Ok(connection) => return Ok(connection),
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.context("the lab has no broker")?)
    }

    /// Tells the controller: the broker that is said to be it, then the others, until one does not say that it is not.
    async fn at_controller(&self, order: Order<'_>) -> anyhow::Result<Refusals> {
        let deadline = Instant::now() + CONTROLLER_WITHIN;
        loop {
            let named = match self.any().await {
                Ok(mut connection) => connection.metadata(&[]).await.ok().map(|metadata| metadata.controller),
                Err(_) => None,
            };
            let mut brokers: Vec<&Broker> = self.brokers.iter().collect();
            brokers.sort_by_key(|broker| named != Some(broker.id));
            let mut failure = None;
            for broker in brokers {
                let answer = match connect(broker).await {
                    Ok(mut connection) => order.give(&mut connection).await,
                    Err(error) => Err(error),
                };
                match answer {
                    Err(error) if is_elsewhere(&error) => failure = Some(error),
                    answer => return answer,
                }
            }
            if Instant::now() >= deadline {
                let waited = CONTROLLER_WITHIN.as_secs();
                let failure = failure.context("the lab has no broker")?;
                return Err(failure.context(format!("no broker acted as the controller within {waited} s")));
            }
            // An election may be under way; the deadline above bounds the tries.
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// What only the controller does.
#[derive(Debug, Clone, Copy)]
enum Order<'a> {
    ElectPreferred(&'a [TopicPartition]),
    Reassign(&'a BTreeMap<TopicPartition, Vec<i32>>),
}

impl Order<'_> {
    async fn give(self, to: &mut BrokerConnection) -> anyhow::Result<Refusals> {
        match self {
            Self::ElectPreferred(partitions) => to.elect_preferred(partitions).await,
            Self::Reassign(replicas) => to.reassign(replicas).await,
        }
    }
}

/// Whether another broker may do what this one did not.
fn is_elsewhere(error: &anyhow::Error) -> bool {
    let refusal = error.downcast_ref::<Refusal>();
    refusal.is_none_or(|refusal| refusal.error == ResponseError::NotController)
}

async fn connect(broker: &Broker) -> anyhow::Result<BrokerConnection> {
    BrokerConnection::connect(&broker.service, broker.published, CLIENT_ID, TIMEOUTS).await
}
