//! The lab before anything runs: which servers there are, where they listen, what the workload is.
//!
//! [`Topology::of`] is pure: settings go in, and what `compose` renders, what `observe` watches and what the checks
//! expect all come from the result.

mod expectation;
pub mod migration;
mod monitoring;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ipnet::Ipv4Net;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::settings::{Flavor, GroupProtocol, Settings};
use migration::Phase;

pub use expectation::Expectation;
pub use monitoring::{Monitoring, Ui};

/// A lab, described.
#[derive(Debug, Clone, PartialEq)]
pub struct Topology {
    /// The Compose project.
    pub project: String,
    /// The lab's subnet.
    pub subnet: Ipv4Net,
    /// The part of the subnet for containers without a fixed address.
    pub dynamic_range: Ipv4Net,
    /// The host's own address in the lab: who connects to a published port comes from there.
    pub gateway: Ipv4Addr,
    /// Who keeps the cluster's metadata.
    pub flavor: Flavor,
    /// How far it has come from ZooKeeper to KRaft.
    pub phase: Phase,
    /// ZooKeeper servers, in order of their ids; none in KRaft.
    pub zookeepers: Vec<ZooKeeper>,
    /// KRaft's controllers, in order of their ids; in combined mode they run in the brokers' services.
    pub controllers: Vec<Controller>,
    /// The id of the Kafka cluster, which KRaft's nodes are formatted with.
    pub cluster_id: String,
    /// Brokers, in order of their ids.
    pub brokers: Vec<Broker>,
    /// What the workload reads and writes.
    pub workload: Workload,
    /// Who watches it; nothing where there is no monitoring.
    pub monitoring: Option<Monitoring>,
    /// `max.poll.interval.ms` of the consumers: the group gives one up that has not polled for so long.
    pub poll_interval: Duration,
    /// Size of each broker's disk, where it is bounded, as Compose writes it.
    pub disk: Option<String>,
    /// The host address that ports are bound to.
    pub bind: IpAddr,
}

/// One ZooKeeper server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZooKeeper {
    /// Its id in the ensemble, from 1.
    pub id: i32,
    /// Its service: `zookeeper1`.
    pub service: String,
    /// Its fixed address.
    pub address: Ipv4Addr,
    /// Port for clients, inside the lab.
    pub client_port: u16,
    /// Port for followers, and port for elections.
    pub peer_ports: (u16, u16),
    /// Client port as published on the host.
    pub published: SocketAddr,
}

/// One of KRaft's controllers, a voter of the metadata quorum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Controller {
    /// `node.id`: the broker's in combined mode.
    pub id: i32,
    /// Its service: `controller1`, or the broker's in combined mode.
    pub service: String,
    /// Its fixed address, where it listens on [`CONTROLLER_PORT`].
    pub address: Ipv4Addr,
    /// The same port as published on the host, where khd asks it.
    pub published: SocketAddr,
}

/// One broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// `broker.id`, or `node.id` in KRaft, from 1.
    pub id: i32,
    /// Its service: `kafka1`.
    pub service: String,
    /// Its fixed address.
    pub address: Ipv4Addr,
    /// Port of the listener for containers, advertised under the service's name.
    pub internal_port: u16,
    /// The listener for the host, as advertised and published.
    pub published: SocketAddr,
}

/// Topics and the group of the workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Workload {
    /// Names of the topics.
    pub topics: Vec<String>,
    /// Partitions of each.
    pub partitions: i32,
    /// Replicas of each partition.
    pub replication_factor: i16,
    /// `min.insync.replicas` of each topic.
    pub min_insync_replicas: i16,
    /// The consumer group.
    pub group: String,
    /// By which protocol it settles who reads what.
    #[serde(default, skip_serializing_if = "GroupProtocol::is_classic")]
    pub group_protocol: GroupProtocol,
    /// How many producers run.
    pub producers: u16,
    /// How many consumers run.
    pub consumers: u16,
    /// How many copiers run.
    #[serde(default, skip_serializing_if = "is_none")]
    pub copiers: u16,
}

fn is_none(count: &u16) -> bool {
    *count == 0
}

impl Workload {
    /// The topics, and their copies where there are copiers.
    pub fn with_copies(&self) -> Vec<String> {
        let copies = self.topics.iter().map(|topic| copy_of(topic));
        let copies = copies.filter(|_| self.copiers > 0);
        self.topics.iter().cloned().chain(copies).collect()
    }
}

/// The topic that holds the copies of a topic's records.
pub fn copy_of(topic: &str) -> String {
    format!("{topic}-copy")
}

