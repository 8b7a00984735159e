//! What the engine says of itself, and what its machine has left where that machine is this one.

use std::path::Path;

use super::Docker;
use crate::engine::EngineInfo;

impl Docker {
    pub(super) async fn describe(&self) -> anyhow::Result<EngineInfo> {
        let info = self.client.info().await;
        let info = info.map_err(self.failed("cannot ask the Docker engine for its state"))?;
        let memory = info.mem_total.unwrap_or_default().unsigned_abs();
        let here = self
            .local
            .then(|| std::fs::read_to_string("/proc/meminfo").ok())
            .flatten();
        // A socket may lead into a virtual machine (Docker Desktop): then neither disk nor memory is ours to measure.
        let here =
            here.filter(|text| meminfo(text, "MemTotal").is_some_and(|total| total.abs_diff(memory) < memory / 50));
        Ok(EngineInfo {
            version: info.server_version.unwrap_or_default(),
            api_version: self.client.client_version().to_string(),
            architecture: info.architecture.unwrap_or_default(),
            memory,
            free_disk: here.as_ref().and(info.docker_root_dir).and_then(|root| free(&root)),
            available_memory: here.as_ref().and_then(|text| meminfo(text, "MemAvailable")),
            local: self.local,
        })
    }
}

/// Free bytes for ordinary users on the file system of a folder.
fn free(folder: &str) -> Option<u64> {
    let state = rustix::fs::statvfs(Path::new(folder)).ok()?;
    Some(state.f_bavail * state.f_frsize)
}

/// A value of `/proc/meminfo`, in bytes.
fn meminfo(text: &str, key: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meminfo_is_read_in_bytes() {
        let text = "MemTotal:       2048 kB\nMemAvailable:   1024 kB\n";
        assert_eq!(meminfo(text, "MemAvailable"), Some(1024 * 1024));
        assert_eq!(meminfo(text, "Mem"), None);
    }
}
