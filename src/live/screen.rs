//! What the view shows: a model, made of the events so far and of what is known of the lab.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::live::flow::{Flow, Rates};
use crate::live::gaps::done;
use crate::live::steps::{Step, Steps};
use crate::timeline::event::{Event, Kind, Success};
use crate::timeline::view::View;
use crate::topology::Expectation;

/// Since when there is a gap on each partition, in milliseconds since the Unix epoch.
type Open = BTreeMap<(String, i32), i64>;

/// The fold of all events, as far as a [`View`] does not hold it.
#[derive(Debug, Default)]
pub struct Screen {
    title: String,
    expectation: Option<Box<Expectation>>,
    steps: Steps,
    flow: Flow,
    /// Open gaps, each with the wall-clock time of the success before it.
    gaps: BTreeMap<(String, Success), Open>,
    /// Wall-clock time at the start, as the last event has it, in milliseconds since the Unix epoch.
    started: i64,
}

/// All that is drawn.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Model {
    /// What is going on: the drill's name, or the command.
    pub title: String,
    /// Milliseconds since the start.
    pub now: u64,
    /// The steps.
    pub steps: Vec<Step>,
    /// The brokers.
    pub brokers: Vec<Broker>,
    /// The partitions.
    pub partitions: Partitions,
    /// ZooKeeper servers, or separate controllers, each with its mode while it serves.
    pub keepers: Vec<(String, Option<String>)>,
    /// Messages a second, as soon as that is known.
    pub rates: Option<Rates>,
    /// Messages in the log whose offsets the group has not committed.
    pub lag: Option<i64>,
    /// The group, in words.
    pub group: Option<String>,
    /// Open gaps.
    pub gaps: Vec<OpenGaps>,
}

/// Gaps of one client that are open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OpenGaps {
    /// The client's container, such as `producer-1`.
    pub client: String,
    /// What there is none of.
    pub of: Success,
    /// On how many partitions.
    pub partitions: usize,
    /// The first of them.
    pub first: String,
    /// How long the longest has been open, in milliseconds.
    pub longest_ms: i64,
}

impl OpenGaps {
    /// They in words.
    pub fn words(&self) -> String {
        let place = match self.partitions {
            1 => self.first.clone(),
            several => format!("{several} partitions"),
        };
        let (client, done) = (&self.client, done(self.of));
        let seconds = self.longest_ms as f64 / 1_000.0;
        format!("{client}: nothing {done} on {place} for {seconds:.1} s")
    }
}

/// A broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Broker {
    /// Its service.
    pub name: String,
    /// Whether it answers.
    pub answers: bool,
    /// Whether it is the controller.
    pub controller: bool,
    /// Of how many partitions it is the leader.
    pub leads: usize,
    /// Of how many partitions it is in the ISR.
    pub in_sync: usize,
    /// Of how many partitions it has a replica.
    pub replicas: usize,
    /// The fault that is in place on it.
    pub fault: Option<String>,
}

/// Partitions, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Partitions {
    /// All that the workload uses and that a broker told of.
    pub known: usize,
    /// Those without a leader.
    pub leaderless: usize,
    /// Those with a replica that is not in sync.
    pub under_replicated: usize,
}

impl Screen {
    /// Folds an event in.
    pub fn take(&mut self, event: &Event) {
        self.started = event.wall.as_millisecond() - event.elapsed_ms as i64;
        self.steps.take(event);
        self.flow.take(event);
        match &event.kind {
            Kind::RunStarted {
                command, expectation, ..
            } => {
                self.title.clone_from(command);
                self.expectation = Some(expectation.clone());
            }
            Kind::StepsPlanned { drill, .. } => self.title.clone_from(drill),
            Kind::GapOpened {
                of,
                topic,
                partition,
                since,
            } => {
                let open = self.gaps.entry((event.source.clone(), *of)).or_default();
                open.insert((topic.clone(), *partition), *since);
            }
            Kind::GapClosed {
                of, topic, partition, ..
            } => {
                let key = (event.source.clone(), *of);
                if let Some(open) = self.gaps.get_mut(&key) {
                    open.remove(&(topic.clone(), *partition));
                    if open.is_empty() {
                        self.gaps.remove(&key);
                    }
                }
            }
            // What gap there was is somebody else's now, or nobody's: this one will not tell of its end.
            Kind::PartitionsAssigned { partitions, .. } | Kind::PartitionsRevoked { partitions, .. } => {
                let key = (event.source.clone(), Success::Delivery);
                if let Some(open) = self.gaps.get_mut(&key) {
                    open.retain(|place, _| !partitions.contains(place));
                }
                self.gaps.retain(|_, open| !open.is_empty());
            }
            Kind::Container {
                service, number, state, ..
            } if state != "running" && state != "paused" => {
                let gone = format!("{service}-{number}");
                self.gaps.retain(|(client, _), _| *client != gone);
            }
            _ => {}
        }
    }

