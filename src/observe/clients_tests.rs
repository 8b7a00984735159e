use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::broadcast::Receiver;
use tokio::time::{sleep, timeout};

use crate::compose::model::ComposeFile;
use crate::compose::render::render;
use crate::engine::fake::FakeEngine;
use crate::engine::{Engine as _, LogLine};
use crate::observe::{self, Observer};
use crate::settings::Settings;
use crate::timeline::event::{Event, Kind};
use crate::timeline::record::Timeline;
use crate::topology::Topology;

const PROJECT: &str = "khd";
const PRODUCER: &str = "khd-producer-1";
const CONSUMER: &str = "khd-consumer-1";

/// A lab whose clients print what a test says.
struct Lab {
    engine: Arc<FakeEngine>,
    file: ComposeFile,
    live: Receiver<Event>,
    _observer: Observer,
}

impl Lab {
    async fn observed() -> Self {
        let settings = Settings::default();
        let file = render(&settings, &Topology::of(&settings));
        let engine = Arc::new(FakeEngine::with_images(&file));
        for (key, network) in &file.networks {
            engine.create_network(PROJECT, key, network).await.unwrap();
        }
        for service in ["producer", "consumer", "kafka1"] {
            engine.create_container(&file, service, 1).await.unwrap();
        }
        for container in [PRODUCER, CONSUMER, "khd-kafka1-1"] {
            engine.start(container).await.unwrap();
        }
        let long_ago = LogLine {
            at: Some(Timestamp::now() - Duration::from_secs(60)),
            text: error("long ago"),
        };
        engine.set_logs(PRODUCER, vec![long_ago]);
        let timeline = Timeline::unrecorded();
        let live = timeline.live();
        Self {
            _observer: observe::details(engine.clone(), PROJECT, &timeline),
            engine,
            file,
            live,
        }
    }

    /// The next client's event: who tells it, and what.
    async fn next(&mut self) -> (String, String) {
        let next = async {
            loop {
                let event = self.live.recv().await.unwrap();
                match event.kind {
                    Kind::Resources { .. } => {}
                    Kind::ClientError { message, .. } => return (event.source, message),
                    other => return (event.source, format!("{other:?}")),
                }
            }
        };
        timeout(Duration::from_secs(30), next).await.unwrap()
    }

    async fn assert_next(&mut self, source: &str, message: &str) {
        assert_eq!(self.next().await, (source.to_owned(), message.to_owned()));
    }

    /// Whether nothing is told for a while.
    async fn assert_silent(&mut self) {
        sleep(Duration::from_secs(5)).await;
        while let Ok(event) = self.live.try_recv() {
            assert!(matches!(event.kind, Kind::Resources { .. }), "{event:?}");
        }
    }
}

fn error(message: &str) -> String {
    serde_json::json!({"level": "WARN", "event": "client-error", "suppressed": 0, "message": message}).to_string()
}

#[tokio::test(start_paused = true)]
async fn what_clients_log_from_now_on_is_told_with_the_client_as_source() {
    let mut lab = Lab::observed().await;
    lab.engine.print("khd-kafka1-1", &error("brokers are no clients"));
    for line in ["plain text", "{\"event\": \"client-error\"", "{\"event\": 4}", ""] {
        lab.engine.print(PRODUCER, line);
    }
    lab.engine.print(PRODUCER, &error("first"));
    lab.assert_next("producer-1", "first").await;
    sleep(Duration::from_secs(3)).await;
    lab.engine.print(CONSUMER, &error("second"));
    lab.assert_next("consumer-1", "second").await;
    lab.assert_silent().await;
}

