//! The requests that khd sends, each at its pinned version; those that only ask, and how their answers become khd's types.

use std::collections::BTreeSet;

use anyhow::{Context as _, bail, ensure};
use kafka_protocol::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, ApiKey, ApiVersionsRequest,
    ApiVersionsResponse, ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, DescribeConfigsRequest,
    DescribeConfigsResponse, DescribeGroupsRequest, DescribeGroupsResponse, DescribeQuorumRequest,
    DescribeQuorumResponse, ElectLeadersRequest, ElectLeadersResponse, GroupId, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse, LeaveGroupRequest, LeaveGroupResponse, ListGroupsRequest, ListGroupsResponse,
    ListOffsetsRequest, ListOffsetsResponse, ListTransactionsRequest, ListTransactionsResponse, MetadataRequest,
    MetadataResponse, OffsetFetchRequest, OffsetFetchResponse, TopicName, describe_quorum_request,
    list_offsets_request, metadata_request::MetadataRequestTopic,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes};

use super::BrokerConnection;
use super::answers::{self, GroupDescription, Metadata, PartitionOffsets, QuorumDescription};

/// A request of a pinned version.
pub(super) trait Call: Encodable + HeaderVersion {
    const KEY: ApiKey;
    const NAME: &'static str;
    const VERSION: i16;
    type Answer: Decodable + HeaderVersion;
}

