//! A broker over a real socket that answers for a small cluster of one partition, or misbehaves as it is told.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::{BufMut as _, BytesMut};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, DescribeGroupsResponse, ElectLeadersResponse, ListGroupsResponse, ListOffsetsResponse,
    MetadataResponse, OffsetFetchResponse, RequestHeader, ResponseHeader, TopicName,
    api_versions_response::ApiVersion,
    describe_groups_response::DescribedGroup,
    elect_leaders_response::{PartitionResult, ReplicaElectionResult},
    list_groups_response::ListedGroup,
    list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse},
    metadata_response::{MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic},
    offset_fetch_response::{OffsetFetchResponsePartition, OffsetFetchResponseTopic},
};
use kafka_protocol::protocol::{Encodable, StrBytes, decode_request_header_from_buffer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How a broker behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    Well,
    Hangs,
    RefusesConnections,
    ClosesAmidAnswer,
    ClaimsTooMuch,
    AnswersAnotherRequest,
    AnswersInPart,
    SpeaksHttp,
}

/// What all brokers of a test say.
#[derive(Debug)]
pub struct Cluster {
    pub leader: i32,
    pub coordinator: i32,
    /// The broker that acts as the controller; all name broker 1.
    pub controller: i32,
    /// What the controller answers to an election.
    pub election: i16,
    pub end_offset: i64,
    pub committed_offset: i64,
}

/// A fake broker. Its tasks end with the runtime of the test.
pub struct FakeBroker {
    pub address: SocketAddr,
    manner: watch::Sender<Manner>,
}

impl FakeBroker {
    pub async fn start(id: i32, cluster: Arc<Mutex<Cluster>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let manner = watch::Sender::new(Manner::Well);
        tokio::spawn(listen(id, listener, manner.subscribe(), cluster));
        Self { address, manner }
    }

    pub fn behave(&self, manner: Manner) {
        self.manner.send_replace(manner);
    }
}

async fn listen(id: i32, mut listener: TcpListener, mut manner: watch::Receiver<Manner>, cluster: Arc<Mutex<Cluster>>) {
    let address = listener.local_addr().unwrap();
    loop {
        let refuses = async {
            manner
                .wait_for(|now| *now == Manner::RefusesConnections)
                .await
                .map(drop)
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => Some(accepted.unwrap()),
            _ = refuses => None,
        };
        if let Some((stream, _)) = accepted {
            tokio::spawn(serve(id, stream, manner.clone(), cluster.clone()));
            continue;
        }
        drop(listener);
        // Fails when the test is over.
        if manner.wait_for(|now| *now != Manner::RefusesConnections).await.is_err() {
            return;
        }
        listener = TcpListener::bind(address).await.unwrap();
    }
}

/// Answers one connection's requests, until the client closes it or the broker's manner does.
async fn serve(id: i32, mut stream: TcpStream, mut manner: watch::Receiver<Manner>, cluster: Arc<Mutex<Cluster>>) {
    while let Ok(size) = stream.read_i32().await {
        let mut request = BytesMut::zeroed(usize::try_from(size).unwrap());
        stream.read_exact(&mut request).await.unwrap();
        let mut header = decode_request_header_from_buffer(&mut request).unwrap();
        let now = *manner.borrow_and_update();
        if now == Manner::AnswersAnotherRequest {
            header.correlation_id -= 1;
        }
        let mut answer = answer(id, &header, &cluster.lock().unwrap());
        match now {
            Manner::Well | Manner::AnswersAnotherRequest => {}
            // As a process that was paused does, it answers none of the requests it was sent.
            Manner::Hangs => {
                manner.changed().await.unwrap();
                return;
            }
            Manner::RefusesConnections => return,
            Manner::ClosesAmidAnswer => answer.truncate(answer.len() / 2),
            Manner::ClaimsTooMuch => answer[..4].copy_from_slice(&i32::MAX.to_be_bytes()),
            Manner::AnswersInPart => {
                answer.truncate(answer.len() - 3);
                let size = answer.len() as i32 - 4;
                answer[..4].copy_from_slice(&size.to_be_bytes());
            }
            Manner::SpeaksHttp => answer = BytesMut::from("HTTP/1.1 400 Bad Request\r\n\r\n"),
        }
        stream.write_all(&answer).await.unwrap();
        if now == Manner::ClosesAmidAnswer {
            return;
        }
    }
}

