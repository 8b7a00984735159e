//! Loss: some packets of the lab do not arrive.

use std::collections::BTreeSet;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::helper;
use super::kernel::{Needs, kernel};
use super::rules::{self, Drop, Way};
use crate::error::Expected;
use crate::faults::{Fault, Field, Injection, Means, Proof, Target, lacking};
use crate::timeline::conditions::Lacking;
use crate::timeline::view::View;
use crate::topology::Topology;

/// A part of what the target sends to others of the lab, and of what they send to it, is lost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Loss {
    /// How many of a hundred packets are lost, in each direction.
    pub percent: f64,
}

impl Default for Loss {
    fn default() -> Self {
        Self { percent: 20.0 }
    }
}

#[async_trait]
impl Fault for Loss {
    fn field(&self) -> Field {
        Field::Network
    }

    fn meaning(&self) -> &'static str {
        "lose some of the packets between it and the others of the lab"
    }

    fn check(&self, _: &Topology, _: &[Target]) -> Result<(), Expected> {
        if self.percent > 0.0 && self.percent < 100.0 {
            return Ok(());
        }
        let message = format!("{} percent of packets cannot be lost", self.percent);
        Err(Expected::usage(message).hint("percent: more than 0, less than 100; block drops them all"))
    }

    /// TCP sends again what is lost.
    fn out(&self, _: &[Target], _: &Topology) -> BTreeSet<String> {
        BTreeSet::new()
    }

    async fn possible(&self, means: &Means) -> anyhow::Result<()> {
        Ok(kernel(means).await?.require(&[Needs::Iptables, Needs::Statistic])?)
    }

    async fn inject(&self, means: &Means, injection: &Injection) -> anyhow::Result<()> {
        let drops = Way::BOTH.map(|way| Drop::Share(way, self.percent / 100.0));
        let payload = rules::payload(&rules::chain(injection), &means.topology, &drops);
        helper::at_each(means, &injection.targets, |_| vec!["apply".into(), payload.clone()]).await?;
        Ok(())
    }

    async fn undo(&self, means: &Means, injection: &Injection) -> anyhow::Result<()> {
        helper::remove(means, injection).await
    }

    async fn effect(&self, means: &Means, injection: &Injection, _: &View) -> Proof {
        let args = ["counters".to_owned(), rules::chain(injection)];
        let counted = helper::at_each(means, &injection.targets, |_| args.to_vec());
        let (mut lost, mut whole) = (Vec::new(), Lacking::new());
        for (target, said) in counted.await.map_err(lacking)? {
            match dropped(&said.unwrap_or_default()) {
                0 => whole.push(format!("{} has lost no packet yet", target.name())),
                packets => lost.push(format!("{} has lost {packets} packets", target.name())),
            }
        }
        if whole.is_empty() {
            Ok(lost.join("; "))
        } else {
            Err(whole)
        }
    }

    async fn healed(&self, means: &Means, injection: &Injection, _: &View) -> Proof {
        helper::left(means, injection, &format!("{}-", rules::chain(injection))).await?;
        Ok("its rules are gone".into())
    }
}

/// How many packets were dropped, by lines such as `out 12 640 DROP`.
fn dropped(counters: &str) -> u64 {
    let packets = |line: &str| match line.split_whitespace().collect::<Vec<_>>()[..] {
        [_, packets, _, "DROP"] => packets.parse::<u64>().ok(),
        _ => None,
    };
    counters.lines().filter_map(packets).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    #[test]
    fn only_what_was_dropped_counts_as_lost() {
        assert_eq!(dropped("in 10 600 RETURN\nin 3 180 DROP\nout 4 240 DROP\n"), 7);
        assert_eq!(dropped(""), 0);
    }

    #[test]
    fn a_share_that_is_none_or_all_is_refused() {
        let topology = Topology::of(&Settings::default());
        for percent in [0.0, 100.0, -1.0, f64::NAN] {
            assert!(Loss { percent }.check(&topology, &[]).is_err(), "{percent}");
        }
        assert!(Loss::default().check(&topology, &[]).is_ok());
    }
}
