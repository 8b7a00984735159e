//! Measures the audit: how much memory it takes to compare ledgers and log, and how fast it reads a real topic.
//!
//! `cargo bench --bench audit` needs neither Docker nor Kafka: it makes up logs and ledgers of 1, 10 and 100 million
//! messages (`synthetic`), and lets a process of its own judge each (`memory`), so that each one's peak is its own.
//! With `--short` it takes 1 million, and any profile will do. It fails when the memory passes its bound, when a clean log is not
//! found clean, or when the one message that was left out of another log is not found; never for a time.
//!
//! With `--judge` it times how long a run takes from its folder to the verdicts (`judge`).
//!
//! With `--brokers` and `--topic` it reads that topic once, as an audit does (`topic`); `scripts/bench.sh audit` compares
//! this with kcat.

mod judge;
mod memory;
mod synthetic;
mod topic;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::synthetic::{Plan, Shape};

/// Measures the audit.
#[derive(Debug, Parser)]
struct Args {
    /// Take 1 million messages only.
    #[arg(long)]
    short: bool,
    /// Write the results here too, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Read a topic of this cluster instead (`host:port`, comma-separated), and print what that took as JSON.
    #[arg(long, requires = "topic")]
    brokers: Option<String>,
    /// The topic to read.
    #[arg(long, requires = "brokers")]
    topic: Option<String>,
    /// A librdkafka property to put over khd's, as `name=value`; may be given again.
    #[arg(short = 'X', long = "property", value_name = "NAME=VALUE", requires = "brokers")]
    properties: Vec<String>,
    /// One measurement in this process: so many messages.
    #[arg(long, hide = true, requires = "shape")]
    messages: Option<u64>,
    /// The shape of their log.
    #[arg(long, hide = true)]
    shape: Option<Shape>,
    /// Leaves one acknowledged message out of the log.
    #[arg(long, hide = true)]
    lossy: bool,
    /// Judge a run of so many messages and events from its folder, and print what that took as JSON.
    #[arg(long, value_name = "EVENTS", requires = "messages")]
    judge: Option<u64>,
    // What `cargo bench` passes to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    if let (Some(brokers), Some(topic)) = (args.brokers, args.topic) {
        println!(
            "{}",
            serde_json::to_string(&topic::read(brokers, topic, &args.properties)?)?
        );
    } else if let (Some(messages), Some(shape)) = (args.messages, args.shape) {
        let plan = Plan::new(shape, messages, args.lossy);
        let measured = match args.judge {
            Some(events) => serde_json::to_value(judge::judge(&plan, events)?)?,
            None => serde_json::to_value(memory::measure(&plan)?)?,
        };
        println!("{measured}");
    } else {
        return memory::all(args.short, args.json.as_deref());
    }
    Ok(ExitCode::SUCCESS)
}
