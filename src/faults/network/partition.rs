//! Partition: the lab falls into sets whose members do not reach those of the others.

use std::collections::BTreeSet;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::kernel::{Needs, kernel};
use super::links::Links;
use super::{helper, probe, rules};
use crate::error::Expected;
use crate::faults::selector::Selector;
use crate::faults::{Fault, Field, Injection, Means, Proof, Target};
use crate::timeline::view::View;
use crate::topology::Topology;

/// Members of different sets do not reach each other; who is in no set reaches everybody.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Partition {
    /// The sets, by names of servers and clients: kafka1, zookeeper1, consumer-1.
    pub sets: Vec<Vec<String>>,
    /// Packets from the first set do not reach the others, but those of the others reach the first. The others reach each
    /// other.
    pub one_way: bool,
}

impl Partition {
    /// Whom it hits: the members of all sets.
    pub fn members(&self) -> Vec<Selector> {
        self.sets.iter().flatten().cloned().map(Selector::Named).collect()
    }

    /// The sets, by number, that a target is in.
    fn sets_of(&self, target: &Target) -> BTreeSet<usize> {
        let is_in = |(_, set): &(usize, &Vec<String>)| {
            let mut names = set.iter();
            names.any(|name| *name == target.name() || *name == target.service)
        };
        self.sets
            .iter()
            .enumerate()
            .filter(is_in)
            .map(|(number, _)| number)
            .collect()
    }

    /// The links that it cuts.
    pub fn links(&self, targets: &[Target]) -> Links {
        let mut links = Links::default();
        for (from, to) in targets.iter().flat_map(|from| targets.iter().map(move |to| (from, to))) {
            let (set, other) = (self.sets_of(from), self.sets_of(to));
            if set.is_disjoint(&other) && (!self.one_way || set.contains(&0)) {
                links.cut(&from.name(), &to.name());
            }
        }
        links
    }
}

#[async_trait]
impl Fault for Partition {
    fn field(&self) -> Field {
        Field::Network
    }

