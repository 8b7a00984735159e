//! Reading ledgers, line by line.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufRead;
use std::path::Path;

use anyhow::{Context as _, bail};
use foldhash::fast::RandomState;
use indexmap::{Equivalent, IndexMap};
use serde::Deserialize;

use crate::lines;
use crate::processors;
use crate::timeline::event::TopicPartition;
use crate::workload::latency::Latency;
use crate::workload::ledger::excuse::Acknowledged;
use crate::workload::ledger::history::{
    ConsumerHistory, Deliveries, Jump, Ledgers, Overcommit, ProducerHistory, Rebalance, RebalanceKind, Sends, Tenure,
    Tide,
};
use crate::workload::ledger::{Delivered, Line, SCHEMA, Settled};
use crate::workload::placements::Placed;
use crate::workload::spans::{Activity, Span};

/// Acknowledgements noted within the same so many milliseconds are one [`Tide`]: memory follows from time, not from messages.
const TIDE_MS: i64 = 1_000;
/// How many tides there are at most of a producer and partition. When there are as many, each two become one, so that old
/// ones are the coarser the older they are, and the latest are as they were told.
const TIDES: usize = 2_048;

/// Longest line in bytes: a quarter of a second of a producer that is flat out takes a tenth of it.
const LONGEST_LINE: usize = 16 << 20;

/// Which part of the ledgers' time is judged. Times are milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope {
    /// Latencies noted before this are of no interest, and neither is when something happened before: memory follows from
    /// the time that is judged, not from the lab's age. What happened is read all the same.
    pub since: i64,
    /// Acknowledgements told in lines written after this go to [`Sends::acked_later`]. To compare with a log, give the
    /// moment just before its end offsets were taken.
    pub until: i64,
}

impl Scope {
    /// All of it.
    pub const ALL: Self = Self {
        since: i64::MIN,
        until: i64::MAX,
    };

    fn add_to(self, activity: &mut Activity, spans: &[Span]) {
        let of_interest = spans.iter().filter(|span| span.last >= self.since);
        of_interest.for_each(|span| activity.add(*span));
    }
}

impl Ledgers {
    /// Reads all ledgers in a folder; see [`read`](Self::read).
    ///
    /// # Errors
    /// When the folder cannot be read, or a ledger in it.
    pub fn load(folder: &Path, scope: Scope) -> anyhow::Result<Self> {
        let cannot = || format!("cannot read {}", folder.display());
        let mut files = Vec::new();
        for entry in std::fs::read_dir(folder).with_context(cannot)? {
            let path = entry.with_context(cannot)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let file = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
            let length = file.metadata().map_or(0, |metadata| metadata.len());
            files.push((length, name, lines::buffered(file)));
        }
        // The longest first, so that no thread is left alone with it in the end.
        files.sort_by_key(|(length, ..)| std::cmp::Reverse(*length));
        let files = files.into_iter().map(|(_, name, file)| (name, file));
        Self::read(files, scope)
    }

    /// Reads ledgers, each a name and its bytes. A last line that is not whole yet is left out, and so is a file
    /// without a whole line.
    ///
    /// To compare them with a log, read them after the log, so that no reservation is missing.
    ///
    /// # Errors
    /// When a file cannot be read, has another schema, or a whole line of it is not a ledger's.
    pub fn read<R: BufRead + Send>(files: impl IntoIterator<Item = (String, R)>, scope: Scope) -> anyhow::Result<Self> {
        let histories = processors::each(files.into_iter().collect(), |(name, file)| {
            read(file, scope).with_context(|| format!("cannot read the ledger {name}"))
        });
        let mut ledgers = Self::default();
        for history in histories {
            match history? {
                Some(History::Producer(history)) => ledgers.producers.push(history),
                Some(History::Consumer(history)) => ledgers.consumers.push(history),
                None => {}
            }
        }
        let by_start = |started: i64, id: &str| (started, id.to_owned());
        ledgers
            .producers
            .sort_by_key(|history| by_start(history.header.started, &history.header.producer));
        ledgers
            .consumers
            .sort_by_key(|history| by_start(history.header.started, &history.header.consumer));
        Ok(ledgers)
    }
}

