use proptest::prelude::*;
use smallvec::smallvec;

use super::*;
use crate::workload::ledger::{Committed, ConsumerHeader, ProducerHeader, Rebalanced, Reserved};
use crate::workload::placements::Placed;
use crate::workload::ranges::Ranges;
use crate::workload::spans::Window;

const ALL: i64 = i64::MAX;

fn producer(id: &str) -> Line {
    Line::Producer(ProducerHeader {
        schema: SCHEMA,
        producer: id.into(),
        host: "host".into(),
        started: 0,
        acks: "all".into(),
        idempotent: true,
        topics: vec!["t".into()],
    })
}

fn consumer() -> Line {
    Line::Consumer(ConsumerHeader {
        schema: SCHEMA,
        consumer: "c-1".into(),
        host: "host".into(),
        started: 0,
        group: "test".into(),
        instance: None,
        group_protocol: Default::default(),
        assignment: "cooperative-sticky".into(),
        topics: vec!["t".into()],
    })
}

fn reserve(at: i64, until: u64) -> Line {
    Line::Reserve {
        at,
        partitions: vec![Reserved {
            topic: "t".into(),
            partition: 0,
            until,
        }],
    }
}

fn acked(at: i64, sequence: u64, count: u64, offset: i64) -> Line {
    Line::Settled {
        at,
        horizon: at - 10,
        partitions: vec![Settled {
            topic: "t".into(),
            partition: 0,
            acked: smallvec![(sequence, count, offset).into()],
            earliest: Some(at - 30),
            spans: smallvec![(at - 20, at - 5, count).into()],
            ..Settled::default()
        }],
    }
}

fn rebalanced(at: i64, generation: i32) -> Rebalanced {
    Rebalanced {
        at,
        partitions: vec![("t".into(), 0)],
        generation: Some(generation),
        member: Some("m".into()),
        lost: false,
    }
}

fn delivered(at: i64, runs: &[(i64, i64)]) -> Line {
    Line::Delivered {
        at,
        partitions: vec![Delivered {
            topic: "t".into(),
            partition: 0,
            runs: runs.into(),
            spans: smallvec![(at, at, 1).into()],
        }],
    }
}

fn bytes(lines: &[Line]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in lines {
        bytes.extend(serde_json::to_vec(line).unwrap());
        bytes.push(b'\n');
    }
    bytes
}

fn read(files: &[Vec<u8>], until: i64) -> anyhow::Result<Ledgers> {
    let named = files.iter().enumerate();
    Ledgers::read(
        named.map(|(number, file)| (format!("file {number}"), file.as_slice())),
        Scope { until, ..Scope::ALL },
    )
}

#[test]
fn a_killed_producer_leaves_unknowns_and_no_phantoms() {
    let lines = [producer("p-1"), reserve(100, 16), acked(350, 0, 10, 500)];
    let ledgers = read(&[bytes(&lines)], ALL).unwrap();
    let history = &ledgers.producers[0];
    let sends = &history.partitions[&("t".to_owned(), 0)];
    assert_eq!((sends.acked.count(), sends.unsettled().count()), (10, 6));
    assert_eq!(sends.placed.offset_of(9), Some(509));
    assert_eq!((history.horizon, history.last, history.closed), (340, 350, false));
    assert_eq!(ledgers.behind(341).count(), 1);
    assert_eq!(ledgers.behind(340).count(), 0);
    assert_eq!(ledgers.acks().values().next().unwrap().count(), 10);
}

#[test]
fn acknowledgements_after_the_cut_stand_apart() {
    let lines = [
        producer("p-1"),
        reserve(100, 16),
        acked(350, 0, 4, 500),
        acked(600, 4, 4, 504),
    ];
    let ledgers = read(&[bytes(&lines)], 599).unwrap();
    let sends = &ledgers.producers[0].partitions[&("t".to_owned(), 0)];
    assert_eq!((sends.acked.count(), sends.acked_later.count()), (4, 4));
    assert_eq!((sends.placed.offset_of(3), sends.unsettled().count()), (Some(503), 8));
}

