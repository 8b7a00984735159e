//! Which links of a lab are cut, and who is out of the cluster by that (pure).

use std::collections::BTreeSet;

use crate::topology::{CONSUMER, CONTROLLER_PORT, COPIER, PRODUCER, Topology};

/// Links that are cut: from whom packets do not reach whom, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Links(BTreeSet<(String, String)>);

impl Links {
    /// Cuts one direction of a link. Nobody has a link to itself.
    pub fn cut(&mut self, from: &str, to: &str) {
        if from != to {
            self.0.insert((from.to_owned(), to.to_owned()));
        }
    }

    /// Every direction that is cut, as who sends and who does not get it.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(from, to)| (from.as_str(), to.as_str()))
    }

    /// Whether packets of one reach the other.
    pub fn passes(&self, from: &str, to: &str) -> bool {
        !self.0.contains(&(from.to_owned(), to.to_owned()))
    }

    /// Whether the two can have a connection: TCP needs both directions.
    pub fn connects(&self, one: &str, other: &str) -> bool {
        self.passes(one, other) && self.passes(other, one)
    }

    /// Pairs that cannot have a connection, each once.
    pub fn pairs(&self) -> BTreeSet<(&str, &str)> {
        self.iter().map(|(from, to)| (from.min(to), from.max(to))).collect()
    }

    /// Whom the lab has to do without: a ZooKeeper server, or a controller, that reaches no majority of those, a broker that
    /// is cut from every one that does, a client that is cut from every broker.
    ///
    /// A broker that still reaches one of that majority keeps its session, whatever else it is cut from. (In KRaft only where
    /// that one leads, or comes to lead; a set of links does not tell.)
    pub fn out(&self, topology: &Topology) -> BTreeSet<String> {
        let zookeepers = topology.zookeepers.iter().map(|z| z.service.as_str());
        let controllers = topology.controllers.iter().map(|c| c.service.as_str());
        let ensemble: Vec<&str> = zookeepers.chain(controllers).collect();
        let brokers: Vec<&str> = topology.brokers.iter().map(|b| b.service.as_str()).collect();
        let (serve, mut out): (Vec<&str>, Vec<&str>) = ensemble
            .iter()
            .partition(|one| ensemble.iter().filter(|other| self.connects(one, other)).count() > ensemble.len() / 2);
        let cut = |name: &str, from: &[&str]| from.iter().any(|other| !self.connects(name, other));
        let reaches = |name: &str, of: &[&str]| of.iter().any(|other| self.connects(name, other));
        out.extend(brokers.iter().filter(|b| cut(b, &ensemble) && !reaches(b, &serve)));
        let mut out: BTreeSet<String> = out.into_iter().map(str::to_owned).collect();
        out.extend(
            clients(topology, &self.names())
                .into_iter()
                .filter(|client| !reaches(client, &brokers)),
        );
        out
    }

    fn names(&self) -> BTreeSet<&str> {
        self.iter().flat_map(|(from, to)| [from, to]).collect()
    }
}

/// Those of the names that are no servers.
fn clients(topology: &Topology, names: &BTreeSet<&str>) -> Vec<String> {
    let client = |name: &&&str| server(topology, name).is_none();
    names.iter().filter(client).map(|name| (*name).to_owned()).collect()
}

/// The address and the port at which others of the lab find a server; nothing for what is no server.
pub(super) fn server(topology: &Topology, name: &str) -> Option<std::net::SocketAddrV4> {
    let broker = topology.brokers.iter().find(|broker| broker.service == name);
    let broker = broker.map(|broker| (broker.address, broker.internal_port));
    let zookeeper = topology.zookeepers.iter().find(|server| server.service == name);
    let zookeeper = zookeeper.map(|server| (server.address, server.client_port));
    let controller = topology.controllers.iter().find(|server| server.service == name);
    let controller = controller.map(|server| (server.address, CONTROLLER_PORT));
    broker
        .or(zookeeper)
        .or(controller)
        .map(|(address, port)| std::net::SocketAddrV4::new(address, port))
}