    /// Forgets which gaps are open: events were missed that may have closed them.
    pub fn forget_gaps(&mut self) {
        self.gaps.clear();
    }

    /// What is to be drawn `now`, in milliseconds since the start.
    pub fn model(&self, view: &View, now: u64) -> Model {
        let (brokers, partitions) = self.brokers(view);
        let expected = self.expectation.iter();
        let keepers = expected.flat_map(|expected| expected.keepers().map(move |name| (name, expected)));
        Model {
            title: self.title.clone(),
            now,
            steps: self.steps.all(),
            brokers,
            partitions,
            keepers: keepers
                .map(|(name, expected)| (name.clone(), view.keeper(name, expected)))
                .collect(),
            rates: self.flow.rates(now),
            lag: view.offsets.map(|sums| sums.end.saturating_sub(sums.committed).max(0)),
            group: self.group(view),
            gaps: self.gaps(now),
        }
    }

    fn brokers(&self, view: &View) -> (Vec<Broker>, Partitions) {
        let mut partitions = Partitions::default();
        let Some(expected) = &self.expectation else {
            return (Vec::new(), partitions);
        };
        let fault = |name: &String| {
            let mut faults = view.faults.values();
            faults
                .find(|fault| fault.targets.contains(name))
                .map(|fault| fault.fault.clone())
        };
        let mut brokers: BTreeMap<i32, Broker> = expected
            .brokers
            .iter()
            .map(|(name, id)| {
                let broker = Broker {
                    name: name.clone(),
                    answers: view.brokers.get(id).is_some_and(|broker| broker.answers),
                    controller: view.controller.is_some_and(|(controller, _)| controller == *id),
                    leads: 0,
                    in_sync: 0,
                    replicas: 0,
                    fault: fault(name),
                };
                (*id, broker)
            })
            .collect();
        for told in expected.partitions().filter_map(|partition| view.told(&partition)) {
            partitions.known += 1;
            partitions.leaderless += usize::from(told.leader < 0);
            partitions.under_replicated += usize::from(told.isr.len() < told.replicas.len());
            for id in &told.replicas {
                if let Some(broker) = brokers.get_mut(id) {
                    broker.replicas += 1;
                    broker.in_sync += usize::from(told.isr.contains(id));
                    broker.leads += usize::from(told.leader == *id);
                }
            }
        }
        (brokers.into_values().collect(), partitions)
    }

    fn group(&self, view: &View) -> Option<String> {
        let (group, expected) = (view.group.as_ref()?, self.expectation.as_ref()?);
        Some(format!(
            "group {}, {} members, coordinator {}",
            group.state,
            group.members.len(),
            expected.node_service(group.coordinator)
        ))
    }

    fn gaps(&self, now: u64) -> Vec<OpenGaps> {
        let wall = self.started + now as i64;
        let of = |((client, of), open): (&(String, Success), &Open)| OpenGaps {
            client: client.clone(),
            of: *of,
            partitions: open.len(),
            first: open
                .first_key_value()
                .map_or_else(String::new, |((topic, partition), _)| format!("{topic}-{partition}")),
            longest_ms: open
                .values()
                .map(|since| (wall - since).max(0))
                .max()
                .unwrap_or_default(),
        };
        self.gaps.iter().map(of).collect()
    }
}

#[cfg(test)]
pub mod testing {
    //! A run that is drawn in tests.

    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;
    use crate::settings::Settings;
    use crate::timeline::limits::Limits;
    use crate::topology::Topology;

    /// An event at so many milliseconds after a start at the Unix epoch.
    pub fn event(elapsed_ms: u64, source: &str, kind: Kind) -> Event {
        Event {
            wall: jiff::Timestamp::from_millisecond(elapsed_ms as i64).unwrap(),
            elapsed_ms,
            source: source.into(),
            kind,
        }
    }

