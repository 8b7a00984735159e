//! `khd copy`.

use std::path::PathBuf;

use crate::cli::interrupt;
use crate::error::Exit;
use crate::kafka::client;
use crate::kafka::topics::Creation;
use crate::topology::COPY_GROUP;
use crate::workload::copy::{self, Options};
use crate::workload::logs::{self, Format};

/// Copy each record of topics once to the same partition of TOPIC-copy, in transactions with the group's offsets
///
/// Readers with `read_committed` get each copy exactly once, whoever dies meanwhile. Messages of `khd produce` keep who
/// sent them, and get the time at which they were copied.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  khd copy --brokers 127.0.0.1:19092
  khd copy --brokers 127.0.0.1:19092 --topics test-1 --group mine --count 1000
  khd copy --brokers 127.0.0.1:19092 --transactional-id second     beside another on the same host")]
pub struct Args {
    /// Brokers to begin with, as host:port, comma-separated
    #[arg(long, value_name = "LIST")]
    brokers: String,
    /// Topics to copy, comma-separated; those of the copies are made where they are missing
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "test-1,test-2,test-3,test-4,test-5"
    )]
    topics: Vec<String>,
    /// The group
    #[arg(long, default_value = COPY_GROUP)]
    group: String,
    /// transactional.id, by which it fences its predecessor [default: khd-copy-HOSTNAME]
    #[arg(long, value_name = "ID")]
    transactional_id: Option<String>,
    /// Replicas of a topic that is made [default: the brokers' own]
    #[arg(long, value_name = "N")]
    replication_factor: Option<i16>,
    /// min.insync.replicas of a topic that is made [default: the brokers' own]
    #[arg(long, value_name = "N")]
    min_insync_replicas: Option<i16>,
    /// End after so many records, or up to a transaction more
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// File of librdkafka properties of both clients, name=value a line
    #[arg(long, value_name = "FILE")]
    client_config: Option<PathBuf>,
    /// Format of log lines [default: text]
    #[arg(long, value_enum, default_value = "text")]
    log_format: Format,
}

pub async fn run(args: Args) -> anyhow::Result<Exit> {
    logs::subscribe(args.log_format)?;
    let cancel = interrupt::on_signal("ending the transaction and leaving the group", || {
        "the transaction that was open will be aborted".into()
    })?;
    let mut defaults = Options::new(args.brokers, args.topics);
    if let Some(id) = args.transactional_id {
        defaults.transactional_id = id;
    }
    let options = Options {
        group: args.group,
        create: Creation {
            replication_factor: args.replication_factor,
            min_insync_replicas: args.min_insync_replicas,
        },
        count: args.count,
        properties: args
            .client_config
            .as_deref()
            .map(client::read_properties)
            .transpose()?
            .unwrap_or_default(),
        ..defaults
    };
    copy::run(options, cancel).await?;
    Ok(Exit::Passed)
}