/// A name in a line that is being read: a part of the line, unless it is written with escapes.
#[derive(Debug, Default, PartialEq, Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// Reads a line. Those kinds that nearly all lines of a ledger are of are taken from its beginning, where khd writes them:
/// to have serde look for the kind makes it keep every line in pieces first, and takes twice as long.
fn parse(line: &str) -> serde_json::Result<Line<Name<'_>>> {
    #[derive(Deserialize)]
    struct SettledAt<T> {
        at: i64,
        horizon: i64,
        #[serde(default = "Vec::new")]
        partitions: Vec<T>,
    }
    #[derive(Deserialize)]
    struct DeliveredAt<T> {
        at: i64,
        #[serde(default = "Vec::new")]
        partitions: Vec<T>,
    }
    #[derive(Deserialize)]
    struct CommittedAt<T> {
        at: i64,
        offsets: Vec<T>,
    }
    #[derive(Deserialize)]
    struct LatencyAt<T> {
        at: i64,
        partitions: Vec<T>,
    }

    let kind = line
        .strip_prefix(r#"{"line":""#)
        .and_then(|rest| rest.split('"').next());
    Ok(match kind {
        Some("settled") => {
            let SettledAt {
                at,
                horizon,
                partitions,
            } = serde_json::from_str(line)?;
            Line::Settled {
                at,
                horizon,
                partitions,
            }
        }
        Some("delivered") => {
            let DeliveredAt { at, partitions } = serde_json::from_str(line)?;
            Line::Delivered { at, partitions }
        }
        Some("committed") => {
            let CommittedAt { at, offsets } = serde_json::from_str(line)?;
            Line::Committed { at, offsets }
        }
        Some("latency") => {
            let LatencyAt { at, partitions } = serde_json::from_str(line)?;
            Line::Latency { at, partitions }
        }
        _ => serde_json::from_str(line)?,
    })
}

/// What is known of each partition while a ledger is read.
struct Partitions<T>(IndexMap<TopicPartition, T, RandomState>);

/// A partition whose name nobody has to own to look it up. Its hash is that of a [`TopicPartition`].
#[derive(Hash)]
struct Key<'a>(&'a str, i32);

impl Equivalent<TopicPartition> for Key<'_> {
    fn equivalent(&self, key: &TopicPartition) -> bool {
        self.1 == key.1 && self.0 == key.0
    }
}

impl<T: Default> Partitions<T> {
    fn none() -> Self {
        Self(IndexMap::default())
    }

    /// What is known of a partition; nothing yet, where it was not named before.
    fn of(&mut self, topic: &str, partition: i32) -> &mut T {
        let place = match self.0.get_index_of(&Key(topic, partition)) {
            Some(place) => place,
            None => self.0.insert_full((topic.to_owned(), partition), T::default()).0,
        };
        &mut self.0[place]
    }
}

/// What a ledger tells.
enum History {
    Producer(ProducerHistory),
    Consumer(ConsumerHistory),
}

/// A ledger that is being read.
enum Reading {
    Producer(ProducerReading),
    Consumer(ConsumerReading),
}

/// A producer's history, and its partitions, which it does not have yet.
struct ProducerReading {
    history: ProducerHistory,
    partitions: Partitions<(Sends, Acknowledged)>,
}

/// A consumer's history, and its partitions, which it does not have yet.
struct ConsumerReading {
    history: ConsumerHistory,
    partitions: Partitions<(Deliveries, Position)>,
}

/// Where a consumer is in a partition.
#[derive(Debug, Default)]
struct Position {
    // The last delivered offset, since the partition was assigned.
    last: Option<i64>,
    // How many rebalances the consumer had been told of by then.
    rebalances: usize,
    // The offset after the greatest that was ever delivered.
    processed: i64,
}

fn read(file: impl BufRead, scope: Scope) -> anyhow::Result<Option<History>> {
    let mut reading: Option<Reading> = None;
    lines::each(file, LONGEST_LINE, |number, line| {
        if !line.ends_with(b"\n") {
            // It is not whole yet.
            return Ok(());
        }
        let not_a_line = || format!("line {number} is not a ledger's");
        // As a whole, and not each string of it by itself.
        let line = std::str::from_utf8(line).with_context(not_a_line)?;
        let line = parse(line).with_context(not_a_line)?;
        match reading.as_mut() {
            None => reading = Some(Reading::begin(line)?),
            Some(reading) => reading
                .take(line, scope)
                .with_context(|| format!("line {number} is out of place"))?,
        }
        anyhow::Ok(())
    })?;
    Ok(reading.map(Reading::end))
}

impl Reading {
    fn begin(line: Line<Name<'_>>) -> anyhow::Result<Self> {
        let (schema, reading) = match line {
            Line::Producer(header) => (
                header.schema,
                Self::Producer(ProducerReading {
                    history: ProducerHistory {
                        horizon: header.started,
                        last: header.started,
                        header,
                        partitions: BTreeMap::new(),
                        latency: BTreeMap::new(),
                        closed: false,
                        notes: Vec::new(),
                    },
                    partitions: Partitions::none(),
                }),
            ),
            Line::Consumer(header) => (
                header.schema,
                Self::Consumer(ConsumerReading {
                    history: ConsumerHistory {
                        last: header.started,
                        header,
                        partitions: BTreeMap::new(),
                        rebalances: Vec::new(),
                        latency: BTreeMap::new(),
                        closed: false,
                        notes: Vec::new(),
                    },
                    partitions: Partitions::none(),
                }),
            ),
            _ => bail!("it does not begin with a header"),
        };
        if schema != SCHEMA {
            bail!("it has schema {schema}; this khd reads schema {SCHEMA}");
        }
        Ok(reading)
    }

