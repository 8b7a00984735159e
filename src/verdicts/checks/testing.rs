//! A small recorded drill for the checks' tests, and the ways in which it can go wrong.
//!
//! Two topics' worth of nothing: one topic with two partitions, three brokers, one producer, one consumer. Broker
//! kafka2 leads partition 1; it is stopped at 1 s, proven at 2 s, its leader moves at 3 s, the ISR shrinks at 4 s, it
//! is started at 20 s and all is well at 25 s; the cut is at 30 s.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use jiff::Timestamp;

use crate::settings::{Flavor, Settings};
use crate::timeline::event::{Event, Kind, Member, SCHEMA};
use crate::timeline::limits::{Bound, Limits};
use crate::topology::migration::Phase;
use crate::topology::{Expectation, Topology};
use crate::verdicts::evidence::Evidence;
use crate::verdicts::messages::Messages;
use crate::workload::audit::{self, CopyLog, LogSummary, PartitionLog};
use crate::workload::latency::Latency;
use crate::workload::ledger::history::{
    ConsumerHistory, Deliveries, Jump, Ledgers, Overcommit, ProducerHistory, Rebalance, RebalanceKind, Sends, Tenure,
    Tide,
};
use crate::workload::ledger::{self, ConsumerHeader, ProducerHeader, Rebalanced};
use crate::workload::placements::{Placed, Placements};
use crate::workload::ranges::Ranges;
use crate::workload::spans::{Activity, Span};

const MESSAGES: u64 = 100;

