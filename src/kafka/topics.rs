//! Waiting for topics, and making those that are missing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::types::RDKafkaErrorCode;
use tokio_util::sync::CancellationToken;

use crate::error::Expected;
use crate::kafka::agreement;
use crate::kafka::client::{self, Quiet};

/// How long one question to the cluster may take.
const ASK: Duration = Duration::from_secs(5);
/// How long to wait for topics to be made before asking again: soon at first, and longer each time. A client that came before
/// the controller may never send its request, and one whose brokers are far away takes long to send it; a broker that
/// has it makes them, whoever waits.
const CREATE: Duration = Duration::from_millis(1500);
/// Longest such wait.
const CREATE_AT_MOST: Duration = Duration::from_secs(10);
/// How long to wait between two questions. Whoever waits for a cluster to come up waits for this too, every time.
const PAUSE: Duration = Duration::from_millis(100);
/// How often to say what is waited for.
const SAY: Duration = Duration::from_secs(5);
/// The client's longest pause between two attempts to connect, in milliseconds, for the same reason.
const RECONNECT_MS: &str = "200";
/// How often a topic must show too few partitions: a broker that just learns of a topic may not know them all.
const SURE: u32 = 30;

/// After how long a topic is taken for known to all brokers. On a busy machine some learn of it half a second later.
const SETTLED: Duration = Duration::from_secs(2);

/// Topics that are needed.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Their names.
    pub names: Vec<String>,
    /// How many partitions each must have at least.
    pub partitions: i32,
    /// How to make those that are missing; `None` waits until someone else does.
    pub create: Option<Creation>,
    /// Whether all brokers must know them alike, or all of them have been there for 2 s: brokers that cannot be
    /// asked, because they are down or want to be spoken to otherwise, are not waited for longer.
    pub everywhere: bool,
}

/// How to make a topic.
#[derive(Debug, Clone, Copy, Default)]
pub struct Creation {
    /// Replicas of each partition; `None` leaves it to the cluster.
    pub replication_factor: Option<i16>,
    /// `min.insync.replicas`; `None` leaves it to the cluster.
    pub min_insync_replicas: Option<i16>,
}

