//! Producers and consumers of a mock cluster, whose ledgers go into the lab's volume.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use khd::compose::render::LEDGERS;
use khd::engine::fake::FakeEngine;
use khd::workload::ledger::history::{Ledgers, overall};
use khd::workload::ledger::{Line, ProducerHeader, Reserved, SCHEMA, Scope, Settled};
use khd::workload::message::now_ms;
use khd::workload::{consume, produce};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use smallvec::smallvec;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::lab::{PARTITIONS, PROJECT, TOPICS};

/// How long the clients may take to begin, and to end.
const PATIENCE: Duration = Duration::from_secs(30);
/// Time between two copies of the ledgers into the volume.
const COPY: Duration = Duration::from_millis(100);

pub type Mock = MockCluster<'static, DefaultProducerContext>;

/// A cluster with the lab's topics.
pub fn mock() -> Mock {
    let mock = MockCluster::new(3).unwrap();
    for topic in TOPICS {
        mock.create_topic(topic, PARTITIONS, 3).unwrap();
    }
    mock
}

/// What is done to a ledger on its way into the volume.
pub type Tamper = fn(&str, Vec<u8>) -> Vec<u8>;

/// A ledger goes as it is.
pub fn honest(_: &str, ledger: Vec<u8>) -> Vec<u8> {
    ledger
}

/// A producer's ledger tells three acknowledgements that no broker gave.
pub fn boasting(name: &str, ledger: Vec<u8>) -> Vec<u8> {
    let Some(end) = ledger.iter().position(|byte| *byte == b'\n') else {
        return ledger;
    };
    if !name.starts_with("producer-") {
        return ledger;
    }
    let Line::<String>::Producer(header) = serde_json::from_slice(&ledger[..end]).unwrap() else {
        panic!("{name} does not begin with a producer's header");
    };
    let (topic, partition, at) = (TOPICS[0].to_owned(), 0, header.started);
    let claimed = Settled {
        topic: topic.clone(),
        partition,
        acked: smallvec![(1_000_000, 3, -1).into()],
        ..Settled::default()
    };
    let until = 1_000_003;
    let lines = [
        Line::Producer(header),
        Line::Reserve {
            at,
            partitions: vec![Reserved {
                topic,
                partition,
                until,
            }],
        },
        Line::Settled {
            at,
            horizon: at,
            partitions: vec![claimed],
        },
    ];
    [text(&lines), ledger[end + 1..].to_vec()].concat()
}

/// The ledger of a producer that is alive and has a send in flight, for a while to come.
pub fn in_flight() -> Vec<u8> {
    let started = now_ms() - 60_000;
    let header = ProducerHeader {
        schema: SCHEMA,
        producer: "busy".into(),
        host: "busy".into(),
        started,
        acks: "all".into(),
        idempotent: true,
        topics: TOPICS.map(str::to_owned).to_vec(),
    };
    let beat = Line::Settled {
        at: now_ms(),
        horizon: started,
        partitions: Vec::new(),
    };
    text(&[Line::Producer(header), beat])
}

fn text(lines: &[Line]) -> Vec<u8> {
    let line = |line: &Line| serde_json::to_string(line).unwrap() + "\n";
    lines.iter().map(line).collect::<String>().into_bytes()
}

/// Produces a few hundred messages and leaves the ledger of it in the volume.
pub async fn produced(mock: &Mock, engine: &FakeEngine, tamper: Tamper) {
    let folder = tempfile::tempdir().unwrap();
    let options = produce::Options {
        count: Some(300),
        interval: Duration::ZERO,
        ..producing(mock, folder.path())
    };
    let produced = timeout(PATIENCE, produce::run(options, CancellationToken::new()));
    assert_eq!(produced.await.unwrap().unwrap().acknowledged, 300);
    copy(folder.path(), engine, tamper);
}

/// A producer and a consumer that go on until they are ended.
pub struct Workload {
    cancel: CancellationToken,
    // A test that fails must not leave the runtime waiting for its clients.
    _ended: DropGuard,
    _folder: TempDir,
    clients: JoinSet<()>,
    copying: JoinSet<()>,
}

impl Workload {
    /// Starts both, and returns once messages are acknowledged and delivered.
    pub async fn start(mock: &Mock, engine: &Arc<FakeEngine>, tamper: Tamper) -> Self {
        let (folder, cancel) = (tempfile::tempdir().unwrap(), CancellationToken::new());
        let mut clients = JoinSet::new();
        let producer = produce::run(producing(mock, folder.path()), cancel.clone());
        let consumer = consume::Options {
            ledger: Some(folder.path().to_owned()),
            ..consume::Options::new(mock.bootstrap_servers(), topics())
        };
        let consumer = consume::run(consumer, cancel.clone());
        clients.spawn(async move { assert!(producer.await.unwrap().acknowledged > 0) });
        clients.spawn(async move { assert!(consumer.await.unwrap().delivered > 0) });

        let deadline = Instant::now() + PATIENCE;
        while !runs(folder.path()) {
            assert!(Instant::now() < deadline, "nothing was delivered in time");
            sleep(COPY).await;
        }
        let mut copying = JoinSet::new();
        let (path, engine) = (folder.path().to_owned(), engine.clone());
        copying.spawn(async move {
            loop {
                copy(&path, &engine, tamper);
                sleep(COPY).await;
            }
        });
        Self {
            _ended: cancel.clone().drop_guard(),
            _folder: folder,
            cancel,
            clients,
            copying,
        }
    }

    /// Ends both; neither must have failed.
    pub async fn end(mut self) {
        self.cancel.cancel();
        while let Some(ended) = timeout(PATIENCE, self.clients.join_next()).await.unwrap() {
            ended.unwrap();
        }
        self.copying.shutdown().await;
    }
}

fn topics() -> Vec<String> {
    TOPICS.map(str::to_owned).to_vec()
}

fn producing(mock: &Mock, ledger: &Path) -> produce::Options {
    produce::Options {
        partitions: PARTITIONS,
        create: None,
        ledger: Some(ledger.to_owned()),
        ..produce::Options::new(mock.bootstrap_servers(), topics())
    }
}

/// Whether messages of every partition were acknowledged and delivered.
fn runs(folder: &Path) -> bool {
    let files = files(folder)
        .into_iter()
        .map(|(name, content)| (name, std::io::Cursor::new(content)));
    let ledgers = Ledgers::read(files, Scope::ALL).unwrap();
    let (acks, deliveries) = (ledgers.acks(), ledgers.deliveries());
    let partitions = TOPICS.len() * PARTITIONS as usize;
    acks.len() == partitions && deliveries.len() == partitions && overall(&deliveries).count() > 50
}

fn copy(folder: &Path, engine: &FakeEngine, tamper: Tamper) {
    for (name, content) in files(folder) {
        let content = tamper(&name, content);
        engine.put_file(PROJECT, LEDGERS, &name, content);
    }
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let file = |path: std::path::PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, std::fs::read(path).unwrap())
    };
    paths.map(file).collect()
}
