//! Networks and volumes, and what of them and of ports is taken on the whole engine.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use bollard::models::{Ipam, IpamConfig, NetworkCreateRequest, NetworkDisconnectRequest, VolumeCreateRequest};
use bollard::query_parameters::{
    InspectContainerOptions, InspectNetworkOptions, ListContainersOptions, ListNetworksOptions, RemoveVolumeOptions,
};

use super::Docker;
use super::failure::{has_endpoints, is_missing};
use super::translate::version;
use crate::compose::model::{Network, Volume};
use crate::engine::{PublishedPort, TakenSubnet, labels};
use crate::error::Expected;

/// How long the engine may take to let go of a network after its last container was removed: it says that one is
/// removed before its endpoint always is.
const LETS_GO_WITHIN: Duration = Duration::from_secs(10);

const LOOK_AGAIN: Duration = Duration::from_millis(100);

impl Docker {
    pub(super) async fn network_create(&self, project: &str, key: &str, network: &Network) -> anyhow::Result<()> {
        let name = labels::object_name(project, key);
        let pool = |pool: &crate::compose::model::IpamPool| IpamConfig {
            subnet: Some(pool.subnet.clone()),
            ip_range: Some(pool.ip_range.clone()),
            gateway: Some(pool.gateway.clone()),
            ..IpamConfig::default()
        };
        let request = NetworkCreateRequest {
            name: name.clone(),
            driver: Some(network.driver.clone()),
            ipam: Some(Ipam {
                config: Some(network.ipam.config.iter().map(pool).collect()),
                ..Ipam::default()
            }),
            labels: Some(object_labels(
                project,
                [
                    (labels::NETWORK, key.to_owned()),
                    (labels::CONFIG_HASH, labels::network_hash(network)),
                ],
            )),
            ..NetworkCreateRequest::default()
        };
        let created = self.client.create_network(request).await;
        created.map_err(self.failed(format_args!("cannot create network {name}")))?;
        Ok(())
    }

    pub(super) async fn network_remove(&self, name: &str) -> anyhow::Result<()> {
        let deadline = Instant::now() + LETS_GO_WITHIN;
        loop {
            let refused = match self.client.remove_network(name).await {
                Err(error) if !is_missing(&error) => error,
                _ => return Ok(()),
            };
            let failed = self.failed(format!("cannot remove network {name}"));
            if !has_endpoints(&refused) {
                return Err(failed(refused));
            }
            let held = self.held_by(name).await?;
            if !held.is_empty() {
                let (held, first) = (held.join(", "), &held[0]);
                let message = format!("cannot remove network {name}: {held} is still attached to it");
                return Err(Expected::environment(message)
                    .hint(format!("docker network disconnect {name} {first}"))
                    .into());
            }
            if Instant::now() >= deadline {
                let message = format!(
                    "cannot remove network {name}: the engine says that it has active endpoints, and knows of no container there"
                );
                return Err(Expected::environment(message)
                    .hint("the engine has lost count of them (moby/moby#42119): restart it, then khd down; khd up can use the network as it is")
                    .into());
            }
            // Nothing tells when the engine has let go; the deadline above ends it.
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// The containers that hold a network. What the engine forgot to take off when it removed a container is taken off.
    async fn held_by(&self, network: &str) -> anyhow::Result<Vec<String>> {
        let inspected = self
            .client
            .inspect_network(network, None::<InspectNetworkOptions>)
            .await;
        let attached = match inspected {
            Err(error) if is_missing(&error) => return Ok(Vec::new()),
            inspected => inspected.map_err(self.failed(format_args!("cannot inspect network {network}")))?,
        };
        let mut held = Vec::new();
        // By their ids, or, where the engine has forgotten whose an endpoint is, by the endpoint's.
        for (id, container) in attached.containers.unwrap_or_default() {
            let name = container
                .name
                .filter(|name| !name.is_empty())
                .unwrap_or_else(|| id.clone());
            let inspected = self.client.inspect_container(&id, None::<InspectContainerOptions>);
            match inspected.await {
                Ok(_) => held.push(name),
                Err(error) if is_missing(&error) => {
                    let request = NetworkDisconnectRequest {
                        container: name,
                        force: Some(true),
                    };
                    // It may be gone by itself by now; the next removal tells.
                    let _ = self.client.disconnect_network(network, request).await;
                }
                Err(error) => return Err(self.failed(format_args!("cannot inspect container {name}"))(error)),
            }
        }
        Ok(held)
    }

    pub(super) async fn volume_create(&self, project: &str, key: &str, volume: &Volume) -> anyhow::Result<()> {
        let name = labels::object_name(project, key);
        let request = VolumeCreateRequest {
            name: Some(name.clone()),
            driver_opts: Some(volume.driver_opts.clone().into_iter().collect()),
            labels: Some(object_labels(project, [(labels::VOLUME, key.to_owned())])),
            ..VolumeCreateRequest::default()
        };
        let created = self.client.create_volume(request).await;
        created.map_err(self.failed(format_args!("cannot create volume {name}")))?;
        Ok(())
    }

    pub(super) async fn volume_remove(&self, name: &str) -> anyhow::Result<()> {
        match self.client.remove_volume(name, None::<RemoveVolumeOptions>).await {
            Err(error) if is_missing(&error) => Ok(()),
            result => result.map_err(self.failed(format_args!("cannot remove volume {name}"))),
        }
    }

    pub(super) async fn list_subnets(&self) -> anyhow::Result<Vec<TakenSubnet>> {
        let networks = self.client.list_networks(None::<ListNetworksOptions>).await;
        let networks = networks.map_err(self.failed("cannot list networks"))?;
        let mut taken = Vec::new();
        for network in networks {
            let pools = network.ipam.and_then(|ipam| ipam.config).unwrap_or_default();
            // Pools of IPv6 do not parse, and cannot overlap with a lab's.
            for subnet in pools.into_iter().filter_map(|pool| pool.subnet?.parse().ok()) {
                taken.push(TakenSubnet {
                    network: network.name.clone().unwrap_or_default(),
                    project: network
                        .labels
                        .as_ref()
                        .and_then(|all| all.get(labels::PROJECT).cloned()),
                    subnet,
                });
            }
        }
        Ok(taken)
    }

    pub(super) async fn list_published(&self) -> anyhow::Result<Vec<PublishedPort>> {
        let containers = self.client.list_containers(None::<ListContainersOptions>).await;
        let containers = containers.map_err(self.failed("cannot list running containers"))?;
        let mut published = Vec::new();
        for container in containers {
            let name = super::project::name_of(container.names.as_deref());
            let project = container.labels.and_then(|mut all| all.remove(labels::PROJECT));
            for port in container.ports.unwrap_or_default() {
                let Some(public) = port.public_port else { continue };
                let ip = port.ip.and_then(|ip| ip.parse().ok());
                published.push(PublishedPort {
                    container: name.clone(),
                    project: project.clone(),
                    address: SocketAddr::new(ip.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), public),
                });
            }
        }
        Ok(published)
    }
}

fn object_labels<const N: usize>(project: &str, own: [(&str, String); N]) -> HashMap<String, String> {
    let common = [(labels::PROJECT, project.to_owned()), (labels::VERSION, version())];
    let all = common.into_iter().chain(own);
    all.map(|(key, value)| (key.to_owned(), value)).collect()
}
