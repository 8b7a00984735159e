//! What a container uses: as the kernel counts it where that can be read here, otherwise as the engine does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bollard::models::{ContainerBlkioStats, ContainerMemoryStats, ContainerStatsResponse};
use bollard::query_parameters::{InspectContainerOptions, StatsOptions};
use futures_util::TryStreamExt as _;
use jiff::Timestamp;

use super::Docker;
use super::cgroup::Kernel;
use crate::engine::Usage;

/// Id and first process of containers, by name.
pub(super) type Processes = Arc<Mutex<HashMap<String, (String, i64)>>>;

impl Docker {
    pub(super) async fn container_usage(&self, container: &str) -> anyhow::Result<Usage> {
        if self.local {
            let kernel = Kernel::default();
            let known = self.processes().get(container).cloned();
            if let Some(usage) = known.and_then(|(id, pid)| kernel.usage(&id, pid)) {
                return Ok(usage);
            }
            // It is new, or was started again, and has another process.
            let (id, pid) = self.process(container).await?;
            self.processes().insert(container.to_owned(), (id.clone(), pid));
            if let Some(usage) = kernel.usage(&id, pid) {
                return Ok(usage);
            }
        }
        self.container_stats(container).await
    }

    fn processes(&self) -> MutexGuard<'_, HashMap<String, (String, i64)>> {
        self.processes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A container's id and first process; 0 when it does not run.
    async fn process(&self, container: &str) -> anyhow::Result<(String, i64)> {
        let inspected = self
            .client
            .inspect_container(container, None::<InspectContainerOptions>)
            .await;
        let inspected = inspected.map_err(self.failed(format_args!("cannot inspect container {container}")))?;
        let pid = inspected.state.and_then(|state| state.pid);
        Ok((inspected.id.unwrap_or_default(), pid.unwrap_or_default()))
    }

    async fn container_stats(&self, container: &str) -> anyhow::Result<Usage> {
        let operation = format!("cannot tell what container {container} uses");
        let options = StatsOptions {
            stream: false,
            // Otherwise the engine takes a second to compare two samples of its own.
            one_shot: true,
        };
        let mut answers = Box::pin(self.client.stats(container, Some(options)));
        let answer = answers.try_next().await.map_err(self.failed(&operation))?;
        answer
            .map(usage)
            .ok_or_else(|| anyhow::anyhow!("{operation}: the engine said nothing"))
    }
}

fn usage(stats: ContainerStatsResponse) -> Usage {
    let cpu = stats.cpu_stats.and_then(|cpu| cpu.cpu_usage?.total_usage);
    let (read, written) = stats.blkio_stats.as_ref().map(disks).unwrap_or_default();
    let networks = stats.networks.unwrap_or_default();
    Usage {
        at: stats.read.and_then(|at| at.parse().ok()).unwrap_or_else(Timestamp::now),
        cpu_ns: cpu.unwrap_or_default(),
        memory: stats.memory_stats.as_ref().map(memory).unwrap_or_default(),
        received: networks.values().filter_map(|network| network.rx_bytes).sum(),
        sent: networks.values().filter_map(|network| network.tx_bytes).sum(),
        read,
        written,
    }
}

/// What `docker stats` shows: without the part of the page cache that nobody asked for lately. Its name differs
/// between the two versions of cgroups.
fn memory(stats: &ContainerMemoryStats) -> u64 {
    let part = |name: &str| stats.stats.as_ref()?.get(name).copied();
    let cached = part("total_inactive_file").or_else(|| part("inactive_file"));
    stats
        .usage
        .unwrap_or_default()
        .saturating_sub(cached.unwrap_or_default())
}

/// Bytes read and written, over all disks.
fn disks(stats: &ContainerBlkioStats) -> (u64, u64) {
    let entries = stats.io_service_bytes_recursive.as_deref().unwrap_or_default();
    let sum = |operation: &str| {
        let of_it = entries.iter().filter(|entry| {
            // `Read` with the first version of cgroups, `read` with the second.
            entry.op.as_ref().is_some_and(|op| op.eq_ignore_ascii_case(operation))
        });
        of_it.filter_map(|entry| entry.value).sum()
    };
    (sum("read"), sum("write"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engines_counts_are_summed_over_interfaces_and_disks() {
        let stats = serde_json::json!({
            "read": "2026-01-01T00:00:02.5Z",
            "cpu_stats": {"cpu_usage": {"total_usage": 7_000_000_000_u64}},
            "memory_stats": {"usage": 500, "stats": {"inactive_file": 100, "cache": 300}},
            "networks": {"eth0": {"rx_bytes": 10, "tx_bytes": 1}, "eth1": {"rx_bytes": 20, "tx_bytes": 2}},
            "blkio_stats": {"io_service_bytes_recursive": [
                {"major": 8, "op": "Read", "value": 5}, {"major": 8, "op": "Write", "value": 6},
                {"major": 9, "op": "read", "value": 50}, {"major": 9, "op": "Total", "value": 50},
            ]},
        });
        let usage = usage(serde_json::from_value(stats).unwrap());
        let expected = Usage {
            at: "2026-01-01T00:00:02.5Z".parse().unwrap(),
            cpu_ns: 7_000_000_000,
            memory: 400,
            received: 30,
            sent: 3,
            read: 55,
            written: 6,
        };
        assert_eq!(usage, expected);
    }

    #[test]
    fn an_engine_that_counts_nothing_of_a_kind_gives_zero() {
        let usage = usage(serde_json::from_value(serde_json::json!({})).unwrap());
        assert_eq!(
            (usage.cpu_ns, usage.memory, usage.received, usage.written),
            (0, 0, 0, 0)
        );
    }
}