#[test]
fn a_ledger_cut_off_at_any_byte_is_read_up_to_its_last_whole_line() {
    let lines = [
        producer("p-1"),
        reserve(100, 16),
        acked(350, 0, 4, 500),
        Line::Closed { at: 400 },
    ];
    let whole = bytes(&lines);
    for end in 0..=whole.len() {
        let ledgers = read(&[whole[..end].to_vec()], ALL).unwrap();
        let whole_lines = whole[..end].iter().filter(|byte| **byte == b'\n').count();
        let history = ledgers.producers.first();
        assert_eq!(history.is_some(), whole_lines >= 1, "cut at byte {end}");
        let sends = history.and_then(|history| history.partitions.values().next());
        let reserved = [0, 0, 16, 16, 4][whole_lines];
        assert_eq!(sends.map_or(0, |sends| sends.reserved), reserved, "cut at byte {end}");
        assert_eq!(
            sends.map_or(0, |sends| sends.acked.count()),
            if whole_lines >= 3 { 4 } else { 0 }
        );
        assert_eq!(history.is_some_and(|history| history.closed), whole_lines == 4);
    }
}

#[test]
fn what_is_no_ledger_is_named() {
    let mut broken = bytes(&[producer("p-1")]);
    broken.extend(b"garbage\n");
    let error = format!("{:#}", read(&[broken], ALL).unwrap_err());
    assert!(error.contains("file 0") && error.contains("line 2"), "{error}");

    let error = format!("{:#}", read(&[bytes(&[reserve(1, 1)])], ALL).unwrap_err());
    assert!(error.contains("header"), "{error}");

    let newer = String::from_utf8(bytes(&[producer("p-1")])).unwrap();
    let newer = newer.replace("\"schema\":2", "\"schema\":9").into_bytes();
    let error = format!("{:#}", read(&[newer], ALL).unwrap_err());
    assert!(error.contains("schema 9"), "{error}");

    let strange = bytes(&[producer("p-1"), delivered(1, &[(0, 0)])]);
    assert!(read(&[strange], ALL).is_err());
}

#[test]
fn jumps_within_an_assignment_are_told_and_redelivery_after_a_rebalance_is_not() {
    let lines = [
        consumer(),
        Line::Assigned(rebalanced(10, 1)),
        delivered(100, &[(0, 9), (12, 14)]),
        Line::Revoked(rebalanced(200, 1)),
        Line::Assigned(rebalanced(210, 2)),
        delivered(300, &[(10, 16)]),
        delivered(400, &[(17, 17)]),
        Line::Committed {
            at: 450,
            offsets: vec![Committed {
                topic: "t".into(),
                partition: 0,
                offset: 18,
            }],
        },
    ];
    let ledgers = read(&[bytes(&lines)], ALL).unwrap();
    let history = &ledgers.consumers[0];
    let deliveries = &history.partitions[&("t".to_owned(), 0)];
    assert_eq!(deliveries.jumps.len(), 1);
    assert_eq!((deliveries.jumps[0].from, deliveries.jumps[0].to), (9, 12));
    assert_eq!((deliveries.count(), deliveries.offsets().count()), (21, 18));
    assert_eq!(deliveries.committed, Some(18));
    let generations: Vec<Option<i32>> = history.rebalances.iter().map(|one| one.what.generation).collect();
    assert_eq!(generations, [Some(1), Some(1), Some(2)]);
    assert_eq!(history.assignment(), [("t".to_owned(), 0)]);
    assert!(!history.closed);
}

