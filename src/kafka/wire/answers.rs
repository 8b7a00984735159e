//! What brokers answer.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Buf as _, Bytes};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{
    BrokerId, ConsumerProtocolAssignment, DescribeQuorumResponse, ListOffsetsResponse, MetadataResponse,
    OffsetFetchResponse, consumer_group_describe_response, describe_groups_response, describe_quorum_response,
    metadata_response,
};
use kafka_protocol::protocol::Decodable as _;

use crate::timeline::event::{Member, TopicPartition};

/// The protocol type of groups of consumers.
const CONSUMERS: &str = "consumer";

/// What a broker knows of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// The controller it names; −1 for none.
    pub controller: i32,
    /// The brokers it knows.
    pub brokers: BTreeSet<i32>,
    /// The topics that were asked for. Those that do not exist, or have no partition yet, are left out.
    pub topics: Vec<TopicMetadata>,
}

/// What a broker knows of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicMetadata {
    /// Its name.
    pub name: String,
    /// Its partitions, in no certain order.
    pub partitions: Vec<PartitionMetadata>,
}

/// What a broker knows of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionMetadata {
    /// The partition.
    pub partition: i32,
    /// The leader; −1 for none.
    pub leader: i32,
    /// The leader's epoch; −1 where unknown.
    pub leader_epoch: i32,
    /// Replicas, the preferred leader first.
    pub replicas: Vec<i32>,
    /// In-sync replicas, sorted.
    pub isr: Vec<i32>,
}

/// A group, by its coordinator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupDescription {
    /// State in Kafka's words.
    pub state: String,
    /// Its members, sorted by their ids.
    pub members: Vec<Member>,
}

/// The metadata quorum of KRaft, by its leader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuorumDescription {
    /// Node id of the leader.
    pub leader: i32,
    /// The epoch that it leads in.
    pub epoch: i32,
    /// Controllers, which vote: the leader among them.
    pub voters: Vec<QuorumReplica>,
    /// Brokers, which read the metadata log and do not vote.
    pub observers: Vec<QuorumReplica>,
}

/// A node that has the metadata log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuorumReplica {
    /// Its node id.
    pub id: i32,
    /// When it last had all of the log, by the leader's clock, in milliseconds since the Unix epoch; −1 for never.
    pub caught_up: i64,
}

/// An offset for each of some partitions.
pub type PartitionOffsets = Vec<(TopicPartition, i64)>;

impl From<MetadataResponse> for Metadata {
    fn from(answer: MetadataResponse) -> Self {
        Self {
            controller: answer.controller_id.0,
            brokers: answer.brokers.iter().map(|broker| broker.node_id.0).collect(),
            topics: answer
                .topics
                .into_iter()
                .filter(|topic| !topic.partitions.is_empty())
                .filter_map(|topic| {
                    Some(TopicMetadata {
                        name: topic.name?.to_string(),
                        partitions: topic.partitions.into_iter().map(Into::into).collect(),
                    })
                })
                .collect(),
        }
    }
}

impl From<metadata_response::MetadataResponsePartition> for PartitionMetadata {
    fn from(answer: metadata_response::MetadataResponsePartition) -> Self {
        // Without its error code: a leader that is not available is told as −1.
        let mut isr = ids(answer.isr_nodes);
        isr.sort_unstable();
        Self {
            partition: answer.partition_index,
            leader: answer.leader_id.0,
            leader_epoch: answer.leader_epoch,
            replicas: ids(answer.replica_nodes),
            isr,
        }
    }
}

fn ids(brokers: Vec<BrokerId>) -> Vec<i32> {
    brokers.into_iter().map(|broker| broker.0).collect()
}

impl From<describe_groups_response::DescribedGroup> for GroupDescription {
    fn from(answer: describe_groups_response::DescribedGroup) -> Self {
        // What other clients, such as Connect's workers, assign is not encoded as consumers do.
        let consumers = &*answer.protocol_type == CONSUMERS;
        let members = answer.members.into_iter();
        let mut members: Vec<Member> = members.map(|answer| member(answer, consumers)).collect();
        // The coordinator keeps members in a hash map; their order tells nothing.
        members.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        Self {
            state: answer.group_state.to_string(),
            members,
        }
    }
}

