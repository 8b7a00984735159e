//! Reading ledgers, line by line.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context as _, bail};
use serde::Deserialize;

use crate::lines;
use crate::processors;
use crate::timeline::event::TopicPartition;
use crate::workload::latency::Latency;
use crate::workload::ledger::excuse::Excuses;
use crate::workload::ledger::history::{
    ConsumerHistory, Jump, Ledgers, Overcommit, ProducerHistory, Rebalance, RebalanceKind, Sends, Tenure, Tide,
};
use crate::workload::ledger::{Committed, Delivered, Line, Rebalanced, SCHEMA, Settled};
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
            files.push((length, name, BufReader::new(file)));
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
            History::read(file, scope).with_context(|| format!("cannot read the ledger {name}"))
        });
        let mut ledgers = Self::default();
        for history in histories {
            match history? {
                Some(History::Producer(history, _)) => ledgers.producers.push(history),
                Some(History::Consumer(history, _)) => ledgers.consumers.push(history),
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

/// Reads a line. Those kinds that nearly all lines of a ledger are of are taken from its beginning, where khd writes them:
/// to have serde look for the kind makes it keep every line in pieces first, and takes twice as long.
fn parse(line: &[u8]) -> serde_json::Result<Line> {
    #[derive(Deserialize)]
    struct At<T> {
        at: i64,
        partitions: Vec<T>,
    }
    #[derive(Deserialize)]
    struct SettledAt {
        at: i64,
        horizon: i64,
        #[serde(default)]
        partitions: Vec<Settled>,
    }
    #[derive(Deserialize)]
    struct CommittedAt {
        at: i64,
        offsets: Vec<Committed>,
    }
    #[derive(Deserialize)]
    struct DeliveredAt {
        at: i64,
        #[serde(default)]
        partitions: Vec<Delivered>,
    }

    let kind = line
        .strip_prefix(br#"{"line":""#)
        .and_then(|rest| rest.split(|byte| *byte == b'"').next());
    Ok(match kind {
        Some(b"settled") => {
            let SettledAt {
                at,
                horizon,
                partitions,
            } = serde_json::from_slice(line)?;
            Line::Settled {
                at,
                horizon,
                partitions,
            }
        }
        Some(b"delivered") => {
            let DeliveredAt { at, partitions } = serde_json::from_slice(line)?;
            Line::Delivered { at, partitions }
        }
        Some(b"committed") => {
            let CommittedAt { at, offsets } = serde_json::from_slice(line)?;
            Line::Committed { at, offsets }
        }
        Some(b"latency") => {
            let At { at, partitions } = serde_json::from_slice(line)?;
            Line::Latency { at, partitions }
        }
        _ => serde_json::from_slice(line)?,
    })
}

/// Where a consumer is in a partition.
#[derive(Debug, Default)]
struct Position {
    // The last delivered offset, since the partition was assigned.
    last: Option<i64>,
    // The offset after the greatest that was ever delivered.
    processed: i64,
}

type Positions = BTreeMap<TopicPartition, Position>;

enum History {
    Producer(ProducerHistory, Excuses),
    Consumer(ConsumerHistory, Positions),
}

impl History {
    fn read(file: impl BufRead, scope: Scope) -> anyhow::Result<Option<Self>> {
        let mut history: Option<Self> = None;
        lines::each(file, LONGEST_LINE, |number, line| {
            if !line.ends_with(b"\n") {
                // It is not whole yet.
                return Ok(());
            }
            let line = parse(line).with_context(|| format!("line {number} is not a ledger's"))?;
            match history.as_mut() {
                None => history = Some(Self::begin(line)?),
                Some(history) => history
                    .apply(line, scope)
                    .with_context(|| format!("line {number} is out of place"))?,
            }
            anyhow::Ok(())
        })?;
        Ok(history)
    }

    fn begin(line: Line) -> anyhow::Result<Self> {
        let (schema, history) = match line {
            Line::Producer(header) => (
                header.schema,
                Self::Producer(
                    ProducerHistory {
                        horizon: header.started,
                        last: header.started,
                        header,
                        partitions: BTreeMap::new(),
                        latency: BTreeMap::new(),
                        closed: false,
                        notes: Vec::new(),
                    },
                    Excuses::default(),
                ),
            ),
            Line::Consumer(header) => (
                header.schema,
                Self::Consumer(
                    ConsumerHistory {
                        last: header.started,
                        header,
                        partitions: BTreeMap::new(),
                        rebalances: Vec::new(),
                        latency: BTreeMap::new(),
                        closed: false,
                        notes: Vec::new(),
                    },
                    Positions::new(),
                ),
            ),
            _ => bail!("it does not begin with a header"),
        };
        if schema != SCHEMA {
            bail!("it has schema {schema}; this khd reads schema {SCHEMA}");
        }
        Ok(history)
    }

    fn apply(&mut self, line: Line, scope: Scope) -> anyhow::Result<()> {
        match self {
            Self::Producer(history, excuses) => history.apply(line, scope, excuses),
            Self::Consumer(history, positions) => history.apply(line, scope, positions),
        }
    }
}

/// The latencies of a second.
fn second(by_second: &mut BTreeMap<i64, Latency>, at: i64) -> &mut Latency {
    by_second.entry(at.div_euclid(1000)).or_default()
}

impl ProducerHistory {
    fn apply(&mut self, line: Line, scope: Scope, excuses: &mut Excuses) -> anyhow::Result<()> {
        match line {
            Line::Reserve { at, partitions } => {
                self.last = at;
                for reserved in partitions {
                    let sends = self.partitions.entry((reserved.topic, reserved.partition)).or_default();
                    sends.reserved = sends.reserved.max(reserved.until);
                }
            }
            Line::Settled {
                at,
                horizon,
                partitions,
            } => {
                self.last = at;
                self.horizon = horizon;
                for settled in &partitions {
                    let key = (settled.topic.clone(), settled.partition);
                    self.partitions.entry(key).or_default().apply(settled, at, scope);
                }
                if self.header.idempotent {
                    excuses.note(at, partitions, &mut self.partitions);
                }
            }
            Line::Epoch { at, since } => {
                self.last = at;
                excuses.excuse(since, &mut self.partitions);
            }
            Line::Latency { at, partitions } if at >= scope.since => {
                let second = second(&mut self.latency, at);
                for of in partitions {
                    second.merge(&of.micros);
                    let sends = self.partitions.entry((of.topic, of.partition)).or_default();
                    sends.latency.merge(&of.micros);
                }
            }
            Line::Latency { .. } => {}
            Line::Note { at, message } => self.notes.push((at, message)),
            Line::Closed { at } => {
                self.last = at;
                self.closed = true;
                // A clean end settles all that was sent: what is left of the reservation never was.
                for sends in self.partitions.values_mut() {
                    sends.reserved = sends.settled().last().map_or(0, |last| last + 1);
                }
            }
            _ => bail!("it is not a producer's"),
        }
        Ok(())
    }
}

impl Sends {
    fn apply(&mut self, settled: &Settled, at: i64, scope: Scope) {
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

impl ConsumerHistory {
    fn apply(&mut self, line: Line, scope: Scope, positions: &mut Positions) -> anyhow::Result<()> {
        match line {
            Line::Delivered { at, partitions } => {
                self.last = at;
                for delivered in &partitions {
                    self.delivered(delivered, at, scope, positions);
                }
            }
            Line::Latency { at, partitions } if at >= scope.since => {
                let second = second(&mut self.latency, at);
                for of in partitions {
                    second.merge(&of.micros);
                    let deliveries = self.partitions.entry((of.topic, of.partition)).or_default();
                    let by_producer = deliveries.latency.entry(of.producer.unwrap_or_default());
                    by_producer.or_default().merge(&of.micros);
                }
            }
            Line::Latency { .. } => {}
            Line::Assigned(what) => {
                self.last = what.at;
                self.assigned(&what, positions);
                let kind = RebalanceKind::Assigned;
                self.rebalances.push(Rebalance { kind, what });
            }
            Line::Revoked(what) => {
                self.last = what.at;
                let kind = RebalanceKind::Revoked;
                self.rebalances.push(Rebalance { kind, what });
            }
            Line::Committed { at, offsets } => {
                self.last = at;
                offsets.into_iter().for_each(|one| self.committed(one, at, positions));
            }
            Line::Note { at, message } => self.notes.push((at, message)),
            Line::Closed { at } => {
                self.last = at;
                self.closed = true;
            }
            _ => bail!("it is not a consumer's"),
        }
        Ok(())
    }

    fn assigned(&mut self, what: &Rebalanced, positions: &mut Positions) {
        for partition in &what.partitions {
            // Whoever held the partition meanwhile moved on from there: the next delivery is no jump.
            positions.entry(partition.clone()).or_default().last = None;
            let deliveries = self.partitions.entry(partition.clone()).or_default();
            deliveries.tenures.push(Tenure {
                since: what.at,
                until: what.at,
                generation: what.generation,
                ..Tenure::default()
            });
        }
    }

    fn committed(&mut self, committed: Committed, at: i64, positions: &mut Positions) {
        let key = (committed.topic, committed.partition);
        let processed = positions.entry(key.clone()).or_default().processed;
        let deliveries = self.partitions.entry(key).or_default();
        deliveries.committed = Some(committed.offset);
        if committed.offset > processed {
            deliveries.overcommits.push(Overcommit {
                at,
                offset: committed.offset,
                processed,
            });
        }
    }

    fn delivered(&mut self, delivered: &Delivered, at: i64, scope: Scope, positions: &mut Positions) {
        let key = (delivered.topic.clone(), delivered.partition);
        let position = positions.entry(key.clone()).or_default();
        let deliveries = self.partitions.entry(key).or_default();
        if deliveries.tenures.is_empty() {
            // Its assignment is in no ledger: it assigned the partition to itself.
            deliveries.tenures.push(Tenure {
                since: self.header.started,
                ..Tenure::default()
            });
        }
        let Some(tenure) = deliveries.tenures.last_mut() else {
            return;
        };
        for &(first, last) in &delivered.runs {
            if first < 0 || last < first || last == i64::MAX {
                continue;
            }
            if let Some(from) = position.last.filter(|from| from + 1 != first) {
                deliveries.jumps.push(Jump { from, to: first, at });
            }
            position.last = Some(last);
            position.processed = position.processed.max(last + 1);
            tenure.offsets.insert_range(first as u64..last as u64 + 1);
            tenure.count = tenure.count.saturating_add((last - first) as u64 + 1);
        }
        tenure.until = at;
        scope.add_to(&mut deliveries.times, &delivered.spans);
    }
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
