//! Block: a member of the lab goes on, but some of its traffic does not get through.

use std::collections::BTreeSet;
use std::net::SocketAddrV4;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::kernel::{Needs, kernel};
use super::links::{self, Links};
use super::probe::Probe;
use super::rules::{Drop, Way};
use super::{helper, probe, rules};
use crate::error::Expected;
use crate::faults::{Fault, Field, Injection, Means, Proof, Target};
use crate::timeline::view::View;
use crate::topology::Topology;

/// The leader that is cut from brokers and ZooKeeper, and goes on answering its clients, is what this does by default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Block {
    /// What does not get through.
    pub traffic: Vec<Traffic>,
    /// In which direction, seen from the target.
    pub direction: Direction,
}

/// What does not get through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "traffic is brokers, zookeeper, controllers, clients, or the number of a TCP port"
)]
pub enum Traffic {
    /// With whom.
    With(Peers),
    /// Connections to that TCP port, the target's own or a peer's. A port alone puts nobody out.
    Port(u16),
}

/// With whom traffic does not get through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Peers {
    /// Every other broker.
    Brokers,
    /// Every other ZooKeeper server.
    Zookeeper,
    /// Every other controller of KRaft; in combined mode, that is every other broker.
    Controllers,
    /// All that is no server: producers and consumers.
    Clients,
}

/// In which direction traffic does not get through, seen from the target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// In both.
    #[default]
    Both,
    /// What the target would receive.
    In,
    /// What the target sends.
    Out,
}

impl Direction {
    fn ways(self) -> Vec<Way> {
        match self {
            Self::Both => Way::BOTH.into(),
            Self::In => vec![Way::In],
            Self::Out => vec![Way::Out],
        }
    }
}

impl Default for Block {
    fn default() -> Self {
        Self {
            // All servers, whatever keeps the metadata.
            traffic: [Peers::Brokers, Peers::Zookeeper, Peers::Controllers]
                .map(Traffic::With)
                .into(),
            direction: Direction::Both,
        }
    }
}

impl Block {
    /// The links that it cuts altogether.
    pub fn links(&self, targets: &[Target], topology: &Topology) -> Links {
        let mut links = Links::default();
        for target in targets.iter().map(Target::name) {
            for peer in self.peers(topology) {
                for way in self.direction.ways() {
                    match way {
                        Way::In => links.cut(&peer, &target),
                        Way::Out => links.cut(&target, &peer),
                    }
                }
            }
        }
        links
    }

    fn peers(&self, topology: &Topology) -> BTreeSet<String> {
        let of = |traffic: &Traffic| match traffic {
            Traffic::With(Peers::Brokers) => topology.brokers.iter().map(|b| b.service.clone()).collect(),
            Traffic::With(Peers::Zookeeper) => topology.zookeepers.iter().map(|z| z.service.clone()).collect(),
            Traffic::With(Peers::Controllers) => topology.controllers.iter().map(|c| c.service.clone()).collect(),
            Traffic::With(Peers::Clients) => links::client_names(topology),
            Traffic::Port(_) => Vec::new(),
        };
        self.traffic.iter().flat_map(of).collect()
    }

    fn ports(&self) -> impl Iterator<Item = u16> + '_ {
        self.traffic.iter().filter_map(|traffic| match traffic {
            Traffic::Port(port) => Some(*port),
            Traffic::With(_) => None,
        })
    }

    /// What a target drops. Clients are known by where the engine takes their addresses from: it may start new ones.
    fn drops(&self, target: &Target, topology: &Topology) -> Vec<Drop> {
        let servers = rules::addresses(topology, &[]);
        let links = self.links(std::slice::from_ref(target), topology);
        let mut drops = rules::of_links(target, &links, &servers);
        for way in self.direction.ways() {
            if self.traffic.contains(&Traffic::With(Peers::Clients)) {
                drops.push(Drop::Peers(way, topology.dynamic_range));
            }
            drops.extend(self.ports().map(|port| Drop::Port(way, port)));
        }
        drops
    }

    /// Connections that it cuts off: one over each link, and one to each port at which a server is known to listen.
    fn probes(&self, means: &Means, targets: &[Target]) -> Vec<Probe> {
        let topology = &means.topology;
        let mut probes = probe::over(&self.links(targets, topology), means, targets);
        let names: Vec<String> = rules::addresses(topology, &[]).into_keys().collect();
        let listens = |name: &str, port: u16| links::server(topology, name).filter(|server| server.port() == port);
        for (target, port) in targets
            .iter()
            .map(Target::name)
            .flat_map(|t| self.ports().map(move |port| (t.clone(), port)))
        {
            let probe = |from: &str, to: &str, address: SocketAddrV4| Probe {
                from: from.to_owned(),
                to: to.to_owned(),
                address,
            };
            for peer in names.iter().filter(|peer| **peer != target) {
                probes.extend(listens(peer, port).map(|address| probe(&target, peer, address)));
            }
            let own = listens(&target, port);
            let peer = names.iter().find(|peer| **peer != target);
            probes.extend(own.zip(peer).map(|(address, peer)| probe(peer, &target, address)));
        }
        probes.sort();
        probes.dedup();
        probes
    }
}