    fn partition(partition: i32, leader: i32, isr: &[i32]) -> Kind {
        Kind::Partition {
            topic: "test-1".into(),
            partition,
            leader,
            leader_epoch: 2,
            replicas: vec![partition % 3 + 1, (partition + 1) % 3 + 1, (partition + 2) % 3 + 1],
            isr: isr.iter().copied().collect(),
        }
    }

    /// The events of a drill whose second broker was killed, up to 21 s after the start.
    pub fn events() -> Vec<Event> {
        let expectation = Topology::of(&Settings::default()).expectation(Duration::from_secs(18));
        let words = [
            "wait until the lab is healthy",
            "kill leader:test-1/0",
            "wait until settled",
            "keep it so for 20 s",
            "undo everything",
            "compare what producers were told with what the log holds",
        ];
        let begin = |step: u32| Kind::StepStarted {
            step,
            sort: "until".into(),
            words: words[step as usize].into(),
            until: None,
        };
        let end = |step, ok| Kind::StepEnded {
            step,
            ok,
            lacking: Vec::new(),
        };
        let offsets = |end, committed| Kind::Offsets {
            end,
            committed,
            partitions: 20,
        };
        let zookeeper = |mode: &str| Kind::ZooKeeper {
            mode: Some(mode.into()),
            error: None,
        };
        let gap = |partition, since| Kind::GapOpened {
            of: Success::Acknowledgement,
            topic: "test-1".into(),
            partition,
            since,
        };
        let injected = Kind::FaultInjected {
            id: 1,
            fault: "kill".into(),
            targets: vec!["kafka2".into()],
            out: BTreeSet::from(["kafka2".to_owned()]),
            adds: false,
            options: serde_json::Map::new(),
            asked: vec!["leader:test-1/0".into()],
        };
        let mut events = vec![
            event(
                0,
                "khd",
                Kind::RunStarted {
                    schema: crate::timeline::event::SCHEMA,
                    khd: "test".into(),
                    command: "khd fail leader:test-1/0 --how kill".into(),
                    expectation: expectation.into(),
                    limits: Limits::new(),
                    skip: BTreeMap::new(),
                },
            ),
            event(
                1,
                "khd",
                Kind::StepsPlanned {
                    drill: "kill-leader".into(),
                    seed: 7,
                    steps: words.map(str::to_owned).to_vec(),
                },
            ),
            event(2, "khd", begin(0)),
            event(3, "zookeeper1", zookeeper("follower")),
            event(4, "zookeeper2", zookeeper("leader")),
            event(
                5,
                "zookeeper",
                Kind::ControllerElected {
                    controller: 1,
                    epoch: 3,
                },
            ),
            event(6, "kafka1", Kind::BrokerAnswers),
            event(7, "kafka2", Kind::BrokerAnswers),
            event(8, "kafka3", Kind::BrokerAnswers),
            event(1_502, "khd", end(0, true)),
            event(1_503, "khd", begin(1)),
            event(1_504, "khd", injected),
            event(
                1_600,
                "kafka2",
                Kind::BrokerSilent {
                    error: "connection refused".into(),
                },
            ),
            event(2_503, "khd", end(1, true)),
            event(2_504, "khd", begin(2)),
        ];
        for n in 0..3 {
            let leader = if n == 1 { -1 } else { n + 1 };
            events.push(event(2_600, "kafka1", partition(n, leader, &[1, 3])));
            events.push(event(6_000 + n as u64, "producer-1", gap(n, 1_500 + i64::from(n))));
        }
        events.push(event(
            6_100,
            "consumer-1",
            Kind::GapOpened {
                of: Success::Delivery,
                topic: "test-2".into(),
                partition: 4,
                since: 2_000,
            },
        ));
        events.push(event(19_004, "khd", end(2, false)));
        events.push(event(19_005, "khd", begin(3)));
        for n in 0..20 {
            events.push(event(
                11_000 + n * 500,
                "khd",
                offsets(1_000 + 250 * n as i64, 900 + 100 * n as i64),
            ));
        }
        events.push(event(
            20_900,
            "kafka3",
            Kind::Group {
                group: "test".into(),
                state: "Stable".into(),
                members: Vec::new(),
            },
        ));
        events
    }