fn answer(id: i32, header: &RequestHeader, cluster: &Cluster) -> BytesMut {
    let key = ApiKey::try_from(header.request_api_key).unwrap();
    let version = header.request_api_version;
    let mut frame = BytesMut::new();
    frame.put_i32(0);
    let response_header = ResponseHeader::default().with_correlation_id(header.correlation_id);
    response_header
        .encode(&mut frame, key.response_header_version(version))
        .unwrap();
    match key {
        ApiKey::ApiVersions => api_versions().encode(&mut frame, version),
        ApiKey::Metadata => metadata(cluster).encode(&mut frame, version),
        ApiKey::DescribeGroups => describe_groups(id, cluster).encode(&mut frame, version),
        ApiKey::ListGroups => list_groups(id, cluster).encode(&mut frame, version),
        ApiKey::ListOffsets => list_offsets(id, cluster).encode(&mut frame, version),
        ApiKey::OffsetFetch => offset_fetch(id, cluster).encode(&mut frame, version),
        ApiKey::ElectLeaders => elect_leaders(id, cluster).encode(&mut frame, version),
        other => panic!("a request that no test sends: {other:?}"),
    }
    .unwrap();
    let size = frame.len() as i32 - 4;
    frame[..4].copy_from_slice(&size.to_be_bytes());
    frame
}

fn topic() -> TopicName {
    TopicName(StrBytes::from_static_str("test-1"))
}

/// The versions that Kafka 4.1 accepts.
fn api_versions() -> ApiVersionsResponse {
    let accepted = [
        (ApiKey::ApiVersions, 0, 4),
        (ApiKey::Metadata, 0, 13),
        (ApiKey::DescribeGroups, 0, 6),
        (ApiKey::ListGroups, 0, 5),
        (ApiKey::ListTransactions, 0, 1),
        (ApiKey::ListOffsets, 1, 11),
        (ApiKey::OffsetFetch, 1, 10),
        (ApiKey::ElectLeaders, 0, 2),
        (ApiKey::AlterPartitionReassignments, 0, 1),
        (ApiKey::DescribeConfigs, 1, 4),
        (ApiKey::IncrementalAlterConfigs, 0, 1),
        (ApiKey::LeaveGroup, 0, 5),
    ];
    let accepted = accepted.into_iter().map(|(key, min, max)| {
        ApiVersion::default()
            .with_api_key(key as i16)
            .with_min_version(min)
            .with_max_version(max)
    });
    ApiVersionsResponse::default().with_api_keys(accepted.collect())
}

fn metadata(cluster: &Cluster) -> MetadataResponse {
    let brokers = [1, 2].map(|id| MetadataResponseBroker::default().with_node_id(id.into()));
    let partition = MetadataResponsePartition::default()
        .with_leader_id(cluster.leader.into())
        .with_leader_epoch(cluster.leader)
        .with_replica_nodes(vec![1.into(), 2.into()])
        .with_isr_nodes(vec![2.into(), 1.into()]);
    let topic = MetadataResponseTopic::default()
        .with_name(Some(topic()))
        .with_partitions(vec![partition]);
    MetadataResponse::default()
        .with_brokers(brokers.to_vec())
        .with_controller_id(1.into())
        .with_topics(vec![topic])
}

fn not_coordinator(id: i32, cluster: &Cluster) -> i16 {
    if id == cluster.coordinator { 0 } else { 16 }
}

fn describe_groups(id: i32, cluster: &Cluster) -> DescribeGroupsResponse {
    let group = DescribedGroup::default()
        .with_group_id(StrBytes::from_static_str("test").into())
        .with_error_code(not_coordinator(id, cluster))
        .with_group_state(StrBytes::from_static_str("Stable"));
    DescribeGroupsResponse::default().with_groups(vec![group])
}

fn list_groups(id: i32, cluster: &Cluster) -> ListGroupsResponse {
    let group = ListedGroup::default().with_group_id(StrBytes::from_static_str("test").into());
    let groups = (id == cluster.coordinator).then_some(group);
    ListGroupsResponse::default().with_groups(groups.into_iter().collect())
}

fn list_offsets(id: i32, cluster: &Cluster) -> ListOffsetsResponse {
    assert_eq!(id, cluster.leader, "a broker is asked only for what it says it leads");
    let partition = ListOffsetsPartitionResponse::default().with_offset(cluster.end_offset);
    let topic = ListOffsetsTopicResponse::default()
        .with_name(topic())
        .with_partitions(vec![partition]);
    ListOffsetsResponse::default().with_topics(vec![topic])
}

fn offset_fetch(id: i32, cluster: &Cluster) -> OffsetFetchResponse {
    let partition = OffsetFetchResponsePartition::default().with_committed_offset(cluster.committed_offset);
    let topic = OffsetFetchResponseTopic::default()
        .with_name(topic())
        .with_partitions(vec![partition]);
    OffsetFetchResponse::default()
        .with_error_code(not_coordinator(id, cluster))
        .with_topics(vec![topic])
}

fn elect_leaders(id: i32, cluster: &Cluster) -> ElectLeadersResponse {
    const NOT_CONTROLLER: i16 = 41;
    let error = if id == cluster.controller {
        cluster.election
    } else {
        NOT_CONTROLLER
    };
    let topic = ReplicaElectionResult::default()
        .with_topic(topic())
        .with_partition_result(vec![PartitionResult::default().with_error_code(error)]);
    ElectLeadersResponse::default().with_replica_election_results(vec![topic])
}