fn member(answer: describe_groups_response::DescribedGroupMember, consumer: bool) -> Member {
    // While a group rebalances, assignments are empty.
    let assigned = consumer.then(|| assignment(answer.member_assignment)).flatten();
    Member {
        id: answer.member_id.to_string(),
        client: answer.client_id.to_string(),
        host: answer.client_host.trim_start_matches('/').to_owned(),
        assigned: assigned.unwrap_or_default(),
    }
}

/// A group of the new protocol; `otherwise`, when the coordinator knows none of that name, and nothing when it is not, or
/// not yet, the coordinator.
///
/// A member has what it was assigned so far: what it shall get beside that is still being given up by others.
pub(super) fn new_group(
    answer: consumer_group_describe_response::DescribedGroup,
    otherwise: GroupDescription,
) -> Option<GroupDescription> {
    match ResponseError::try_from_code(answer.error_code) {
        None => {}
        Some(
            ResponseError::NotCoordinator
            | ResponseError::CoordinatorNotAvailable
            | ResponseError::CoordinatorLoadInProgress,
        ) => return None,
        // There is none; or the cluster has the protocol disabled.
        Some(_) => return Some(otherwise),
    }
    let members = answer.members.into_iter();
    let mut members: Vec<Member> = members.map(new_member).collect();
    members.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    Some(GroupDescription {
        state: answer.group_state.to_string(),
        members,
    })
}

fn new_member(answer: consumer_group_describe_response::Member) -> Member {
    let mut assigned: BTreeMap<String, BTreeSet<i32>> = BTreeMap::new();
    for topic in answer.assignment.topic_partitions {
        assigned
            .entry(topic.topic_name.to_string())
            .or_default()
            .extend(topic.partitions);
    }
    Member {
        id: answer.member_id.to_string(),
        client: answer.client_id.to_string(),
        host: answer.client_host.trim_start_matches('/').to_owned(),
        assigned,
    }
}

/// Partitions in an assignment as consumers encode it: a version, then the structure.
fn assignment(mut bytes: Bytes) -> Option<BTreeMap<String, BTreeSet<i32>>> {
    let version = bytes.try_get_i16().ok()?;
    // A newer version only appends fields to what an older one reads.
    let decoded = ConsumerProtocolAssignment::decode(&mut bytes, version.clamp(0, 3)).ok()?;
    let mut assigned: BTreeMap<String, BTreeSet<i32>> = BTreeMap::new();
    for topic in decoded.assigned_partitions {
        assigned
            .entry(topic.topic.to_string())
            .or_default()
            .extend(topic.partitions);
    }
    Some(assigned)
}

/// The metadata quorum; nothing where the answer is that there is no leader, or not here.
pub(super) fn quorum(answer: DescribeQuorumResponse) -> Option<QuorumDescription> {
    let partition = answer.topics.into_iter().next()?.partitions.into_iter().next()?;
    if answer.error_code != 0 || partition.error_code != 0 || partition.leader_id.0 < 0 {
        return None;
    }
    let replicas = |states: Vec<describe_quorum_response::ReplicaState>| {
        let states = states.into_iter();
        let replica = |state: describe_quorum_response::ReplicaState| QuorumReplica {
            id: state.replica_id.0,
            caught_up: state.last_caught_up_timestamp,
        };
        states.map(replica).collect()
    };
    Some(QuorumDescription {
        leader: partition.leader_id.0,
        epoch: partition.leader_epoch,
        voters: replicas(partition.current_voters),
        observers: replicas(partition.observers),
    })
}

/// The offsets that a leader could tell.
pub(super) fn offsets(answer: ListOffsetsResponse) -> PartitionOffsets {
    let topics = answer.topics.into_iter();
    topics
        .flat_map(|topic| {
            let known = topic.partitions.into_iter();
            let known = known.filter(|p| p.error_code == 0 && p.offset >= 0);
            known.map(move |p| ((topic.name.to_string(), p.partition_index), p.offset))
        })
        .collect()
}

/// The offsets that a group has committed.
pub(super) fn committed_offsets(answer: OffsetFetchResponse) -> PartitionOffsets {
    let topics = answer.topics.into_iter();
    topics
        .flat_map(|topic| {
            // −1 where nothing was committed yet.
            let committed = topic.partitions.into_iter();
            let committed = committed.filter(|p| p.error_code == 0 && p.committed_offset >= 0);
            committed.map(move |p| ((topic.name.to_string(), p.partition_index), p.committed_offset))
        })
        .collect()
}
