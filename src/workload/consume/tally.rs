//! What was delivered and is not yet in the ledger, and what is processed and not yet committed.

use std::collections::{BTreeMap, HashMap};

use crate::timeline::event::TopicPartition;
use crate::workload::ledger::Delivered;
use crate::workload::spans::{self, Span};

/// One partition's part of the tally.
#[derive(Debug, Default)]
struct Page {
    runs: Vec<(i64, i64)>,
    spans: Vec<Span>,
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
    /// Notes a delivery at `now`.
    pub fn deliver(&mut self, topic: &str, partition: i32, offset: i64, now: i64) {
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
            tally.deliver("t", 0, offset, 1_000);
        }
        assert_eq!(tally.drain()[0].runs, [(4, 6), (9, 10), (2, 2)]);
        assert!(tally.drain().is_empty());
        assert_eq!(tally.delivered(), 6);
    }

    #[test]
    fn only_what_is_processed_and_unconfirmed_is_committed() {
        let mut tally = Tally::default();
        let partition = ("t".to_owned(), 0);
        tally.deliver("t", 0, 7, 1_000);
        assert_eq!(tally.uncommitted(), [(partition.clone(), 8)]);
        tally.confirm("t", 0, 8);
        assert!(tally.uncommitted().is_empty());
        tally.deliver("t", 0, 8, 1_000);
        tally.forget(std::slice::from_ref(&partition));
        assert!(tally.uncommitted().is_empty());
    }
}