/// Container port of each broker's listener for the host.
pub const HOST_LISTENER_PORT: u16 = 9092;
/// Port of each controller's listener, as in Kafka's own examples.
pub const CONTROLLER_PORT: u16 = 9093;
/// What is added to the numbers of controllers to make node ids of them, which no broker of a cluster may have. Kafka's
/// guide to the migration takes these, and ids that Kafka gives to brokers by itself begin at 1001.
const CONTROLLER_IDS: u16 = 3000;
/// JMX port of each broker and its demo: 9999, inside the lab only.
pub const JMX_PORT: u16 = 9999;
/// Port of the JMX exporter in each server: inside the lab only.
pub const JMX_EXPORTER_PORT: u16 = 9404;
/// Port of each client's metrics: inside the lab only.
pub const CLIENT_METRICS_PORT: u16 = 9309;
/// Port of khd's exporter, as kafka_exporter's and as in the demo.
pub const EXPORTER_PORT: u16 = 9308;
/// Port of Prometheus, as in the demo.
pub const PROMETHEUS_PORT: u16 = 9090;
/// Port of Grafana, as in the demo.
pub const GRAFANA_PORT: u16 = 3000;
/// Port of the manager, as Kafka Manager's in the demo.
pub const MANAGER_PORT: u16 = 9000;
/// Service of khd's exporter.
pub const EXPORTER: &str = "exporter";
/// Service of Prometheus.
pub const PROMETHEUS: &str = "prometheus";
/// Service of Grafana.
pub const GRAFANA: &str = "grafana";
/// Service of danielqsj/kafka-exporter.
pub const KAFKA_EXPORTER: &str = "kafka-exporter";
/// Service of the producers.
pub const PRODUCER: &str = "producer";
/// Service of the consumers.
pub const CONSUMER: &str = "consumer";
/// Service of the copiers.
pub const COPIER: &str = "copier";
/// The group of the copiers.
pub const COPY_GROUP: &str = "copy";
/// Service that holds the brokers' disks, where they have a size.
pub const DISKS: &str = "disks";

impl Topology {
    /// Describes the lab that checked settings ask for.
    pub fn of(settings: &Settings) -> Self {
        let subnet = settings.network.subnet;
        let address = |host: u32| Ipv4Addr::from(u32::from(subnet.network()) + host);
        // "Every address" is none that a client could connect to.
        let host = match settings.ports.bind {
            bind if bind.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            bind => bind,
        };
        let published = |port: u16| SocketAddr::new(host, port + settings.ports.offset);
        let zookeepers = if settings.flavor.is_kraft() {
            0
        } else {
            settings.zookeeper.servers
        };
        let zookeepers = (1..=zookeepers)
            .map(|n| {
                let client_port = settings.zookeeper.port(n, 2181);
                ZooKeeper {
                    id: n.into(),
                    service: format!("zookeeper{n}"),
                    // The demo leaves .12 out; people who know it look for these addresses.
                    address: address(if n < 3 { 9 + u32::from(n) } else { 10 + u32::from(n) }),
                    client_port,
                    peer_ports: (n * 10_000 + 2888, n * 10_000 + 3888),
                    published: published(client_port),
                }
            })
            .collect();
        let brokers: Vec<Broker> = (1..=settings.kafka.servers)
            .map(|n| {
                let internal_port = settings.kafka.port(n, 9092);
                Broker {
                    id: n.into(),
                    service: format!("kafka{n}"),
                    address: address(20 + u32::from(n)),
                    internal_port,
                    published: published(internal_port),
                }
            })
            .collect();
        let controllers = match settings.flavor {
            Flavor::ZooKeeper => Vec::new(),
            Flavor::Kraft => (1..)
                .zip(&brokers)
                .map(|(n, broker)| Controller {
                    id: broker.id,
                    service: broker.service.clone(),
                    address: broker.address,
                    published: published(controller_port(n)),
                })
                .collect(),
            Flavor::KraftSeparate => (1..=settings.controller.servers)
                .map(|n| Controller {
                    id: (CONTROLLER_IDS + n).into(),
                    service: format!("controller{n}"),
                    // Between those of ZooKeeper and of brokers, and like them in the lower half of the smallest subnet.
                    address: address(15 + u32::from(n)),
                    published: published(controller_port(n)),
                })
                .collect(),
        };
        Self {
            project: settings.project.clone(),
            flavor: settings.flavor,
            phase: settings.flavor.into(),
            cluster_id: cluster_id(&settings.project),
            controllers,
            subnet,
            dynamic_range: upper_half(subnet),
            gateway: address(1),
            zookeepers,
            brokers,
            workload: Workload {
                topics: settings.topics.names.clone(),
                partitions: settings.topics.partitions,
                replication_factor: settings.replication_factor(),
                min_insync_replicas: settings.min_insync_replicas(),
                group: settings.consumer.group.clone(),
                group_protocol: settings.consumer.group_protocol,
                producers: settings.producer.replicas,
                consumers: settings.consumer.replicas,
                copiers: settings.copier.replicas,
            },
            monitoring: Monitoring::of(&settings.monitoring, published),
            poll_interval: settings.poll_interval(),
            disk: settings.kafka.disk.clone(),
            bind: settings.ports.bind,
        }
    }

