//! Reading ledgers, line by line.

use std::collections::BTreeMap;
use std::io::BufRead;

use anyhow::{Context as _, bail};

use crate::workload::ledger::history::{
    ConsumerHistory, Jump, Ledgers, ProducerHistory, Rebalance, RebalanceKind, Sends,
};
use crate::workload::ledger::{Delivered, Line, SCHEMA, Settled};

/// How many examples of a jump are kept for each consumer and partition.
const EXAMPLES: usize = 10;

impl Ledgers {
    /// Reads ledgers, each a name and its bytes. A last line that is not whole yet is left out, and so is a file
    /// without a whole line.
    ///
    /// Acknowledgements told in lines written after `until` (milliseconds since the Unix epoch) go to
    /// [`Sends::acked_later`]: to compare with a log, give the moment just before its end offsets were taken, and
    /// read the ledgers after the log, so that no reservation is missing.
    ///
    /// # Errors
    /// When a file cannot be read, has another schema, or a whole line of it is not a ledger's.
    pub fn read<R: BufRead>(files: impl IntoIterator<Item = (String, R)>, until: i64) -> anyhow::Result<Self> {
        let mut ledgers = Self::default();
        for (name, file) in files {
            match History::read(file, until).with_context(|| format!("cannot read the ledger {name}"))? {
                Some(History::Producer(history)) => ledgers.producers.push(history),
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

/// The last delivered offset of each partition, since the partition was assigned.
type Positions = BTreeMap<(String, i32), i64>;

enum History {
    Producer(ProducerHistory),
    Consumer(ConsumerHistory, Positions),
}

impl History {
    fn read(mut file: impl BufRead, until: i64) -> anyhow::Result<Option<Self>> {
        let mut history: Option<Self> = None;
        let mut bytes = Vec::new();
        for number in 1.. {
            bytes.clear();
            file.read_until(b'\n', &mut bytes)?;
            if bytes.last() != Some(&b'\n') {
                break;
            }
            let line = serde_json::from_slice(&bytes).with_context(|| format!("line {number} is not a ledger's"))?;
            match history.as_mut() {
                None => history = Some(Self::begin(line)?),
                Some(history) => history
                    .apply(line, until)
                    .with_context(|| format!("line {number} is out of place"))?,
            }
        }
        Ok(history)
    }

    fn begin(line: Line) -> anyhow::Result<Self> {
        let (schema, history) = match line {
            Line::Producer(header) => (
                header.schema,
                Self::Producer(ProducerHistory {
                    horizon: header.started,
                    last: header.started,
                    header,
                    partitions: BTreeMap::new(),
                    closed: false,
                    notes: Vec::new(),
                }),
            ),
            Line::Consumer(header) => (
                header.schema,
                Self::Consumer(
                    ConsumerHistory {
                        last: header.started,
                        header,
                        partitions: BTreeMap::new(),
                        rebalances: Vec::new(),
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

    fn apply(&mut self, line: Line, until: i64) -> anyhow::Result<()> {
        match self {
            Self::Producer(history) => history.apply(line, until),
            Self::Consumer(history, positions) => history.apply(line, positions),
        }
    }
}

impl ProducerHistory {
    fn apply(&mut self, line: Line, until: i64) -> anyhow::Result<()> {
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
                for settled in partitions {
                    let key = (settled.topic.clone(), settled.partition);
                    self.partitions.entry(key).or_default().apply(&settled, at <= until);
                }
            }
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
    fn apply(&mut self, settled: &Settled, judged: bool) {
        for run in &settled.acked {
            let range = run.sequence..run.sequence + run.count;
            if !judged {
                self.acked_later.insert_range(range);
                continue;
            }
            self.acked.insert_range(range);
            if run.offset >= 0 {
                self.last_offset = self.last_offset.max(Some(run.offset + run.count as i64 - 1));
            }
        }
        settled.spans.iter().for_each(|span| self.acks.add(*span));
        self.failed.extend(&settled.failed);
        self.unknown.extend(&settled.unknown);
        for span in &settled.troubled {
            self.troubled.insert(span.first, span.last);
        }
    }
}

impl ConsumerHistory {
    fn apply(&mut self, line: Line, positions: &mut Positions) -> anyhow::Result<()> {
        match line {
            Line::Delivered { at, partitions } => {
                self.last = at;
                for delivered in &partitions {
                    self.delivered(delivered, at, positions);
                }
            }
            Line::Assigned(what) => {
                // Whoever held the partition meanwhile moved on from there: the next delivery is no jump.
                for partition in &what.partitions {
                    positions.remove(partition);
                }
                self.last = what.at;
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
                for committed in offsets {
                    let key = (committed.topic, committed.partition);
                    self.partitions.entry(key).or_default().committed = Some(committed.offset);
                }
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

    fn delivered(&mut self, delivered: &Delivered, at: i64, positions: &mut Positions) {
        let key = (delivered.topic.clone(), delivered.partition);
        let deliveries = self.partitions.entry(key.clone()).or_default();
        let mut position = positions.get(&key).copied();
        for &(first, last) in &delivered.runs {
            if first < 0 || last < first {
                continue;
            }
            if let Some(from) = position.filter(|from| from + 1 != first) {
                deliveries.jump_count += 1;
                if deliveries.jumps.len() < EXAMPLES {
                    deliveries.jumps.push(Jump { from, to: first, at });
                }
            }
            position = Some(last);
            deliveries.offsets.insert_range(first as u64..last as u64 + 1);
            deliveries.count += (last - first) as u64 + 1;
        }
        delivered.spans.iter().for_each(|span| deliveries.times.add(*span));
        if let Some(position) = position {
            positions.insert(key, position);
        }
    }
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
