//! A service of the Compose file as the body of the API's create call.

use std::collections::HashMap;

use anyhow::{Context as _, bail};
use bollard::models::{
    ContainerCreateBody, EndpointIpamConfig, EndpointSettings, HealthConfig, HostConfig, Mount, MountType,
    NetworkingConfig, PortBinding, PortMap, RestartPolicy, RestartPolicyNameEnum,
};

use crate::compose::model::{ComposeFile, Healthcheck, Service};
use crate::engine::labels;
use crate::settings::{duration, size};

/// The body that creates container `number` of a service from the image with this id.
pub(super) fn container(
    file: &ComposeFile,
    service: &str,
    number: u32,
    image_id: &str,
) -> anyhow::Result<ContainerCreateBody> {
    let definition = file
        .services
        .get(service)
        .context("the Compose file has no such service")?;
    if definition.networks.len() > 1 {
        bail!("khd attaches a service to one network only");
    }
    let network = definition.networks.keys().next();
    let network = network.map(|key| labels::object_name(&file.name, key));
    let (exposed, bindings) = ports(definition);
    Ok(ContainerCreateBody {
        hostname: definition.hostname.clone(),
        image: Some(definition.image.clone()),
        cmd: some_of(&definition.command),
        env: Some(definition.environment.iter().map(|(k, v)| format!("{k}={v}")).collect()),
        exposed_ports: Some(exposed),
        healthcheck: definition.healthcheck.as_ref().map(healthcheck).transpose()?,
        labels: Some(container_labels(file, service, number, image_id)),
        stop_timeout: Some(seconds(&definition.stop_grace_period).context("stop_grace_period")?),
        host_config: Some(HostConfig {
            memory: Some(
                size::bytes(&definition.mem_limit)
                    .map(|bytes| bytes as i64)
                    .context("mem_limit")?,
            ),
            network_mode: network.clone(),
            port_bindings: Some(bindings),
            restart_policy: Some(restart(&definition.restart)?),
            mounts: Some(mounts(file, definition)),
            cap_drop: some_of(&definition.cap_drop),
            security_opt: some_of(&definition.security_opt),
            ..HostConfig::default()
        }),
        networking_config: network.map(|network| NetworkingConfig {
            endpoints_config: Some([(network, endpoint(service, definition))].into()),
        }),
        ..ContainerCreateBody::default()
    })
}

