//! From ZooKeeper to KRaft: the phases that a cluster goes through, and what the lab is in each.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Topology;
use crate::settings::{Flavor, Settings};

/// How far a cluster has come on its way from ZooKeeper to KRaft: the phases of Kafka's guide, by its words, and one for
/// controllers that are there and wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// ZooKeeper keeps the metadata, and a broker is the controller.
    #[serde(rename = "zookeeper")]
    #[value(name = "zookeeper")]
    ZooKeeper,
    /// Controllers are provisioned, and wait for brokers.
    Controllers,
    /// Brokers run in migration mode: they are told everything by KRaft's controllers, which have read all metadata from
    /// ZooKeeper and write each change there as well.
    Hybrid,
    /// Brokers are KRaft's, and controllers go on writing to ZooKeeper. The last one from which there is a way back.
    DualWrite,
    /// Controllers have let go of ZooKeeper.
    Finalized,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ZooKeeper => "zookeeper",
            Self::Controllers => "controllers",
            Self::Hybrid => "hybrid",
            Self::DualWrite => "dual-write",
            Self::Finalized => "finalized",
        })
    }
}

impl From<Flavor> for Phase {
    /// What a lab is in that does not migrate.
    fn from(flavor: Flavor) -> Self {
        match flavor {
            Flavor::ZooKeeper => Self::ZooKeeper,
            Flavor::Kraft | Flavor::KraftSeparate => Self::Finalized,
        }
    }
}

impl Phase {
    /// Whether the cluster depends on ZooKeeper.
    pub fn needs_zookeeper(self) -> bool {
        self < Self::Finalized
    }

    /// Whether there are KRaft's controllers.
    pub fn has_controllers(self) -> bool {
        self >= Self::Controllers
    }

    /// Whether one of KRaft's controllers is the cluster's controller.
    pub fn is_controlled_by_kraft(self) -> bool {
        self >= Self::Hybrid
    }

    /// Whether brokers read the metadata log, as KRaft's brokers do.
    pub fn has_kraft_brokers(self) -> bool {
        self >= Self::DualWrite
    }

    /// Whether a cluster can be brought from this phase to that one in one step: to the next one, or back, as far as there
    /// is a way back.
    pub fn leads_to(self, next: Self) -> bool {
        use Phase::{Controllers, DualWrite, Finalized, Hybrid, ZooKeeper};
        matches!(
            (self, next),
            (ZooKeeper, Controllers)
                | (Controllers, Hybrid | ZooKeeper)
                | (Hybrid, DualWrite | ZooKeeper)
                | (DualWrite, Finalized | Hybrid)
        )
    }
}

impl Topology {
    /// A lab of ZooKeeper's flavor in some phase of its migration. Controllers are formatted with the id that the cluster has.
    pub fn in_migration(settings: &Settings, phase: Phase, cluster_id: String) -> Self {
        let of = |flavor| {
            Self::of(&Settings {
                flavor,
                ..settings.clone()
            })
        };
        let (mut lab, after) = (of(Flavor::ZooKeeper), of(Flavor::KraftSeparate));
        lab.cluster_id = cluster_id;
        lab.phase = phase;
        if phase.has_controllers() {
            lab.controllers = after.controllers;
        }
        if phase.has_kraft_brokers() {
            lab.flavor = Flavor::KraftSeparate;
        }
        lab
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_phase_leads_to_the_next_and_back_until_it_is_finalized() {
        use Phase::{Controllers, DualWrite, Finalized, Hybrid, ZooKeeper};
        let forth = [ZooKeeper, Controllers, Hybrid, DualWrite, Finalized];
        assert!(forth.is_sorted() && forth.windows(2).all(|pair| pair[0].leads_to(pair[1])));
        assert!(DualWrite.leads_to(Hybrid) && Hybrid.leads_to(ZooKeeper) && Controllers.leads_to(ZooKeeper));
        for (from, to) in [
            (Finalized, DualWrite),
            (ZooKeeper, Hybrid),
            (Hybrid, Hybrid),
            (DualWrite, ZooKeeper),
        ] {
            assert!(!from.leads_to(to), "{from} to {to}");
        }
    }

    #[test]
    fn a_lab_in_migration_has_what_its_phase_has() {
        let lab = |phase| Topology::in_migration(&Settings::default(), phase, "the-clusters-id".into());
        let before = lab(Phase::ZooKeeper);
        assert_eq!((before.zookeepers.len(), before.controllers.len()), (3, 0));
        let hybrid = lab(Phase::Hybrid);
        assert_eq!((hybrid.zookeepers.len(), hybrid.controllers.len()), (3, 3));
        assert_eq!(
            (hybrid.flavor, hybrid.cluster_id.as_str()),
            (Flavor::ZooKeeper, "the-clusters-id")
        );
        assert_eq!(lab(Phase::DualWrite).flavor, Flavor::KraftSeparate);
    }
}