/// Waits until all topics are there and returns how many partitions each has; `None` when cancelled first.
///
/// It waits without a deadline, for whoever starts before the cluster does, and says every five seconds for what.
///
/// # Errors
/// When a client property is refused, or a topic has fewer partitions than wanted.
pub async fn ready(
    config: &ClientConfig,
    wanted: &Wanted,
    cancel: &CancellationToken,
) -> anyhow::Result<Option<BTreeMap<String, i32>>> {
    let mut config = config.clone();
    config.set("reconnect.backoff.max.ms", RECONNECT_MS);
    let consumer: Arc<BaseConsumer<Quiet>> = Arc::new(client::create(&config, Quiet)?);
    let mut complete_since: Option<Instant> = None;
    let mut said = Instant::now();
    let mut short_seen = 0;
    let mut create_within = CREATE;
    loop {
        let asked = {
            let consumer = consumer.clone();
            tokio::task::spawn_blocking(move || cluster(&consumer)).await?
        };
        let lacking = match asked {
            Ok((brokers, found)) => {
                let missing: Vec<&str> = wanted
                    .names
                    .iter()
                    .filter(|name| !found.contains_key(*name))
                    .map(String::as_str)
                    .collect();
                let short = wanted
                    .names
                    .iter()
                    .find(|name| found.get(*name).is_some_and(|count| *count < wanted.partitions));
                if let Some(short) = short {
                    short_seen += 1;
                    if short_seen >= SURE {
                        return Err(too_few(short, found[short], wanted.partitions));
                    }
                } else if missing.is_empty() {
                    let complete_since = complete_since.get_or_insert_with(Instant::now);
                    let left = SETTLED.saturating_sub(complete_since.elapsed());
                    if !wanted.everywhere || left.is_zero() || alike(&brokers, &wanted.names, left, cancel).await {
                        let wanted = |name: &String| wanted.names.contains(name);
                        return Ok(Some(found.into_iter().filter(|(name, _)| wanted(name)).collect()));
                    }
                } else {
                    complete_since = None;
                }
                match wanted.create {
                    Some(how) if !missing.is_empty() => {
                        let within = create_within;
                        create_within = (within * 2).min(CREATE_AT_MOST);
                        create(&config, &missing, wanted.partitions, how, within).await
                    }
                    _ if missing.is_empty() => "all partitions of the topics".to_owned(),
                    _ => format!("the topics {}", missing.join(", ")),
                }
            }
            Err(error) => format!("the cluster: {error}"),
        };
        if said.elapsed() >= SAY {
            said = Instant::now();
            tracing::info!("still waiting for {lacking}");
        }
        // Between two questions: nothing tells when a topic appears.
        tokio::select! {
            () = cancel.cancelled() => return Ok(None),
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

/// Whether all brokers are known to know the topics alike, as far as can be told within that time.
async fn alike(brokers: &[(i32, String)], topics: &[String], within: Duration, cancel: &CancellationToken) -> bool {
    let told = tokio::time::timeout(within, agreement::alike(brokers, topics));
    match cancel.run_until_cancelled(told).await {
        Some(Ok(Ok(()))) => true,
        Some(Ok(Err(error))) => {
            tracing::debug!("{error:#}");
            false
        }
        Some(Err(_)) | None => false,
    }
}

fn too_few(topic: &str, has: i32, wanted: i32) -> anyhow::Error {
    Expected::usage(format!(
        "topic {topic} has {has} partitions, fewer than the {wanted} asked for"
    ))
    .hint("ask for fewer, add partitions to the topic, or use another topic")
    .into()
}

/// The brokers, each an id and `host:port`, and every topic's number of partitions.
type Cluster = (Vec<(i32, String)>, BTreeMap<String, i32>);

fn cluster(consumer: &BaseConsumer<Quiet>) -> anyhow::Result<Cluster> {
    // Serves the client's log lines, which would pile up otherwise.
    let _ = consumer.poll(Duration::ZERO);
    // All topics: to ask for one by name would make librdkafka remember it, and some brokers create it.
    let metadata = consumer.fetch_metadata(None, ASK)?;
    let brokers = metadata.brokers().iter();
    let brokers = brokers.map(|broker| (broker.id(), format!("{}:{}", broker.host(), broker.port())));
    let partitions = metadata
        .topics()
        .iter()
        .filter(|topic| topic.error().is_none() && !topic.partitions().is_empty())
        .map(|topic| (topic.name().to_owned(), topic.partitions().len() as i32));
    Ok((brokers.collect(), partitions.collect()))
}

/// Asks for the topics, and says what is then to be waited for. Another producer may be doing the same.
async fn create(config: &ClientConfig, names: &[&str], partitions: i32, how: Creation, within: Duration) -> String {
    let waiting = format!("the topics {}", names.join(", "));
    let admin: AdminClient<Quiet> = match client::create(config, Quiet) {
        Ok(admin) => admin,
        Err(error) => return format!("{waiting} ({error})"),
    };
    let min_insync_replicas = how.min_insync_replicas.map(|count| count.to_string());
    let topics: Vec<NewTopic<'_>> = names
        .iter()
        .map(|name| {
            // −1: the cluster's default.
            let replication = TopicReplication::Fixed(how.replication_factor.map_or(-1, i32::from));
            let topic = NewTopic::new(name, partitions, replication);
            match &min_insync_replicas {
                Some(count) => topic.set("min.insync.replicas", count),
                None => topic,
            }
        })
        .collect();
    let options = AdminOptions::new()
        .request_timeout(Some(within))
        .operation_timeout(Some(within.mul_f64(0.75)));
    let refused: Vec<String> = match admin.create_topics(&topics, &options).await {
        Err(error) => vec![error.to_string()],
        Ok(results) => results
            .into_iter()
            .filter_map(|result| match result {
                Ok(topic) => {
                    tracing::info!(topic, partitions, "made the topic {topic}");
                    None
                }
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => None,
                Err((topic, error)) => Some(format!("{topic}: {error}")),
            })
            .collect(),
    };
    if refused.is_empty() {
        waiting
    } else {
        format!("{waiting} ({})", refused.join(", "))
    }
}
