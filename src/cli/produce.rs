//! `khd produce`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::cli::interrupt;
use crate::cli::lab::parse_duration;
use crate::error::{Exit, Expected};
use crate::kafka::client;
use crate::kafka::topics::Creation;
use crate::metrics;
use crate::settings::Acks;
use crate::workload::logs::{self, Format};
use crate::workload::metrics::METRICS;
use crate::workload::produce::{self, Options};

/// Produce numbered messages to any cluster, and keep a ledger of what was acknowledged
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  khd produce --brokers 127.0.0.1:19092
  khd produce --brokers 127.0.0.1:19092 --rate 1000 --size 256 --ledger ledgers
  khd produce --brokers 127.0.0.1:19092 --delay 0 --count 300000 --acks 1")]
pub struct Args {
    /// Brokers to begin with, as host:port, comma-separated
    #[arg(long, value_name = "LIST")]
    brokers: String,
    /// Topics, comma-separated; missing ones are made
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "test-1,test-2,test-3,test-4,test-5"
    )]
    topics: Vec<String>,
    /// Partitions of a topic that is made
    #[arg(long, value_name = "N", default_value_t = 6)]
    partitions: i32,
    /// Replicas of a topic that is made [default: the brokers' own]
    #[arg(long, value_name = "N")]
    replication_factor: Option<i16>,
    /// min.insync.replicas of a topic that is made [default: the brokers' own]
    #[arg(long, value_name = "N")]
    min_insync_replicas: Option<i16>,
    /// Time between two messages; 0 is flat out
    #[arg(long, value_name = "TIME", default_value = "10ms", value_parser = parse_duration)]
    delay: Duration,
    /// Messages a second, instead of --delay
    #[arg(long, value_name = "N", conflicts_with = "delay", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// Least size of a value in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    size: usize,
    /// When a write is acknowledged
    #[arg(long, value_enum, default_value = "all")]
    acks: Acks,
    /// Whether brokers drop what a retry sent twice [default: true with --acks all]
    #[arg(long, value_name = "BOOL")]
    idempotence: Option<bool>,
    /// End after so many messages
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// Folder for the ledger
    #[arg(long, value_name = "DIR")]
    ledger: Option<PathBuf>,
    /// File of librdkafka properties, name=value a line
    #[arg(long, value_name = "FILE")]
    client_config: Option<PathBuf>,
    /// Serve metrics to Prometheus at this address, such as 127.0.0.1:9309
    #[arg(long, value_name = "ADDRESS")]
    metrics: Option<SocketAddr>,
    /// Format of log lines [default: text]
    #[arg(long, value_enum, default_value = "text")]
    log_format: Format,
}

pub async fn run(args: Args) -> anyhow::Result<Exit> {
    logs::subscribe(args.log_format)?;
    if args.idempotence == Some(true) && args.acks != Acks::All {
        return Err(Expected::usage("--idempotence true needs --acks all").into());
    }
    let cancel = interrupt::on_signal("flushing", || "messages in flight are of unknown fate".into())?;
    let options = Options {
        partitions: args.partitions,
        create: Some(Creation {
            replication_factor: args.replication_factor,
            min_insync_replicas: args.min_insync_replicas,
        }),
        interval: args.rate.map_or(args.delay, |rate| Duration::from_secs(1) / rate),
        size: args.size,
        acks: args.acks,
        idempotence: args.idempotence,
        count: args.count,
        ledger: args.ledger,
        properties: args
            .client_config
            .as_deref()
            .map(client::read_properties)
            .transpose()?
            .unwrap_or_default(),
        ..Options::new(args.brokers, args.topics)
    };
    let _metrics = match args.metrics {
        Some(address) => Some(metrics::serve(address, METRICS.of_producer()).await?),
        None => None,
    };
    produce::run(options, cancel).await?;
    Ok(Exit::Passed)
}
