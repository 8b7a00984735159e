//! How much memory it takes to sum up a log, to read the ledgers, and to compare both.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Write as _};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::Context as _;
use khd::verdicts::checks;
use khd::verdicts::messages::Messages;
use khd::workload::audit::{LogSummary, PartitionLog, SCHEMA, Summing};
use khd::workload::ledger::Scope;
use khd::workload::ledger::history::Ledgers;
use serde::{Deserialize, Serialize};

use crate::synthetic::{self, Plan, Shape};

/// How much 10 million messages may take, of which so much is what an audit of few takes already.
const BOUND_MIB: f64 = 64.0;
const FEW_MIB: f64 = 16.0;
/// How long a run is: latencies and times before it are of no interest.
const RUN_MS: i64 = 600_000;

/// What one measurement found.
#[derive(Debug, Serialize, Deserialize)]
pub struct Measured {
    messages: u64,
    // How long the producers took, by the ledgers' clock.
    produced_s: u64,
    // The greatest resident memory of the process, in MiB: before anything was read, then up to the end of each step.
    base_mib: f64,
    log_mib: f64,
    file_mib: f64,
    ledgers_mib: f64,
    peak_mib: f64,
    // Size of log.json, and of all ledgers.
    file_bytes: u64,
    ledger_bytes: u64,
    log_s: f64,
    ledgers_s: f64,
    checks_s: f64,
    // How many anomalies each check found, where it found any.
    found: BTreeMap<String, u64>,
}

/// Judges a made-up log as a run's is judged, and tells what that took.
pub fn measure(plan: &Plan) -> anyhow::Result<Measured> {
    let base_mib = peak()?;
    let begun = Instant::now();
    let log = read_log(plan);
    let (log_s, log_mib) = (begun.elapsed().as_secs_f64(), peak()?);

    // As a run keeps it, and is judged by what was kept.
    let mut file = tempfile::tempfile_in(env!("CARGO_TARGET_TMPDIR"))?;
    let mut writer = BufWriter::new(&file);
    serde_json::to_writer(&mut writer, &log)?;
    writer.flush()?;
    drop(writer);
    drop(log);
    let log = read_again(&mut file)?;
    let (file_mib, file_bytes) = (peak()?, file.metadata()?.len());

    let begun = Instant::now();
    let scope = Scope {
        since: plan.end() - RUN_MS,
        until: log.taken,
    };
    let mut files = synthetic::ledgers(plan);
    let named = files.iter_mut().map(|(name, ledger)| (name.clone(), ledger));
    let ledgers = Ledgers::read(named, scope)?;
    let (ledgers_s, ledgers_mib) = (begun.elapsed().as_secs_f64(), peak()?);
    let ledger_bytes = files.iter().map(|(_, ledger)| ledger.size).sum();

    let begun = Instant::now();
    let messages = Messages::of_run(ledgers, log, i64::MIN);
    let judges = checks::ANOMALIES
        .into_iter()
        .chain([checks::UNSEEN])
        .chain(checks::COUNTED);
    let found = judges.map(|check| (check.id().to_owned(), check.find(&messages).count));
    let found = found.filter(|(_, count)| *count > 0).collect();
    Ok(Measured {
        messages: plan.messages,
        produced_s: plan.seconds(),
        base_mib,
        log_mib,
        file_mib,
        ledgers_mib,
        checks_s: begun.elapsed().as_secs_f64(),
        peak_mib: peak()?,
        file_bytes,
        ledger_bytes,
        log_s,
        ledgers_s,
        found,
    })
}

/// As the audit does: once as readers of uncommitted records get it, then as those of committed ones do.
pub fn read_log(plan: &Plan) -> LogSummary {
    let partitions = sum_up(plan);
    let mut read_committed = sum_up(plan);
    read_committed.retain(|log| !partitions.contains(log));
    LogSummary {
        schema: SCHEMA,
        taken: plan.end(),
        partitions,
        read_committed,
        copies: Vec::new(),
    }
}

fn sum_up(plan: &Plan) -> Vec<PartitionLog> {
    let end = plan.of_each() as i64;
    let mut logs: Vec<Summing> = plan
        .partitions()
        .map(|partition| Summing::new(synthetic::TOPIC, partition, 0, end))
        .collect();
    synthetic::log(plan, |partition, offset, value| {
        logs[partition as usize].record(offset, value);
    });
    logs.into_iter().map(|log| log.finish(0..end)).collect()
}

