//! Requests that change Kafka's own state, and how their answers become khd's types.

use std::collections::BTreeMap;

use anyhow::Context as _;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, BrokerId, DescribeConfigsRequest,
    DescribeConfigsResponse, ElectLeadersRequest, ElectLeadersResponse, GroupId, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse, LeaveGroupRequest, LeaveGroupResponse,
    alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic},
    describe_configs_request::DescribeConfigsResource,
    elect_leaders_request::TopicPartitions,
    incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig},
    leave_group_request::MemberIdentity,
};
use kafka_protocol::protocol::StrBytes;
use serde::{Deserialize, Serialize};

use super::BrokerConnection;
use super::calls::topic_name;
use super::refusal::{Refusal, Refusals};
use crate::timeline::event::TopicPartition;

/// How long the controller may take, in milliseconds; shorter than anybody waits for its answer.
const TIMEOUT_MS: i32 = 5000;
/// In ElectLeaders, the election of the preferred replica.
const PREFERRED: i8 = 0;
/// In configs, a topic's and a broker's resource type.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;
/// In IncrementalAlterConfigs, what is done to a setting.
const SET: i8 = 0;
const DELETE: i8 = 1;
/// In DescribeConfigs, that a value was set for just this topic, or just this broker, while it ran.
const OF_THIS_TOPIC: i8 = 1;
const OF_THIS_BROKER: i8 = 2;

/// Whose settings.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resource {
    /// A topic's.
    Topic(String),
    /// A broker's, by its id.
    Broker(i32),
}

impl Resource {
    fn kind(&self) -> i8 {
        match self {
            Self::Topic(_) => TOPIC,
            Self::Broker(_) => BROKER,
        }
    }

    fn name(&self) -> StrBytes {
        StrBytes::from_string(match self {
            Self::Topic(name) => name.clone(),
            Self::Broker(id) => id.to_string(),
        })
    }
}

/// A setting as Kafka tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its value; `None` for a secret.
    pub value: Option<String>,
    /// Whether it was set for just this resource while Kafka ran, and is no default nor from the server's own file.
    pub dynamic: bool,
}

impl BrokerConnection {
    /// Asks for a preferred election, and returns what was refused: only the controller elects.
    ///
    /// A partition that its preferred replica leads already is no refusal.
    ///
    /// # Errors
    /// A [`Refusal`] of the whole; when the broker does not answer, the connection is of no use then.
    pub async fn elect_preferred(&mut self, partitions: &[TopicPartition]) -> anyhow::Result<Refusals> {
        let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
        for (topic, partition) in partitions {
            topics.entry(topic).or_default().push(*partition);
        }
        let topics = topics.into_iter().map(|(topic, partitions)| {
            TopicPartitions::default()
                .with_topic(topic_name(topic))
                .with_partitions(partitions)
        });
        let request = ElectLeadersRequest::default()
            .with_election_type(PREFERRED)
            .with_topic_partitions(Some(topics.collect()))
            .with_timeout_ms(TIMEOUT_MS);
        not_elected(self.call(&request).await?)
    }

    /// Gives partitions other replicas, or the same in another order, and returns what was refused: only the controller
    /// reassigns.
    ///
    /// # Errors
    /// A [`Refusal`] of the whole; when the broker does not answer, the connection is of no use then.
    pub async fn reassign(&mut self, replicas: &BTreeMap<TopicPartition, Vec<i32>>) -> anyhow::Result<Refusals> {
        let mut topics: BTreeMap<&str, Vec<ReassignablePartition>> = BTreeMap::new();
        for ((topic, partition), replicas) in replicas {
            let replicas = replicas.iter().copied().map(BrokerId).collect();
            let partition = ReassignablePartition::default()
                .with_partition_index(*partition)
                .with_replicas(Some(replicas));
            topics.entry(topic).or_default().push(partition);
        }
        let topics = topics.into_iter().map(|(topic, partitions)| {
            ReassignableTopic::default()
                .with_name(topic_name(topic))
                .with_partitions(partitions)
        });
        let request = AlterPartitionReassignmentsRequest::default()
            .with_topics(topics.collect())
            .with_timeout_ms(TIMEOUT_MS);
        not_reassigned(self.call(&request).await?)
    }

    /// Asks for some of a topic's or this broker's settings. Those that Kafka does not know of are left out.
    ///
    /// # Errors
    /// A [`Refusal`]; when the broker does not answer, the connection is of no use then.
    pub async fn settings(
        &mut self,
        of: &Resource,
        names: impl Iterator<Item = &String>,
    ) -> anyhow::Result<BTreeMap<String, Setting>> {
        let names = names.map(|name| StrBytes::from_string(name.clone()));
        let resource = DescribeConfigsResource::default()
            .with_resource_type(of.kind())
            .with_resource_name(of.name())
            .with_configuration_keys(Some(names.collect()));
        let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
        described(self.call(&request).await?)
    }

