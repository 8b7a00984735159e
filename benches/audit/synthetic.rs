//! A log of any length and the ledgers that go with it, made up as they are read: nothing of them is kept in memory.
//!
//! Two producers write to the same partitions, and one consumer reads them. Time goes in ticks of 250 ms, the pace at
//! which ledgers are written. What happens in a partition within a tick follows from the [`Plan`] alone, so that log and
//! ledgers, each made up by itself, agree.

use std::collections::VecDeque;
use std::io::{BufRead, Read};

use khd::workload::ledger::{
    Committed, ConsumerHeader, Delivered, Line, ProducerHeader, Rebalanced, Reserved, SCHEMA, Settled, Took,
};
use khd::workload::message::Message;
use khd::workload::placements::Placed;
use smallvec::{SmallVec, smallvec};

/// The topic.
pub const TOPIC: &str = "test-1";
/// When the first message was sent, in milliseconds since the Unix epoch.
pub const START: i64 = 1_767_777_777_000;
/// Size of a message's value in bytes.
const SIZE: usize = 256;
/// Length of a tick in milliseconds.
const TICK: i64 = 250;
/// The producers' ids, as long as those of containers.
const PRODUCERS: [&str; 2] = ["3f2b8a9c1d4e-mk3x9q2a", "9c1d4e3f2b8a-mk3x9q7f"];

/// How the producers share a partition, and how fast they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Shape {
    /// Flat out, batches of up to 200 messages in turn: what two producers that share partitions leave.
    Batches,
    /// Flat out, a message each in turn: no two neighbours are of one producer.
    Turns,
    /// Flat out, each next message is of either one: nothing is as it was before.
    Random,
    /// 100 messages a second each, as the lab's producers do, over 30 partitions: the most time for so many messages.
    Slow,
}

impl Shape {
    /// Its word on the command line and in tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Batches => "batches",
            Self::Turns => "turns",
            Self::Random => "random",
            Self::Slow => "slow",
        }
    }
}

/// What log and ledgers follow from.
#[derive(Debug, Clone)]
pub struct Plan {
    shape: Shape,
    /// How many messages the producers were told are acknowledged.
    pub messages: u64,
    /// Whether one of these is not in the log.
    pub lossy: bool,
}

impl Plan {
    /// As many messages of this shape.
    pub fn new(shape: Shape, messages: u64, lossy: bool) -> Self {
        // As many in each partition.
        let messages = messages - messages % partitions_of(shape);
        Self { shape, messages, lossy }
    }

    /// The partitions.
    pub fn partitions(&self) -> std::ops::Range<i32> {
        0..partitions_of(self.shape) as i32
    }

    /// How many messages each partition holds.
    pub fn of_each(&self) -> u64 {
        self.messages / partitions_of(self.shape)
    }

    fn per_second(&self) -> u64 {
        match self.shape {
            Shape::Batches | Shape::Turns | Shape::Random => 120_000,
            Shape::Slow => 200,
        }
    }

    /// How many messages a partition holds before a tick.
    fn before(&self, tick: u64) -> u64 {
        let partitions = partitions_of(self.shape);
        (tick * self.per_second() * TICK as u64 / 1000 / partitions).min(self.of_each())
    }

    /// How many ticks there are.
    fn ticks(&self) -> u64 {
        let per_tick = self.per_second() * TICK as u64;
        (self.messages * 1000).div_ceil(per_tick) + 1
    }

    /// When all was over, in milliseconds since the Unix epoch.
    pub fn end(&self) -> i64 {
        START + self.ticks() as i64 * TICK
    }

    /// How long the producers took, in seconds.
    pub fn seconds(&self) -> u64 {
        self.ticks() * TICK as u64 / 1000
    }

    /// The offset of the message that is not in the log, in partition 0.
    fn lost(&self) -> Option<i64> {
        self.lossy.then_some(self.of_each() as i64 / 2)
    }

    /// What was appended to a partition in a tick: whose messages, and how many of them.
    fn runs(&self, partition: i32, tick: u64) -> impl Iterator<Item = (usize, u64)> {
        let (mut at, end) = (self.before(tick), self.before(tick + 1));
        let shape = self.shape;
        std::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let (producer, most) = match shape {
                Shape::Batches => {
                    let random = scatter(at ^ (partition as u64) << 40);
                    ((random >> 32 & 1) as usize, 1 + random % 200)
                }
                Shape::Random => ((scatter(at ^ (partition as u64) << 40) & 1) as usize, 1),
                Shape::Turns | Shape::Slow => ((at % 2) as usize, 1),
            };
            let count = most.min(end - at);
            at += count;
            Some((producer, count))
        })
    }
}

