//! A small recorded drill for the checks' tests, and the ways in which it can go wrong.
//!
//! Two topics' worth of nothing: one topic with two partitions, three brokers, one producer, one consumer. Broker
//! kafka2 leads partition 1; it is stopped at 1 s, proven at 2 s, its leader moves at 3 s, the ISR shrinks at 4 s, it
//! is started at 20 s and all is well at 25 s; the cut is at 30 s.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::settings::Settings;
use crate::timeline::event::{EffectiveLimits, Event, Kind, Member, SCHEMA};
use crate::topology::{Expectation, Topology};
use crate::verdicts::evidence::Evidence;
use crate::workload::audit::{InLog, LogSummary, PartitionLog};
use crate::workload::ledger::history::{ConsumerHistory, Deliveries, Ledgers, ProducerHistory, Sends};
use crate::workload::ledger::{ConsumerHeader, ProducerHeader};
use crate::workload::ranges::Ranges;
use crate::workload::spans::{Activity, Span};

const MESSAGES: u64 = 100;

/// A recorded drill.
pub struct Drill {
    target: &'static str,
    limits: EffectiveLimits,
    proof: bool,
    leaders_move: bool,
    isr_shrinks: bool,
    recovers: bool,
    leaders_come_home: bool,
    left: bool,
    controllers: [i32; 3],
    epoch: bool,
    assigned: BTreeSet<i32>,
    stalls: bool,
    ledgers: bool,
    idempotent: bool,
    missing: Option<u64>,
    read_to: i64,
    duplicates: u64,
    reorders: u64,
}

impl Drill {
    pub fn good() -> Self {
        Self {
            target: "kafka2",
            limits: EffectiveLimits {
                gap_ms: 28_000,
                leaders_moved_ms: 23_000,
                progress: 1,
            },
            proof: true,
            leaders_move: true,
            isr_shrinks: true,
            recovers: true,
            leaders_come_home: true,
            left: false,
            controllers: [1; 3],
            epoch: true,
            assigned: [0, 1].into(),
            stalls: false,
            ledgers: true,
            idempotent: true,
            missing: None,
            read_to: MESSAGES as i64,
            duplicates: 0,
            reorders: 0,
        }
    }

    pub fn of_zookeeper() -> Self {
        Self {
            target: "zookeeper1",
            ..Self::good()
        }
    }

    pub fn without_proof(mut self) -> Self {
        self.proof = false;
        self
    }

    pub fn leaders_stay(mut self) -> Self {
        self.leaders_move = false;
        self
    }

    pub fn leaders_moved_limit(mut self, ms: u64) -> Self {
        self.limits.leaders_moved_ms = ms;
        self
    }

    pub fn gap_limit(mut self, ms: u64) -> Self {
        self.limits.gap_ms = ms;
        self
    }

    pub fn isr_stays(mut self) -> Self {
        self.isr_shrinks = false;
        self
    }

    pub fn never_recovers(mut self) -> Self {
        self.recovers = false;
        self
    }

    pub fn leaders_stay_away(mut self) -> Self {
        self.leaders_come_home = false;
        self
    }

    pub fn left_in_place(mut self) -> Self {
        self.left = true;
        self
    }

    pub fn two_controllers(mut self) -> Self {
        self.controllers = [1, 1, 3];
        self
    }

    pub fn without_epoch(mut self) -> Self {
        self.epoch = false;
        self
    }

    pub fn partition_without_owner(mut self) -> Self {
        self.assigned = [0].into();
        self
    }

    pub fn nothing_acknowledged_during_the_fault(mut self) -> Self {
        self.stalls = true;
        self
    }

    pub fn without_ledgers(mut self) -> Self {
        self.ledgers = false;
        self
    }

    pub fn not_idempotent(mut self) -> Self {
        self.idempotent = false;
        self
    }

    pub fn log_without(mut self, sequence: u64) -> Self {
        self.missing = Some(sequence);
        self
    }

    pub fn log_read_halfway(mut self) -> Self {
        self.read_to = MESSAGES as i64 / 2;
        self
    }

    pub fn duplicates(mut self, count: u64) -> Self {
        self.duplicates = count;
        self
    }

    pub fn reorders(mut self, count: u64) -> Self {
        self.reorders = count;
        self
    }

    pub fn evidence(self) -> Evidence {
        let ledgers = self.ledgers.then(|| self.history());
        let log = Some(self.log());
        Evidence::new(self.events(), ledgers, log).unwrap()
    }

    fn expected() -> Expectation {
        let mut settings = Settings::default();
        settings.topics.names = vec!["t".into()];
        settings.topics.partitions = 2;
        Topology::of(&settings).expectation(std::time::Duration::from_secs(18))
    }

    fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        let mut at = |seconds: u64, source: &str, kind: Kind| {
            events.push(Event {
                wall: Timestamp::from_second(seconds as i64).unwrap(),
                elapsed_ms: seconds * 1000,
                source: source.into(),
                kind,
            });
        };
        let fault = || ("stop".to_owned(), self.target.to_owned());
        let started = Kind::RunStarted {
            schema: SCHEMA,
            khd: "test".into(),
            command: "khd fail".into(),
            expectation: Self::expected(),
            limits: self.limits.clone(),
        };
        at(0, "khd", started);
        for (broker, controller) in ["kafka1", "kafka2", "kafka3"].into_iter().zip(self.controllers) {
            at(0, broker, Kind::BrokerAnswers);
            at(
                0,
                broker,
                Kind::Cluster {
                    controller,
                    brokers: [1, 2, 3].into(),
                },
            );
            at(0, broker, partition(0, 1, 0, &[1, 2, 3]));
            at(0, broker, partition(1, 2, 0, &[1, 2, 3]));
        }
        at(0, "kafka1", self.group());
        if self.epoch {
            at(
                0,
                "zookeeper1",
                Kind::ControllerElected {
                    controller: 1,
                    epoch: 4,
                },
            );
        }
        let (name, target) = fault();
        at(1, "khd", Kind::FaultInjected { fault: name, target });
        let down = self.target == "kafka2";
        if down {
            at(
                2,
                "kafka2",
                Kind::BrokerSilent {
                    error: "refused".into(),
                },
            );
        }
        if self.proof {
            let (name, target) = fault();
            at(
                2,
                "khd",
                Kind::FaultEffective {
                    fault: name,
                    target,
                    proof: "it is gone".into(),
                },
            );
        }
        for broker in ["kafka1", "kafka3"].into_iter().filter(|_| down) {
            if self.leaders_move {
                at(3, broker, partition(1, 3, 1, &[1, 2, 3]));
            }
            if self.isr_shrinks {
                at(4, broker, partition(0, 1, 0, &[1, 3]));
                at(
                    4,
                    broker,
                    partition(1, if self.leaders_move { 3 } else { 2 }, 1, &[1, 3]),
                );
            }
        }
        if !self.left {
            let (name, target) = fault();
            at(20, "khd", Kind::FaultUndone { fault: name, target });
            for broker in ["kafka1", "kafka3"].into_iter().filter(|_| self.recovers) {
                at(25, broker, partition(0, 1, 0, &[1, 2, 3]));
                let leader = if self.leaders_come_home { 2 } else { 3 };
                at(25, broker, partition(1, leader, 2, &[1, 2, 3]));
            }
        }
        at(30, "khd", Kind::Cut);
        at(31, "khd", Kind::RunEnded { outcome: "done".into() });
        events
    }

    fn group(&self) -> Kind {
        Kind::Group {
            group: "test".into(),
            state: "Stable".into(),
            members: vec![Member {
                id: "m-1".into(),
                client: "consumer".into(),
                host: "/172.25.0.130".into(),
                assigned: BTreeMap::from([("t".to_owned(), self.assigned.clone())]),
            }],
        }
    }

    fn activity(&self) -> Activity {
        let mut activity = Activity::default();
        for second in 0..30 {
            let fault = (2..20).contains(&second);
            if !(self.stalls && fault) {
                for first in [second * 1000, second * 1000 + 500] {
                    activity.add(Span {
                        first,
                        last: first + 400,
                        count: 10,
                    });
                }
            }
        }
        activity
    }

    fn history(&self) -> Ledgers {
        let partitions = [0, 1].map(|n| ("t".to_owned(), n));
        let sends = Sends {
            reserved: MESSAGES,
            acked: whole(),
            acks: self.activity(),
            ..Sends::default()
        };
        let deliveries = Deliveries {
            times: self.activity(),
            ..Deliveries::default()
        };
        let header = ProducerHeader {
            schema: 1,
            producer: "p".into(),
            host: "p".into(),
            started: 0,
            acks: "all".into(),
            idempotent: self.idempotent,
            topics: vec!["t".into()],
        };
        Ledgers {
            producers: vec![ProducerHistory {
                header,
                partitions: partitions.iter().map(|p| (p.clone(), sends.clone())).collect(),
                horizon: 30_000,
                last: 30_000,
                closed: false,
                notes: Vec::new(),
            }],
            consumers: vec![ConsumerHistory {
                header: ConsumerHeader {
                    schema: 1,
                    consumer: "c".into(),
                    host: "c".into(),
                    started: 0,
                    group: "test".into(),
                    instance: None,
                    assignment: "cooperative-sticky".into(),
                    topics: vec!["t".into()],
                },
                partitions: partitions.iter().map(|p| (p.clone(), deliveries.clone())).collect(),
                rebalances: Vec::new(),
                last: 30_000,
                closed: false,
                notes: Vec::new(),
            }],
        }
    }

    fn log(&self) -> LogSummary {
        let partition = |number: i32| {
            let mut in_log = InLog {
                seen: whole(),
                ..InLog::default()
            };
            if number == 0 {
                if let Some(missing) = self.missing {
                    in_log.seen.remove_range(missing..missing + 1);
                }
                if self.read_to < MESSAGES as i64 {
                    in_log.seen.remove_range(self.read_to as u64..MESSAGES);
                }
                (in_log.duplicates, in_log.reorders) = (self.duplicates, self.reorders);
            }
            PartitionLog {
                topic: "t".into(),
                partition: number,
                begin: 0,
                end: MESSAGES as i64,
                read_to: if number == 0 { self.read_to } else { MESSAGES as i64 },
                records: in_log.seen.count(),
                foreign: 0,
                offsets: Ranges::default(),
                producers: BTreeMap::from([("p".to_owned(), in_log)]),
            }
        };
        LogSummary {
            schema: 1,
            taken: 30_500,
            partitions: vec![partition(0), partition(1)],
        }
    }
}

fn whole() -> Ranges {
    let mut whole = Ranges::default();
    whole.insert_range(0..MESSAGES);
    whole
}

fn partition(number: i32, leader: i32, leader_epoch: i32, isr: &[i32]) -> Kind {
    let replicas = if number == 0 { vec![1, 2, 3] } else { vec![2, 3, 1] };
    Kind::Partition {
        topic: "t".into(),
        partition: number,
        leader,
        leader_epoch,
        replicas,
        isr: isr.iter().copied().collect(),
    }
}