fn read_again(file: &mut File) -> anyhow::Result<LogSummary> {
    std::io::Seek::rewind(file)?;
    Ok(serde_json::from_reader(BufReader::new(file))?)
}

/// The greatest resident memory that this process ever had, in MiB.
pub fn peak() -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line
        .and_then(|line| line.trim().strip_suffix(" kB"))
        .context("no VmHWM in /proc/self/status")?;
    Ok(kib.trim().parse::<f64>()? / 1024.0)
}

/// Runs all measurements, each in a process of its own, prints a table, and fails when one of them is not as it must be.
pub fn all(short: bool, json: Option<&Path>) -> anyhow::Result<ExitCode> {
    let mut results = Vec::new();
    let mut wrong = Vec::new();
    println!("{HEAD}");
    for (shape, thousands, lossy) in plans(short) {
        let measured = apart(shape, thousands, lossy)?;
        println!("{}", measured.row(shape, lossy));
        wrong.extend(measured.wrong(shape, lossy));
        results.push(serde_json::json!({"shape": shape.word(), "lossy": lossy, "measured": measured}));
    }
    if let Some(path) = json {
        std::fs::write(path, serde_json::to_vec_pretty(&results)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    wrong.iter().for_each(|what| eprintln!("{what}"));
    Ok(ExitCode::from(u8::from(!wrong.is_empty())))
}

/// What is measured: the shape, how many thousand messages, and whether one of them is lost.
fn plans(short: bool) -> Vec<(Shape, u64, bool)> {
    let mut plans = Vec::new();
    for shape in [Shape::Batches, Shape::Turns, Shape::Random, Shape::Slow] {
        let sizes: &[u64] = match shape {
            Shape::Slow if short => &[100],
            // 100 million would be 37 GB of ledgers to make up.
            Shape::Slow => &[1_000, 10_000],
            _ if short => &[1_000],
            Shape::Batches | Shape::Turns | Shape::Random => &[1_000, 10_000, 100_000],
        };
        plans.extend(sizes.iter().map(|thousands| (shape, *thousands, false)));
        plans.push((shape, 100, true));
    }
    plans
}

/// Measures in a process of its own.
fn apart(shape: Shape, thousands: u64, lossy: bool) -> anyhow::Result<Measured> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--messages", &(thousands * 1_000).to_string(), "--shape", shape.word()]);
    if lossy {
        command.arg("--lossy");
    }
    let output = command.stderr(std::process::Stdio::inherit()).output()?;
    anyhow::ensure!(output.status.success(), "the measurement ended with {}", output.status);
    Ok(serde_json::from_slice(&output.stdout)?)
}

const HEAD: &str = "\
| log | messages | produced in | log | log.json | ledgers | peak | log read | ledgers read | checks |
|---|---|---|---|---|---|---|---|---|---|";

impl Measured {
    fn row(&self, shape: Shape, lossy: bool) -> String {
        let millions = self.messages as f64 / 1e6;
        format!(
            "| {}{} | {:.1} M | {} s | {:.1} MiB | {:.1} MB | {:.1} MB | **{:.1} MiB** | {:.2} M/s | {:.2} M/s | {:.2} s |",
            shape.word(),
            if lossy { ", one lost" } else { "" },
            millions,
            self.produced_s,
            self.log_mib,
            self.file_bytes as f64 / 1e6,
            self.ledger_bytes as f64 / 1e6,
            self.peak_mib,
            // It was read twice.
            2.0 * millions / self.log_s,
            millions / self.ledgers_s,
            self.checks_s,
        )
    }

    /// What is not as it must be.
    fn wrong(&self, shape: Shape, lossy: bool) -> Vec<String> {
        let mut wrong = Vec::new();
        let which = format!("{}, {} messages", shape.word(), self.messages);
        let expected = match lossy {
            true => BTreeMap::from([("lost-write".to_owned(), 1)]),
            false => BTreeMap::new(),
        };
        if self.found != expected {
            wrong.push(format!("{which}: found {:?}, not {expected:?}", self.found));
        }
        let share = self.messages as f64 / 10e6;
        let bound = match shape {
            // What happened in the run's ten minutes is the same for any number.
            Shape::Slow => BOUND_MIB,
            _ => FEW_MIB + (BOUND_MIB - FEW_MIB) * share,
        };
        if share <= 1.0 && self.peak_mib > bound {
            wrong.push(format!("{which}: took {:.1} MiB, more than {bound:.1}", self.peak_mib));
        }
        wrong
    }
}