    fn meaning(&self) -> &'static str {
        "split the lab into sets whose members do not reach those of other sets, or not in one direction"
    }

    fn check(&self, topology: &Topology, targets: &[Target]) -> Result<(), Expected> {
        let refuse = |message: &str| {
            let hint = "write sets such as [[kafka1, zookeeper1], [kafka2, kafka3, zookeeper2, zookeeper3]]";
            Err(Expected::usage(message).hint(hint))
        };
        if self.sets.len() < 2 {
            return refuse("a partition needs at least two sets");
        }
        if self.sets.iter().any(Vec::is_empty) {
            return refuse("a set of a partition is empty");
        }
        let mut seen = BTreeSet::new();
        for name in self.sets.iter().flatten() {
            Selector::Named(name.clone()).check(topology)?;
            if !seen.insert(name) {
                return refuse(&format!("{name} is named twice in the sets of a partition"));
            }
        }
        for target in targets {
            let sets = self.sets_of(target).len();
            if sets != 1 {
                return refuse(&format!("{} is in {sets} sets of a partition", target.name()));
            }
        }
        Ok(())
    }

    fn implied_targets(&self) -> Option<Vec<Selector>> {
        Some(self.members())
    }

    fn out(&self, targets: &[Target], topology: &Topology) -> BTreeSet<String> {
        self.links(targets).out(topology)
    }

    async fn possible(&self, means: &Means) -> anyhow::Result<()> {
        Ok(kernel(means).await?.require(&[Needs::Iptables])?)
    }

    /// Both ends of a link have rules: one that is started again meanwhile does not heal it.
    async fn inject(&self, means: &Means, injection: &Injection) -> anyhow::Result<()> {
        let links = self.links(&injection.targets);
        let addresses = rules::addresses(&means.topology, &injection.targets);
        helper::at_each(means, &injection.targets, |target| {
            let drops = rules::of_links(target, &links, &addresses);
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
        let probes = probe::over(&self.links(&injection.targets), means, &injection.targets);
        probe::cut(means, &probes).await
    }

    async fn healed(&self, means: &Means, injection: &Injection, view: &View) -> Proof {
        helper::left(means, injection, &format!("{}-", rules::chain(injection))).await?;
        let probes = probe::over(&self.links(&injection.targets), means, &injection.targets);
        probe::open(means, injection, view, &probes).await
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::rules::{Drop, Way, addresses, of_links};
    use super::*;
    use crate::settings::Settings;

    fn topology() -> Topology {
        Topology::of(&Settings::default())
    }

    fn partition(sets: &[&[&str]], one_way: bool) -> Partition {
        let set = |set: &&[&str]| set.iter().map(|name| (*name).to_owned()).collect();
        Partition {
            sets: sets.iter().map(set).collect(),
            one_way,
        }
    }

    fn targets(partition: &Partition) -> Vec<Target> {
        partition
            .sets
            .iter()
            .flatten()
            .map(|name| Target::sample(name))
            .collect()
    }

    #[test]
    fn sets_that_are_no_partition_are_refused() {
        let refused = |sets: &[&[&str]]| {
            let partition = partition(sets, false);
            partition.check(&topology(), &targets(&partition)).unwrap_err().message
        };
        assert_eq!(refused(&[&["kafka1"]]), "a partition needs at least two sets");
        assert_eq!(refused(&[&["kafka1"], &[]]), "a set of a partition is empty");
        assert_eq!(refused(&[&["kafka1"], &["kafka7"]]), "there is no target `kafka7`");
        assert_eq!(
            refused(&[&["kafka1"], &["kafka2", "kafka1"]]),
            "kafka1 is named twice in the sets of a partition"
        );
        let consumer = Target {
            service: "consumer".into(),
            numbered: true,
            ..Target::sample("consumer")
        };
        let twice = partition(&[&["consumer"], &["consumer-1"]], false);
        let error = twice.check(&topology(), &[consumer]).unwrap_err();
        assert_eq!(error.message, "consumer-1 is in 2 sets of a partition");
    }

    #[test]
    fn the_minority_is_out_and_the_majority_is_not() {
        let sets: &[&[&str]] = &[
            &["kafka1", "zookeeper1"],
            &["kafka2", "kafka3", "zookeeper2", "zookeeper3"],
        ];
        for one_way in [false, true] {
            let partition = partition(sets, one_way);
            let out = partition.out(&targets(&partition), &topology());
            assert_eq!(out, BTreeSet::from(["kafka1".into(), "zookeeper1".into()]));
        }
    }

    #[test]
    fn one_way_cuts_only_what_the_first_set_sends() {
        let partition = partition(&[&["kafka1"], &["kafka2"], &["kafka3"]], true);
        let links = partition.links(&targets(&partition));
        assert_eq!(
            links.iter().collect::<Vec<_>>(),
            [("kafka1", "kafka2"), ("kafka1", "kafka3")]
        );
    }

    /// Each server in one of four sets, which may be empty, and in none if it is the last.
    fn sets() -> impl Strategy<Value = Vec<Vec<String>>> {
        let names = ["kafka1", "kafka2", "kafka3", "zookeeper1", "zookeeper2", "zookeeper3"];
        proptest::collection::vec(0..4_usize, names.len()).prop_map(move |of| {
            let mut sets = vec![Vec::new(); 4];
            for (name, set) in names.iter().zip(of) {
                sets[set].push((*name).to_owned());
            }
            sets.truncate(3);
            sets
        })
    }

    proptest! {
        #[test]
        fn what_the_rules_let_through_is_what_the_links_say(sets in sets(), one_way in any::<bool>()) {
            let partition = Partition { sets, one_way };
            let (topology, targets) = (topology(), targets(&partition));
            let (links, addresses) = (partition.links(&targets), addresses(&topology, &targets));
            let drops = |name: &str, way: Way, peer: &str| {
                let target = targets.iter().find(|target| target.service == name);
                let drops = target.map_or_else(Vec::new, |target| of_links(target, &links, &addresses));
                drops.contains(&Drop::Peers(way, addresses[peer].into()))
            };
            for (from, to) in addresses.keys().flat_map(|from| addresses.keys().map(move |to| (from, to))) {
                let passes = !drops(from, Way::Out, to) && !drops(to, Way::In, from);
                prop_assert_eq!(passes, links.passes(from, to), "{} to {}", from, to);
            }
        }

        #[test]
        fn never_do_two_sets_have_a_quorum(sets in sets()) {
            let mut all = Partition { sets, one_way: false };
            // Who is in no set reaches everybody, and would make a quorum with any.
            all.sets.retain(|set| !set.is_empty());
            let named: usize = all.sets.iter().flatten().filter(|name| name.starts_with("zoo")).count();
            prop_assume!(named == 3);
            let out = all.out(&targets(&all), &topology());
            let serving = |set: &&Vec<String>| set.iter().any(|name| name.starts_with("zoo") && !out.contains(name));
            prop_assert!(all.sets.iter().filter(serving).count() <= 1);
        }
    }
}
