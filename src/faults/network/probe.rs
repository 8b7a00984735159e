//! Trying links: whether a connection over them opens.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddrV4;

use futures_util::future::join_all;

use super::helper;
use super::links::{self, Links};
use crate::engine::Container;
use crate::faults::{Injection, Means, Proof, Target, lacking};
use crate::timeline::conditions::Lacking;
use crate::timeline::view::View;

/// How long a connection may take to open, in milliseconds: ones that are not cut take a few.
pub(super) const PATIENCE: u64 = 1000;

/// A connection to be tried.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Probe {
    /// Who tries, by name.
    pub(super) from: String,
    /// Whom, by name.
    pub(super) to: String,
    /// Where that one listens.
    pub(super) address: SocketAddrV4,
}

/// What came of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// It opened within so many milliseconds.
    Open(u64),
    /// Nobody listens there, but packets go both ways.
    Refused,
    /// Nothing came back.
    Timeout,
}

/// One connection for each pair that the links say is cut, from a target where that is possible. Two clients have nothing to
/// connect to.
pub(super) fn over(links: &Links, means: &Means, targets: &[Target]) -> Vec<Probe> {
    let targets: BTreeSet<String> = targets.iter().map(Target::name).collect();
    let probe = |from: &str, to: &str| {
        Some(Probe {
            from: from.to_owned(),
            to: to.to_owned(),
            address: links::server(&means.topology, to)?,
        })
    };
    let mut probes = Vec::new();
    for (one, other) in links.pairs() {
        let (first, second) = if targets.contains(one) {
            (one, other)
        } else {
            (other, one)
        };
        probes.extend(probe(first, second).or_else(|| probe(second, first)));
    }
    probes
}

/// Tries connections, those of different containers at the same time. Of those whose container does not run there is no
/// answer.
pub(super) async fn tried(
    means: &Means,
    probes: &[Probe],
    patience: u64,
) -> anyhow::Result<Vec<(Probe, Option<Answer>)>> {
    let containers = containers(means).await?;
    let mut by_from = BTreeMap::<&str, Vec<&Probe>>::new();
    for probe in probes {
        by_from.entry(&probe.from).or_default().push(probe);
    }
    let runs = by_from.into_iter().map(|(from, probes)| {
        let container = containers.get(from).map(|container| container.name.clone());
        async move {
            let patience = patience.to_string();
            let addresses: Vec<String> = probes.iter().map(|probe| probe.address.to_string()).collect();
            let args: Vec<&str> = ["try", &patience]
                .into_iter()
                .chain(addresses.iter().map(String::as_str))
                .collect();
            let said = match container {
                Some(container) => helper::run(means, Some(&container), &args).await?.unwrap_or_default(),
                None => String::new(),
            };
            let answers = probes
                .into_iter()
                .map(|probe| (probe.clone(), answer(&said, probe.address)));
            anyhow::Ok(answers.collect::<Vec<_>>())
        }
    });
    let tried: anyhow::Result<Vec<Vec<_>>> = join_all(runs).await.into_iter().collect();
    Ok(tried?.into_iter().flatten().collect())
}

/// Proves that no connection opens over links that are cut.
pub(super) async fn cut(means: &Means, probes: &[Probe]) -> Proof {
    let tried = tried(means, probes, PATIENCE).await.map_err(lacking)?;
    let lacking: Lacking = tried
        .iter()
        .filter(|(_, answer)| matches!(answer, Some(Answer::Open(_) | Answer::Refused)))
        .map(|(Probe { from, to, .. }, _)| format!("{from} still reaches {to}"))
        .collect();
    if !lacking.is_empty() {
        return Err(lacking);
    }
    let answered = answered(&tried);
    if answered.is_empty() {
        return Err(vec!["nobody who runs could try a connection that it cuts".into()]);
    }
    Ok(format!("no connection opens from {}", words(answered.into_iter())))
}

/// Those of which there is an answer: who does not run cannot try.
fn answered(tried: &[(Probe, Option<Answer>)]) -> Vec<&Probe> {
    let answered = tried.iter().filter(|(_, answer)| answer.is_some());
    answered.map(|(probe, _)| probe).collect()
}

/// Proves that links work again: a connection opens, or is refused where the server is down. Links on which another fault is
/// still in place, or an end of which does not run, prove nothing.
pub(super) async fn open(means: &Means, injection: &Injection, view: &View, probes: &[Probe]) -> Proof {
    let running = containers(means).await.map_err(lacking)?;
    let well = |name: &str| {
        let runs = running.get(name).is_some_and(|container| container.state == "running");
        let mut others = view.faults.iter().filter(|(id, _)| **id != injection.id);
        runs && !others.any(|(_, fault)| fault.targets.iter().any(|target| target == name))
    };
    let probes: Vec<Probe> = probes
        .iter()
        .filter(|probe| well(&probe.from) && well(&probe.to))
        .cloned()
        .collect();
    let tried = tried(means, &probes, PATIENCE).await.map_err(lacking)?;
    let lacking: Lacking = tried
        .iter()
        .filter(|(_, answer)| *answer == Some(Answer::Timeout))
        .map(|(Probe { from, to, .. }, _)| format!("{from} does not reach {to}"))
        .collect();
    if !lacking.is_empty() {
        return Err(lacking);
    }
    Ok(match &answered(&tried)[..] {
        [] => "its rules are gone".into(),
        answered => format!("connections open from {}", words(answered.iter().copied())),
    })
}

/// `kafka1 to kafka2, zookeeper1; kafka3 to zookeeper1`.
fn words<'a>(probes: impl Iterator<Item = &'a Probe>) -> String {
    let mut by_from = BTreeMap::<&str, Vec<&str>>::new();
    for probe in probes {
        by_from.entry(&probe.from).or_default().push(&probe.to);
    }
    let words: Vec<String> = by_from
        .into_iter()
        .map(|(from, to)| format!("{from} to {}", to.join(", ")))
        .collect();
    words.join("; ")
}

/// The lab's containers, by the names of targets.
async fn containers(means: &Means) -> anyhow::Result<BTreeMap<String, Container>> {
    let project = means.engine.project(&means.topology.project).await?;
    let containers = project.containers.into_iter();
    Ok(containers
        .map(|container| (Target::of(&container, &means.expected).name(), container))
        .collect())
}

fn answer(said: &str, address: SocketAddrV4) -> Option<Answer> {
    let address = address.to_string();
    said.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            [of, "open", time] if of == address => time.parse().ok().map(Answer::Open),
            [of, "refused"] if of == address => Some(Answer::Refused),
            [of, "timeout"] if of == address => Some(Answer::Timeout),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_that_of_its_address_and_of_no_other() {
        let said = "172.25.0.10:12181 open 4\n172.25.0.1:12181 timeout\n172.25.0.11:22181 refused\n";
        let of = |address: &str| answer(said, address.parse().unwrap());
        assert_eq!(of("172.25.0.10:12181"), Some(Answer::Open(4)));
        assert_eq!(of("172.25.0.1:12181"), Some(Answer::Timeout));
        assert_eq!(of("172.25.0.11:22181"), Some(Answer::Refused));
        assert_eq!(of("172.25.0.12:22181"), None);
    }
}