fn partitions_of(shape: Shape) -> u64 {
    match shape {
        Shape::Batches | Shape::Turns | Shape::Random => 6,
        Shape::Slow => 30,
    }
}

/// Any number, but always the same for the same seed (SplitMix64).
fn scatter(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Where a partition stands: its end, and each producer's next sequence number.
#[derive(Debug, Clone, Copy, Default)]
struct Stand {
    end: i64,
    next: [u64; 2],
}

impl Stand {
    /// Appends a run, and tells where it lies.
    fn append(&mut self, producer: usize, count: u64) -> Placed {
        let placed = Placed {
            sequence: self.next[producer],
            count,
            offset: self.end,
        };
        self.next[producer] += count;
        self.end += count as i64;
        placed
    }
}

/// Tells every record of the log: partition, offset and value, partition by partition within each tick.
pub fn log(plan: &Plan, mut on_record: impl FnMut(i32, i64, &[u8])) {
    let mut stands = vec![Stand::default(); plan.partitions().len()];
    let mut value = Vec::new();
    for tick in 0..plan.ticks() {
        for (partition, stand) in plan.partitions().zip(&mut stands) {
            for (producer, count) in plan.runs(partition, tick) {
                let run = stand.append(producer, count);
                for sequence in run.sequences() {
                    let offset = run.offset_of(sequence);
                    if partition == 0 && plan.lost() == Some(offset) {
                        continue;
                    }
                    let begun = START + tick as i64 * TICK;
                    let message = Message {
                        begun,
                        producer: PRODUCERS[producer],
                        sequence,
                    };
                    message.write(&mut value, SIZE);
                    on_record(partition, offset, &value);
                }
            }
        }
    }
}

/// The ledgers, each with its name: those of the producers, and the consumer's.
pub fn ledgers(plan: &Plan) -> Vec<(String, Ledger<'_>)> {
    let mut ledgers: Vec<_> = PRODUCERS
        .iter()
        .enumerate()
        .map(|(number, id)| {
            (
                format!("producer-{id}.jsonl"),
                Ledger::new(plan, Role::Producer(number)),
            )
        })
        .collect();
    ledgers.push(("consumer-c-1.jsonl".to_owned(), Ledger::new(plan, Role::Consumer)));
    ledgers
}

#[derive(Debug, Clone, Copy)]
enum Role {
    Producer(usize),
    Consumer,
}

/// A ledger, made up line by line.
#[derive(Debug)]
pub struct Ledger<'a> {
    plan: &'a Plan,
    role: Role,
    tick: u64,
    stands: Vec<Stand>,
    lines: VecDeque<Line>,
    bytes: Vec<u8>,
    read: usize,
    /// How many bytes it has had so far.
    pub size: u64,
}

impl<'a> Ledger<'a> {
    fn new(plan: &'a Plan, role: Role) -> Self {
        let mut ledger = Self {
            plan,
            role,
            tick: 0,
            stands: vec![Stand::default(); plan.partitions().len()],
            lines: VecDeque::new(),
            bytes: Vec::new(),
            read: 0,
            size: 0,
        };
        ledger.begin();
        ledger
    }

    fn begin(&mut self) {
        let topics = vec![TOPIC.to_owned()];
        match self.role {
            Role::Producer(number) => {
                let id = PRODUCERS[number].to_owned();
                self.lines.push_back(Line::Producer(ProducerHeader {
                    schema: SCHEMA,
                    producer: id,
                    host: "3f2b8a9c1d4e".into(),
                    started: START,
                    acks: "all".into(),
                    idempotent: true,
                    topics,
                }));
            }
            Role::Consumer => {
                self.lines.push_back(Line::Consumer(ConsumerHeader {
                    schema: SCHEMA,
                    consumer: "c-1".into(),
                    host: "1d4e3f2b8a9c".into(),
                    started: START,
                    group: "test".into(),
                    instance: None,
                    group_protocol: Default::default(),
                    assignment: "cooperative-sticky".into(),
                    topics,
                }));
                self.lines.push_back(Line::Assigned(Rebalanced {
                    at: START,
                    partitions: self
                        .plan
                        .partitions()
                        .map(|partition| (TOPIC.to_owned(), partition))
                        .collect(),
                    generation: Some(1),
                    member: Some("c-1-5f1c".into()),
                    lost: false,
                }));
            }
        }
    }

