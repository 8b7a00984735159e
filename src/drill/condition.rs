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

    /// What is lacking until it holds.
    pub fn lacking(self, view: &View, expected: &Expectation) -> Lacking {
        match self {
            Self::Settled => {
                let mut lacking = conditions::healthy(view, expected);
                // The next coordinator loads a stable group, in which members that have not found it yet, and may have
                // left, are kept until their sessions end.
                if view.faults.values().any(|fault| fault.took_coordinator) {
                    lacking.extend(commits(view, expected));
                }
                lacking
            }
            Self::Whole => conditions::whole(view, expected),
            Self::LeadersMoved => conditions::led_by_survivors(view, expected),
            Self::IsrShrunk => conditions::isr_is_survivors(view, expected),
            Self::GroupStable => conditions::group_stable(view, expected),
            Self::OneController => conditions::one_controller(view, expected),
            Self::ControllerElected => match (view.last_fault.controller, view.controller) {
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
            Self::Progress => progress(view),
        }
    }
}

/// What is lacking until messages that were sent after the last fault took effect have been committed.
fn progress(view: &View) -> Lacking {
    match (view.last_fault.end, view.offsets) {
        (Some(end), Some(now)) if now.committed > end => Vec::new(),
        (Some(end), Some(now)) => vec![format!(
            "{end} messages were in the log when the last fault was in place, and {} are committed",
            now.committed
        )],
        _ if view.last_fault.effective_ms.is_none() => vec!["no fault has taken effect yet".into()],
        _ => vec!["the end offsets since the last fault took effect are not known yet".into()],
    }
}

/// What is lacking until the group has committed to the broker that coordinates it under the last fault, however far it lags;
/// nothing where there is nothing to commit, or nobody can.
fn commits(view: &View, expected: &Expectation) -> Lacking {
    match (view.last_fault.committed, view.offsets) {
        _ if is_idle(view, expected) || !conditions::can_write(view, expected) => Vec::new(),
        (Some(then), Some(now)) if now.committed > then => Vec::new(),
        _ => vec![format!(
            "group {} has committed nothing since its coordinator was put out",
            expected.workload.group
        )],
    }
}

