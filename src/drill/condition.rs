//! What a drill can wait for, by name.

use std::fmt;
use std::str::FromStr;

use crate::error::nearest;
use crate::timeline::conditions::{self, Lacking};
use crate::timeline::view::View;
use crate::topology::migration::Phase;
use crate::topology::{CONSUMER, Expectation, PRODUCER};

/// Something that can be true of the lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// `settled`: the lab is healthy, but for what the faults in place have put out. A group whose coordinator they put out
    /// goes on.
    Settled,
    /// `whole`: the lab is healthy, without a fault, and leaders are the preferred ones.
    Whole,
    /// `leaders-moved`: no partition is led by a broker that is out, and every one has a leader.
    LeadersMoved,
    /// `isr-shrunk`: every ISR is just the replicas that are not out.
    IsrShrunk,
    /// `group-stable`: the group is stable, with every partition assigned once.
    GroupStable,
    /// `one-controller`: the brokers that are not out name the same live controller.
    OneController,
    /// `controller-elected`: there is another controller epoch than when the last fault was injected.
    ControllerElected,
    /// `quorum`: every ZooKeeper server that is not out serves, and one leads; in KRaft, every node that is not out has
    /// caught up with the metadata quorum's leader.
    Quorum,
    /// `quorum-lost`: no ZooKeeper server serves, or KRaft's metadata quorum has no leader.
    QuorumLost,
    /// `progress`: what was sent after the last fault took effect has been consumed and committed.
    Progress,
}

impl Condition {
    /// All of them, each with its name and what it means.
    pub const ALL: [(Self, &'static str, &'static str); 10] = [
        (
            Self::Settled,
            "settled",
            "the lab is healthy, but for what the faults in place have put out; a group whose coordinator they put out goes on",
        ),
        (
            Self::Whole,
            "whole",
            "the lab is healthy, no fault is in place, and the preferred replicas lead",
        ),
        (
            Self::LeadersMoved,
            "leaders-moved",
            "no partition is led by a broker that is out, and every one has a leader",
        ),
        (
            Self::IsrShrunk,
            "isr-shrunk",
            "every ISR is just the replicas that are not out",
        ),
        (
            Self::GroupStable,
            "group-stable",
            "the group is stable, with every partition assigned once",
        ),
        (
            Self::OneController,
            "one-controller",
            "the brokers that are not out name the same live controller, or KRaft's quorum has a leader",
        ),
        (
            Self::ControllerElected,
            "controller-elected",
            "there is another controller epoch than before the last fault",
        ),
        (
            Self::Quorum,
            "quorum",
            "every ZooKeeper server, or KRaft node, that is not out takes part in the quorum, and one leads",
        ),
        (
            Self::QuorumLost,
            "quorum-lost",
            "no ZooKeeper server serves, or no controller leads",
        ),
        (
            Self::Progress,
            "progress",
            "messages sent after the last fault took effect have been consumed and committed",
        ),
    ];

    /// What is lacking until it holds; `before` is what was known when the last fault was injected.
    pub fn lacking(self, before: &View, view: &View, expected: &Expectation) -> Lacking {
        match self {
            Self::Settled => {
                let mut lacking = conditions::healthy(view, expected);
                // The next coordinator loads a stable group, in which members that have not found it yet, and may have
                // left, are kept until their sessions end.
                if view.faults.values().any(|fault| fault.took_coordinator) {
                    lacking.extend(progress(view, expected));
                }
                lacking
            }
            Self::Whole => conditions::whole(view, expected),
            Self::LeadersMoved => conditions::led_by_survivors(view, expected),
            Self::IsrShrunk => conditions::isr_is_survivors(view, expected),
            Self::GroupStable => conditions::group_stable(view, expected),
            Self::OneController => conditions::one_controller(view, expected),
            Self::ControllerElected => match (before.controller, view.controller) {
                (Some((_, old)), Some((controller, new))) if new > old && controller >= 0 => Vec::new(),
                (_, Some((_, epoch))) => vec![format!("the controller epoch is still {epoch}")],
                (_, None) => vec!["nobody has told the controller".into()],
            },
            Self::Quorum => conditions::quorum(view, expected),
            Self::QuorumLost if view.is_throughout(Phase::is_controlled_by_kraft) => {
                let leader = view.quorum.as_ref().map_or(-1, |quorum| quorum.leader);
                let leads = (leader >= 0).then(|| format!("{} leads", expected.node_service(leader)));
                leads.into_iter().collect()
            }
            Self::QuorumLost => {
                let serving = expected.zookeepers.iter();
                let serving = serving.filter(|name| view.zookeepers.get(*name).is_some_and(Option::is_some));
                serving.map(|name| format!("{name} serves")).collect()
            }
            Self::Progress => progress(view, expected),
        }
    }
}