    /// `bootstrap.servers` for clients on the host.
    pub fn bootstrap(&self) -> String {
        let brokers: Vec<String> = self.brokers.iter().map(|b| b.published.to_string()).collect();
        brokers.join(",")
    }

    /// `bootstrap.servers` for clients in the lab.
    pub fn internal_bootstrap(&self) -> String {
        let brokers: Vec<String> = self
            .brokers
            .iter()
            .map(|b| format!("{}:{}", b.service, b.internal_port))
            .collect();
        brokers.join(",")
    }

    /// `zookeeper.connect` for brokers.
    pub fn zookeeper_connect(&self) -> String {
        let servers: Vec<String> = self
            .zookeepers
            .iter()
            .map(|z| format!("{}:{}", z.service, z.client_port))
            .collect();
        servers.join(",")
    }

    /// `controller.quorum.voters` of every node.
    pub fn quorum_voters(&self) -> String {
        let voters: Vec<String> = self
            .controllers
            .iter()
            .map(|c| format!("{}@{}:{CONTROLLER_PORT}", c.id, c.service))
            .collect();
        voters.join(",")
    }

    /// The controller that a broker is as well, in combined mode.
    pub fn combined(&self, broker: &Broker) -> Option<&Controller> {
        self.controllers.iter().find(|controller| controller.id == broker.id)
    }

    /// Controllers in processes of their own.
    pub fn separate_controllers(&self) -> impl Iterator<Item = &Controller> {
        let combined = |controller: &&Controller| self.brokers.iter().any(|broker| broker.id == controller.id);
        self.controllers.iter().filter(move |controller| !combined(controller))
    }

    /// Services that do nothing but keep the metadata: ZooKeeper servers, and KRaft's separate controllers.
    pub fn keepers(&self) -> impl Iterator<Item = &String> {
        let zookeepers = self.zookeepers.iter().map(|server| &server.service);
        zookeepers.chain(self.separate_controllers().map(|controller| &controller.service))
    }

    /// Services of all servers: those that keep the metadata, then brokers.
    pub fn servers(&self) -> impl Iterator<Item = &String> {
        self.keepers().chain(self.brokers.iter().map(|broker| &broker.service))
    }

    /// What a run has to know of its lab to be judged later, without the lab.
    pub fn expectation(&self, session_timeout: Duration) -> Expectation {
        Expectation {
            brokers: self.brokers.iter().map(|b| (b.service.clone(), b.id)).collect(),
            flavor: self.flavor,
            zookeepers: self.zookeepers.iter().map(|z| z.service.clone()).collect(),
            controllers: self.controllers.iter().map(|c| (c.service.clone(), c.id)).collect(),
            workload: self.workload.clone(),
            session_timeout_ms: session_timeout.as_millis() as u64,
        }
    }
}

/// Where controller `n` is published, before any offset: beside the demo's brokers.
pub const fn controller_port(n: u16) -> u16 {
    n * 10_000 + CONTROLLER_PORT
}

/// A cluster's id as Kafka writes it, 16 bytes in the URL's alphabet of base64. By the project's name, so that the same
/// settings always describe the same lab.
fn cluster_id(project: &str) -> String {
    let digest = Sha256::digest(format!("khd cluster {project}"));
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    // Kafka makes none that begins with a dash, which its tools would take for an option.
    id[0] &= 0x7f;
    BASE64_URL_SAFE_NO_PAD.encode(id)
}

