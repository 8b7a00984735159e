//! Asks one broker for all that it knows, over and over.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::lookup_host;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::cluster::{Group, Offsets};
use super::{Broker, Cluster};
use crate::kafka::wire::answers::Metadata;
use crate::kafka::wire::{BrokerConnection, Timeouts};
use crate::timeline::event::TopicPartition;

/// Time between two rounds of questions. With the time that an answer may take, a broker that hangs is missed within
/// 1.5 s.
const INTERVAL: Duration = Duration::from_millis(500);
/// Offsets and groups are asked for in every so manieth round: they are more, and tell of progress.
const OFFSETS_EVERY: u32 = 2;
/// Time between two attempts to reach a broker that does not answer.
const RETRY: Duration = Duration::from_millis(250);
/// How long its name may take to be resolved.
const RESOLVE: Duration = Duration::from_secs(1);
/// What brokers see as `client.id`.
const CLIENT_ID: &str = "khd-exporter";

/// Asks until it is aborted.
pub async fn ask(broker: Broker, cluster: Arc<Mutex<Cluster>>) {
    loop {
        let Err(error) = ask_until_it_fails(&broker, &cluster).await;
        if locked(&cluster).silent(broker.id) {
            tracing::warn!("{} does not answer: {error:#}", broker.server);
        }
        // Nothing tells that a broker is back; this asks until the exporter ends.
        sleep(RETRY).await;
    }
}

/// The cluster, also where somebody who held it panicked.
pub(super) fn locked(cluster: &Mutex<Cluster>) -> MutexGuard<'_, Cluster> {
    cluster.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn ask_until_it_fails(broker: &Broker, cluster: &Mutex<Cluster>) -> anyhow::Result<Infallible> {
    let resolved = timeout(RESOLVE, lookup_host(&broker.address)).await;
    let resolved = resolved.context("its name was not resolved in time")??.next();
    let address = resolved.context("its name has no address")?;
    let mut connection = BrokerConnection::connect(&broker.server, address, CLIENT_ID, Timeouts::default()).await?;
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        for round in 0..OFFSETS_EVERY {
            ticks.tick().await;
            let metadata = connection.metadata_of_all().await?;
            let epochs = led_by(broker.id, &metadata);
            if locked(cluster).answers(broker.id, metadata) {
                tracing::info!("{} answers", broker.server);
            }
            if round > 0 {
                continue;
            }
            let offsets = offsets(&mut connection, &epochs).await?;
            locked(cluster).offsets(offsets);
            let mut groups = BTreeMap::new();
            for name in connection.groups().await? {
                let described = connection.describe_group(&name).await?;
                let committed = connection.committed_offsets(&name).await?;
                if let (Some(described), Some(committed)) = (described, committed) {
                    let members = described.members.len();
                    groups.insert(name, Group { members, committed });
                }
            }
            locked(cluster).groups(broker.id, groups);
        }
    }
}

/// The partitions of which a broker says that it leads them, and in which epochs.
fn led_by(id: i32, metadata: &Metadata) -> BTreeMap<TopicPartition, i32> {
    let topics = metadata.topics.iter();
    let led = topics.flat_map(|topic| {
        let led = topic.partitions.iter().filter(move |partition| partition.leader == id);
        led.map(|partition| ((topic.name.clone(), partition.partition), partition.leader_epoch))
    });
    led.collect()
}

/// Offsets of the partitions that a broker leads in these epochs.
async fn offsets(
    connection: &mut BrokerConnection,
    epochs: &BTreeMap<TopicPartition, i32>,
) -> anyhow::Result<BTreeMap<TopicPartition, Offsets>> {
    let mut led: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for (topic, partition) in epochs.keys() {
        led.entry(topic).or_default().push(*partition);
    }
    let led: Vec<(String, Vec<i32>)> = led.into_iter().map(|(topic, led)| (topic.to_owned(), led)).collect();
    if led.is_empty() {
        return Ok(BTreeMap::new());
    }
    let ends = connection.end_offsets(&led).await?;
    let begins: BTreeMap<TopicPartition, i64> = connection.begin_offsets(&led).await?.into_iter().collect();
    let told = ends.into_iter().filter_map(|(partition, end)| {
        let (epoch, begin) = (*epochs.get(&partition)?, begins.get(&partition).copied());
        Some((partition, Offsets { epoch, begin, end }))
    });
    Ok(told.collect())
}