#[test]
fn a_member_that_keeps_a_partition_over_a_rebalance_may_be_given_the_last_of_it_again_and_skips_nothing() {
    let of_others = |at| {
        let partitions = vec![("t".to_owned(), 1)];
        Line::Assigned(Rebalanced {
            partitions,
            ..rebalanced(at, 2)
        })
    };
    let lines = [
        consumer(),
        Line::Assigned(rebalanced(10, 1)),
        delivered(100, &[(0, 9)]),
        of_others(110),
        delivered(200, &[(9, 11), (11, 12)]),
        of_others(210),
        delivered(300, &[(20, 20)]),
        Line::Committed {
            at: 310,
            offsets: vec![Committed {
                topic: "t".into(),
                partition: 0,
                offset: 21,
            }],
        },
        of_others(320),
        delivered(400, &[(20, 20)]),
    ];
    let ledgers = read(&[bytes(&lines)], ALL).unwrap();
    let jumps = &ledgers.consumers[0].partitions[&("t".to_owned(), 0)].jumps;
    let jumps: Vec<(i64, i64)> = jumps.iter().map(|jump| (jump.from, jump.to)).collect();
    assert_eq!(jumps, [(11, 11), (12, 20), (20, 20)]);
}

#[test]
fn the_gap_of_all_producers_together_is_shorter_than_that_of_each() {
    let first = [producer("p-1"), acked(1_000, 0, 1, 0), acked(9_000, 1, 1, 1)];
    let second = [producer("p-2"), acked(4_000, 0, 1, 2)];
    let ledgers = read(&[bytes(&first), bytes(&second)], ALL).unwrap();
    let window = Window { from: 980, to: 8_995 };
    let alone = &ledgers.producers[0].partitions[&("t".to_owned(), 0)].acks;
    assert_eq!(alone.longest_gap(window).unwrap().length(), 7_985);
    let together = &ledgers.acks()[&("t".to_owned(), 0)];
    assert_eq!(together.longest_gap(window).unwrap().length(), 4_985);
}

#[test]
fn times_before_those_of_interest_are_left_out_and_nothing_else_is() {
    let lines = [
        producer("p-1"),
        acked(1_000, 0, 4, 0),
        acked(9_000, 4, 2, 4),
        consumer(),
        Line::Assigned(rebalanced(10, 1)),
        delivered(1_000, &[(0, 3)]),
        delivered(9_000, &[(4, 5)]),
    ];
    let files = [bytes(&lines[..3]), bytes(&lines[3..])];
    let named = files.iter().map(|file| (String::new(), file.as_slice()));
    let scope = Scope {
        // Within the stretch of the second acknowledgement.
        since: 8_990,
        until: ALL,
    };
    let ledgers = Ledgers::read(named, scope).unwrap();
    let partition = ("t".to_owned(), 0);
    assert_eq!(ledgers.acks()[&partition].count(), 2);
    assert_eq!(ledgers.deliveries()[&partition].count(), 1);
    assert_eq!(ledgers.producers[0].partitions[&partition].acked.count(), 6);
    assert_eq!(ledgers.consumers[0].partitions[&partition].count(), 6);
    assert_eq!(ledgers.last_offsets()[&partition], 5);
}

#[test]
fn tides_of_a_long_time_are_joined_so_that_offsets_that_go_back_still_show() {
    // A day of an acknowledgement each second. In the evening the offsets begin anew.
    let seconds = 86_400;
    let evening = 80_000;
    let mut lines = vec![producer("p-1")];
    for second in 0..seconds {
        let offset = if second < evening { second } else { second - evening };
        lines.push(acked((second + 1) * 1_000, second as u64, 1, offset));
    }
    let ledgers = read(&[bytes(&lines)], ALL).unwrap();
    let tides = &ledgers.producers[0].partitions[&("t".to_owned(), 0)].tides;
    assert!(tides.len() < TIDES, "{}", tides.len());
    assert_eq!(ledgers.last_offsets().values().next(), Some(&(evening - 1)));
    let went_back = |tide: &&Tide| {
        tides
            .iter()
            .any(|before| before.at < tide.begun && before.high >= tide.low)
    };
    assert!(tides.iter().filter(went_back).all(|tide| tide.at >= evening * 1_000));
    assert!(tides.iter().filter(went_back).count() > 100);
    // The last of them are as they were told.
    let last = &tides[tides.len() - 1];
    assert_eq!(
        (last.low, last.high, last.lowest),
        (seconds - 1 - evening, seconds - 1 - evening, seconds as u64 - 1)
    );
}