    /// Makes up the lines of the next tick; none after the last.
    fn go_on(&mut self) {
        let tick = self.tick;
        if tick > self.plan.ticks() {
            return;
        }
        self.tick += 1;
        let at = START + self.tick as i64 * TICK;
        if tick == self.plan.ticks() {
            self.lines.push_back(Line::Closed { at });
            return;
        }
        match self.role {
            Role::Producer(number) => self.produced(number, tick, at),
            Role::Consumer => self.consumed(tick, at),
        }
    }

    fn produced(&mut self, number: usize, tick: u64, at: i64) {
        // Two seconds' worth.
        if tick.is_multiple_of(8) {
            let plan = self.plan;
            let more = plan.before(tick + 9) - plan.before(tick) + 8;
            let reserved = |(partition, stand): (i32, &Stand)| Reserved {
                topic: TOPIC.into(),
                partition,
                until: stand.next[number] + more,
            };
            let partitions = plan.partitions().zip(&self.stands).map(reserved).collect();
            self.lines.push_back(Line::Reserve {
                at: at - TICK,
                partitions,
            });
        }
        let mut partitions = Vec::new();
        for (partition, stand) in self.plan.partitions().zip(&mut self.stands) {
            let mut acked: SmallVec<[Placed; 1]> = SmallVec::new();
            for (producer, count) in self.plan.runs(partition, tick) {
                let run = stand.append(producer, count);
                match acked.last_mut() {
                    _ if producer != number => {}
                    Some(last) if last.offset + last.count as i64 == run.offset => last.count += count,
                    _ => acked.push(run),
                }
            }
            if !acked.is_empty() {
                let count = acked.iter().map(|run| run.count).sum();
                partitions.push(Settled {
                    topic: TOPIC.into(),
                    partition,
                    acked,
                    earliest: Some(at - TICK),
                    spans: smallvec![(at - TICK + 5, at - 5, count).into()],
                    ..Settled::default()
                });
            }
        }
        self.lines.push_back(Line::Settled {
            at,
            horizon: at - 5,
            partitions,
        });
        self.took(tick, at, None);
    }

    fn consumed(&mut self, tick: u64, at: i64) {
        let plan = self.plan;
        let mut partitions = Vec::new();
        for partition in plan.partitions() {
            let (first, end) = (plan.before(tick), plan.before(tick + 1));
            if first < end {
                partitions.push(Delivered {
                    topic: TOPIC.into(),
                    partition,
                    runs: smallvec![(first as i64, end as i64 - 1)],
                    spans: smallvec![(at - TICK + 5, at - 5, end - first).into()],
                });
            }
        }
        self.lines.push_back(Line::Delivered { at, partitions });
        if tick % 2 == 1 {
            let offsets = plan.partitions().map(|partition| Committed {
                topic: TOPIC.into(),
                partition,
                offset: plan.before(tick + 1) as i64,
            });
            self.lines.push_back(Line::Committed {
                at,
                offsets: offsets.collect(),
            });
        }
        for producer in PRODUCERS {
            self.took(tick, at, Some(producer));
        }
    }

    /// How long sends or deliveries took, once a second: some twenty buckets of a histogram, where there are as many messages.
    fn took(&mut self, tick: u64, at: i64, producer: Option<&str>) {
        if tick % 4 != 3 {
            return;
        }
        let of_each = self.plan.per_second() / partitions_of(self.plan.shape) / PRODUCERS.len() as u64;
        let buckets = of_each.min(20);
        let took = |partition: i32| Took {
            topic: TOPIC.into(),
            partition,
            producer: producer.map(str::to_owned),
            micros: (0..buckets)
                .map(|bucket| {
                    (
                        1_000 + bucket * 150 + scatter(tick ^ partition as u64) % 2_000,
                        of_each / buckets,
                    )
                })
                .collect::<Vec<_>>()
                .into(),
        };
        let partitions = self.plan.partitions().map(took).collect();
        self.lines.push_back(Line::Latency { at, partitions });
    }
}

impl Read for Ledger<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

impl BufRead for Ledger<'_> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        if self.read == self.bytes.len() {
            self.read = 0;
            self.bytes.clear();
            if self.lines.is_empty() {
                self.go_on();
            }
            if let Some(line) = self.lines.pop_front() {
                serde_json::to_writer(&mut self.bytes, &line)?;
                self.bytes.push(b'\n');
                self.size += self.bytes.len() as u64;
            }
        }
        Ok(&self.bytes[self.read..])
    }

    fn consume(&mut self, read: usize) {
        self.read += read;
    }
}