fn container_labels(file: &ComposeFile, service: &str, number: u32, image_id: &str) -> HashMap<String, String> {
    let depends_on: Vec<String> = file.services[service]
        .depends_on
        .iter()
        .map(|(dependency, condition)| format!("{dependency}:{}:false", condition.condition))
        .collect();
    let working_dir = std::env::current_dir().unwrap_or_default();
    [
        (labels::PROJECT, file.name.clone()),
        (labels::SERVICE, service.to_owned()),
        (labels::NUMBER, number.to_string()),
        (labels::ONEOFF, "False".into()),
        (labels::CONFIG_HASH, file.config_hash(service)),
        (labels::IMAGE, image_id.to_owned()),
        (labels::DEPENDS_ON, depends_on.join(",")),
        // What Compose writes for a file that came on its standard input: there is no file of this project on disk.
        (labels::CONFIG_FILES, "-".into()),
        (labels::WORKING_DIR, working_dir.display().to_string()),
        (labels::VERSION, version()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into()
}

/// The value of [`labels::VERSION`].
pub(super) fn version() -> String {
    concat!("khd-", env!("CARGO_PKG_VERSION")).into()
}

fn endpoint(service: &str, definition: &Service) -> EndpointSettings {
    let address = definition
        .networks
        .values()
        .find_map(|attachment| attachment.ipv4_address.clone());
    let aliases = definition
        .networks
        .values()
        .flat_map(|attachment| attachment.aliases.clone());
    EndpointSettings {
        aliases: Some([service.to_owned()].into_iter().chain(aliases).collect()),
        ipam_config: address.map(|address| EndpointIpamConfig {
            ipv4_address: Some(address),
            ..EndpointIpamConfig::default()
        }),
        ..EndpointSettings::default()
    }
}

fn ports(definition: &Service) -> (Vec<String>, PortMap) {
    let mut bindings = PortMap::new();
    for port in &definition.ports {
        let binding = PortBinding {
            host_ip: Some(port.host_ip.clone()),
            host_port: Some(port.published.clone()),
        };
        let target = format!("{}/{}", port.target, port.protocol);
        bindings
            .entry(target)
            .or_default()
            .get_or_insert_default()
            .push(binding);
    }
    (bindings.keys().cloned().collect(), bindings)
}

fn mounts(file: &ComposeFile, definition: &Service) -> Vec<Mount> {
    let mount = |mount: &crate::compose::model::Mount| Mount {
        typ: Some(MountType::VOLUME),
        source: Some(labels::object_name(&file.name, &mount.source)),
        target: Some(mount.target.clone()),
        ..Mount::default()
    };
    definition.volumes.iter().map(mount).collect()
}

fn healthcheck(check: &Healthcheck) -> anyhow::Result<HealthConfig> {
    Ok(HealthConfig {
        test: Some(check.test.clone()),
        interval: Some(nanoseconds(&check.interval).context("healthcheck interval")?),
        timeout: Some(nanoseconds(&check.timeout).context("healthcheck timeout")?),
        retries: Some(check.retries.into()),
        start_period: Some(nanoseconds(&check.start_period).context("healthcheck start_period")?),
        ..HealthConfig::default()
    })
}

fn restart(policy: &str) -> anyhow::Result<RestartPolicy> {
    if policy != "no" {
        bail!("restart policy `{policy}`: khd decides itself when a server comes back, so it must be `no`");
    }
    Ok(RestartPolicy {
        name: Some(RestartPolicyNameEnum::NO),
        ..RestartPolicy::default()
    })
}

/// A list, where an empty one means that the image's own applies.
fn some_of(list: &[String]) -> Option<Vec<String>> {
    (!list.is_empty()).then(|| list.to_vec())
}

fn nanoseconds(text: &str) -> anyhow::Result<i64> {
    let duration = duration::parse(text).map_err(anyhow::Error::msg)?;
    i64::try_from(duration.as_nanos()).context("too long")
}

fn seconds(text: &str) -> anyhow::Result<i64> {
    Ok(nanoseconds(text)? / 1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::samples;

    #[test]
    fn a_service_becomes_a_container_that_compose_recognizes() {
        let file = samples::lab();
        let body = container(&file, "kafka1", 1, "sha256:abc").unwrap();
        let labels = body.labels.unwrap();
        for (key, value) in [
            ("com.docker.compose.project", "khd"),
            ("com.docker.compose.service", "kafka1"),
            ("com.docker.compose.container-number", "1"),
            ("com.docker.compose.oneoff", "False"),
            ("com.docker.compose.config-hash", &file.config_hash("kafka1")),
            ("com.docker.compose.depends_on", "zookeeper1:service_started:false"),
            ("com.docker.compose.image", "sha256:abc"),
        ] {
            assert_eq!(labels.get(key).map(String::as_str), Some(value), "{key}");
        }
    }

    #[test]
    fn address_ports_volumes_and_limits_are_translated() {
        let body = container(&samples::lab(), "kafka1", 1, "sha256:abc").unwrap();
        let host = body.host_config.unwrap();
        assert_eq!(host.network_mode.as_deref(), Some("khd_kafka-net"));
        let endpoints = body.networking_config.unwrap().endpoints_config.unwrap();
        let endpoint = &endpoints["khd_kafka-net"];
        assert_eq!(endpoint.aliases, Some(vec!["kafka1".to_owned()]));
        let address = endpoint.ipam_config.as_ref().unwrap().ipv4_address.as_deref();
        assert_eq!(address, Some("172.25.0.21"));
        let binding = host.port_bindings.as_ref().unwrap()["9092/tcp"].as_ref().unwrap();
        assert_eq!(binding[0].host_ip.as_deref(), Some("127.0.0.1"));
        assert_eq!(binding[0].host_port.as_deref(), Some("19092"));
        assert_eq!(body.exposed_ports, Some(vec!["9092/tcp".to_owned()]));
        let mount = &host.mounts.unwrap()[0];
        assert_eq!(mount.source.as_deref(), Some("khd_kafka1-data"));
        assert_eq!(host.memory, Some(1 << 30));
        assert_eq!(host.cap_drop, Some(vec!["ALL".to_owned()]));
        assert_eq!(body.stop_timeout, Some(30));
        assert_eq!(body.healthcheck.unwrap().interval, Some(2_000_000_000));
    }
}
