//! What a fault drops at one container, as an iptables-restore payload (pure).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::links::{self, Links};
use crate::faults::{Injection, Target};
use crate::topology::Topology;

/// The way of a packet, seen from the container that has the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    In,
    Out,
}

impl Way {
    pub(super) const BOTH: [Self; 2] = [Self::In, Self::Out];
}

/// What is dropped.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Drop {
    /// All that comes from there, or goes there.
    Peers(Way, Ipv4Net),
    /// Connections to that TCP port, the container's own or a peer's.
    Port(Way, u16),
    /// A part of all packets, between 0 and 1.
    Share(Way, f64),
}

/// The name by which a fault's rules are known; those of different faults have different names.
pub(super) fn chain(injection: &Injection) -> String {
    format!("KHD-{}", injection.id)
}

/// What a container drops so that just those links are cut that it is an end of.
pub(super) fn of_links(target: &Target, links: &Links, addresses: &BTreeMap<String, Ipv4Addr>) -> Vec<Drop> {
    let name = target.name();
    let drop = |way: Way, peer: &str| Some(Drop::Peers(way, Ipv4Net::from(*addresses.get(peer)?)));
    links
        .iter()
        .filter_map(|(from, to)| match (from == name, to == name) {
            (true, _) => drop(Way::Out, to),
            (_, true) => drop(Way::In, from),
            _ => None,
        })
        .collect()
}

/// Addresses of the servers, and of those targets that had one when they were chosen.
pub(super) fn addresses(topology: &Topology, targets: &[Target]) -> BTreeMap<String, Ipv4Addr> {
    let servers = topology
        .servers()
        .filter_map(|name| Some((name.clone(), *links::server(topology, name)?.ip())));
    let clients = targets
        .iter()
        .filter_map(|target| Some((target.name(), target.address?)));
    clients.chain(servers).collect()
}

/// The payload: two chains of the fault's own, and a jump to each.
pub(super) fn payload(chain: &str, topology: &Topology, drops: &[Drop]) -> String {
    let mut text = format!("*filter\n:{chain}-IN - [0:0]\n:{chain}-OUT - [0:0]\n");
    let gateway = topology.gateway;
    // Writing to a string does not fail.
    let _ = writeln!(
        text,
        "-A {chain}-IN -i lo -j RETURN\n-A {chain}-IN -s {gateway}/32 -j RETURN"
    );
    let _ = writeln!(
        text,
        "-A {chain}-OUT -o lo -j RETURN\n-A {chain}-OUT -d {gateway}/32 -j RETURN"
    );
    for (way, matches) in drops.iter().flat_map(|drop| matches(*drop, topology.subnet)) {
        let _ = match way {
            Way::In => writeln!(text, "-A {chain}-IN -s {matches} -j DROP"),
            Way::Out => writeln!(text, "-A {chain}-OUT -d {matches} -j DROP"),
        };
    }
    text + &format!("-A INPUT -j {chain}-IN\n-A OUTPUT -j {chain}-OUT\nCOMMIT\n")
}

/// Whom to match, and what else.
fn matches(drop: Drop, subnet: Ipv4Net) -> Vec<(Way, String)> {
    match drop {
        Drop::Peers(way, peers) => vec![(way, peers.to_string())],
        Drop::Port(way, port) => ["--dport", "--sport"]
            .map(|side| (way, format!("{subnet} -p tcp -m tcp {side} {port}")))
            .into(),
        Drop::Share(way, share) => {
            let matches = format!("{subnet} -m statistic --mode random --probability {share:.5}");
            vec![(way, matches)]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    #[test]
    fn the_payload_makes_chains_of_its_own_and_spares_gateway_and_loopback() {
        let topology = Topology::of(&Settings::default());
        let drops = [
            Drop::Peers(Way::In, "172.25.0.10/32".parse().unwrap()),
            Drop::Peers(Way::Out, "172.25.0.128/25".parse().unwrap()),
            Drop::Port(Way::In, 2181),
            Drop::Share(Way::Out, 0.2),
        ];
        assert_eq!(
            payload("KHD-7", &topology, &drops),
            "*filter\n\
             :KHD-7-IN - [0:0]\n\
             :KHD-7-OUT - [0:0]\n\
             -A KHD-7-IN -i lo -j RETURN\n\
             -A KHD-7-IN -s 172.25.0.1/32 -j RETURN\n\
             -A KHD-7-OUT -o lo -j RETURN\n\
             -A KHD-7-OUT -d 172.25.0.1/32 -j RETURN\n\
             -A KHD-7-IN -s 172.25.0.10/32 -j DROP\n\
             -A KHD-7-OUT -d 172.25.0.128/25 -j DROP\n\
             -A KHD-7-IN -s 172.25.0.0/24 -p tcp -m tcp --dport 2181 -j DROP\n\
             -A KHD-7-IN -s 172.25.0.0/24 -p tcp -m tcp --sport 2181 -j DROP\n\
             -A KHD-7-OUT -d 172.25.0.0/24 -m statistic --mode random --probability 0.20000 -j DROP\n\
             -A INPUT -j KHD-7-IN\n\
             -A OUTPUT -j KHD-7-OUT\n\
             COMMIT\n"
        );
    }

    #[test]
    fn a_chain_has_the_greatest_number_within_the_length_that_the_kernel_allows() {
        assert!(format!("KHD-{}-OUT", u32::MAX).len() <= 28);
    }
}
