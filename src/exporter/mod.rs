//! The exporter: the state of Kafka and of the lab as metrics, under kafka_exporter's names and khd's own.
//!
//! Every broker, ZooKeeper server and controller is asked by a task of its own (`broker`, `zookeeper`, `controller`), which
//! keeps what it was told in a [`Cluster`]. A scrape (`families`) only reads that, so it waits for nobody: neither for a broker that hangs, nor for
//! one that was never there. What khd does to the lab comes as a [`Notice`].

mod broker;
mod cluster;
mod controller;
mod families;
pub mod notice;
mod zookeeper;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, Mutex};

use prometheus_client::registry::Registry;
use tokio::task::JoinSet;

use crate::error::Expected;

pub use cluster::Cluster;
pub use notice::Notice;

/// A broker, or a controller of KRaft, to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// Its `broker.id`, or `node.id` in KRaft.
    pub id: i32,
    /// Its name: the host of its address, or all of that where several share the host.
    pub server: String,
    /// Where it is asked, as `host:port`.
    pub address: String,
}

/// Written as KRaft writes a voter: `1@kafka1:19092`.
impl FromStr for Broker {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no broker or controller: write it as ID@HOST:PORT, such as 1@kafka1:19092");
        let (id, address) = text.split_once('@').ok_or_else(wrong)?;
        let (server, port) = address.rsplit_once(':').ok_or_else(wrong)?;
        if server.is_empty() || port.parse::<u16>().is_err() {
            return Err(wrong());
        }
        Ok(Self {
            id: id.parse().map_err(|_| wrong())?,
            server: server.to_owned(),
            address: address.to_owned(),
        })
    }
}

/// A ZooKeeper server to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZooKeeper {
    /// Its name: the host of its address, or all of that where several share the host.
    pub server: String,
    /// Where it is asked, as `host:port`.
    pub address: String,
}

impl FromStr for ZooKeeper {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(Self {
                server: host.to_owned(),
                address: text.to_owned(),
            }),
            _ => Err(format!("`{text}` is no ZooKeeper server: write it as HOST:PORT")),
        }
    }
}

/// Tasks that ask. Dropping it ends them.
#[derive(Debug)]
#[must_use = "dropping the exporter ends it"]
pub struct Exporter {
    _tasks: JoinSet<()>,
}

/// Begins to ask brokers, ZooKeeper servers and controllers, and gives what is to be served; none of them has to be there yet.
///
/// What khd tells of the lab is read from the file `notice` at each scrape.
///
/// # Errors
/// A usage error when two brokers, or two controllers, have the same id.
pub fn start(
    mut brokers: Vec<Broker>,
    mut zookeepers: Vec<ZooKeeper>,
    mut controllers: Vec<Broker>,
    notice: Option<PathBuf>,
) -> Result<(Exporter, Registry), Expected> {
    for (nodes, kind) in [(&mut brokers, "brokers"), (&mut controllers, "controllers")] {
        let mut ids = BTreeSet::new();
        if let Some(twice) = nodes.iter().find(|node| !ids.insert(node.id)) {
            return Err(
                Expected::usage(format!("two {kind} have the id {}", twice.id)).hint("each has an id of its own")
            );
        }
        let named = nodes.iter_mut().map(|node| (&mut node.server, &node.address));
        tell_apart(named.collect());
    }
    let named = zookeepers
        .iter_mut()
        .map(|server| (&mut server.server, &server.address));
    tell_apart(named.collect());
    let cluster = Arc::new(Mutex::new(Cluster::new(&brokers, &zookeepers, &controllers)));
    let mut tasks = JoinSet::new();
    for broker in brokers {
        tasks.spawn(broker::ask(broker, cluster.clone()));
    }
    for server in zookeepers {
        tasks.spawn(zookeeper::ask(server, cluster.clone()));
    }
    for controller in controllers {
        tasks.spawn(controller::ask(controller, cluster.clone()));
    }
    let mut registry = Registry::default();
    registry.register_collector(Box::new(families::Families { cluster, notice }));
    Ok((Exporter { _tasks: tasks }, registry))
}

/// Gives servers that share a host their addresses as names: two series must not have the same labels.
fn tell_apart(servers: Vec<(&mut String, &String)>) {
    let hosts: Vec<String> = servers.iter().map(|(host, _)| (*host).clone()).collect();
    for (name, address) in servers {
        if hosts.iter().filter(|host| *host == name).count() > 1 {
            name.clone_from(address);
        }
    }
}
