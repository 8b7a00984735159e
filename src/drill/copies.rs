//! Collects what copiers made of the workload's partitions: gives them time to copy what is there, then reads the copies.
//!
//! It is done before the log itself is read, so that every copy is one of a record that is found there.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::drill::stage::Stage;
use crate::kafka::admin::Admin;
use crate::kafka::log::{self, Extent, Isolation, Source};
use crate::timeline::conditions;
use crate::timeline::event::{Kind, TopicPartition};
use crate::topology::{COPY_GROUP, copy_of};
use crate::workload::audit::{CopyLog, PartitionLog, read_topic};

/// How long copiers may take to copy what is in the log. Who takes over from one that died waits for its session (10 s), and
/// until its transaction was aborted: its time-out (10 s), and up to as long again until the coordinator looks.
const COPIED_WITHIN: Duration = Duration::from_secs(60);
/// Time between two looks at what the group has committed.
const LOOK: Duration = Duration::from_millis(500);
/// How long a partition's end, or a group's offsets, may take to be told.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long reading all copies may take.
const READ_WITHIN: Duration = Duration::from_secs(300);

/// What copiers made of each partition that tells its end; nothing in a lab that had no copiers, or where that cannot be read,
/// which is told.
pub async fn collect(stage: &Stage) -> Vec<CopyLog> {
    if !conditions::has_had_copiers(&stage.timeline.view().borrow(), &stage.expected) {
        return Vec::new();
    }
    gather(stage).await.unwrap_or_else(|error| {
        let message = format!("the copies could not be read: {error:#}");
        stage.timeline.emit("khd", Kind::Warning { message });
        Vec::new()
    })
}

async fn gather(stage: &Stage) -> anyhow::Result<Vec<CopyLog>> {
    let sources: BTreeSet<TopicPartition> = stage.expected.partitions().collect();
    let ends = extents(stage, sources).await?;
    let committed = copied(stage, &ends).await?;
    let copies = ends.keys().map(|(topic, partition)| (copy_of(topic), *partition));
    let extents = extents(stage, copies.collect()).await?;
    let mut logs = read(stage, extents).await?;
    let of = |((topic, partition), extent): (TopicPartition, Extent)| {
        Some(CopyLog {
            log: logs.remove(&(copy_of(&topic), partition))?,
            committed: committed.get(&(topic.clone(), partition)).copied().unwrap_or(0),
            end: extent.end,
            topic,
            partition,
        })
    };
    Ok(ends.into_iter().filter_map(of).collect())
}

/// What the group has committed, once that is all that was there, or no longer waited for.
async fn copied(
    stage: &Stage,
    ends: &BTreeMap<TopicPartition, Extent>,
) -> anyhow::Result<BTreeMap<TopicPartition, i64>> {
    // Where there are none any more, what they have left is left.
    let copiers = conditions::copiers(&stage.timeline.view().borrow(), &stage.expected);
    let within = if copiers == 0 { PATIENCE } else { COPIED_WITHIN };
    let deadline = Instant::now() + within;
    let admin = Admin::of(&stage.means.topology);
    loop {
        let committed = match admin.committed_offsets(COPY_GROUP).await {
            Ok(offsets) => offsets.into_iter().collect(),
            Err(error) if Instant::now() >= deadline => return Err(error),
            Err(_) => BTreeMap::new(),
        };
        let is_behind = |(partition, extent): &(&TopicPartition, &Extent)| {
            extent.begin < extent.end && committed.get(partition).is_none_or(|offset| *offset < extent.end)
        };
        if !ends.iter().any(|end| is_behind(&end)) || Instant::now() >= deadline {
            return Ok(committed);
        }
        // Until the next look, since nothing tells of commits; the deadline above bounds them all, and so does a signal.
        tokio::time::sleep(LOOK).await;
    }
}

async fn extents(
    stage: &Stage,
    partitions: BTreeSet<TopicPartition>,
) -> anyhow::Result<BTreeMap<TopicPartition, Extent>> {
    let source = Source::new(stage.bootstrap.clone());
    let ask = move || log::extents(&source, &partitions, &BTreeMap::new(), PATIENCE);
    tokio::task::spawn_blocking(ask).await?
}

/// Reads partitions as readers with `read_committed` get them, each topic by a client of its own.
async fn read(
    stage: &Stage,
    extents: BTreeMap<TopicPartition, Extent>,
) -> anyhow::Result<BTreeMap<TopicPartition, PartitionLog>> {
    let mut topics: BTreeMap<String, BTreeMap<i32, Extent>> = BTreeMap::new();
    for ((topic, partition), extent) in extents {
        topics.entry(topic).or_default().insert(partition, extent);
    }
    let deadline = Instant::now() + READ_WITHIN;
    let readers: Vec<_> = topics
        .into_iter()
        .map(|(topic, extents)| {
            let source = Source::new(stage.bootstrap.clone());
            let read = move || read_topic(&source, &topic, &extents, Isolation::ReadCommitted, deadline);
            tokio::task::spawn_blocking(read)
        })
        .collect();
    let mut logs = BTreeMap::new();
    for reader in readers {
        logs.extend(reader.await??.into_iter().map(|log| (log.key(), log)));
    }
    Ok(logs)
}