/// What is lacking until messages that were sent after the last fault took effect have been committed; nothing where nobody is
/// left to send or to receive any.
fn progress(view: &View, expected: &Expectation) -> Lacking {
    let replicas = |service, of| *view.scaled.get(service).unwrap_or(&of);
    let idle =
        replicas(PRODUCER, expected.workload.producers) == 0 || replicas(CONSUMER, expected.workload.consumers) == 0;
    if idle || view.all_out(PRODUCER) || view.all_out(CONSUMER) {
        return Vec::new();
    }
    match (view.end_under_fault, view.offsets) {
        (Some(end), Some(now)) if now.committed > end => Vec::new(),
        (Some(end), Some(now)) => vec![format!(
            "{end} messages were in the log when the last fault was in place, and {} are committed",
            now.committed
        )],
        _ => vec!["nothing was written since the last fault took effect".into()],
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = Self::ALL.iter().find(|(condition, ..)| condition == self);
        f.write_str(named.map_or("", |(_, name, _)| name))
    }
}

impl FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut all = Self::ALL.into_iter();
        all.find(|(_, name, _)| *name == text)
            .map(|(condition, ..)| condition)
            .ok_or_else(|| {
                let names: Vec<&str> = Self::ALL.iter().map(|(_, name, _)| *name).collect();
                let meant = nearest(text, names.iter().copied());
                let meant = meant.map_or_else(String::new, |near| format!(" (did you mean {near}?)"));
                format!("there is no condition `{text}`{meant}; there are {}", names.join(", "))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;
    use std::collections::BTreeMap;

    use crate::timeline::event::{Event, Kind, SCHEMA};
    use crate::timeline::limits::Limits;
    use crate::topology::Topology;

    /// A view after offsets (elapsed, end, committed) of a fault that takes effect in the second second.
    fn view(offsets: &[(u64, i64, i64)]) -> View {
        let mut view = View::default();
        let mut effective = Some(Kind::FaultEffective {
            id: 1,
            proof: "kafka2 is paused".into(),
        });
        for (elapsed_ms, end, committed) in offsets {
            let told = Kind::Offsets {
                end: *end,
                committed: *committed,
                partitions: 30,
            };
            let proof = if *elapsed_ms > 2000 { effective.take() } else { None };
            for (elapsed_ms, kind) in proof
                .map(|proof| (2000, proof))
                .into_iter()
                .chain([(*elapsed_ms, told)])
            {
                view.apply(&Event {
                    wall: jiff::Timestamp::UNIX_EPOCH,
                    elapsed_ms,
                    source: "khd".into(),
                    kind,
                });
            }
        }
        view
    }

    #[test]
    fn what_was_committed_late_of_messages_from_before_the_fault_is_no_progress() {
        let lacking = |offsets: &[(u64, i64, i64)]| {
            Condition::Progress.lacking(
                &View::default(),
                &view(offsets),
                &Topology::of(&Settings::default()).expectation(std::time::Duration::from_secs(9)),
            )
        };
        // As seen when the paused leader coordinated the group: what it had committed last was told by its successor.
        let before = [(800, 21_660, 21_649), (2_200, 21_660, 21_649)];
        assert!(!lacking(&before).is_empty());
        let successor = [(12_000, 22_418, 21_666)];
        assert_eq!(
            lacking(&[&before[..], &successor].concat()),
            ["22418 messages were in the log when the last fault was in place, and 21666 are committed"]
        );
        let caught_up = [(22_000, 22_900, 22_800)];
        assert!(lacking(&[&before[..], &successor, &caught_up].concat()).is_empty());
    }

    #[test]
    fn a_group_has_settled_without_its_coordinator_only_when_it_goes_on() {
        let expected = Topology::of(&Settings::default()).expectation(std::time::Duration::from_secs(9));
        let lacks_progress = |coordinator: &str, out: &str| {
            let mut view = View::default();
            let told = |source: &str, kind| Event {
                wall: jiff::Timestamp::UNIX_EPOCH,
                elapsed_ms: 1,
                source: source.into(),
                kind,
            };
            for event in [
                told(
                    "khd",
                    Kind::RunStarted {
                        schema: SCHEMA,
                        khd: "0.1.0".into(),
                        command: "khd fail kafka2".into(),
                        expectation: expected.clone(),
                        limits: Limits::new(),
                        skip: BTreeMap::new(),
                    },
                ),
                told(coordinator, Kind::BrokerAnswers),
                told(
                    coordinator,
                    Kind::Group {
                        group: "test".into(),
                        state: "Stable".into(),
                        members: Vec::new(),
                    },
                ),
                told(
                    "khd",
                    Kind::FaultInjected {
                        id: 1,
                        fault: "pause".into(),
                        targets: vec![out.into()],
                        out: [out.to_owned()].into(),
                        adds: false,
                        options: serde_json::Map::new(),
                        asked: Vec::new(),
                    },
                ),
            ] {
                view.apply(&event);
            }
            let lacking = Condition::Settled.lacking(&View::default(), &view, &expected);
            lacking.contains(&"nothing was written since the last fault took effect".to_owned())
        };
        assert!(lacks_progress("kafka2", "kafka2"));
        assert!(!lacks_progress("kafka3", "kafka2"));
    }
}