    /// What is drawn of those events at 21 s.
    pub fn model() -> Model {
        let (mut screen, mut view) = (Screen::default(), View::default());
        for event in events() {
            screen.take(&event);
            view.apply(&event);
        }
        screen.model(&view, 21_000)
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{event, model};
    use super::*;
    use crate::live::steps::State;

    #[test]
    fn the_model_tells_of_steps_brokers_rates_and_gaps_as_the_events_did() {
        let model = model();
        assert_eq!(model.title, "kill-leader");
        let states: Vec<State> = model.steps.iter().map(|step| step.state).collect();
        let expected = [
            State::Done(1_500),
            State::Done(1_000),
            State::Failed(16_500),
            State::Running(19_005),
            State::Planned,
            State::Planned,
        ];
        assert_eq!(states, expected);
        let broker = |name: &str, controller, leads, in_sync, fault: Option<&str>| Broker {
            name: name.into(),
            answers: fault.is_none(),
            controller,
            leads,
            in_sync,
            replicas: 3,
            fault: fault.map(str::to_owned),
        };
        let brokers = [
            broker("kafka1", true, 1, 3, None),
            broker("kafka2", false, 0, 0, Some("kill")),
            broker("kafka3", false, 1, 3, None),
        ];
        assert_eq!(model.brokers, brokers);
        let counted = Partitions {
            known: 3,
            leaderless: 1,
            under_replicated: 3,
        };
        assert_eq!(model.partitions, counted);
        assert_eq!(model.keepers[1], ("zookeeper2".into(), Some("leader".into())));
        assert_eq!(model.keepers[2], ("zookeeper3".into(), None));
        let rates = model.rates.unwrap();
        assert_eq!((rates.written.round(), rates.committed.round()), (500.0, 200.0));
        assert_eq!(model.lag, Some(5_750 - 2_800));
        let gaps = [
            "consumer-1: nothing delivered on test-2-4 for 19.0 s",
            "producer-1: nothing acknowledged on 3 partitions for 19.5 s",
        ];
        assert_eq!(model.gaps.iter().map(OpenGaps::words).collect::<Vec<_>>(), gaps);
    }

    #[test]
    fn gaps_of_whom_nobody_will_tell_that_they_closed_are_no_longer_shown() {
        let opened = |of, partition| Kind::GapOpened {
            of,
            topic: "test-1".into(),
            partition,
            since: 0,
        };
        let mut screen = Screen::default();
        for partition in 0..2 {
            screen.take(&testing::event(10, "consumer-1", opened(Success::Delivery, partition)));
        }
        screen.take(&testing::event(20, "producer-1", opened(Success::Acknowledgement, 0)));
        let gaps = |screen: &Screen| -> Vec<(String, usize)> {
            let model = screen.model(&View::default(), 1_000);
            model
                .gaps
                .into_iter()
                .map(|gaps| (gaps.client, gaps.partitions))
                .collect()
        };
        let revoked = Kind::PartitionsRevoked {
            group: "test".into(),
            member: None,
            generation: None,
            partitions: vec![("test-1".into(), 1)],
            lost: false,
        };
        screen.take(&testing::event(30, "consumer-1", revoked));
        assert_eq!(gaps(&screen), [("consumer-1".into(), 1), ("producer-1".into(), 1)]);
        let container = |service: &str, state: &str| Kind::Container {
            service: service.into(),
            number: 1,
            state: state.into(),
            exit_code: None,
        };
        screen.take(&testing::event(40, "engine", container("consumer", "paused")));
        assert_eq!(gaps(&screen).len(), 2, "one that is paused comes back to its gap");
        screen.take(&testing::event(50, "engine", container("consumer", "removed")));
        assert_eq!(gaps(&screen), [("producer-1".into(), 1)]);
        screen.forget_gaps();
        assert_eq!(gaps(&screen), []);
    }

    #[test]
    fn a_gap_that_closed_is_no_longer_shown() {
        let mut screen = Screen::default();
        for event in testing::events() {
            screen.take(&event);
        }
        let closed = Kind::GapClosed {
            of: Success::Delivery,
            topic: "test-2".into(),
            partition: 4,
            from: 2_000,
            to: 21_000,
        };
        screen.take(&event(21_000, "consumer-1", closed));
        let gaps = screen.model(&View::default(), 21_000).gaps;
        let gaps: Vec<String> = gaps.iter().map(OpenGaps::words).collect();
        assert_eq!(gaps, ["producer-1: nothing acknowledged on 3 partitions for 19.5 s"]);
    }
}
