//! The answers of engine and machine held against a Compose file.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};

use anyhow::Context as _;
use ipnet::Ipv4Net;

use super::{Facts, Findings, Problem};
use crate::compose::model::ComposeFile;
use crate::engine::{PublishedPort, TakenSubnet};
use crate::settings::size::{self, GIB, show};
use crate::topology::{EXPORTER, PROMETHEUS};

/// Part of the containers' memory limits that a lab really uses under load.
const USED_PART: u64 = 2;
/// Part of them that it needs to come up at all: an idle broker uses a third of its limit.
const LEAST_PART: u64 = 4;
/// Disk that images, logs and the data of a drill take.
const LEAST_DISK: u64 = 2 * GIB;

/// Says what keeps a lab from coming up, and what may; `is_free` tries a port of this machine.
pub(super) fn judge(
    file: &ComposeFile,
    facts: &Facts,
    is_free: impl Fn(SocketAddr) -> bool,
) -> anyhow::Result<Findings> {
    let mut found = Findings::default();
    ports(file, facts, is_free, &mut found)?;
    subnets(file, facts, &mut found)?;
    memory(file, facts, &mut found)?;
    disk(facts, &mut found);
    Ok(found)
}

fn ports(
    file: &ComposeFile,
    facts: &Facts,
    is_free: impl Fn(SocketAddr) -> bool,
    found: &mut Findings,
) -> anyhow::Result<()> {
    let own = own_ports(facts);
    for (service, definition) in &file.services {
        for port in &definition.ports {
            let text = format!("{}:{}", port.host_ip, port.published);
            let host: IpAddr = port
                .host_ip
                .parse()
                .with_context(|| format!("port {text} of {service}"))?;
            let number: u16 = port
                .published
                .parse()
                .with_context(|| format!("port {text} of {service}"))?;
            let address = SocketAddr::new(host, number);
            if own.contains(&address) {
                continue;
            }
            let others = facts
                .published
                .iter()
                .filter(|other| other.project.as_ref() != Some(&file.name));
            let holder = match others.into_iter().find(|other| collide(address, other)) {
                Some(other) => format!("container {}", other.container),
                None if facts.info.local && !is_free(address) => "another process".to_owned(),
                None => continue,
            };
            found.errors.push(Problem {
                message: format!("port {address}, which {service} is to publish, is taken by {holder}"),
                hint: match service.as_str() {
                    EXPORTER | PROMETHEUS => {
                        "stop what holds it, move khd's ports (`ports: {offset: 100}`), or do without: `monitoring: {enabled: false}`"
                    }
                    _ if !definition.profiles.is_empty() => {
                        "stop what holds it, move khd's ports (`ports: {offset: 100}`), or do without: `monitoring: {ui: false}`"
                    }
                    _ => "stop what holds it, or move khd's ports: `ports: {offset: 100}`, or `ports` of the servers",
                }
                .into(),
            });
        }
    }
    Ok(())
}

/// Host addresses that the project's own containers publish now.
fn own_ports(facts: &Facts) -> HashSet<SocketAddr> {
    let ports = facts
        .project
        .containers
        .iter()
        .filter(|container| container.is_up())
        .flat_map(|c| &c.ports);
    ports.filter_map(|port| port.split_once("->")?.0.parse().ok()).collect()
}

fn collide(address: SocketAddr, other: &PublishedPort) -> bool {
    let anywhere = address.ip().is_unspecified() || other.address.ip().is_unspecified();
    address.port() == other.address.port() && (anywhere || address.ip() == other.address.ip())
}

fn subnets(file: &ComposeFile, facts: &Facts, found: &mut Findings) -> anyhow::Result<()> {
    for (key, network) in &file.networks {
        for pool in &network.ipam.config {
            let subnet: Ipv4Net = pool
                .subnet
                .parse()
                .with_context(|| format!("subnet of network {key}"))?;
            let overlaps = |taken: &&TakenSubnet| taken.subnet.contains(&subnet) || subnet.contains(&taken.subnet);
            let others = facts
                .subnets
                .iter()
                .filter(|taken| taken.project.as_ref() != Some(&file.name));
            for taken in others.filter(overlaps) {
                let project = taken.project.as_ref().map(|project| format!(" of project {project}"));
                found.errors.push(Problem {
                    message: format!(
                        "subnet {subnet} overlaps with {} of network {}{}",
                        taken.subnet,
                        taken.network,
                        project.unwrap_or_default()
                    ),
                    hint: "remove that network, or choose another with --subnet 10.77.0.0/24".into(),
                });
            }
        }
    }
    Ok(())
}

fn memory(file: &ComposeFile, facts: &Facts, found: &mut Findings) -> anyhow::Result<()> {
    let mut limits = 0;
    for (service, definition) in &file.services {
        let limit = size::bytes(&definition.mem_limit).with_context(|| format!("mem_limit of {service}"))?;
        let up = facts
            .project
            .containers
            .iter()
            .filter(|c| c.service == *service && c.is_up())
            .count();
        limits += limit * u64::from(definition.scale).saturating_sub(up as u64);
    }
    let (available, what) = match facts.info.available_memory {
        Some(available) => (available, "available"),
        None => (facts.info.memory, "in the engine's machine"),
    };
    let problem = |needed: u64| Problem {
        message: format!(
            "the lab needs about {} of memory, and {} is {what}",
            show(needed),
            show(available)
        ),
        hint: "end other programs, or ask for less: `kafka: {servers, memory, heap}`, `zookeeper: {…}`".into(),
    };
    if available < limits / LEAST_PART {
        found.errors.push(problem(limits / LEAST_PART));
    } else if available < limits / USED_PART {
        found.warnings.push(problem(limits / USED_PART));
    }
    Ok(())
}

