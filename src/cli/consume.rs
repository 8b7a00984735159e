//! `khd consume`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use crate::cli::interrupt;
use crate::cli::lab::parse_duration;
use crate::error::{Exit, Expected};
use crate::kafka::client;
use crate::metrics;
use crate::settings::{Assignment, Commit, GroupProtocol};
use crate::workload::consume::{self, Options};
use crate::workload::logs::{self, Format};
use crate::workload::metrics::METRICS;

/// Consume as a member of a group, and keep a ledger of what was delivered
///
/// SIGUSR1 makes it stop polling, as if processing hung; SIGUSR2 makes it go on.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  khd consume --brokers 127.0.0.1:19092
  khd consume --brokers 127.0.0.1:19092 --group mine --topics test-1 --assignment eager
  khd consume --brokers 127.0.0.1:19092 --group-protocol consumer")]
pub struct Args {
    /// Brokers to begin with, as host:port, comma-separated
    #[arg(long, value_name = "LIST")]
    brokers: String,
    /// Topics, comma-separated
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "test-1,test-2,test-3,test-4,test-5"
    )]
    topics: Vec<String>,
    /// The group
    #[arg(long, default_value = "test")]
    group: String,
    /// By which protocol the group settles who reads what
    #[arg(long, value_enum, default_value = "classic")]
    group_protocol: GroupProtocol,
    /// How partitions are dealt out among members, in the classic protocol
    #[arg(long, value_enum, default_value = "cooperative")]
    assignment: Assignment,
    /// Keep the place in the group over a restart
    #[arg(long)]
    static_membership: bool,
    /// When offsets are committed
    #[arg(long, value_enum, default_value = "after-processing")]
    commit: Commit,
    /// How long each message takes to be processed
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = parse_duration)]
    processing_time: Duration,
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
    if args.group_protocol == GroupProtocol::Consumer && args.assignment == Assignment::Eager {
        let message = "--assignment eager is of the classic group protocol: in the new one the coordinator deals out";
        return Err(Expected::usage(message)
            .hint("leave it out, or --group-protocol classic")
            .into());
    }
    let cancel = interrupt::on_signal("committing and leaving the group", || {
        "the group will notice by itself".into()
    })?;
    let options = Options {
        group: args.group,
        group_protocol: args.group_protocol,
        assignment: args.assignment,
        static_membership: args.static_membership,
        commit: args.commit,
        processing_time: args.processing_time,
        count: args.count,
        ledger: args.ledger,
        properties: args
            .client_config
            .as_deref()
            .map(client::read_properties)
            .transpose()?
            .unwrap_or_default(),
        stalled: stalled_by_signal()?,
        ..Options::new(args.brokers, args.topics)
    };
    let _metrics = match args.metrics {
        Some(address) => Some(metrics::serve(address, METRICS.of_consumer()).await?),
        None => None,
    };
    consume::run(options, cancel).await?;
    Ok(Exit::Passed)
}

/// What SIGUSR1 sets and SIGUSR2 unsets.
fn stalled_by_signal() -> anyhow::Result<Arc<AtomicBool>> {
    let (mut stall, mut go_on) = (
        signal(SignalKind::user_defined1())?,
        signal(SignalKind::user_defined2())?,
    );
    let stalled = Arc::new(AtomicBool::new(false));
    let flag = stalled.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = stall.recv() => {
                    tracing::warn!("stalled by SIGUSR1: polling no more until SIGUSR2");
                    flag.store(true, Ordering::Relaxed);
                }
                _ = go_on.recv() => {
                    tracing::info!("polling again");
                    flag.store(false, Ordering::Relaxed);
                }
            }
        }
    });
    Ok(stalled)
}