proptest! {
    #[test]
    fn joined_tides_tell_of_nothing_that_single_ones_do_not(
        offsets in proptest::collection::vec(0..1_000i64, 2..40),
        ascending: bool,
        together in 1..5usize,
    ) {
        let mut offsets = offsets;
        if ascending {
            offsets.sort_unstable();
            offsets.dedup();
        }
        let tide = |(number, offset): (usize, &i64)| {
            let begun = number as i64 * 10;
            Tide { begun, at: begun + 9, low: *offset, high: *offset, lowest: number as u64 }
        };
        let single: Vec<Tide> = offsets.iter().enumerate().map(tide).collect();
        let join = |tides: &[Tide]| {
            let mut joined = tides[0];
            tides[1..].iter().for_each(|tide| joined.join(*tide));
            joined
        };
        let joined: Vec<Tide> = single.chunks(together).map(join).collect();
        let goes_back = |tides: &[Tide]| {
            tides.iter().any(|tide| tides.iter().any(|before| before.at < tide.begun && before.high >= tide.low))
        };
        prop_assert!(goes_back(&single) || !goes_back(&joined));
        if together == 1 {
            prop_assert_eq!(goes_back(&single), goes_back(&joined));
        }
    }

    #[test]
    fn every_line_is_read_as_it_was_written(
        at: i64,
        until: u64,
        runs in proptest::collection::vec((0..1_000u64, 1..9u64, -1..1_000i64), 0..4),
        failed in proptest::collection::btree_set(0..100u64, 0..9),
    ) {
        let mut set = Ranges::default();
        failed.iter().for_each(|number| set.insert(*number));
        let lines = [reserve(at, until), Line::Settled {
            at,
            horizon: at,
            partitions: vec![Settled {
                topic: "t".into(),
                partition: 3,
                acked: runs.into_iter().map(Placed::from).collect(),
                failed: set,
                ..Settled::default()
            }],
        }];
        for line in lines {
            let text = serde_json::to_string(&line).unwrap();
            prop_assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), line);
        }
    }
}

#[test]
fn lines_that_are_read_without_a_detour_are_read_as_any_other() {
    for line in [
        r#"{"line":"settled","at":9,"horizon":7,"partitions":[{"topic":"t","partition":1,"acked":[[0,2,5]],"spans":[[1,2,2]]}]}"#,
        r#"{"line":"settled","at":9,"horizon":7}"#,
        r#"{"line":"delivered","at":9,"partitions":[{"topic":"t","partition":1,"runs":[[5,6]],"spans":[]}]}"#,
        r#"{"line":"delivered","at":9}"#,
        r#"{"line":"committed","at":9,"offsets":[{"topic":"\u0074","partition":1,"offset":7}]}"#,
        r#"{"line":"latency","at":9,"partitions":[{"topic":"t","partition":1,"producer":"p","micros":[[10,1]]}]}"#,
        r#"{"line":"closed","at":9}"#,
    ] {
        let read = parse(line).unwrap();
        assert_eq!(read, serde_json::from_str(line).unwrap(), "{line}");
    }
    for line in [
        r#"{"line":"latency","at":9}"#,
        r#"{"line":"committed","at":9}"#,
        r#"{"line":"settled"}"#,
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
}

#[test]
fn a_ledger_from_before_the_new_group_protocol_is_one_of_the_classic() {
    let line = r#"{"line":"consumer","schema":2,"consumer":"c","host":"h","started":0,"group":"g","assignment":"range","topics":[]}"#;
    let Line::Consumer::<String>(header) = serde_json::from_str(line).unwrap() else {
        panic!("{line}");
    };
    assert_eq!(header.group_protocol, crate::settings::GroupProtocol::Classic);
}
