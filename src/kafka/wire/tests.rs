//! Answers are encoded by the protocol crate's own broker half, sent as frames, and must arrive as khd's types.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{BufMut as _, Bytes, BytesMut};
use kafka_protocol::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, ApiVersionsRequest, ApiVersionsResponse,
    ConsumerProtocolAssignment, DescribeConfigsRequest, DescribeConfigsResponse, DescribeGroupsRequest,
    DescribeGroupsResponse, DescribeQuorumRequest, DescribeQuorumResponse, ElectLeadersRequest, ElectLeadersResponse,
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse, LeaveGroupRequest, LeaveGroupResponse,
    ListOffsetsRequest, ListOffsetsResponse, MetadataRequest, MetadataResponse, OffsetFetchRequest,
    OffsetFetchResponse, ResponseHeader, TopicName,
    alter_partition_reassignments_response::{ReassignablePartitionResponse, ReassignableTopicResponse},
    consumer_protocol_assignment,
    describe_configs_response::{DescribeConfigsResourceResult, DescribeConfigsResult},
    describe_groups_response::{DescribedGroup, DescribedGroupMember},
    describe_quorum_response::{PartitionData, ReplicaState, TopicData},
    elect_leaders_response::{PartitionResult, ReplicaElectionResult},
    incremental_alter_configs_response::AlterConfigsResourceResponse,
    leave_group_response::MemberResponse,
    list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse},
    metadata_response::{MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic},
    offset_fetch_response::{OffsetFetchResponsePartition, OffsetFetchResponseTopic},
};
use kafka_protocol::protocol::{Encodable, HeaderVersion, StrBytes};
use proptest::prelude::{any, proptest};

use super::answers::{
    GroupDescription, Metadata, PartitionMetadata, QuorumDescription, QuorumReplica, TopicMetadata, committed_offsets,
    new_group, offsets, quorum,
};
use super::calls::Call;
use super::changes::{changed, described, not_elected, not_reassigned, removed};
use super::{decode, encode};

const ID: i32 = 7;

fn frame<C: Call>(answer: &C::Answer) -> Bytes
where
    C::Answer: Encodable,
{
    let mut frame = BytesMut::new();
    let header = ResponseHeader::default().with_correlation_id(ID);
    header
        .encode(&mut frame, C::Answer::header_version(C::VERSION))
        .unwrap();
    answer.encode(&mut frame, C::VERSION).unwrap();
    frame.freeze()
}

fn name(text: &'static str) -> TopicName {
    TopicName(StrBytes::from_static_str(text))
}

#[test]
fn metadata_keeps_a_partition_without_leader_and_leaves_out_a_topic_that_does_not_exist() {
    let unknown_topic = MetadataResponseTopic::default()
        .with_error_code(3)
        .with_name(Some(name("test-2")));
    let leaderless = MetadataResponsePartition::default()
        .with_error_code(5)
        .with_partition_index(4)
        .with_leader_id((-1).into())
        .with_leader_epoch(9)
        .with_replica_nodes(vec![2.into(), 3.into(), 1.into()])
        .with_isr_nodes(vec![3.into(), 2.into()]);
    let answer = MetadataResponse::default()
        .with_brokers(vec![
            MetadataResponseBroker::default().with_node_id(3.into()),
            MetadataResponseBroker::default().with_node_id(1.into()),
        ])
        .with_controller_id(1.into())
        .with_topics(vec![
            MetadataResponseTopic::default()
                .with_name(Some(name("test-1")))
                .with_partitions(vec![leaderless]),
            unknown_topic,
        ]);
    let decoded = decode::<MetadataRequest>(frame::<MetadataRequest>(&answer), ID).unwrap();
    let expected = Metadata {
        controller: 1,
        brokers: BTreeSet::from([1, 3]),
        topics: vec![TopicMetadata {
            name: "test-1".into(),
            partitions: vec![PartitionMetadata {
                partition: 4,
                leader: -1,
                leader_epoch: 9,
                replicas: vec![2, 3, 1],
                isr: vec![2, 3],
            }],
        }],
    };
    assert_eq!(Metadata::from(decoded), expected);
}

