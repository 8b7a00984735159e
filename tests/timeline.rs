//! The reader of timelines against whatever may be in the file: it never panics, and takes memory for what is there.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic, as tests do")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use khd::settings::Flavor;
use khd::timeline::event::{Event, Kind, Member, SCHEMA, Success};
use khd::timeline::limits::{Bound, Limits};
use khd::timeline::record::read_from;
use khd::timeline::view::View;
use khd::topology::{Expectation, Workload};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// Counts what the thread that reads holds; the others' allocations are nobody's concern.
struct Counting;

thread_local! {
    static HELD: Cell<i64> = const { Cell::new(0) };
    static PEAK: Cell<i64> = const { Cell::new(0) };
}

fn count(bytes: i64) {
    // While a thread ends, its counters may be gone.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        PEAK.with(|peak| peak.set(peak.get().max(held.get())));
    });
}

// SAFETY: everything is passed on to the system's allocator, whose promises are kept.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as i64));
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most bytes that `work` holds at a time beyond what was held before.
fn peak_of<T>(work: impl FnOnce() -> T) -> (T, i64) {
    let before = HELD.get();
    PEAK.set(before);
    let result = work();
    (result, PEAK.get() - before)
}

/// Reads bytes as a timeline, folds the view over it, and holds the reader to its bounds.
fn read(bytes: &[u8]) -> anyhow::Result<Vec<Event>> {
    let (result, peak) = peak_of(|| read_from(bytes, "timeline.jsonl"));
    // An event takes a few hundred bytes, and JSON's shortest value, two bytes, takes 32 until its type is known.
    let bound = 100 * bytes.len() as i64 + (1 << 16);
    assert!(peak <= bound, "{peak} bytes for {} bytes", bytes.len());
    let mut view = View::default();
    result.iter().flatten().for_each(|event| view.apply(event));
    result
}

fn started() -> Kind {
    Kind::RunStarted {
        schema: SCHEMA,
        khd: "test".into(),
        command: "khd fail kafka2".into(),
        expectation: Box::new(Expectation {
            brokers: [("kafka1".into(), 1), ("kafka2".into(), 2)].into(),
            flavor: Flavor::ZooKeeper,
            zookeepers: vec!["zookeeper1".into()],
            controllers: std::collections::BTreeMap::new(),
            workload: Workload {
                topics: vec!["test-1".into()],
                partitions: 3,
                replication_factor: 2,
                min_insync_replicas: 1,
                group: "test".into(),
                group_protocol: Default::default(),
                producers: 1,
                consumers: 1,
                copiers: 0,
            },
            session_timeout_ms: 18_000,
        }),
        limits: Limits::from([("gap".to_owned(), Bound::at_most(28_000.0))]),
        skip: std::collections::BTreeMap::from([("gap".to_owned(), "for a reason".to_owned())]),
    }
}

/// Events as they may follow in a run.
fn kinds() -> impl Strategy<Value = Kind> {
    let text = "[a-zä\"\\\\\n0-9-]{0,12}";
    let number = any::<i32>;
    prop_oneof![
        Just(Kind::BrokerAnswers),
        Just(Kind::Cut),
        text.prop_map(|error| Kind::BrokerSilent { error }),
        text.prop_map(|target| Kind::FaultInjected {
            id: 1,
            fault: "stop".into(),
            targets: vec![target.clone()],
            out: [target].into(),
            adds: false,
            options: serde_json::Map::from_iter([("grace".to_owned(), "5s".into())]),
            asked: Vec::new(),
        }),
        (number(), vec(number(), 0..4)).prop_map(|(controller, brokers)| Kind::Cluster {
            controller,
            brokers: brokers.into_iter().collect()
        }),
        (text, number(), vec(number(), 0..4)).prop_map(|(topic, partition, replicas)| Kind::Partition {
            topic,
            partition,
            leader: 1,
            leader_epoch: 2,
            isr: replicas.iter().copied().collect(),
            replicas
        }),
        (text, text).prop_map(|(state, id)| Kind::Group {
            group: "test".into(),
            state,
            members: vec![Member {
                client: id.clone(),
                host: id.clone(),
                assigned: [(id.clone(), [1, 2].into())].into(),
                id
            }]
        }),
        (any::<Option<i32>>(), vec((text, number()), 0..4)).prop_map(|(generation, partitions)| {
            Kind::PartitionsAssigned {
                group: "test".into(),
                member: None,
                generation,
                partitions,
            }
        }),
        (text, number(), any::<(i64, i64)>()).prop_map(|(topic, partition, (from, to))| Kind::GapClosed {
            of: Success::Delivery,
            topic,
            partition,
            from,
            to
        }),
        (text, any::<u64>()).prop_map(|(message, suppressed)| Kind::ClientError { message, suppressed }),
        (text, any::<u64>(), 0..64_000_u32).prop_map(|(service, bytes, millicores)| Kind::Resources {
            service,
            number: 1,
            cpu: f64::from(millicores) / 1_000.0,
            memory: bytes,
            received: bytes,
            sent: bytes,
            read: bytes,
            written: bytes
        }),
    ]
}

