//! Micro-benchmarks of what khd does over and over: `cargo bench --bench micro`. Neither Docker nor Kafka is needed.
//!
//! How fast whole runs are judged, and against what people use, is measured by `scripts/bench.sh`.

// Logs and ledgers of any length, made up; the audit's benchmark uses all of it.
#[expect(dead_code, reason = "some of it is for the audit's benchmark alone")]
#[path = "audit/synthetic.rs"]
mod synthetic;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read as _;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use khd::compose::render::render;
use khd::history;
use khd::settings::Settings;
use khd::timeline::event::{Kind, SCHEMA};
use khd::timeline::record::{self, Timeline};
use khd::topology::Topology;
use khd::workload::ledger::Scope;
use khd::workload::ledger::history::Ledgers;

use crate::synthetic::{Plan, Shape};

/// How many messages the made-up ledgers and histories tell of.
const MESSAGES: u64 = 20_000;
/// How many events the made-up timeline holds.
const EVENTS: u64 = 20_000;

/// Reading ledgers: flat out, and at the lab's own pace, which takes a line for nearly every message.
fn ledger(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ledger");
    for shape in [Shape::Batches, Shape::Slow] {
        let plan = Plan::new(shape, MESSAGES, false);
        let files: Vec<(String, Vec<u8>)> = synthetic::ledgers(&plan)
            .into_iter()
            .map(|(name, mut ledger)| {
                let mut bytes = Vec::new();
                ledger.read_to_end(&mut bytes).expect("made up in memory");
                (name, bytes)
            })
            .collect();
        group.throughput(Throughput::Elements(plan.messages));
        group.bench_function(shape.word(), |bencher| {
            bencher.iter(|| {
                let files = files.iter().map(|(name, bytes)| (name.clone(), bytes.as_slice()));
                Ledgers::read(files, Scope::ALL).expect("it is a ledger")
            });
        });
    }
    group.finish();
}

/// A history in which everything was sent, polled and finally read, in its place.
fn history_of(messages: u64) -> String {
    let mut text = String::new();
    for at in 0..messages {
        let (partition, offset, time) = (at % 6, at / 6, at as f64 / 1000.0);
        let _ = writeln!(
            text,
            r#"{{"op":"send","process":"p1","topic":"t","partition":{partition},"value":"{at}","result":"ok","offset":{offset},"start":{time},"end":{time}}}"#
        );
        let _ = writeln!(
            text,
            r#"{{"op":"poll","process":"c1","start":{time},"end":{time},"records":[{{"topic":"t","partition":{partition},"offset":{offset},"value":"{at}"}}]}}"#
        );
    }
    text
}

/// Reading what any tool recorded, and what the checks take beyond that.
fn histories(criterion: &mut Criterion) {
    let text = history_of(MESSAGES);
    let mut group = criterion.benchmark_group("history");
    group.throughput(Throughput::Elements(MESSAGES));
    group.bench_function("read", |bencher| {
        bencher.iter(|| history::read(text.as_bytes()).expect("it is a history"));
    });
    let messages = history::read(text.as_bytes()).expect("it is a history");
    group.bench_function("check", |bencher| bencher.iter(|| history::judge(&messages)));
    group.finish();
}

/// Reading a timeline.
fn timeline(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("there is a folder for temporary files");
    let path = folder.path().join("timeline.jsonl");
    let timeline = Timeline::create(&path).expect("the folder can be written");
    timeline.emit(
        "khd",
        Kind::RunStarted {
            schema: SCHEMA,
            khd: "0".into(),
            command: "khd verify".into(),
            expectation: Topology::of(&Settings::default())
                .expectation(Duration::from_secs(18))
                .into(),
            limits: BTreeMap::new(),
            skip: BTreeMap::new(),
        },
    );
    for at in 0..EVENTS {
        timeline.emit("kafka1", isr_change(at));
    }
    let bytes = std::fs::read(&path).expect("it was just written");
    let mut group = criterion.benchmark_group("timeline");
    group.throughput(Throughput::Elements(EVENTS));
    group.bench_function("read", |bencher| {
        bencher.iter(|| record::read_from(bytes.as_slice(), "timeline").expect("it is a timeline"));
    });
    group.finish();
}

fn isr_change(at: u64) -> Kind {
    Kind::Partition {
        topic: "test-1".into(),
        partition: (at % 30) as i32,
        leader: 1,
        leader_epoch: (at / 30) as i32,
        replicas: vec![1, 2, 3],
        isr: if at.is_multiple_of(2) {
            [1, 2, 3].into()
        } else {
            [1, 3].into()
        },
    }
}

/// From settings to a Compose file.
fn compose(criterion: &mut Criterion) {
    let settings = Settings::default();
    criterion.bench_function("render", |bencher| {
        bencher.iter(|| {
            render(&settings, &Topology::of(&settings))
                .to_yaml()
                .expect("it is YAML")
        });
    });
}

criterion_group!(benches, ledger, histories, timeline, compose);
criterion_main!(benches);