#[tokio::test(start_paused = true)]
async fn an_output_that_is_cut_off_is_followed_again_without_a_line_lost_or_told_twice() {
    let mut lab = Lab::observed().await;
    lab.engine.print(PRODUCER, &error("before"));
    lab.assert_next("producer-1", "before").await;
    for _ in 0..10 {
        lab.engine.cut_logs(PRODUCER);
        lab.engine.print(PRODUCER, &error("between"));
        lab.assert_next("producer-1", "between").await;
    }
    lab.engine.print(PRODUCER, &error("after"));
    lab.assert_next("producer-1", "after").await;
    lab.assert_silent().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_started_again_and_one_that_is_new_are_followed() {
    let mut lab = Lab::observed().await;
    lab.engine.print(CONSUMER, &error("last words"));
    lab.engine.kill(CONSUMER).await.unwrap();
    lab.assert_next("consumer-1", "last words").await;
    sleep(Duration::from_secs(3)).await;
    lab.engine.start(CONSUMER).await.unwrap();
    lab.engine.print(CONSUMER, &error("again"));
    lab.assert_next("consumer-1", "again").await;

    lab.engine.create_container(&lab.file, "consumer", 2).await.unwrap();
    lab.engine.start("khd-consumer-2").await.unwrap();
    lab.engine.print("khd-consumer-2", &error("new"));
    lab.assert_next("consumer-2", "new").await;

    // Another container under the same name.
    lab.engine.remove_container("khd-consumer-2").await.unwrap();
    sleep(Duration::from_secs(3)).await;
    lab.engine.create_container(&lab.file, "consumer", 2).await.unwrap();
    lab.engine.start("khd-consumer-2").await.unwrap();
    lab.engine.print("khd-consumer-2", &error("newer"));
    lab.assert_next("consumer-2", "newer").await;
    lab.assert_silent().await;
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_dies_is_not_complained_of_and_what_was_logged_meanwhile_is_told_when_it_is_back() {
    let mut lab = Lab::observed().await;
    lab.engine.print(PRODUCER, &error("before"));
    lab.assert_next("producer-1", "before").await;
    lab.engine.die();
    sleep(Duration::from_secs(1)).await;
    lab.engine.print(PRODUCER, &error("meanwhile"));
    lab.assert_silent().await;
    lab.engine.come_back();
    lab.assert_next("producer-1", "meanwhile").await;
    lab.assert_silent().await;
}

#[tokio::test(start_paused = true)]
async fn an_output_that_cannot_be_read_is_complained_of_once() {
    let mut lab = Lab::observed().await;
    for _ in 0..8 {
        lab.engine.fail(
            &format!("logs {PRODUCER}"),
            "the logging driver does not support reading",
        );
    }
    lab.engine.print(PRODUCER, &error("hidden"));
    let (source, complaint) = lab.next().await;
    assert_eq!(source, "producer-1");
    assert!(
        complaint.contains("what producer-1 goes through is not seen"),
        "{complaint}"
    );
    assert!(complaint.contains("logging driver"), "{complaint}");
    // And when it can be read, nothing was lost.
    lab.assert_next("producer-1", "hidden").await;
    lab.assert_silent().await;
}

#[tokio::test(start_paused = true)]
async fn what_running_containers_use_is_told_every_two_seconds_until_the_engine_dies() {
    let mut lab = Lab::observed().await;
    lab.engine.kill("khd-kafka1-1").await.unwrap();
    sleep(Duration::from_secs(11)).await;
    lab.engine.die();
    sleep(Duration::from_secs(11)).await;
    let mut told = Vec::new();
    while let Ok(event) = lab.live.try_recv() {
        assert_eq!(event.source, "engine");
        let Kind::Resources { service, memory, .. } = event.kind else {
            panic!("{:?}", event.kind);
        };
        told.push((service, memory));
    }
    let of = |wanted: &str| told.iter().filter(|(service, _)| service == wanted).count();
    assert_eq!((of("producer"), of("consumer"), of("kafka1")), (5, 5, 0), "{told:?}");
    assert!(told.iter().all(|(_, memory)| *memory == 64 << 20));
    lab.engine.come_back();
    sleep(Duration::from_secs(5)).await;
    assert!(lab.live.try_recv().is_ok());
}
