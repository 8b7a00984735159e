//! What was delivered and is not yet in the ledger, and what is processed and not yet committed.

use std::collections::{BTreeMap, HashMap};

use smallvec::SmallVec;

use crate::timeline::event::TopicPartition;
use crate::workload::latency::Latency;
use crate::workload::ledger::{Delivered, Took};
use crate::workload::message::Message;
use crate::workload::spans::{self, Span};

/// One partition's part of the tally.
#[derive(Debug, Default)]
struct Page {
    runs: SmallVec<[(i64, i64); 1]>,
    spans: SmallVec<[Span; 1]>,
    // How long messages took from their sends, by producer.
    took: Vec<(String, Latency)>,
    // The offset after the last processed message, and the last one that the coordinator confirmed.
    processed: Option<i64>,
    committed: Option<i64>,
}

/// The tally of one consumer.
#[derive(Debug, Default)]
pub struct Tally {
    // By topic, then partition: a lookup must not build a key for each message.
    pages: HashMap<String, BTreeMap<i32, Page>>,
    delivered: u64,
}

impl Tally {
    /// Notes a delivery at `now`. The value tells, if it is one of khd's, who sent it and when.
    pub fn deliver(&mut self, topic: &str, partition: i32, offset: i64, value: &[u8], now: i64) {
        if !self.pages.contains_key(topic) {
            self.pages.insert(topic.to_owned(), BTreeMap::new());
        }
        let Some(pages) = self.pages.get_mut(topic) else {
            return;
        };
        let page = pages.entry(partition).or_default();
        match page.runs.last_mut() {
            Some((_, last)) if *last + 1 == offset => *last = offset,
            _ => page.runs.push((offset, offset)),
        }
        spans::push(&mut page.spans, now);
        page.processed = Some(offset + 1);
        if let Some(message) = Message::parse(value) {
            let micros = now.saturating_sub(message.begun).max(0) as u64 * 1000;
            match page.took.iter_mut().find(|(producer, _)| producer == message.producer) {
                Some((_, took)) => took.record(micros),
                None => {
                    let mut took = Latency::default();
                    took.record(micros);
                    page.took.push((message.producer.to_owned(), took));
                }
            }
        }
        self.delivered += 1;
    }

    /// How many deliveries there were.
    pub fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Takes out what was delivered since the last time, for the ledger.
    pub fn drain(&mut self) -> Vec<Delivered> {
        let mut drained = Vec::new();
        for (topic, pages) in &mut self.pages {
            for (partition, page) in pages {
                if !page.runs.is_empty() {
                    drained.push(Delivered {
                        topic: topic.clone(),
                        partition: *partition,
                        runs: std::mem::take(&mut page.runs),
                        spans: std::mem::take(&mut page.spans),
                    });
                }
            }
        }
        drained
    }

    /// Takes out how long messages took since the last time, for the ledger.
    pub fn drain_latency(&mut self) -> Vec<Took> {
        let mut drained = Vec::new();
        for (topic, pages) in &mut self.pages {
            for (partition, page) in pages {
                drained.extend(page.took.drain(..).map(|(producer, micros)| Took {
                    topic: topic.clone(),
                    partition: *partition,
                    producer: Some(producer),
                    micros,
                }));
            }
        }
        drained
    }

    /// Offsets to commit: the processed ones that are not confirmed.
    pub fn uncommitted(&self) -> Vec<(TopicPartition, i64)> {
        let all = self
            .pages
            .iter()
            .flat_map(|(topic, pages)| pages.iter().map(move |(partition, page)| (topic, *partition, page)));
        all.filter(|(.., page)| page.processed != page.committed)
            .filter_map(|(topic, partition, page)| Some(((topic.clone(), partition), page.processed?)))
            .collect()
    }

    /// Notes what the coordinator confirmed.
    pub fn confirm(&mut self, topic: &str, partition: i32, offset: i64) {
        if let Some(page) = self.pages.get_mut(topic).and_then(|pages| pages.get_mut(&partition)) {
            page.committed = Some(offset);
        }
    }

    /// Forgets the position in partitions that are now someone else's.
    pub fn forget(&mut self, partitions: &[TopicPartition]) {
        for (topic, partition) in partitions {
            if let Some(page) = self.pages.get_mut(topic).and_then(|pages| pages.get_mut(partition)) {
                page.processed = None;
                page.committed = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_break_where_the_position_jumps() {
        let mut tally = Tally::default();
        for offset in [4, 5, 6, 9, 10, 2] {
            tally.deliver("t", 0, offset, b"", 1_000);
        }
        assert_eq!(tally.drain()[0].runs[..], [(4, 6), (9, 10), (2, 2)]);
        assert!(tally.drain().is_empty());
        assert_eq!(tally.delivered(), 6);
    }

    #[test]
    fn latencies_are_told_apart_by_producer_and_those_of_strangers_are_left_out() {
        let mut tally = Tally::default();
        for (offset, value) in ["990:p-1:0", "980:p-2:0", "970:p-1:1", "stranger"].iter().enumerate() {
            tally.deliver("t", 0, offset as i64, value.as_bytes(), 1_000);
        }
        let told: Vec<_> = tally
            .drain_latency()
            .into_iter()
            .map(|took| (took.producer, took.micros.count()))
            .collect();
        assert_eq!(told, [(Some("p-1".to_owned()), 2), (Some("p-2".to_owned()), 1)]);
        assert!(tally.drain_latency().is_empty());
    }

    #[test]
    fn only_what_is_processed_and_unconfirmed_is_committed() {
        let mut tally = Tally::default();
        let partition = ("t".to_owned(), 0);
        tally.deliver("t", 0, 7, b"", 1_000);
        assert_eq!(tally.uncommitted(), [(partition.clone(), 8)]);
        tally.confirm("t", 0, 8);
        assert!(tally.uncommitted().is_empty());
        tally.deliver("t", 0, 8, b"", 1_000);
        tally.forget(std::slice::from_ref(&partition));
        assert!(tally.uncommitted().is_empty());
    }
}