/// A recorded drill.
#[derive(Clone)]
pub struct Drill {
    flavor: Flavor,
    target: &'static str,
    fault: bool,
    limits: Limits,
    proof: bool,
    leaders_move: bool,
    isr_shrinks: bool,
    recovers: bool,
    heals: bool,
    waits: bool,
    // What happens besides, each with its second and who says so.
    besides: Vec<(u64, &'static str, Kind)>,
    leaders_come_home: bool,
    left: bool,
    controllers: [i32; 3],
    epoch: bool,
    // What a broker says at 26 s of partition 1: the broker, the leader, the leader's epoch.
    late_word: Option<(&'static str, i32, i32)>,
    assigned: BTreeSet<i32>,
    stalls: bool,
    idle_partition: bool,
    sends_fail_at: Option<i64>,
    ledgers: bool,
    idempotent: bool,
    excused: Range<u64>,
    failed: Option<u64>,
    reserved: u64,
    offsets_go_back: bool,
    clock_is_set_back: bool,
    // Of partition 0: its messages in the log in the order of their offsets, and which offsets were read.
    log: Vec<Placed>,
    begin: i64,
    end: i64,
    read_to: i64,
    hidden: u64,
    jump: Option<(i64, i64)>,
    overcommit: Option<(i64, i64)>,
    // When the consumer was given partitions, in seconds of the run, and in which generation.
    rebalances: Vec<(i64, Option<i32>)>,
    delivered_again: u64,
    delivered_beyond: bool,
    // Copies of both partitions: which messages, and where; and what the copiers' group has committed.
    copies: Option<(Vec<Placed>, i64)>,
    copies_read: bool,
}

impl Drill {
    pub fn good() -> Self {
        Self {
            flavor: Flavor::ZooKeeper,
            target: "kafka2",
            fault: true,
            limits: Limits::from([
                ("gap".to_owned(), Bound::at_most(28_000.0)),
                ("leaders-moved".to_owned(), Bound::at_most(23_000.0)),
            ]),
            proof: true,
            leaders_move: true,
            isr_shrinks: true,
            recovers: true,
            heals: true,
            waits: true,
            besides: Vec::new(),
            leaders_come_home: true,
            left: false,
            controllers: [1; 3],
            epoch: true,
            late_word: None,
            assigned: [0, 1].into(),
            stalls: false,
            idle_partition: false,
            sends_fail_at: None,
            ledgers: true,
            idempotent: true,
            excused: 0..0,
            failed: None,
            reserved: MESSAGES,
            offsets_go_back: false,
            clock_is_set_back: false,
            log: vec![(0, MESSAGES, 0).into()],
            begin: 0,
            end: MESSAGES as i64,
            read_to: MESSAGES as i64,
            hidden: 0,
            jump: None,
            overcommit: None,
            rebalances: Vec::new(),
            delivered_again: 0,
            delivered_beyond: false,
            copies: None,
            copies_read: true,
        }
    }

    pub fn of_zookeeper() -> Self {
        Self {
            target: "zookeeper1",
            ..Self::good()
        }
    }

    /// The same in KRaft: kafka1 leads the metadata quorum, in epoch 7.
    pub fn kraft() -> Self {
        Self {
            flavor: Flavor::Kraft,
            ..Self::good()
        }
    }

    /// Another leader of the quorum from a second on; −1 for none.
    pub fn leads(self, second: u64, leader: i32, epoch: i32) -> Self {
        let elected = Kind::ControllerElected {
            controller: leader,
            epoch,
        };
        self.beside(second, "quorum", quorum(leader, epoch, &[]))
            .beside(second, "quorum", elected)
    }

    /// Nodes that lag behind the metadata log from a second on.
    pub fn lags(self, second: u64, nodes: &[i32]) -> Self {
        self.beside(second, "quorum", quorum(1, 7, nodes))
    }

    /// A migration to a phase, between two seconds, or one that does not end.
    pub fn migrates(self, began: u64, phase: Phase, ended: Option<u64>) -> Self {
        let begun = self.beside(began, "khd", Kind::MigrationStarted { phase });
        match ended {
            Some(ended) => begun.beside(ended, "khd", Kind::MigrationEnded { phase }),
            None => begun,
        }
    }

    pub fn without_fault(mut self) -> Self {
        self.fault = false;
        self
    }

    pub fn without_proof(mut self) -> Self {
        self.proof = false;
        self
    }

    pub fn leaders_stay(mut self) -> Self {
        self.leaders_move = false;
        self
    }

    pub fn limit(mut self, check: &str, bound: Bound) -> Self {
        self.limits.insert(check.into(), bound);
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

    pub fn of_consumer() -> Self {
        Self {
            target: "consumer-1",
            ..Self::good()
        }
    }

    pub fn without_waits(mut self) -> Self {
        self.waits = false;
        self
    }

    /// Something that happens besides, at a second.
    pub fn beside(mut self, second: u64, source: &'static str, kind: Kind) -> Self {
        self.besides.push((second, source, kind));
        self
    }

    /// Another fault, proven a second after it is injected.
    pub fn beside_fault(self, id: u32, targets: &[&str], from: u64, to: Option<u64>) -> Self {
        let injected = Kind::FaultInjected {
            id,
            fault: "kill".into(),
            targets: targets.iter().map(|target| (*target).to_owned()).collect(),
            out: targets.iter().map(|target| (*target).to_owned()).collect(),
            adds: false,
            options: serde_json::Map::new(),
            asked: Vec::new(),
        };
        let proof = "it is gone, too".to_owned();
        let drill = self
            .beside(from, "khd", injected)
            .beside(from + 1, "khd", Kind::FaultEffective { id, proof });
        match to {
            Some(to) => drill.beside(to, "khd", Kind::FaultUndone { id }),
            None => drill,
        }
    }

    /// Another wait until the lab has settled.
    pub fn beside_wait(self, step: u32, from: u64, to: u64) -> Self {
        let started = Kind::StepStarted {
            step,
            sort: "until".into(),
            words: "wait until settled, for at most 53s".into(),
            until: Some("settled".into()),
        };
        let (ok, lacking) = (true, Vec::new());
        self.beside(from, "khd", started)
            .beside(to, "khd", Kind::StepEnded { step, ok, lacking })
    }

    /// What a broker says of the controller.
    pub fn says_controller(self, second: u64, broker: &'static str, controller: i32) -> Self {
        let brokers = [1, 2, 3].into();
        self.beside(second, broker, Kind::Cluster { controller, brokers })
    }

    /// The group's state, as its coordinator tells it.
    pub fn group_is(self, second: u64, state: &str) -> Self {
        let Kind::Group { group, members, .. } = self.group() else {
            unreachable!()
        };
        let state = state.to_owned();
        self.beside(second, "kafka1", Kind::Group { group, state, members })
    }

    pub fn never_heals(mut self) -> Self {
        self.heals = false;
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

    pub fn excused(mut self, sequences: Range<u64>) -> Self {
        self.excused = sequences;
        self
    }

    pub fn failed(mut self, sequence: u64) -> Self {
        self.failed = Some(sequence);
        self
    }

    pub fn reserved(mut self, until: u64) -> Self {
        self.reserved = until;
        self
    }

    pub fn offsets_go_back(mut self) -> Self {
        self.offsets_go_back = true;
        self
    }

    pub fn clock_is_set_back(mut self) -> Self {
        self.clock_is_set_back = true;
        self
    }

    pub fn partition_without_sends(mut self) -> Self {
        self.idle_partition = true;
        self
    }

    pub fn sends_fail_at(mut self, ms: i64) -> Self {
        self.sends_fail_at = Some(ms);
        self
    }

    pub fn epoch_goes_back(mut self) -> Self {
        self.late_word = Some(("kafka1", 2, 0));
        self
    }

    pub fn two_leaders_of_one_epoch(mut self) -> Self {
        self.late_word = Some(("kafka3", 3, 2));
        self
    }

    pub fn log_without(mut self, sequence: u64) -> Self {
        let (before, after) = (sequence, MESSAGES - sequence - 1);
        let behind = sequence + 1;
        self.log = vec![(0, before, 0).into(), (behind, after, behind as i64).into()];
        self
    }

    pub fn log_read_halfway(mut self) -> Self {
        self.read_to = self.end / 2;
        self
    }

    pub fn retention_to(mut self, offset: i64) -> Self {
        self.begin = offset;
        self
    }

    pub fn hidden(mut self, last: u64) -> Self {
        self.hidden = last;
        self
    }

    pub fn swapped(mut self, one: u64, next: u64) -> Self {
        let behind = next + 1;
        self.log = vec![
            (0, one, 0).into(),
            (next, 1, one as i64).into(),
            (one, 1, next as i64).into(),
            (behind, MESSAGES - behind, behind as i64).into(),
        ];
        self
    }

    pub fn duplicates(mut self, count: u64) -> Self {
        self.log.push((0, count, MESSAGES as i64).into());
        self.end += count as i64;
        self.read_to = self.end;
        self
    }

    pub fn reorders(mut self, count: u64) -> Self {
        let rest = MESSAGES - count;
        self.log = vec![(count, rest, 0).into(), (0, count, rest as i64).into()];
        self
    }

    pub fn jump(mut self, from: i64, to: i64) -> Self {
        self.jump = Some((from, to));
        self
    }

    pub fn committed(mut self, offset: i64, processed: i64) -> Self {
        self.overcommit = Some((offset, processed));
        self
    }

    pub fn rebalanced(mut self, second: i64, generation: Option<i32>) -> Self {
        self.rebalances.push((second, generation));
        self
    }

    pub fn delivered_again(mut self, first: u64) -> Self {
        self.delivered_again = first;
        self
    }

    pub fn delivered_beyond_the_records(mut self) -> Self {
        self.delivered_beyond = true;
        self.end += 2;
        self.read_to = self.end;
        self
    }

    /// With copiers, who have committed that offset of partition 0 and copied these of its messages; partition 1 whole.
    pub fn copied(mut self, copies: &[(u64, u64, i64)], committed: i64) -> Self {
        let copies = copies.iter().map(|run| Placed::from(*run)).collect();
        self.copies = Some((copies, committed));
        self
    }

    pub fn copies_not_read(mut self) -> Self {
        self.copies_read = false;
        self
    }

    pub fn evidence(self) -> Evidence {
        let messages = self
            .ledgers
            .then(|| Messages::of_run(self.history(), self.summary(), 0));
        let mut events = self.events();
        events.retain(|event| {
            let of_fault = matches!(
                event.kind,
                Kind::FaultInjected { .. }
                    | Kind::FaultEffective { .. }
                    | Kind::FaultUndone { .. }
                    | Kind::FaultHealed { .. }
                    | Kind::StepStarted { .. }
                    | Kind::StepEnded { .. }
            );
            self.fault || !of_fault
        });
        Evidence::new(events, messages).unwrap()
    }

    fn expected(&self) -> Expectation {
        let mut settings = Settings {
            flavor: self.flavor,
            ..Settings::default()
        };
        settings.topics.names = vec!["t".into()];
        settings.topics.partitions = 2;
        settings.copier.replicas = u16::from(self.copies.is_some());
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
        let started = Kind::RunStarted {
            schema: SCHEMA,
            khd: "test".into(),
            command: "khd fail".into(),
            expectation: self.expected().into(),
            limits: self.limits.clone(),
            skip: BTreeMap::new(),
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
        let (source, epoch) = match self.flavor {
            Flavor::ZooKeeper => ("zookeeper1", 4),
            Flavor::Kraft | Flavor::KraftSeparate => ("quorum", 7),
        };
        if self.epoch {
            if self.flavor.is_kraft() {
                at(0, source, quorum(1, epoch, &[]));
            }
            at(0, source, Kind::ControllerElected { controller: 1, epoch });
        }
        let injected = Kind::FaultInjected {
            id: 1,
            fault: "stop".into(),
            targets: vec![self.target.to_owned()],
            out: [self.target.to_owned()].into(),
            adds: false,
            options: serde_json::Map::new(),
            asked: Vec::new(),
        };
        at(1, "khd", injected);
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
            let proof = "it is gone".into();
            at(2, "khd", Kind::FaultEffective { id: 1, proof });
        }
        let began = |step: u32, sort: &str, words: &str| Kind::StepStarted {
            step,
            sort: sort.into(),
            words: words.into(),
            until: (sort == "until").then(|| "settled".into()),
        };
        let ended = |step: u32, lacking: Option<&str>| Kind::StepEnded {
            step,
            ok: lacking.is_none(),
            lacking: lacking.into_iter().map(str::to_owned).collect(),
        };
        if self.waits {
            at(2, "khd", began(2, "until", "wait until settled, for at most 53s"));
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
        let stuck = (!self.leaders_move).then_some("leaders did not move");
        if self.waits {
            at(5, "khd", ended(2, stuck));
        }
        if !self.left {
            at(20, "khd", began(4, "restore", "undo it"));
            at(20, "khd", Kind::FaultUndone { id: 1 });
            for broker in ["kafka1", "kafka3"].into_iter().filter(|_| self.recovers) {
                at(25, broker, partition(0, 1, 0, &[1, 2, 3]));
                let leader = if self.leaders_come_home { 2 } else { 3 };
                at(25, broker, partition(1, leader, 2, &[1, 2, 3]));
            }
        }
        if !self.left {
            let proof = "kafka2 runs and answers".into();
            if self.heals {
                at(22, "khd", Kind::FaultHealed { id: 1, proof });
            }
            at(22, "khd", ended(4, (!self.heals).then_some("kafka2 does not answer")));
        }
        if let Some((broker, leader, epoch)) = self.late_word {
            at(26, broker, partition(1, leader, epoch, &[1, 2, 3]));
        }
        at(30, "khd", Kind::Cut);
        at(31, "khd", Kind::RunEnded { outcome: "done".into() });
        for (second, source, kind) in &self.besides {
            at(*second, source, kind.clone());
        }
        events.sort_by_key(|event| event.elapsed_ms);
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

    fn sends(&self, number: i32) -> Sends {
        let mut sends = Sends {
            reserved: self.reserved,
            acked: whole(),
            placed: [Placed::from((0, MESSAGES, 0))].into_iter().collect(),
            tides: vec![tide(0, 1_000, 0, 99)],
            acks: self.activity(),
            ..Sends::default()
        };
        sends.excused.insert_range(self.excused.clone());
        sends.latency = Latency::from(vec![(1_500, MESSAGES)]);
        if let Some(first) = self.sends_fail_at {
            let (last, count) = (first, 20);
            sends.troubled.add(Span { first, last, count });
        }
        if number == 0 {
            if let Some(failed) = self.failed {
                sends.acked.remove_range(failed..failed + 1);
                sends.failed.insert(failed);
                sends.placed = Placements::default();
            }
            if self.clock_is_set_back {
                sends
                    .tides
                    .extend([tide(34_900, 35_000, 100, 149), tide(30_000, 30_500, 150, 199)]);
            }
            if self.offsets_go_back {
                sends.tides.push(tide(5_000, 6_000, 50, 50));
            }
        } else if self.idle_partition {
            sends.acks = Activity::default();
        }
        sends
    }

    fn deliveries(&self, number: i32) -> Deliveries {
        let mut deliveries = Deliveries {
            tenures: vec![tenure(0, 30_000, 1, whole())],
            times: self.activity(),
            committed: Some(MESSAGES as i64),
            ..Deliveries::default()
        };
        if number > 0 {
            return deliveries;
        }
        if let Some((from, to)) = self.jump {
            let at = 5_000;
            deliveries.jumps.push(Jump { from, to, at });
            if from < to {
                deliveries.tenures[0].offsets.remove_range(from as u64 + 1..to as u64);
            }
        }
        if let Some((offset, processed)) = self.overcommit {
            let at = 15_000;
            deliveries.overcommits.push(Overcommit { at, offset, processed });
        }
        if self.delivered_again > 0 {
            let again = std::iter::once(0..self.delivered_again).collect();
            deliveries.tenures.push(tenure(10_000, 12_000, 2, again));
        }
        if self.delivered_beyond {
            deliveries.tenures[0].offsets.insert(MESSAGES + 1);
        }
        deliveries
    }

    fn history(&self) -> Ledgers {
        let partitions = [0, 1].map(|n| ("t".to_owned(), n));
        let header = ProducerHeader {
            schema: ledger::SCHEMA,
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
                partitions: partitions.iter().map(|p| (p.clone(), self.sends(p.1))).collect(),
                latency: BTreeMap::from([(1, Latency::from(vec![(1_500, 2 * MESSAGES)]))]),
                horizon: 30_000,
                last: 30_000,
                closed: false,
                notes: Vec::new(),
            }],
            consumers: vec![ConsumerHistory {
                header: ConsumerHeader {
                    schema: ledger::SCHEMA,
                    consumer: "c".into(),
                    host: "c".into(),
                    started: 0,
                    group: "test".into(),
                    instance: None,
                    group_protocol: Default::default(),
                    assignment: "cooperative-sticky".into(),
                    topics: vec!["t".into()],
                },
                partitions: partitions.iter().map(|p| (p.clone(), self.deliveries(p.1))).collect(),
                rebalances: self.rebalances.iter().map(given).collect(),
                latency: BTreeMap::new(),
                last: 30_000,
                closed: false,
                notes: Vec::new(),
            }],
        }
    }

    fn summary(&self) -> LogSummary {
        let all = i64::MAX as u64;
        let one = self.partition_log(0, self.log.clone(), all);
        let other = Self::good().partition_log(1, vec![(0, MESSAGES, 0).into()], all);
        let committed = self.partition_log(0, self.log.clone(), MESSAGES - self.hidden);
        LogSummary {
            schema: audit::SCHEMA,
            taken: 30_500,
            partitions: vec![one, other],
            read_committed: if self.hidden > 0 { vec![committed] } else { Vec::new() },
            copies: self.copy_logs(),
        }
    }

    fn copy_logs(&self) -> Vec<CopyLog> {
        let Some((copies, committed)) = self.copies.as_ref().filter(|_| self.copies_read) else {
            return Vec::new();
        };
        let whole = vec![(0, MESSAGES, 0).into()];
        let both = [(0, copies.clone(), *committed), (1, whole, MESSAGES as i64)];
        let of = |(partition, messages, committed): (i32, Vec<Placed>, i64)| {
            let mut copy = Self::good();
            // A marker ends what a transaction wrote.
            copy.end = messages
                .iter()
                .map(|run| run.offset + run.count as i64 + 1)
                .max()
                .unwrap_or(0);
            copy.read_to = copy.end;
            CopyLog {
                topic: "t".into(),
                partition,
                end: MESSAGES as i64,
                committed,
                log: copy.partition_log(partition, messages, i64::MAX as u64),
            }
        };
        both.into_iter().map(of).collect()
    }

    /// A partition's log with these messages, as far as it was read, and below `until`.
    fn partition_log(&self, number: i32, messages: Vec<Placed>, until: u64) -> PartitionLog {
        let read = self.begin..self.read_to.min(until as i64);
        let mut log = PartitionLog {
            topic: "t".into(),
            partition: number,
            begin: self.begin,
            end: self.end,
            ..PartitionLog::default()
        };
        log.covered.insert_range(self.begin as u64..self.read_to as u64);
        let mut placed = Placements::default();
        for run in messages {
            for sequence in run
                .sequences()
                .filter(|sequence| read.contains(&run.offset_of(*sequence)))
            {
                placed.push(sequence, run.offset_of(sequence));
                log.offsets.insert(run.offset_of(sequence) as u64);
            }
        }
        log.records = log.offsets.count();
        log.producers.insert("p".into(), placed);
        log
    }
}

fn tide(begun: i64, at: i64, low: i64, high: i64) -> Tide {
    Tide {
        begun,
        at,
        low,
        high,
        lowest: low as u64,
    }
}

fn given((second, generation): &(i64, Option<i32>)) -> Rebalance {
    let what = Rebalanced {
        at: second * 1000,
        partitions: vec![("t".into(), 0)],
        generation: *generation,
        member: None,
        lost: false,
    };
    let kind = RebalanceKind::Assigned;
    Rebalance { kind, what }
}

fn tenure(since: i64, until: i64, generation: i32, offsets: Ranges) -> Tenure {
    Tenure {
        since,
        until,
        generation: Some(generation),
        count: offsets.count(),
        offsets,
    }
}

fn whole() -> Ranges {
    let mut whole = Ranges::default();
    whole.insert_range(0..MESSAGES);
    whole
}

fn quorum(leader: i32, leader_epoch: i32, lagging: &[i32]) -> Kind {
    Kind::Quorum {
        leader,
        leader_epoch,
        voters: [1, 2, 3].into(),
        observers: BTreeSet::new(),
        lagging: lagging.iter().copied().collect(),
    }
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