fn disk(facts: &Facts, found: &mut Findings) {
    if let Some(free) = facts.info.free_disk.filter(|free| *free < LEAST_DISK) {
        found.errors.push(Problem {
            message: format!(
                "the lab needs {} of disk where Docker keeps its data, and {} is free",
                show(LEAST_DISK),
                show(free)
            ),
            hint: "free some: `docker system df` shows what Docker holds".into(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Container, EngineInfo, Project, samples};
    use crate::settings::size::MIB;

    fn facts() -> Facts {
        Facts {
            info: EngineInfo {
                version: "20.10.24".into(),
                api_version: "1.41".into(),
                architecture: "x86_64".into(),
                memory: 64 * GIB,
                free_disk: Some(64 * GIB),
                available_memory: Some(64 * GIB),
                local: true,
            },
            project: Project::default(),
            subnets: Vec::new(),
            published: Vec::new(),
        }
    }

    fn running(service: &str, port: &str) -> Container {
        Container {
            id: String::new(),
            name: format!("khd-{service}-1"),
            service: service.into(),
            number: 1,
            state: "running".into(),
            health: None,
            status: String::new(),
            image: String::new(),
            image_id: String::new(),
            config_hash: String::new(),
            depends_on: Vec::new(),
            ports: vec![port.into()],
            address: None,
        }
    }

    fn taken(network: &str, project: Option<&str>, subnet: &str) -> TakenSubnet {
        TakenSubnet {
            network: network.into(),
            project: project.map(str::to_owned),
            subnet: subnet.parse().unwrap(),
        }
    }

    fn errors(facts: &Facts, is_free: bool) -> Vec<String> {
        let found = judge(&samples::lab(), facts, |_| is_free).unwrap();
        found.errors.into_iter().map(|problem| problem.message).collect()
    }

    #[test]
    fn a_machine_with_room_for_the_lab_has_no_problem() {
        assert_eq!(judge(&samples::lab(), &facts(), |_| true).unwrap(), Findings::default());
    }

    #[test]
    fn a_taken_port_is_named_with_its_service_and_its_holder() {
        let mut facts = facts();
        assert_eq!(
            errors(&facts, false),
            ["port 127.0.0.1:19092, which kafka1 is to publish, is taken by another process"]
        );
        facts.published.push(PublishedPort {
            container: "other-kafka".into(),
            project: None,
            address: "0.0.0.0:19092".parse().unwrap(),
        });
        assert_eq!(
            errors(&facts, false),
            ["port 127.0.0.1:19092, which kafka1 is to publish, is taken by container other-kafka"]
        );
    }

    #[test]
    fn ports_are_tried_only_where_the_engine_is_and_not_those_of_the_lab_itself() {
        let mut remote = facts();
        remote.info.local = false;
        assert!(errors(&remote, false).is_empty());
        let mut again = facts();
        again
            .project
            .containers
            .push(running("kafka1", "127.0.0.1:19092->9092/tcp"));
        assert!(errors(&again, false).is_empty());
    }

    #[test]
    fn an_overlapping_network_is_named_and_the_labs_own_is_not() {
        let mut facts = facts();
        facts.subnets = vec![
            taken("khd_kafka-net", Some("khd"), "172.25.0.0/24"),
            taken("elsewhere", None, "172.26.0.0/16"),
        ];
        assert!(errors(&facts, true).is_empty());
        facts.subnets.push(taken("demo_default", Some("demo"), "172.25.0.0/16"));
        assert_eq!(
            errors(&facts, true),
            ["subnet 172.25.0.0/24 overlaps with 172.25.0.0/16 of network demo_default of project demo"]
        );
    }

    #[test]
    fn scarce_memory_warns_and_too_little_refuses() {
        let mut facts = facts();
        // Three containers of 1 GiB.
        facts.info.available_memory = Some(GIB);
        let found = judge(&samples::lab(), &facts, |_| true).unwrap();
        assert!(found.errors.is_empty());
        assert_eq!(
            found.warnings[0].message,
            "the lab needs about 1.5 GiB of memory, and 1.0 GiB is available"
        );
        facts.info.available_memory = Some(512 * MIB);
        assert_eq!(
            errors(&facts, true),
            ["the lab needs about 768 MiB of memory, and 512 MiB is available"]
        );
        facts
            .project
            .containers
            .push(running("kafka1", "127.0.0.1:19092->9092/tcp"));
        assert!(errors(&facts, true).is_empty(), "what runs already has its memory");
    }

    #[test]
    fn too_little_disk_refuses_and_unknown_disk_does_not() {
        let mut facts = facts();
        facts.info.free_disk = Some(500 * MIB);
        assert_eq!(
            errors(&facts, true),
            ["the lab needs 2.0 GiB of disk where Docker keeps its data, and 500 MiB is free"]
        );
        facts.info.free_disk = None;
        assert!(errors(&facts, true).is_empty());
    }
}