/// A request, with its name and version.
pub(super) type Spoken = (ApiKey, &'static str, i16);

macro_rules! calls {
    ($(#[$doc:meta])* $all:ident: $($request:ident $key:ident $version:literal -> $answer:ident;)*) => {
        $(impl Call for $request {
            const KEY: ApiKey = ApiKey::$key;
            const NAME: &'static str = stringify!($key);
            const VERSION: i16 = $version;
            type Answer = $answer;
        })*

        $(#[$doc])*
        pub(super) const $all: &[Spoken] = &[$((ApiKey::$key, stringify!($key), $version)),*];
    };
}

calls! {
    /// What brokers are asked.
    OF_BROKERS:
    ApiVersionsRequest ApiVersions 3 -> ApiVersionsResponse;
    // The first with leader epochs is 7; 11 is the newest that Kafka 3.0 knows.
    MetadataRequest Metadata 11 -> MetadataResponse;
    // From version 6 on, a group that does not exist, or is not of the classic protocol, is an error rather than in state
    // `Dead`.
    DescribeGroupsRequest DescribeGroups 5 -> DescribeGroupsResponse;
    // Without the types of groups, which came with KIP-848: by this version those are listed too.
    ListGroupsRequest ListGroups 4 -> ListGroupsResponse;
    ListTransactionsRequest ListTransactions 0 -> ListTransactionsResponse;
    ListOffsetsRequest ListOffsets 6 -> ListOffsetsResponse;
    // The last version for a single group, and older than KIP-848.
    OffsetFetchRequest OffsetFetch 7 -> OffsetFetchResponse;
    ElectLeadersRequest ElectLeaders 2 -> ElectLeadersResponse;
    AlterPartitionReassignmentsRequest AlterPartitionReassignments 0 -> AlterPartitionReassignmentsResponse;
    DescribeConfigsRequest DescribeConfigs 4 -> DescribeConfigsResponse;
    IncrementalAlterConfigsRequest IncrementalAlterConfigs 1 -> IncrementalAlterConfigsResponse;
    // The first that removes others than oneself is 3; 5 came after Kafka 3.0.
    LeaveGroupRequest LeaveGroup 4 -> LeaveGroupResponse;
}

calls! {
    /// What KRaft's controllers are asked.
    OF_CONTROLLERS:
    // The first with the times at which replicas had caught up; it came with Kafka 3.3.
    DescribeQuorumRequest DescribeQuorum 1 -> DescribeQuorumResponse;
}

calls! {
    /// What brokers are asked where they know it: groups of the new protocol, which came with Kafka 4.
    OF_NEW_GROUPS:
    ConsumerGroupDescribeRequest ConsumerGroupDescribe 0 -> ConsumerGroupDescribeResponse;
}

/// The state in which coordinators describe a group that they do not know, or that is of another protocol.
const DEAD: &str = "Dead";

/// The topic of the metadata log, which has one partition.
const METADATA_TOPIC: &str = "__cluster_metadata";
/// In ListOffsets, the offset after the last message that consumers may read.
const LATEST: i64 = -1;
/// In ListOffsets, the offset of the first message.
const EARLIEST: i64 = -2;
/// In ListOffsets, the replica id of a consumer.
const CONSUMER: i32 = -1;

impl BrokerConnection {
    /// Refuses a server that does not speak the pinned versions, so that no other request can be misread.
    pub(super) async fn check_versions(&mut self, calls: &[Spoken]) -> anyhow::Result<()> {
        let request = ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_static_str("khd"))
            .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
        let answer = self.call(&request).await?;
        if let Err(error) = speaks_all(&answer, calls) {
            return Err(error.context(format!("{} is no Kafka that khd can talk to", self.broker)));
        }
        self.has_new_groups = speaks_all(&answer, OF_NEW_GROUPS).is_ok();
        Ok(())
    }

    /// Asks whom this broker takes for the controller, which brokers it knows, and what it knows of some topics.
    ///
    /// Never creates a topic.
    ///
    /// # Errors
    /// When the broker does not answer; the connection is of no use then.
    pub async fn metadata(&mut self, topics: &[String]) -> anyhow::Result<Metadata> {
        let topics = topics
            .iter()
            .map(|topic| MetadataRequestTopic::default().with_name(Some(topic_name(topic))));
        let request = MetadataRequest::default()
            .with_topics(Some(topics.collect()))
            .with_allow_auto_topic_creation(false);
        Ok(self.call(&request).await?.into())
    }

    /// The same of all topics, Kafka's internal ones among them.
    ///
    /// # Errors
    /// When the broker does not answer; the connection is of no use then.
    pub async fn metadata_of_all(&mut self) -> anyhow::Result<Metadata> {
        let request = MetadataRequest::default()
            .with_topics(None)
            .with_allow_auto_topic_creation(false);
        Ok(self.call(&request).await?.into())
    }

    /// Asks for the groups that this broker coordinates, by name.
    ///
    /// # Errors
    /// When the broker does not answer; the connection is of no use then.
    pub async fn groups(&mut self) -> anyhow::Result<Vec<String>> {
        let answer = self.call(&ListGroupsRequest::default()).await?;
        // One that is only just becoming a coordinator lists none yet.
        let groups = answer.groups.into_iter();
        Ok(groups.map(|group| group.group_id.to_string()).collect())
    }

    /// Asks of whom this broker coordinates the transactions, by transactional ids; of nobody, while it is only just
    /// becoming a coordinator.
    ///
    /// # Errors
    /// When the broker does not answer; the connection is of no use then.
    pub async fn transactional_ids(&mut self) -> anyhow::Result<BTreeSet<String>> {
        let answer = self.call(&ListTransactionsRequest::default()).await?;
        let transactions = answer.transaction_states.into_iter();
        Ok(transactions.map(|one| one.transactional_id.0.to_string()).collect())
    }

    /// Asks for a group, whichever its protocol; nothing, when this broker is not its coordinator or not yet able to speak
    /// for it.
    ///
    /// A coordinator describes a group that does not exist too, as `Dead`.
    ///
    /// # Errors
    /// When the broker does not answer; the connection is of no use then.
    pub async fn describe_group(&mut self, group: &str) -> anyhow::Result<Option<GroupDescription>> {
        let request =
            DescribeGroupsRequest::default().with_groups(vec![GroupId(StrBytes::from_string(group.to_owned()))]);
        let answer = self.call(&request).await?;
        let described = answer
            .groups
            .into_iter()
            .find(|described| &*described.group_id.0 == group);
        let described = described.with_context(|| format!("{} left the group out of its answer", self.broker))?;
        let described: Option<GroupDescription> = (described.error_code == 0).then(|| described.into());
        match described {
            Some(dead) if dead.state == DEAD && self.has_new_groups => self.describe_new_group(group, dead).await,
            classic => Ok(classic),
        }
    }

    /// The same of a group of the new protocol; `otherwise`, when there is none of that name.
    async fn describe_new_group(
        &mut self,
        group: &str,
        otherwise: GroupDescription,
    ) -> anyhow::Result<Option<GroupDescription>> {
        let request = ConsumerGroupDescribeRequest::default()
            .with_group_ids(vec![GroupId(StrBytes::from_string(group.to_owned()))]);
        let mut groups = self.call(&request).await?.groups.into_iter();
        let described = groups.find(|described| &*described.group_id.0 == group);
        let described = described.with_context(|| format!("{} left the group out of its answer", self.broker))?;
        Ok(answers::new_group(described, otherwise))
    }

    /// Asks how far partitions have come that this broker leads: the offsets after the last messages that consumers
    /// may read. A partition that it does not lead, or cannot tell of yet, is left out.
    ///
    /// # Errors
    /// When the broker does not answer; the connection is of no use then.
    pub async fn end_offsets(&mut self, of: &[(String, Vec<i32>)]) -> anyhow::Result<PartitionOffsets> {
        self.offsets(of, LATEST).await
    }

    /// Asks where partitions begin that this broker leads: the offsets of their first messages. A partition that it does
    /// not lead is left out.
    ///
    /// # Errors
    /// When the broker does not answer; the connection is of no use then.
    pub async fn begin_offsets(&mut self, of: &[(String, Vec<i32>)]) -> anyhow::Result<PartitionOffsets> {
        self.offsets(of, EARLIEST).await
    }

    /// Asks a controller of KRaft for the metadata quorum; nothing, when it does not lead it.
    ///
    /// A broker passes the question on, but waits for half a minute when the leader is frozen.
    ///
    /// # Errors
    /// When the controller does not answer; the connection is of no use then.
    pub async fn describe_quorum(&mut self) -> anyhow::Result<Option<QuorumDescription>> {
        let topic = describe_quorum_request::TopicData::default()
            .with_topic_name(topic_name(METADATA_TOPIC))
            .with_partitions(vec![describe_quorum_request::PartitionData::default()]);
        let request = DescribeQuorumRequest::default().with_topics(vec![topic]);
        Ok(answers::quorum(self.call(&request).await?))
    }

    async fn offsets(&mut self, of: &[(String, Vec<i32>)], timestamp: i64) -> anyhow::Result<PartitionOffsets> {
        let topics = of.iter().map(|(topic, partitions)| {
            let partitions = partitions.iter().map(|partition| {
                list_offsets_request::ListOffsetsPartition::default()
                    .with_partition_index(*partition)
                    .with_timestamp(timestamp)
            });
            list_offsets_request::ListOffsetsTopic::default()
                .with_name(topic_name(topic))
                .with_partitions(partitions.collect())
        });
        let request = ListOffsetsRequest::default()
            .with_replica_id(CONSUMER.into())
            .with_topics(topics.collect());
        Ok(answers::offsets(self.call(&request).await?))
    }

    /// Asks for all offsets that a group has committed; nothing, when this broker is not its coordinator.
    ///
    /// # Errors
    /// When the broker does not answer; the connection is of no use then.
    pub async fn committed_offsets(&mut self, group: &str) -> anyhow::Result<Option<PartitionOffsets>> {
        let request = OffsetFetchRequest::default()
            .with_group_id(GroupId(StrBytes::from_string(group.to_owned())))
            .with_topics(None);
        let answer = self.call(&request).await?;
        Ok((answer.error_code == 0).then(|| answers::committed_offsets(answer)))
    }
}

pub(super) fn topic_name(topic: &str) -> TopicName {
    TopicName(StrBytes::from_string(topic.to_owned()))
}

fn speaks_all(answer: &ApiVersionsResponse, calls: &[Spoken]) -> anyhow::Result<()> {
    ensure!(
        answer.error_code == 0,
        "ApiVersions failed with error code {}",
        answer.error_code
    );
    for (key, name, version) in calls {
        let Some(known) = answer.api_keys.iter().find(|api| api.api_key == *key as i16) else {
            bail!("it does not know {name}");
        };
        let (min, max) = (known.min_version, known.max_version);
        ensure!(
            (min..=max).contains(version),
            "it speaks {name} in versions {min} to {max}, khd in version {version}"
        );
    }
    Ok(())
}