#[test]
fn a_group_of_the_new_protocol_is_told_with_what_its_members_have() {
    use kafka_protocol::messages::ConsumerGroupDescribeRequest;
    use kafka_protocol::messages::ConsumerGroupDescribeResponse;
    use kafka_protocol::messages::consumer_group_describe_response::{
        Assignment, DescribedGroup, Member, TopicPartitions,
    };
    let dead = || GroupDescription {
        state: "Dead".into(),
        members: Vec::new(),
    };
    let told = |error| {
        let partitions = TopicPartitions::default()
            .with_topic_name(name("test-1"))
            .with_partitions(vec![3, 1]);
        let member = Member::default()
            .with_member_id(StrBytes::from_static_str("m"))
            .with_client_host(StrBytes::from_static_str("/10.0.0.7"))
            .with_assignment(Assignment::default().with_topic_partitions(vec![partitions]));
        let group = DescribedGroup::default()
            .with_error_code(error)
            .with_group_state(StrBytes::from_static_str("Reconciling"))
            .with_members(vec![member]);
        let answer = ConsumerGroupDescribeResponse::default().with_groups(vec![group]);
        let frame = frame::<ConsumerGroupDescribeRequest>(&answer);
        let decoded = decode::<ConsumerGroupDescribeRequest>(frame, ID).unwrap();
        new_group(decoded.groups.into_iter().next().unwrap(), dead())
    };
    let group = told(0).unwrap();
    assert_eq!(
        (group.state.as_str(), group.members[0].host.as_str()),
        ("Reconciling", "10.0.0.7")
    );
    assert_eq!(group.members[0].assigned["test-1"], BTreeSet::from([1, 3]));
    // GROUP_ID_NOT_FOUND, UNSUPPORTED_VERSION and NOT_COORDINATOR.
    assert_eq!((told(69), told(35), told(16)), (Some(dead()), Some(dead()), None));
}

#[test]
fn the_quorum_is_told_by_a_leader_and_by_nobody_else() {
    let state = |id: i32, caught_up| {
        ReplicaState::default()
            .with_replica_id(id.into())
            .with_last_caught_up_timestamp(caught_up)
    };
    let answer = |leader: i32, error| {
        let partition = PartitionData::default()
            .with_error_code(error)
            .with_leader_id(leader.into())
            .with_leader_epoch(7)
            .with_current_voters(vec![state(3001, 90), state(3002, -1)])
            .with_observers(vec![state(1, 80)]);
        let topic = TopicData::default().with_partitions(vec![partition]);
        let answer = DescribeQuorumResponse::default().with_topics(vec![topic]);
        quorum(decode::<DescribeQuorumRequest>(frame::<DescribeQuorumRequest>(&answer), ID).unwrap())
    };
    let replica = |id, caught_up| QuorumReplica { id, caught_up };
    let told = QuorumDescription {
        leader: 3001,
        epoch: 7,
        voters: vec![replica(3001, 90), replica(3002, -1)],
        observers: vec![replica(1, 80)],
    };
    assert_eq!(answer(3001, 0), Some(told));
    // NOT_LEADER_OR_FOLLOWER.
    assert_eq!(answer(3001, 6), None);
    assert_eq!(answer(-1, 0), None);
}

/// An assignment as a consumer of the given protocol version encodes it.
fn assignment(version: i16, topic: &'static str, partitions: &[i32]) -> Bytes {
    let topic = consumer_protocol_assignment::TopicPartition::default()
        .with_topic(name(topic))
        .with_partitions(partitions.to_vec());
    let mut bytes = BytesMut::new();
    bytes.put_i16(version);
    ConsumerProtocolAssignment::default()
        .with_assigned_partitions(vec![topic])
        .encode(&mut bytes, version.min(3))
        .unwrap();
    bytes.freeze()
}

#[test]
fn members_are_sorted_and_their_assignments_decoded_whatever_the_version_or_garbage() {
    let member = |id: &'static str, assignment: Bytes| {
        DescribedGroupMember::default()
            .with_member_id(StrBytes::from_static_str(id))
            .with_client_id(StrBytes::from_static_str("c"))
            .with_client_host(StrBytes::from_static_str("/10.0.0.1"))
            .with_member_assignment(assignment)
    };
    let answer = DescribeGroupsResponse::default().with_groups(vec![
        DescribedGroup::default()
            .with_group_state(StrBytes::from_static_str("Stable"))
            .with_protocol_type(StrBytes::from_static_str("consumer"))
            .with_members(vec![
                member("d-of-a-later-version", assignment(9, "test-1", &[7])),
                member("c-garbage", Bytes::from_static(&[0, 1, 0x7f, 0xff])),
                member("b-rebalances", Bytes::new()),
                member("a", assignment(1, "test-1", &[2, 0])),
            ]),
    ]);
    let mut decoded = decode::<DescribeGroupsRequest>(frame::<DescribeGroupsRequest>(&answer), ID).unwrap();
    let group = GroupDescription::from(decoded.groups.remove(0));
    assert_eq!(group.state, "Stable");
    let assigned: Vec<_> = group
        .members
        .iter()
        .map(|m| (m.id.as_str(), m.assigned.clone()))
        .collect();
    let of = |partitions: &[i32]| BTreeMap::from([("test-1".to_owned(), BTreeSet::from_iter(partitions.to_vec()))]);
    assert_eq!(
        assigned,
        [
            ("a", of(&[0, 2])),
            ("b-rebalances", BTreeMap::new()),
            ("c-garbage", BTreeMap::new()),
            ("d-of-a-later-version", of(&[7])),
        ]
    );
    assert_eq!(group.members[0].host, "10.0.0.1");
}

