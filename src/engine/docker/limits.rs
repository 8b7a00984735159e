//! What containers may use at most.

use bollard::models::ContainerUpdateBody;

use super::Docker;
use crate::engine::ResourceLimits;

/// The period in which a share of processor time is given, in microseconds: the kernel's own default.
const PERIOD: i64 = 100_000;
/// No limit of memory, as the kernel writes it. Engines take 0 for "leave it as it is", refuse -1, and refuse this one
/// unless swap has the same.
const NO_LIMIT: i64 = 0x7fff_ffff_ffff_f000;

impl Docker {
    pub(super) async fn container_limits(&self, container: &str) -> anyhow::Result<ResourceLimits> {
        let operation = format!("cannot read the limits of container {container}");
        let host = self
            .inspect(container, &operation)
            .await?
            .host_config
            .unwrap_or_default();
        let some = |value: Option<i64>| value.filter(|value| *value > 0);
        let quota = some(host.cpu_quota).map(|quota| quota as f64 / some(host.cpu_period).unwrap_or(PERIOD) as f64);
        Ok(ResourceLimits {
            cpus: some(host.nano_cpus).map(|nano| nano as f64 / 1e9).or(quota),
            memory: some(host.memory)
                .filter(|bytes| *bytes < NO_LIMIT)
                .map(i64::unsigned_abs),
        })
    }

    /// Processor time is limited by quota: engines do not take a limit in cores back to none.
    pub(super) async fn container_limit(&self, container: &str, limits: &ResourceLimits) -> anyhow::Result<()> {
        let memory = limits
            .memory
            .map_or(NO_LIMIT, |bytes| i64::try_from(bytes).unwrap_or(NO_LIMIT));
        let body = ContainerUpdateBody {
            cpu_period: Some(PERIOD),
            cpu_quota: Some(limits.cpus.map_or(-1, |cpus| (cpus * PERIOD as f64).round() as i64)),
            memory: Some(memory),
            // As the engine derives it for a new container. Without it, memory could not be raised above it again.
            memory_swap: Some(memory.saturating_mul(2).min(NO_LIMIT)),
            ..ContainerUpdateBody::default()
        };
        let updated = self.client.update_container(container, body).await;
        updated.map_err(self.failed(format_args!("cannot limit container {container}")))
    }
}