/// Names of the clients that the lab is brought up with.
pub(super) fn client_names(topology: &Topology) -> Vec<String> {
    let of = |service: &'static str, count: u16| (1..=count).map(move |number| format!("{service}-{number}"));
    let workload = &topology.workload;
    of(PRODUCER, workload.producers)
        .chain(of(CONSUMER, workload.consumers))
        .chain(of(COPIER, workload.copiers))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::settings::{Flavor, Settings};

    fn topology() -> Topology {
        Topology::of(&Settings::default())
    }

    fn links(cuts: &[(&str, &str)]) -> Links {
        let mut links = Links::default();
        for (from, to) in cuts {
            links.cut(from, to);
        }
        links
    }

    fn out(cuts: &[(&str, &str)]) -> Vec<String> {
        links(cuts).out(&topology()).into_iter().collect()
    }

    #[test]
    fn a_zookeeper_server_is_out_without_a_majority_and_a_broker_without_any_that_serves() {
        assert_eq!(out(&[("zookeeper1", "zookeeper2")]), [""; 0]);
        assert_eq!(
            out(&[("zookeeper1", "zookeeper2"), ("zookeeper3", "zookeeper1")]),
            ["zookeeper1"]
        );
        assert_eq!(out(&[("kafka1", "zookeeper1"), ("kafka1", "zookeeper2")]), [""; 0]);
        let cut = [
            ("kafka1", "zookeeper1"),
            ("kafka1", "zookeeper2"),
            ("zookeeper3", "kafka1"),
        ];
        assert_eq!(out(&cut), ["kafka1"]);
        // It still reaches zookeeper3, which serves nobody any more.
        let with_minority = [
            ("kafka1", "zookeeper1"),
            ("kafka1", "zookeeper2"),
            ("zookeeper3", "zookeeper1"),
            ("zookeeper3", "zookeeper2"),
        ];
        assert_eq!(out(&with_minority), ["kafka1", "zookeeper3"]);
    }

    #[test]
    fn in_kraft_controllers_decide_by_majority_whether_they_are_brokers_or_not() {
        let out = |flavor, cuts: &[(&str, &str)]| {
            let topology = Topology::of(&Settings {
                flavor,
                ..Settings::default()
            });
            links(cuts).out(&topology).into_iter().collect::<Vec<_>>()
        };
        let isolated = [("kafka1", "kafka2"), ("kafka3", "kafka1")];
        assert_eq!(out(Flavor::Kraft, &isolated), ["kafka1"]);
        assert_eq!(out(Flavor::Kraft, &isolated[..1]), [""; 0]);
        assert_eq!(out(Flavor::KraftSeparate, &isolated), [""; 0]);
        let cut = ["controller1", "controller2", "controller3"].map(|controller| ("kafka1", controller));
        assert_eq!(out(Flavor::KraftSeparate, &cut), ["kafka1"]);
        assert_eq!(out(Flavor::KraftSeparate, &cut[..2]), [""; 0]);
        let minority = [("controller1", "controller2"), ("controller3", "controller1")];
        assert_eq!(out(Flavor::KraftSeparate, &minority), ["controller1"]);
    }

    #[test]
    fn a_client_is_out_when_it_reaches_no_broker() {
        assert_eq!(out(&[("consumer-1", "kafka1"), ("kafka2", "consumer-1")]), [""; 0]);
        let cut = [
            ("consumer-1", "kafka1"),
            ("kafka2", "consumer-1"),
            ("kafka3", "consumer-1"),
        ];
        assert_eq!(out(&cut), ["consumer-1"]);
    }

    fn names() -> Vec<String> {
        let topology = topology();
        let brokers = topology.brokers.iter().map(|b| b.service.clone());
        let zookeepers = topology.zookeepers.iter().map(|z| z.service.clone());
        brokers.chain(zookeepers).chain(client_names(&topology)).collect()
    }

    proptest! {
        #[test]
        fn cutting_more_never_brings_anybody_back(
            cuts in proptest::collection::vec((0..8_usize, 0..8_usize), 0..40),
            at in 0..40_usize,
        ) {
            let (names, topology) = (names(), topology());
            let built = |cuts: &[(usize, usize)]| {
                let mut links = Links::default();
                for (from, to) in cuts {
                    links.cut(&names[*from], &names[*to]);
                }
                links
            };
            let (fewer, all) = (built(&cuts[..at.min(cuts.len())]), built(&cuts));
            prop_assert!(fewer.out(&topology).is_subset(&all.out(&topology)));
            for name in all.out(&topology) {
                prop_assert!(all.names().contains(name.as_str()), "{name} has all its links");
            }
        }

        #[test]
        fn a_connection_needs_both_directions_of_a_link(cuts in proptest::collection::vec((0..8_usize, 0..8_usize), 0..20)) {
            let names = names();
            let mut links = Links::default();
            for (from, to) in &cuts {
                links.cut(&names[*from], &names[*to]);
            }
            for (one, other) in names.iter().flat_map(|one| names.iter().map(move |other| (one, other))) {
                prop_assert_eq!(links.connects(one, other), links.connects(other, one));
                let paired = links.pairs().contains(&(one.min(other).as_str(), one.max(other).as_str()));
                prop_assert_eq!(links.connects(one, other), !paired);
            }
        }
    }
}