#[test]
fn offsets_that_a_broker_could_not_tell_are_left_out() {
    let end = |partition, error, offset| {
        ListOffsetsPartitionResponse::default()
            .with_partition_index(partition)
            .with_error_code(error)
            .with_offset(offset)
    };
    let answer = ListOffsetsResponse::default().with_topics(vec![
        ListOffsetsTopicResponse::default()
            .with_name(name("test-1"))
            .with_partitions(vec![end(0, 0, 5), end(1, 6, -1)]),
    ]);
    let decoded = decode::<ListOffsetsRequest>(frame::<ListOffsetsRequest>(&answer), ID).unwrap();
    assert_eq!(offsets(decoded), [(("test-1".to_owned(), 0), 5)]);

    let committed = |partition, offset| {
        OffsetFetchResponsePartition::default()
            .with_partition_index(partition)
            .with_committed_offset(offset)
    };
    let answer = OffsetFetchResponse::default().with_topics(vec![
        OffsetFetchResponseTopic::default()
            .with_name(name("test-1"))
            .with_partitions(vec![committed(0, 4), committed(1, -1)]),
    ]);
    let decoded = decode::<OffsetFetchRequest>(frame::<OffsetFetchRequest>(&answer), ID).unwrap();
    assert_eq!(committed_offsets(decoded), [(("test-1".to_owned(), 0), 4)]);
}

#[test]
fn an_election_that_is_not_needed_is_no_refusal_and_one_by_another_than_the_controller_is_none_at_all() {
    let answer = |results: &[(i32, i16)]| {
        let results = results.iter().map(|(partition, error)| {
            PartitionResult::default()
                .with_partition_id(*partition)
                .with_error_code(*error)
                .with_error_message(Some(StrBytes::from_static_str("because")))
        });
        let topic = ReplicaElectionResult::default()
            .with_topic(name("test-1"))
            .with_partition_result(results.collect());
        let answer = ElectLeadersResponse::default().with_replica_election_results(vec![topic]);
        not_elected(decode::<ElectLeadersRequest>(frame::<ElectLeadersRequest>(&answer), ID).unwrap())
    };
    let refusals = answer(&[(0, 0), (1, 84), (2, 80)]).unwrap();
    let words: Vec<String> = refusals
        .iter()
        .map(|((topic, partition), refusal)| format!("{topic}/{partition} {refusal}"))
        .collect();
    assert_eq!(words, ["test-1/2 PREFERRED_LEADER_NOT_AVAILABLE: because"]);
    assert_eq!(answer(&[(0, 41)]).unwrap_err().to_string(), "NOT_CONTROLLER: because");
}

#[test]
fn a_refused_reassignment_is_told_as_a_whole_or_by_partition() {
    let answer = |whole: i16, error: i16| {
        let partition = ReassignablePartitionResponse::default()
            .with_partition_index(3)
            .with_error_code(error);
        let topic = ReassignableTopicResponse::default()
            .with_name(name("test-1"))
            .with_partitions(vec![partition]);
        let answer = AlterPartitionReassignmentsResponse::default()
            .with_error_code(whole)
            .with_responses(vec![topic]);
        let frame = frame::<AlterPartitionReassignmentsRequest>(&answer);
        not_reassigned(decode::<AlterPartitionReassignmentsRequest>(frame, ID).unwrap())
    };
    assert_eq!(answer(0, 0).unwrap(), []);
    assert_eq!(answer(0, 39).unwrap()[0].1.to_string(), "INVALID_REPLICA_ASSIGNMENT");
    assert_eq!(answer(41, 0).unwrap_err().to_string(), "NOT_CONTROLLER");
}

