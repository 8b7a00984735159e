//! Everything that carries a project's label, whoever made it and however far it came.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use bollard::models::ContainerSummary;
use bollard::query_parameters::{ListContainersOptions, ListNetworksOptions, ListVolumesOptions};

use super::Docker;
use crate::engine::{Container, Project, ProjectNetwork, labels};

impl Docker {
    pub(super) async fn list_project(&self, project: &str) -> anyhow::Result<Project> {
        let filters: HashMap<String, Vec<String>> =
            [("label".to_owned(), vec![format!("{}={project}", labels::PROJECT)])].into();
        let containers = self.client.list_containers(Some(ListContainersOptions {
            all: true,
            filters: Some(filters.clone()),
            ..ListContainersOptions::default()
        }));
        let networks = self.client.list_networks(Some(ListNetworksOptions {
            filters: Some(filters.clone()),
        }));
        let volumes = self
            .client
            .list_volumes(Some(ListVolumesOptions { filters: Some(filters) }));
        let (containers, networks, volumes) = tokio::join!(containers, networks, volumes);

        let of = |what: &str| format!("cannot list {what} of project {project}");
        let mut found = Project::default();
        for summary in containers.map_err(self.failed(of("containers")))? {
            match service_container(&summary) {
                Some(container) => found.containers.push(container),
                None => found.helpers.push(name_of(summary.names.as_deref())),
            }
        }
        found
            .containers
            .sort_by(|a, b| (&a.service, a.number).cmp(&(&b.service, b.number)));
        found.helpers.sort();
        for network in networks.map_err(self.failed(of("networks")))? {
            let name = network.name.unwrap_or_default();
            let all = network.labels.unwrap_or_default();
            let key = all.get(labels::NETWORK).unwrap_or(&name).clone();
            let config_hash = all.get(labels::CONFIG_HASH).cloned().unwrap_or_default();
            found.networks.insert(key, ProjectNetwork { name, config_hash });
        }
        let volumes = volumes.map_err(self.failed(of("volumes")))?;
        for volume in volumes.volumes.unwrap_or_default() {
            let key = volume.labels.get(labels::VOLUME).unwrap_or(&volume.name).clone();
            found.volumes.insert(key, volume.name);
        }
        Ok(found)
    }
}

/// The first name of a container, without the slash that the API puts before it.
pub(super) fn name_of(names: Option<&[String]>) -> String {
    let first = names.and_then(|names| names.first());
    first.map_or_else(String::new, |name| name.trim_start_matches('/').to_owned())
}

/// A container of a service; nothing for helpers and for those of `docker compose run`.
fn service_container(summary: &ContainerSummary) -> Option<Container> {
    let all = summary.labels.as_ref()?;
    if all.get(labels::ONEOFF).is_some_and(|oneoff| oneoff != "False") {
        return None;
    }
    let status = summary.status.clone().unwrap_or_default();
    let state = summary.state.map(|state| state.to_string()).unwrap_or_default();
    let running = matches!(state.as_str(), "running" | "paused");
    Some(Container {
        id: summary.id.clone().unwrap_or_default(),
        name: name_of(summary.names.as_deref()),
        service: all.get(labels::SERVICE)?.clone(),
        number: all.get(labels::NUMBER)?.parse().ok()?,
        health: health(&status).map(str::to_owned),
        image: summary.image.clone().unwrap_or_default(),
        image_id: summary.image_id.clone().unwrap_or_default(),
        config_hash: all.get(labels::CONFIG_HASH).cloned().unwrap_or_default(),
        depends_on: depends_on(all.get(labels::DEPENDS_ON).map_or("", String::as_str)),
        ports: ports(summary),
        address: running.then(|| address(summary)).flatten(),
        state,
        status,
    })
}

/// Health out of Docker's line: before API 1.52 the list has it nowhere else.
fn health(status: &str) -> Option<&'static str> {
    const ENDINGS: [(&str, &str); 3] = [
        ("(health: starting)", "starting"),
        ("(unhealthy)", "unhealthy"),
        ("(healthy)", "healthy"),
    ];
    let found = ENDINGS.iter().find(|(ending, _)| status.contains(ending));
    found.map(|(_, health)| *health)
}

/// Services out of `service:condition:restart`, comma-separated.
fn depends_on(label: &str) -> Vec<String> {
    let services = label.split(',').filter_map(|entry| entry.split(':').next());
    services
        .filter(|service| !service.is_empty())
        .map(str::to_owned)
        .collect()
}

fn ports(summary: &ContainerSummary) -> Vec<String> {
    let mut ports: Vec<String> = summary
        .ports
        .iter()
        .flatten()
        .filter_map(|port| {
            let host = port.ip.as_deref().unwrap_or("0.0.0.0");
            let protocol = port
                .typ
                .map_or_else(|| "tcp".to_owned(), |protocol| protocol.to_string());
            let host = if host.contains(':') {
                format!("[{host}]")
            } else {
                host.to_owned()
            };
            Some(format!(
                "{host}:{}->{}/{protocol}",
                port.public_port?, port.private_port
            ))
        })
        .collect();
    ports.sort();
    ports
}

fn address(summary: &ContainerSummary) -> Option<Ipv4Addr> {
    let networks = summary.network_settings.as_ref()?.networks.as_ref()?;
    networks
        .values()
        .find_map(|endpoint| endpoint.ip_address.as_ref()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_is_read_out_of_dockers_line() {
        assert_eq!(health("Up 3 minutes (healthy)"), Some("healthy"));
        assert_eq!(health("Up 3 minutes (unhealthy)"), Some("unhealthy"));
        assert_eq!(health("Up 1 second (health: starting)"), Some("starting"));
        assert_eq!(health("Exited (143) 2 seconds ago"), None);
    }

    #[test]
    fn dependencies_are_read_with_and_without_conditions() {
        assert_eq!(
            depends_on("zookeeper1:service_started:false,kafka2"),
            ["zookeeper1", "kafka2"]
        );
        assert!(depends_on("").is_empty());
    }

    #[test]
    fn a_container_without_service_or_made_by_compose_run_is_a_helper() {
        let with = |pairs: &[(&str, &str)]| ContainerSummary {
            labels: Some(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()),
            ..ContainerSummary::default()
        };
        assert!(service_container(&with(&[(labels::PROJECT, "khd")])).is_none());
        let service = [
            (labels::SERVICE, "kafka1"),
            (labels::NUMBER, "1"),
            (labels::ONEOFF, "True"),
        ];
        assert!(service_container(&with(&service)).is_none());
        assert!(service_container(&with(&service[..2])).is_some());
    }
}