/// Whether nobody is left to send, or to receive.
fn is_idle(view: &View, expected: &Expectation) -> bool {
    let workload = &expected.workload;
    [(PRODUCER, workload.producers), (CONSUMER, workload.consumers)]
        .into_iter()
        .any(|(service, replicas)| *view.scaled.get(service).unwrap_or(&replicas) == 0 || view.all_out(service))
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
    use std::collections::BTreeMap;
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;
    use crate::settings::Settings;
    use crate::timeline::event::{Event, Kind, SCHEMA};
    use crate::timeline::limits::Limits;
    use crate::topology::Topology;

    fn expected() -> Expectation {
        Topology::of(&Settings::default()).expectation(Duration::from_secs(9))
    }

    /// What is known after these events, each with its time and source.
    fn view(events: impl IntoIterator<Item = (u64, &'static str, Kind)>) -> View {
        let started = Kind::RunStarted {
            schema: SCHEMA,
            khd: "0.1.0".into(),
            command: "khd fail kafka2".into(),
            expectation: expected().into(),
            limits: Limits::new(),
            skip: BTreeMap::new(),
        };
        let mut view = View::default();
        for (elapsed_ms, source, kind) in [(0, "khd", started)].into_iter().chain(events) {
            view.apply(&Event {
                wall: Timestamp::UNIX_EPOCH,
                elapsed_ms,
                source: source.into(),
                kind,
            });
        }
        view
    }

    fn offsets(elapsed_ms: u64, end: i64, committed: i64) -> (u64, &'static str, Kind) {
        let partitions = 30;
        (
            elapsed_ms,
            "khd",
            Kind::Offsets {
                end,
                committed,
                partitions,
            },
        )
    }

    fn injected(id: u32, broker: &str) -> Kind {
        Kind::FaultInjected {
            id,
            fault: "pause".into(),
            targets: vec![broker.into()],
            out: [broker.to_owned()].into(),
            adds: false,
            options: serde_json::Map::new(),
            asked: Vec::new(),
        }
    }

    /// A pause of kafka2 that is proven after 1.8 s, with these events before and after; nobody tells of a group but they.
    fn pause_of_kafka2(
        before: Vec<(u64, &'static str, Kind)>,
        after: Vec<(u64, &'static str, Kind)>,
    ) -> Vec<(u64, &'static str, Kind)> {
        let effective = Kind::FaultEffective {
            id: 1,
            proof: "kafka2 is paused".into(),
        };
        let fault = [(600, "khd", injected(1, "kafka2")), (1_800, "khd", effective)];
        before.into_iter().chain(fault).chain(after).collect()
    }

    /// That broker answers, and coordinates the group.
    fn coordinator(elapsed_ms: u64, broker: &'static str) -> [(u64, &'static str, Kind); 2] {
        let group = Kind::Group {
            group: "test".into(),
            state: "Stable".into(),
            members: Vec::new(),
        };
        [(elapsed_ms, broker, Kind::BrokerAnswers), (elapsed_ms, broker, group)]
    }

    #[test]
    fn what_was_committed_late_of_messages_from_before_the_fault_is_no_progress() {
        let lacking = |after: &[(u64, i64, i64)]| {
            let after = after.iter().map(|(at, end, committed)| offsets(*at, *end, *committed));
            let view = view(pause_of_kafka2(vec![offsets(500, 21_660, 21_649)], after.collect()));
            Condition::Progress.lacking(&view, &expected())
        };
        // As seen when the paused leader coordinated the group: what it had committed last was told by its successor.
        let stale = (2_000, 21_660, 21_649);
        assert!(!lacking(&[stale]).is_empty());
        let successor = (12_000, 22_418, 21_666);
        assert_eq!(
            lacking(&[stale, successor]),
            ["22418 messages were in the log when the last fault was in place, and 21666 are committed"]
        );
        assert!(lacking(&[stale, successor, (22_000, 22_900, 22_800)]).is_empty());
    }

    #[test]
    fn another_controller_is_one_of_a_greater_epoch_than_when_the_last_fault_was_injected() {
        let elected =
            |at: u64, controller: i32, epoch: i32| (at, "zookeeper", Kind::ControllerElected { controller, epoch });
        let lacking = |after: Vec<(u64, &'static str, Kind)>| {
            let view = view(pause_of_kafka2(vec![elected(300, 1, 3), elected(500, 2, 4)], after));
            Condition::ControllerElected.lacking(&view, &expected())
        };
        assert_eq!(lacking(Vec::new()), ["the controller epoch is still 4"]);
        // Between the end of one and the election of the next there is none.
        assert!(!lacking(vec![elected(9_000, -1, 4)]).is_empty());
        assert!(lacking(vec![elected(9_000, -1, 4), elected(9_100, 1, 5)]).is_empty());
    }

    #[test]
    fn a_group_that_lost_its_coordinator_has_settled_when_it_commits_to_the_next_one() {
        let lacks = |first: &'static str, after: Vec<(u64, &'static str, Kind)>| {
            let view = view(pause_of_kafka2(coordinator(100, first).into(), after));
            let lacking = Condition::Settled.lacking(&view, &expected());
            lacking.contains(&"group test has committed nothing since its coordinator was put out".to_owned())
        };
        let next = |offsets: &[(u64, &'static str, Kind)]| [&coordinator(10_400, "kafka1")[..], offsets].concat();
        // It lags, and is not asked to catch up.
        let successor = offsets(12_000, 22_418, 21_666);
        assert!(!lacks("kafka3", next(&[])));
        assert!(lacks("kafka2", next(&[])));
        assert!(lacks(
            "kafka2",
            next(&[offsets(10_600, 22_191, 21_649), successor.clone()])
        ));
        assert!(!lacks("kafka2", next(&[successor, offsets(22_000, 22_900, 21_700)])));

        // Nobody is left to commit, or an ISR is too small for it.
        let none_left = Kind::Scaled {
            service: CONSUMER.into(),
            replicas: 0,
        };
        assert!(!lacks("kafka2", next(&[(11_000, "khd", none_left)])));
        assert!(!lacks("kafka2", next(&[(11_000, "khd", injected(2, "kafka3"))])));
    }
}