#[test]
fn only_what_was_set_for_this_topic_or_broker_is_dynamic() {
    let config = |name, source, value: Option<&'static str>| {
        DescribeConfigsResourceResult::default()
            .with_name(StrBytes::from_static_str(name))
            .with_config_source(source)
            .with_value(value.map(StrBytes::from_static_str))
    };
    let described_as = |error, configs| {
        let result = DescribeConfigsResult::default()
            .with_error_code(error)
            .with_error_message(Some(StrBytes::from_static_str("Unexpected broker id")))
            .with_configs(configs);
        let answer = DescribeConfigsResponse::default().with_results(vec![result]);
        described(decode::<DescribeConfigsRequest>(frame::<DescribeConfigsRequest>(&answer), ID).unwrap())
    };
    let configs = vec![
        config("of-the-topic", 1, Some("2")),
        config("of-the-broker", 2, None),
        config("of-all-brokers", 3, Some("a")),
        config("of-its-file", 4, Some("b")),
        config("by-default", 5, Some("c")),
    ];
    let settings = described_as(0, configs).unwrap();
    let dynamic: Vec<&str> = settings
        .iter()
        .filter(|(_, s)| s.dynamic)
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(dynamic, ["of-the-broker", "of-the-topic"]);
    assert_eq!(settings["of-the-topic"].value.as_deref(), Some("2"));
    let error = described_as(42, Vec::new()).unwrap_err().to_string();
    assert_eq!(error, "INVALID_REQUEST: Unexpected broker id");
}

#[test]
fn a_change_or_a_removal_that_is_refused_fails() {
    let of_settings = |error| {
        let result = AlterConfigsResourceResponse::default()
            .with_error_code(error)
            .with_error_message(Some(StrBytes::from_static_str("Unknown topic config name: a")));
        let answer = IncrementalAlterConfigsResponse::default().with_responses(vec![result]);
        let frame = frame::<IncrementalAlterConfigsRequest>(&answer);
        changed(decode::<IncrementalAlterConfigsRequest>(frame, ID).unwrap())
    };
    of_settings(0).unwrap();
    let error = of_settings(40).unwrap_err().to_string();
    assert_eq!(error, "INVALID_CONFIG: Unknown topic config name: a");

    let of_members = |whole, error| {
        let answer = LeaveGroupResponse::default()
            .with_error_code(whole)
            .with_members(vec![MemberResponse::default().with_error_code(error)]);
        removed(decode::<LeaveGroupRequest>(frame::<LeaveGroupRequest>(&answer), ID).unwrap())
    };
    of_members(0, 0).unwrap();
    assert_eq!(of_members(16, 0).unwrap_err().to_string(), "NOT_COORDINATOR");
    assert_eq!(of_members(0, 25).unwrap_err().to_string(), "UNKNOWN_MEMBER_ID");
}

#[test]
fn an_answer_to_another_request_is_refused() {
    let frame = frame::<ApiVersionsRequest>(&ApiVersionsResponse::default());
    let error = decode::<ApiVersionsRequest>(frame, ID + 1).unwrap_err().to_string();
    assert_eq!(error, "the answer is to request 0x7, not to 0x8");
}

#[test]
fn an_answer_cut_short_or_with_bytes_too_many_is_refused() {
    let answer =
        MetadataResponse::default().with_topics(vec![MetadataResponseTopic::default().with_name(Some(name("test-1")))]);
    let whole = frame::<MetadataRequest>(&answer);
    for end in 0..whole.len() {
        assert!(
            decode::<MetadataRequest>(whole.slice(..end), ID).is_err(),
            "cut at byte {end}"
        );
    }
    let mut more = BytesMut::from(&whole[..]);
    more.put_u8(0);
    let error = decode::<MetadataRequest>(more.freeze(), ID).unwrap_err().to_string();
    assert_eq!(error, "the answer has 1 bytes too many");
}

proptest! {
    #[test]
    fn bytes_of_another_protocol_never_panic(bytes in any::<Vec<u8>>()) {
        // Its first four bytes would have to be this id by chance.
        let _ = decode::<MetadataRequest>(Bytes::from(bytes), super::FIRST_CORRELATION_ID);
    }
}

#[test]
fn the_length_in_front_of_a_request_counts_what_follows() {
    let frame = encode(&ApiVersionsRequest::default(), ID, &StrBytes::from_static_str("client")).unwrap();
    let length = i32::from_be_bytes(*frame.first_chunk().unwrap());
    assert_eq!(length as usize, frame.len() - 4);
}
