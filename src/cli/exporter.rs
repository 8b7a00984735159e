//! `khd exporter`.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::cli::interrupt;
use crate::error::Exit;
use crate::exporter::{self, Broker, ZooKeeper};
use crate::metrics;
use crate::workload::logs::{self, Format};

/// Serve the state of Kafka and ZooKeeper, or KRaft's quorum, to Prometheus, under kafka_exporter's names and khd's own
///
/// A lab runs it as its service `exporter`. None of the servers has to be there: a broker that is dead or hangs is missed
/// within two seconds, and no scrape waits for it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  khd exporter --brokers 1@127.0.0.1:19092,2@127.0.0.1:29092,3@127.0.0.1:39092
  curl -s 127.0.0.1:9308/metrics")]
pub struct Args {
    /// Every broker, as ID@HOST:PORT, comma-separated
    #[arg(long, value_name = "LIST", value_delimiter = ',', required = true)]
    brokers: Vec<Broker>,
    /// Every ZooKeeper server, as HOST:PORT, comma-separated
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    zookeepers: Vec<ZooKeeper>,
    /// Every controller of KRaft, as ID@HOST:PORT, comma-separated
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    controllers: Vec<Broker>,
    /// Where to serve the metrics
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9308")]
    listen: SocketAddr,
    /// File that tells what khd does to the lab, in JSON
    #[arg(long, value_name = "FILE")]
    notice: Option<PathBuf>,
    /// Format of log lines [default: text]
    #[arg(long, value_enum, default_value = "text")]
    log_format: Format,
}

pub async fn run(args: Args) -> anyhow::Result<Exit> {
    logs::subscribe(args.log_format)?;
    let cancel = interrupt::on_signal("ending", || "nothing is left".into())?;
    let (_exporter, registry) = exporter::start(args.brokers, args.zookeepers, args.controllers, args.notice)?;
    let _server = metrics::serve(args.listen, registry).await?;
    tracing::info!("serving metrics at {}", args.listen);
    cancel.cancelled().await;
    Ok(Exit::Passed)
}