    fn take(&mut self, line: Line<Name<'_>>, scope: Scope) -> anyhow::Result<()> {
        match self {
            Self::Producer(reading) => reading.take(line, scope),
            Self::Consumer(reading) => reading.take(line, scope),
        }
    }

    fn end(self) -> History {
        match self {
            Self::Producer(ProducerReading { history, partitions }) => History::Producer(ProducerHistory {
                partitions: partitions.0.into_iter().map(|(key, (sends, _))| (key, sends)).collect(),
                ..history
            }),
            Self::Consumer(ConsumerReading { history, partitions }) => History::Consumer(ConsumerHistory {
                partitions: partitions
                    .0
                    .into_iter()
                    .map(|(key, (deliveries, _))| (key, deliveries))
                    .collect(),
                ..history
            }),
        }
    }
}

/// The latencies of a second.
fn second(by_second: &mut BTreeMap<i64, Latency>, at: i64) -> &mut Latency {
    by_second.entry(at.div_euclid(1000)).or_default()
}

impl ProducerReading {
    fn take(&mut self, line: Line<Name<'_>>, scope: Scope) -> anyhow::Result<()> {
        let history = &mut self.history;
        match line {
            Line::Reserve { at, partitions } => {
                history.last = at;
                for reserved in partitions {
                    let (sends, _) = self.partitions.of(&reserved.topic, reserved.partition);
                    sends.reserved = sends.reserved.max(reserved.until);
                }
            }
            Line::Settled {
                at,
                horizon,
                partitions,
            } => {
                history.last = at;
                history.horizon = horizon;
                for settled in &partitions {
                    let (sends, acknowledged) = self.partitions.of(&settled.topic.0, settled.partition);
                    sends.apply(settled, at, scope);
                    if history.header.idempotent && !settled.acked.is_empty() {
                        acknowledged.note(at, sends);
                    }
                }
                let troubled = partitions.iter().flat_map(|settled| &settled.troubled);
                if let Some(begun) = troubled.map(|span| span.first).min() {
                    self.excuse(begun);
                }
            }
            Line::Epoch { at, since } => {
                history.last = at;
                self.excuse(since);
            }
            Line::Latency { at, partitions } if at >= scope.since => {
                let second = second(&mut history.latency, at);
                for of in partitions {
                    second.merge(&of.micros);
                    let (sends, _) = self.partitions.of(&of.topic.0, of.partition);
                    sends.latency.merge(&of.micros);
                }
            }
            Line::Latency { .. } => {}
            Line::Note { at, message } => history.notes.push((at, message)),
            Line::Closed { at } => {
                history.last = at;
                history.closed = true;
                // A clean end settles all that was sent: what is left of the reservation never was.
                for (sends, _) in self.partitions.0.values_mut() {
                    sends.reserved = sends.settled().last().map_or(0, |last| last + 1);
                }
            }
            _ => bail!("it is not a producer's"),
        }
        Ok(())
    }

    /// Excuses what was in flight then, or has been sent since, in any partition.
    fn excuse(&mut self, then: i64) {
        if self.history.header.idempotent {
            for (sends, acknowledged) in self.partitions.0.values_mut() {
                acknowledged.excuse(then, sends);
            }
        }
    }
}

impl Sends {
    fn apply(&mut self, settled: &Settled<Name<'_>>, at: i64, scope: Scope) {
        let judged = at <= scope.until;
        let told = |run: &&Placed| run.offset >= 0 && run.count > 0;
        for run in settled
            .acked
            .iter()
            .filter(|run| run.count < 1 << 60 && run.sequence < 1 << 60)
        {
            if judged {
                self.acked.insert_range(run.sequences());
            } else {
                self.acked_later.insert_range(run.sequences());
            }
        }
        if judged && let Some(lowest) = settled.acked.iter().filter(told).min_by_key(|run| run.offset) {
            settled
                .acked
                .iter()
                .filter(told)
                .for_each(|run| self.placed.push_run(*run));
            let last = |run: &Placed| run.offset.saturating_add_unsigned(run.count - 1);
            self.rise(Tide {
                // A line that does not tell when its sends began says nothing of what they came after.
                begun: settled.earliest.unwrap_or(i64::MIN),
                at,
                low: lowest.offset,
                high: settled
                    .acked
                    .iter()
                    .filter(told)
                    .map(last)
                    .max()
                    .unwrap_or(lowest.offset),
                lowest: lowest.sequence,
            });
        }
        scope.add_to(&mut self.acks, &settled.spans);
        self.failed.extend(&settled.failed);
        self.unknown.extend(&settled.unknown);
        scope.add_to(&mut self.troubled, &settled.troubled);
    }