#[async_trait]
impl Fault for Block {
    fn field(&self) -> Field {
        Field::Network
    }

    fn meaning(&self) -> &'static str {
        "drop its traffic with brokers, ZooKeeper and controllers, or with clients, or of a port; it goes on with the others"
    }

    fn check(&self, _: &Topology, _: &[Target]) -> Result<(), Expected> {
        if self.traffic.is_empty() {
            return Err(Expected::usage("there is no traffic to block")
                .hint("traffic: brokers, zookeeper, controllers, clients, or the number of a TCP port"));
        }
        if self.ports().any(|port| port == 0) {
            return Err(Expected::usage("0 is no TCP port"));
        }
        Ok(())
    }

    fn out(&self, targets: &[Target], topology: &Topology) -> BTreeSet<String> {
        self.links(targets, topology).out(topology)
    }

    async fn possible(&self, means: &Means) -> anyhow::Result<()> {
        let clients = self.traffic.contains(&Traffic::With(Peers::Clients));
        if !clients && self.ports().next().is_none() && self.peers(&means.topology).is_empty() {
            let message = "the lab has none of the servers with which traffic is to be blocked";
            let hint = "ZooKeeper is in labs of `--flavor zookeeper`, controllers are in others";
            return Err(Expected::environment(message).hint(hint).into());
        }
        Ok(kernel(means).await?.require(&[Needs::Iptables])?)
    }

    async fn inject(&self, means: &Means, injection: &Injection) -> anyhow::Result<()> {
        helper::at_each(means, &injection.targets, |target| {
            let drops = self.drops(target, &means.topology);
            let payload = rules::payload(&rules::chain(injection), &means.topology, &drops);
            vec!["apply".into(), payload]
        })
        .await?;
        Ok(())
    }

    async fn undo(&self, means: &Means, injection: &Injection) -> anyhow::Result<()> {
        helper::remove(means, injection).await
    }

    async fn effect(&self, means: &Means, injection: &Injection, _: &View) -> Proof {
        probe::cut(means, &self.probes(means, &injection.targets)).await
    }

    async fn healed(&self, means: &Means, injection: &Injection, view: &View) -> Proof {
        helper::left(means, injection, &format!("{}-", rules::chain(injection))).await?;
        probe::open(means, injection, view, &self.probes(means, &injection.targets)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    fn topology() -> Topology {
        Topology::of(&Settings::default())
    }

    fn block(value: serde_json::Value) -> Block {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn by_default_a_broker_is_cut_from_servers_and_is_out_but_keeps_its_clients() {
        let (block, targets) = (Block::default(), [Target::sample("kafka1")]);
        assert_eq!(block.out(&targets, &topology()), BTreeSet::from(["kafka1".into()]));
        let payload = rules::payload("KHD-1", &topology(), &block.drops(&targets[0], &topology()));
        let dropped: Vec<&str> = payload
            .lines()
            .filter(|line| line.ends_with("-s 172.25.0.10/32 -j DROP"))
            .collect();
        assert_eq!(dropped, ["-A KHD-1-IN -s 172.25.0.10/32 -j DROP"]);
        assert_eq!(payload.matches("-j DROP").count(), 2 * 5);
        assert!(!payload.contains("172.25.0.21/32"), "itself\n{payload}");
        assert!(!payload.contains("172.25.0.128/25"), "clients\n{payload}");
    }

    #[test]
    fn clients_are_those_without_a_fixed_address_and_one_direction_is_one_rule() {
        let block = block(serde_json::json!({ "traffic": ["clients"], "direction": "in" }));
        let drops = block.drops(&Target::sample("kafka1"), &topology());
        assert_eq!(drops, [Drop::Peers(Way::In, topology().dynamic_range)]);
        let all: Vec<Target> = ["kafka1", "kafka2", "kafka3"].map(Target::sample).into();
        let out = block.out(&all, &topology());
        assert!(out.contains("consumer-1") && out.contains("producer-1"), "{out:?}");
        assert_eq!(block.out(&all[..2], &topology()), BTreeSet::new());
    }

    #[test]
    fn a_port_alone_puts_nobody_out() {
        let block = block(serde_json::json!({ "traffic": [12181] }));
        let target = [Target::sample("zookeeper1")];
        assert_eq!(block.out(&target, &topology()), BTreeSet::new());
        assert_eq!(
            block.drops(&target[0], &topology()),
            [Drop::Port(Way::In, 12181), Drop::Port(Way::Out, 12181)]
        );
    }

    #[test]
    fn traffic_that_is_none_is_refused_with_what_there_is() {
        let error = serde_json::from_value::<Block>(serde_json::json!({ "traffic": ["everything"] })).unwrap_err();
        assert!(
            error.to_string().contains("brokers, zookeeper, controllers, clients"),
            "{error}"
        );
        assert!(
            block(serde_json::json!({ "traffic": [] }))
                .check(&topology(), &[])
                .is_err()
        );
    }
}
