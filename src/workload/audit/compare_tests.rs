use std::collections::BTreeMap;

use super::*;
use crate::workload::audit::summary::SCHEMA;
use crate::workload::ledger::ProducerHeader;
use crate::workload::ledger::history::ProducerHistory;

fn ranges(list: &[(u64, u64)]) -> Ranges {
    list.iter().map(|(first, last)| *first..last + 1).collect()
}

fn ledgers(sends: Sends) -> Ledgers {
    Ledgers {
        producers: vec![ProducerHistory {
            header: ProducerHeader {
                schema: 1,
                producer: "p-1".into(),
                host: "p".into(),
                started: 0,
                acks: "all".into(),
                idempotent: true,
                topics: vec!["t".into()],
            },
            partitions: BTreeMap::from([(("t".to_owned(), 0), sends)]),
            horizon: 0,
            last: 0,
            closed: true,
            notes: Vec::new(),
        }],
        consumers: Vec::new(),
    }
}

fn log(producer: &str, seen: Ranges) -> LogSummary {
    let in_log = InLog {
        seen,
        ..InLog::default()
    };
    LogSummary {
        schema: SCHEMA,
        taken: 0,
        partitions: vec![PartitionLog {
            topic: "t".into(),
            partition: 0,
            begin: 0,
            end: 100,
            read_to: 100,
            records: in_log.seen.count(),
            foreign: 0,
            offsets: Ranges::default(),
            producers: BTreeMap::from([(producer.to_owned(), in_log)]),
        }],
    }
}

fn one(ledgers: &Ledgers, log: &LogSummary) -> Compared {
    let mut all = compare(ledgers, log);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

fn sends() -> Sends {
    Sends {
        reserved: 20,
        acked: ranges(&[(0, 9)]),
        failed: ranges(&[(10, 11)]),
        unknown: ranges(&[(12, 13)]),
        ..Sends::default()
    }
}

#[test]
fn a_log_that_holds_what_was_acknowledged_is_clean() {
    let compared = one(&ledgers(sends()), &log("p-1", ranges(&[(0, 9), (12, 12)])));
    assert_eq!(compared.acked, 10);
    assert!(compared.lost.is_empty() && compared.unseen.is_empty());
    assert!(compared.aborted.is_empty() && compared.phantoms.is_empty());
    assert_eq!((compared.unknown, compared.unknown_written), (8, 1));
    assert_eq!(compared.idempotent, Some(true));
}

#[test]
fn acknowledged_and_absent_is_lost() {
    let compared = one(&ledgers(sends()), &log("p-1", ranges(&[(0, 3), (6, 8)])));
    assert_eq!(compared.lost, ranges(&[(4, 5), (9, 9)]));
}

#[test]
fn a_log_without_any_message_of_the_producer_has_lost_them_all() {
    let mut empty = log("p-1", Ranges::default());
    empty.partitions[0].producers.clear();
    assert_eq!(one(&ledgers(sends()), &empty).lost, ranges(&[(0, 9)]));
}

#[test]
fn what_was_acknowledged_after_the_cut_is_not_judged() {
    let mut later = sends();
    later.acked = ranges(&[(0, 5)]);
    later.acked_later = ranges(&[(6, 9)]);
    let compared = one(&ledgers(later), &log("p-1", ranges(&[(0, 5)])));
    assert!(compared.lost.is_empty());
    assert_eq!(compared.unknown, 8, "and it is not unknown either");
}

#[test]
fn absent_from_a_log_that_was_not_read_to_its_end_is_unseen() {
    let mut short = log("p-1", ranges(&[(0, 3)]));
    short.partitions[0].read_to = 50;
    let compared = one(&ledgers(sends()), &short);
    assert!(compared.lost.is_empty());
    assert_eq!(compared.unseen, ranges(&[(4, 9)]));
    let nowhere = LogSummary {
        partitions: Vec::new(),
        ..short
    };
    assert_eq!(one(&ledgers(sends()), &nowhere).unseen, ranges(&[(0, 9)]));
}

#[test]
fn what_retention_deleted_is_not_lost_but_what_lies_behind_it_is() {
    let mut trimmed = log("p-1", ranges(&[(4, 7)]));
    trimmed.partitions[0].begin = 40;
    let compared = one(&ledgers(sends()), &trimmed);
    assert_eq!(compared.unseen, ranges(&[(0, 3)]));
    assert_eq!(compared.lost, ranges(&[(8, 9)]));
}

#[test]
fn failed_and_present_is_an_aborted_read() {
    let compared = one(&ledgers(sends()), &log("p-1", ranges(&[(0, 10)])));
    assert_eq!(compared.aborted, ranges(&[(10, 10)]));
}

#[test]
fn reserved_and_never_settled_is_no_phantom_but_beyond_the_reservation_is() {
    let compared = one(&ledgers(sends()), &log("p-1", ranges(&[(0, 9), (14, 20)])));
    assert_eq!(compared.unknown_written, 6);
    assert_eq!(compared.phantoms, ranges(&[(20, 20)]));
}

#[test]
fn duplicates_and_reorders_are_told_by_producer() {
    let mut dirty = log("p-1", ranges(&[(0, 9)]));
    let in_log = dirty.partitions[0].producers.get_mut("p-1").unwrap();
    (in_log.duplicates, in_log.reorders) = (3, 2);
    let compared = one(&ledgers(sends()), &dirty);
    assert_eq!((compared.duplicates, compared.reorders, compared.gave_up), (3, 2, 4));
}

#[test]
fn a_producer_without_a_ledger_is_told_apart() {
    let mut all = compare(&ledgers(sends()), &log("someone", ranges(&[(0, 4)])));
    let stranger = all.pop().unwrap();
    assert_eq!((stranger.producer.as_str(), stranger.idempotent), ("someone", None));
    assert!(stranger.phantoms.is_empty());
}

#[test]
fn records_in_a_partition_that_was_never_written_are_phantoms() {
    let mut elsewhere = log("p-1", ranges(&[(0, 4)]));
    elsewhere.partitions[0].partition = 1;
    let all = compare(&ledgers(sends()), &elsewhere);
    assert_eq!(all[1].phantoms, ranges(&[(0, 4)]));
    assert_eq!(all[0].unseen, ranges(&[(0, 9)]));
}