/// The half of a subnet that fixed addresses never use.
///
/// A new container must not get the address of one that is stopped: the stopped one could not start again.
fn upper_half(subnet: Ipv4Net) -> Ipv4Net {
    subnet
        .subnets(subnet.prefix_len() + 1)
        .ok()
        .and_then(Iterator::last)
        .unwrap_or(subnet)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_lab_is_the_demo_topology() {
        let topology = Topology::of(&Settings::default());
        let zookeepers: Vec<String> = topology
            .zookeepers
            .iter()
            .map(|z| {
                format!(
                    "{} {} {} {:?} {}",
                    z.service, z.address, z.client_port, z.peer_ports, z.published
                )
            })
            .collect();
        assert_eq!(
            zookeepers,
            [
                "zookeeper1 172.25.0.10 12181 (12888, 13888) 127.0.0.1:12181",
                "zookeeper2 172.25.0.11 22181 (22888, 23888) 127.0.0.1:22181",
                "zookeeper3 172.25.0.13 32181 (32888, 33888) 127.0.0.1:32181",
            ]
        );
        let brokers: Vec<String> = topology
            .brokers
            .iter()
            .map(|b| {
                format!(
                    "{} {} {} {} {}",
                    b.id, b.service, b.address, b.internal_port, b.published
                )
            })
            .collect();
        assert_eq!(
            brokers,
            [
                "1 kafka1 172.25.0.21 19092 127.0.0.1:19092",
                "2 kafka2 172.25.0.22 29092 127.0.0.1:29092",
                "3 kafka3 172.25.0.23 39092 127.0.0.1:39092",
            ]
        );
        assert_eq!(topology.dynamic_range.to_string(), "172.25.0.128/25");
        assert_eq!(topology.gateway.to_string(), "172.25.0.1");
    }

    #[test]
    fn a_second_lab_moves_published_ports_but_not_those_inside() {
        let mut settings = Settings::default();
        settings.ports.offset = 5;
        settings.network.subnet = "10.9.0.0/24".parse().unwrap();
        let topology = Topology::of(&settings);
        assert_eq!(topology.bootstrap(), "127.0.0.1:19097,127.0.0.1:29097,127.0.0.1:39097");
        assert_eq!(topology.internal_bootstrap(), "kafka1:19092,kafka2:29092,kafka3:39092");
        assert_eq!(topology.brokers[0].address.to_string(), "10.9.0.21");
    }

    #[test]
    fn in_kraft_brokers_are_controllers_too_or_these_have_ids_and_addresses_of_their_own() {
        let of = |flavor| {
            Topology::of(&Settings {
                flavor,
                ..Settings::default()
            })
        };
        let combined = of(Flavor::Kraft);
        assert_eq!(combined.quorum_voters(), "1@kafka1:9093,2@kafka2:9093,3@kafka3:9093");
        assert!(combined.zookeepers.is_empty() && combined.keepers().next().is_none());
        assert_eq!(combined.servers().count(), 3);
        let first = combined.combined(&combined.brokers[0]).unwrap();
        assert_eq!(first.published.to_string(), "127.0.0.1:19093");
        let separate = of(Flavor::KraftSeparate);
        assert_eq!(
            separate.quorum_voters(),
            "3001@controller1:9093,3002@controller2:9093,3003@controller3:9093"
        );
        assert_eq!(separate.controllers[2].address.to_string(), "172.25.0.18");
        assert_eq!(separate.servers().count(), 6);
        assert_eq!(separate.controllers[2].published.port(), 39093);
        assert!(separate.combined(&separate.brokers[0]).is_none());
        let expected = separate.expectation(Duration::ZERO);
        assert_eq!(expected.node_service(3002), "controller2");
        assert!(expected.is_server("controller3") && expected.keepers().count() == 3);
    }

    #[test]
    fn a_cluster_id_is_16_bytes_that_follow_from_the_projects_name_and_begin_with_no_dash() {
        for project in ["khd", "second"]
            .map(str::to_owned)
            .into_iter()
            .chain((0..500).map(|n| n.to_string()))
        {
            let id = cluster_id(&project);
            assert_eq!(BASE64_URL_SAFE_NO_PAD.decode(&id).unwrap().len(), 16);
            assert!(id.len() == 22 && !id.starts_with('-'), "{id}");
            assert_eq!(id, cluster_id(&project));
        }
        assert_ne!(cluster_id("khd"), cluster_id("second"));
    }

    #[test]
    fn danielqsjs_exporter_takes_the_demos_port_and_khds_own_moves() {
        let mut settings = Settings::default();
        let port = |address: Option<SocketAddr>| address.map(|address| address.port());
        let own = Topology::of(&settings).monitoring.unwrap();
        assert_eq!((own.exporter.port(), port(own.kafka_exporter)), (9308, None));
        settings.monitoring.kafka_exporter = true;
        let both = Topology::of(&settings).monitoring.unwrap();
        assert_eq!((both.exporter.port(), port(both.kafka_exporter)), (9307, Some(9308)));
        assert_eq!(Monitoring::ports(&settings.monitoring), [9307, 9090, 3000, 9000, 9308]);
    }

    #[test]
    fn replicas_follow_the_number_of_brokers() {
        let mut settings = Settings::default();
        settings.kafka.servers = 1;
        let workload = Topology::of(&settings).workload;
        assert_eq!((workload.replication_factor, workload.min_insync_replicas), (1, 1));
        settings.kafka.servers = 5;
        let workload = Topology::of(&settings).workload;
        assert_eq!((workload.replication_factor, workload.min_insync_replicas), (3, 2));
    }
}
