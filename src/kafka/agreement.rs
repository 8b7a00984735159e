//! Whether all brokers know topics alike.
//!
//! Brokers learn of new topics one after the other. A group is dealt out by what its coordinator knows: where that one has
//! not heard of all partitions yet, the others are nobody's until the next rebalance, since librdkafka 2.12 asks for one by
//! itself only when what its own broker tells changes.

use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};
use futures_util::future::try_join_all;
use tokio::net::lookup_host;

use crate::kafka::wire::answers::Metadata;
use crate::kafka::wire::{BrokerConnection, Timeouts};

/// Asks every broker, each an id and `host:port`, for these topics.
///
/// # Errors
/// When one does not answer, knows other brokers or other partitions than the rest, or a partition without a leader or with
/// a replica on a broker that is not among these.
pub async fn alike(brokers: &[(i32, String)], topics: &[String]) -> anyhow::Result<()> {
    let told = try_join_all(brokers.iter().map(|(_, address)| ask(address, topics))).await?;
    let ids = brokers.iter().map(|(id, _)| *id).collect();
    let addresses = brokers.iter().map(|(_, address)| address.as_str());
    agree(&ids, topics.len(), addresses.zip(&told))
}

fn agree<'a>(
    ids: &BTreeSet<i32>,
    topics: usize,
    told: impl Iterator<Item = (&'a str, &'a Metadata)>,
) -> anyhow::Result<()> {
    let mut known: Option<Vec<(&str, usize)>> = None;
    for (broker, told) in told {
        ensure!(told.brokers == *ids, "{broker} knows other brokers");
        let mut partitions = Vec::new();
        for topic in &told.topics {
            let name = &topic.name;
            for partition in &topic.partitions {
                let number = partition.partition;
                ensure!(partition.leader >= 0, "{broker} knows no leader of {name}-{number}");
                ensure!(
                    partition.replicas.iter().all(|id| ids.contains(id)),
                    "{name}-{number} has a replica on a broker that {broker} does not know"
                );
            }
            partitions.push((name.as_str(), topic.partitions.len()));
        }
        ensure!(partitions.len() == topics, "{broker} does not know all topics");
        partitions.sort_unstable();
        let before = known.get_or_insert_with(|| partitions.clone());
        ensure!(*before == partitions, "{broker} knows other partitions");
    }
    Ok(())
}

async fn ask(address: &str, topics: &[String]) -> anyhow::Result<Metadata> {
    let cannot = || format!("cannot find {address}");
    let found = lookup_host(address).await.with_context(cannot)?.next();
    let socket = found.with_context(cannot)?;
    let mut connection = BrokerConnection::connect(address, socket, "khd", Timeouts::default()).await?;
    connection.metadata(topics).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::wire::answers::{PartitionMetadata, TopicMetadata};

    fn metadata() -> Metadata {
        let partition = |partition| PartitionMetadata {
            partition,
            leader: 1,
            leader_epoch: 0,
            replicas: vec![1, 2],
            isr: vec![1, 2],
        };
        let topic = |name: &str| TopicMetadata {
            name: name.into(),
            partitions: vec![partition(0), partition(1)],
        };
        Metadata {
            controller: 1,
            brokers: [1, 2].into(),
            topics: vec![topic("test-1"), topic("test-2")],
        }
    }

    fn differs(change: fn(&mut Metadata)) -> Option<String> {
        let (one, mut other) = (metadata(), metadata());
        change(&mut other);
        let told = [("kafka1", &one), ("kafka2", &other)];
        let agreed = agree(&[1, 2].into(), 2, told.into_iter());
        agreed.err().map(|error| error.to_string())
    }

    #[test]
    fn brokers_agree_when_each_knows_every_partition_and_its_leader() {
        assert_eq!(differs(|_| {}), None);
        // In whatever order.
        assert_eq!(differs(|told| told.topics.reverse()), None);
        let differs = |change| differs(change).unwrap_or_default();
        assert_eq!(
            differs(|told| drop(told.topics.pop())),
            "kafka2 does not know all topics"
        );
        assert_eq!(
            differs(|told| drop(told.topics[0].partitions.pop())),
            "kafka2 knows other partitions"
        );
        assert_eq!(
            differs(|told| told.topics[1].partitions[1].leader = -1),
            "kafka2 knows no leader of test-2-1"
        );
        assert_eq!(
            differs(|told| told.brokers.retain(|id| *id != 1)),
            "kafka2 knows other brokers"
        );
        assert_eq!(
            differs(|told| told.topics[0].partitions[0].replicas.push(3)),
            "test-1-0 has a replica on a broker that kafka2 does not know"
        );
    }
}