fn timelines() -> impl Strategy<Value = Vec<Event>> {
    let event = (kinds(), prop_oneof!["kafka1", "kafka2", "engine", "consumer-1"]);
    vec(event, 0..30).prop_map(|rest| {
        let first = (started(), "khd".to_owned());
        let events = std::iter::once(first).chain(rest).enumerate();
        let event = |(number, (kind, source)): (usize, (Kind, String))| Event {
            wall: jiff::Timestamp::from_second(1_767_225_600 + number as i64).unwrap(),
            elapsed_ms: number as u64 * 1_000,
            source,
            kind,
        };
        events.map(event).collect()
    })
}

fn written(events: &[Event]) -> Vec<u8> {
    let line = |event: &Event| serde_json::to_string(event).unwrap() + "\n";
    events.iter().map(line).collect::<String>().into_bytes()
}

/// Damage to a file.
#[derive(Debug, Clone)]
enum Damage {
    Flip(Index, u8),
    Cut(Index),
    /// What lies between two places is there twice.
    Double(Index, Index),
    Remove(Index, Index),
    Insert(Index, Vec<u8>),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<Index>;
    prop_oneof![
        (at(), 1..=255_u8).prop_map(|(at, bits)| Damage::Flip(at, bits)),
        at().prop_map(Damage::Cut),
        (at(), at()).prop_map(|(from, to)| Damage::Double(from, to)),
        (at(), at()).prop_map(|(from, to)| Damage::Remove(from, to)),
        (at(), vec(any::<u8>(), 0..40)).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
    ]
}

impl Damage {
    fn does(self, bytes: &mut Vec<u8>) {
        let place = |index: Index| index.index(bytes.len() + 1);
        let between = |a: Index, b: Index| place(a).min(place(b))..place(a).max(place(b));
        match self {
            Self::Flip(at, bits) => {
                let at = place(at);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= bits;
                }
            }
            Self::Cut(at) => bytes.truncate(place(at)),
            Self::Double(from, to) => {
                let range = between(from, to);
                let copy = bytes[range.clone()].to_vec();
                bytes.splice(range.end..range.end, copy);
            }
            Self::Remove(from, to) => {
                let range = between(from, to);
                bytes.drain(range);
            }
            Self::Insert(at, new) => {
                let at = place(at);
                bytes.splice(at..at, new);
            }
        }
    }
}

proptest! {
    #[test]
    fn what_was_written_is_read(events in timelines()) {
        prop_assert_eq!(read(&written(&events)).unwrap(), events);
    }

    #[test]
    fn a_timeline_that_was_cut_off_is_read_up_to_there(events in timelines(), at in any::<Index>()) {
        let bytes = written(&events);
        let head = written(&events[..1]).len();
        let end = head + at.index(bytes.len() - head + 1);
        let whole = bytes[..end].iter().filter(|byte| **byte == b'\n').count();
        let read = read(&bytes[..end]).unwrap();
        // A line that lacks only its line feed is whole.
        prop_assert!(read.len() == whole || read.len() == whole + 1);
        prop_assert_eq!(&read[..], &events[..read.len()]);
    }

    #[test]
    fn a_damaged_timeline_is_read_or_refused(events in timelines(), damages in vec(damage(), 1..5)) {
        let mut bytes = written(&events);
        for damage in damages {
            damage.does(&mut bytes);
        }
        let _ = read(&bytes);
    }

    #[test]
    fn bytes_of_any_kind_are_refused(bytes in vec(any::<u8>(), 0..2_000)) {
        read(&bytes).unwrap_err();
    }

    #[test]
    fn json_of_any_kind_is_read_or_refused(
        lines in vec("(\\{\"(event|wall|x)\":|\\[|\\{|\\}|\\]|,|1|\"x\"|\"event\":\"group\"|-1e9|null|\n){0,60}", 0..8),
    ) {
        let mut bytes = written(&[Event {
            wall: jiff::Timestamp::UNIX_EPOCH,
            elapsed_ms: 0,
            source: "khd".into(),
            kind: started(),
        }]);
        bytes.extend(lines.join("\n").into_bytes());
        let _ = read(&bytes);
    }
}

#[test]
fn values_that_are_larger_in_memory_than_in_the_file_are_bounded_by_the_file_too() {
    for part in ["1,", "[],", "{},", "\"\",", "[[1],[1]],"] {
        let line = format!("{{\"x\":[{}1]}}\n", part.repeat(200_000 / part.len()));
        read(line.as_bytes()).unwrap_err();
    }
    for open in ["[", "{\"x\":"] {
        read(format!("{{\"x\":{}\n", open.repeat(100_000)).as_bytes()).unwrap_err();
    }
}

#[test]
fn a_line_of_absurd_length_is_refused_before_it_is_all_in_memory() {
    let name = "timeline.jsonl";
    let endless = std::io::BufReader::new(std::io::repeat(b'x'));
    let (result, peak) = peak_of(|| read_from(endless, name));
    let error = format!("{:#}", result.unwrap_err());
    assert!(
        error.contains("timeline.jsonl: line 1 is longer than 4194304 bytes"),
        "{error}"
    );
    assert!(peak < 20 << 20, "{peak} bytes");
}