    fn rise(&mut self, tide: Tide) {
        match self.tides.last_mut() {
            Some(last) if last.at.div_euclid(TIDE_MS) == tide.at.div_euclid(TIDE_MS) => last.join(tide),
            _ => self.tides.push(tide),
        }
        if self.tides.len() == TIDES {
            let pairs = self.tides.chunks_exact(2).map(|pair| {
                let mut joined = pair[0];
                joined.join(pair[1]);
                joined
            });
            self.tides = pairs.collect();
        }
    }
}

impl ConsumerReading {
    fn take(&mut self, line: Line<Name<'_>>, scope: Scope) -> anyhow::Result<()> {
        let history = &mut self.history;
        match line {
            Line::Delivered { at, partitions } => {
                history.last = at;
                for delivered in &partitions {
                    let (deliveries, position) = self.partitions.of(&delivered.topic.0, delivered.partition);
                    if deliveries.tenures.is_empty() {
                        // Its assignment is in no ledger: it assigned the partition to itself.
                        deliveries.tenures.push(Tenure {
                            since: history.header.started,
                            ..Tenure::default()
                        });
                    }
                    deliveries.apply(delivered, at, scope, position, history.rebalances.len());
                }
            }
            Line::Latency { at, partitions } if at >= scope.since => {
                let second = second(&mut history.latency, at);
                for of in partitions {
                    second.merge(&of.micros);
                    let (deliveries, _) = self.partitions.of(&of.topic.0, of.partition);
                    let producer = of.producer.as_ref().map_or("", |producer| &producer.0);
                    match deliveries.latency.get_mut(producer) {
                        Some(by_producer) => by_producer.merge(&of.micros),
                        None => drop(deliveries.latency.insert(producer.to_owned(), of.micros)),
                    }
                }
            }
            Line::Latency { .. } => {}
            Line::Assigned(what) => {
                history.last = what.at;
                for (topic, partition) in &what.partitions {
                    let (deliveries, position) = self.partitions.of(topic, *partition);
                    // Whoever held the partition meanwhile moved on from there: the next delivery is no jump.
                    position.last = None;
                    deliveries.tenures.push(Tenure {
                        since: what.at,
                        until: what.at,
                        generation: what.generation,
                        ..Tenure::default()
                    });
                }
                let kind = RebalanceKind::Assigned;
                history.rebalances.push(Rebalance { kind, what });
            }
            Line::Revoked(what) => {
                history.last = what.at;
                let kind = RebalanceKind::Revoked;
                history.rebalances.push(Rebalance { kind, what });
            }
            Line::Committed { at, offsets } => {
                history.last = at;
                for committed in offsets {
                    let (deliveries, position) = self.partitions.of(&committed.topic.0, committed.partition);
                    let (offset, processed) = (committed.offset, position.processed);
                    deliveries.committed = Some(offset);
                    if offset > processed {
                        deliveries.overcommits.push(Overcommit { at, offset, processed });
                    }
                }
            }
            Line::Note { at, message } => history.notes.push((at, message)),
            Line::Closed { at } => {
                history.last = at;
                history.closed = true;
            }
            _ => bail!("it is not a consumer's"),
        }
        Ok(())
    }
}

impl Deliveries {
    fn apply(
        &mut self,
        delivered: &Delivered<Name<'_>>,
        at: i64,
        scope: Scope,
        position: &mut Position,
        rebalances: usize,
    ) {
        let Some(tenure) = self.tenures.last_mut() else {
            return;
        };
        for &(first, last) in &delivered.runs {
            if first < 0 || last < first || last == i64::MAX {
                continue;
            }
            // To go back over a rebalance, as far as was not committed, is to be given again what others might have been given,
            // also where the partition stays with its member: while librdkafka adds partitions to those it has, it fetches
            // these anew.
            let uncommitted = self.committed.is_none_or(|committed| committed <= first);
            let back = position.last.is_some_and(|from| first <= from);
            let again = back && uncommitted && position.rebalances != rebalances;
            if let Some(from) = position.last.filter(|from| from + 1 != first && !again) {
                self.jumps.push(Jump { from, to: first, at });
            }
            position.last = Some(last);
            position.rebalances = rebalances;
            position.processed = position.processed.max(last + 1);
            tenure.offsets.insert_range(first as u64..last as u64 + 1);
            tenure.count = tenure.count.saturating_add((last - first) as u64 + 1);
        }
        tenure.until = at;
        scope.add_to(&mut self.times, &delivered.spans);
    }
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