    /// Sets some of a topic's or this broker's settings, or deletes what was set: `None`. With `validate_only`, says only
    /// whether it would.
    ///
    /// # Errors
    /// A [`Refusal`]: then none is changed; when the broker does not answer, the connection is of no use then.
    pub async fn change_settings(
        &mut self,
        of: &Resource,
        changes: &BTreeMap<String, Option<String>>,
        validate_only: bool,
    ) -> anyhow::Result<()> {
        let changes = changes.iter().map(|(name, value)| {
            AlterableConfig::default()
                .with_name(StrBytes::from_string(name.clone()))
                .with_config_operation(if value.is_some() { SET } else { DELETE })
                .with_value(value.clone().map(StrBytes::from_string))
        });
        let resource = AlterConfigsResource::default()
            .with_resource_type(of.kind())
            .with_resource_name(of.name())
            .with_configs(changes.collect());
        let request = IncrementalAlterConfigsRequest::default()
            .with_resources(vec![resource])
            .with_validate_only(validate_only);
        changed(self.call(&request).await?)
    }

    /// Removes members from a group that this broker coordinates, as if they had left.
    ///
    /// # Errors
    /// A [`Refusal`], also of one of them; when the broker does not answer, the connection is of no use then.
    pub async fn remove_members(&mut self, group: &str, ids: &[String]) -> anyhow::Result<()> {
        let members = ids
            .iter()
            .map(|id| MemberIdentity::default().with_member_id(StrBytes::from_string(id.clone())));
        let request = LeaveGroupRequest::default()
            .with_group_id(GroupId(StrBytes::from_string(group.to_owned())))
            .with_members(members.collect());
        removed(self.call(&request).await?)
    }
}

pub(super) fn not_elected(answer: ElectLeadersResponse) -> anyhow::Result<Refusals> {
    Refusal::check(answer.error_code, None)?;
    let results = answer.replica_election_results.into_iter().flat_map(|topic| {
        let partitions = topic.partition_result.into_iter();
        partitions.filter_map(move |result| {
            let refusal = Refusal::of(result.error_code, result.error_message)?;
            Some(((topic.topic.to_string(), result.partition_id), refusal))
        })
    });
    by_controller(results.filter(|(_, refusal)| refusal.error != ResponseError::ElectionNotNeeded))
}

pub(super) fn not_reassigned(answer: AlterPartitionReassignmentsResponse) -> anyhow::Result<Refusals> {
    Refusal::check(answer.error_code, answer.error_message)?;
    by_controller(answer.responses.into_iter().flat_map(|topic| {
        let partitions = topic.partitions.into_iter();
        partitions.filter_map(move |result| {
            let refusal = Refusal::of(result.error_code, result.error_message)?;
            Some(((topic.name.to_string(), result.partition_index), refusal))
        })
    }))
}

/// One that is not the controller says so of each partition.
fn by_controller(refused: impl Iterator<Item = (TopicPartition, Refusal)>) -> anyhow::Result<Refusals> {
    let refused: Refusals = refused.collect();
    match refused
        .iter()
        .find(|(_, refusal)| refusal.error == ResponseError::NotController)
    {
        Some((_, refusal)) => Err(refusal.clone().into()),
        None => Ok(refused),
    }
}

pub(super) fn described(answer: DescribeConfigsResponse) -> anyhow::Result<BTreeMap<String, Setting>> {
    let result = answer.results.into_iter().next();
    let result = result.context("the broker left the resource out of its answer")?;
    Refusal::check(result.error_code, result.error_message)?;
    let settings = result.configs.into_iter().map(|config| {
        let setting = Setting {
            value: config.value.map(|value| value.to_string()),
            dynamic: matches!(config.config_source, OF_THIS_TOPIC | OF_THIS_BROKER),
        };
        (config.name.to_string(), setting)
    });
    Ok(settings.collect())
}

pub(super) fn changed(answer: IncrementalAlterConfigsResponse) -> anyhow::Result<()> {
    let mut results = answer.responses.into_iter();
    results.try_for_each(|result| Refusal::check(result.error_code, result.error_message))
}

pub(super) fn removed(answer: LeaveGroupResponse) -> anyhow::Result<()> {
    Refusal::check(answer.error_code, None)?;
    let mut members = answer.members.into_iter();
    members.try_for_each(|member| Refusal::check(member.error_code, None))
}
