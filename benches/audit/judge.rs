//! How fast a recorded run is judged: from its folder to the verdicts.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use khd::settings::Settings;
use khd::state::RunFolder;
use khd::timeline::event::{Event, Kind, SCHEMA};
use khd::topology::Topology;
use khd::verdicts::evidence::Evidence;
use khd::verdicts::{self, Status};
use serde::Serialize;

use crate::memory::{peak, read_log};
use crate::synthetic::{self, Plan};

/// What it took to judge a run.
#[derive(Debug, Serialize)]
pub struct Judged {
    events: u64,
    messages: u64,
    seconds: f64,
    // The greatest resident memory of the process in MiB: before the run was read, and at the end.
    base_mib: f64,
    peak_mib: f64,
}

/// Makes up the folder of a run with the plan's messages and so many events, and judges it.
pub fn judge(plan: &Plan, events: u64) -> anyhow::Result<Judged> {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let run = RunFolder::create(folder.path(), "bench", "judge")?;
    write_timeline(&run, plan, events)?;
    for (name, mut ledger) in synthetic::ledgers(plan) {
        std::io::copy(&mut ledger, &mut File::create(run.ledgers().join(name))?)?;
    }
    run.write_json("log.json", &read_log(plan))?;

    let base_mib = peak()?;
    let begun = Instant::now();
    let evidence = Evidence::load(&run)?;
    let verdicts = verdicts::judge(&evidence);
    let seconds = begun.elapsed().as_secs_f64();
    let lost = verdicts.iter().find(|verdict| verdict.id == "lost-write");
    anyhow::ensure!(
        lost.is_some_and(|lost| lost.status == Status::Passed),
        "a clean log is not found clean: {lost:?}"
    );
    Ok(Judged {
        events,
        messages: plan.messages,
        seconds,
        base_mib,
        peak_mib: peak()?,
    })
}

/// A run as long as the plan, in which ISRs shrink and grow, offsets rise and containers work.
fn write_timeline(run: &RunFolder, plan: &Plan, events: u64) -> anyhow::Result<()> {
    let mut file = BufWriter::new(File::create(run.timeline())?);
    let length_ms = (plan.end() - synthetic::START) as u64;
    let mut tell = |elapsed_ms: u64, source: &str, kind: Kind| -> anyhow::Result<()> {
        let event = Event {
            wall: Timestamp::from_millisecond(synthetic::START + elapsed_ms as i64)?,
            elapsed_ms,
            source: source.into(),
            kind,
        };
        serde_json::to_writer(&mut file, &event)?;
        Ok(file.write_all(b"\n")?)
    };
    let started = Kind::RunStarted {
        schema: SCHEMA,
        khd: env!("CARGO_PKG_VERSION").into(),
        command: "khd verify".into(),
        expectation: Topology::of(&Settings::default())
            .expectation(Duration::from_secs(18))
            .into(),
        limits: BTreeMap::new(),
        skip: BTreeMap::new(),
    };
    tell(0, "khd", started)?;
    for number in 0..events {
        let broker = ["kafka1", "kafka2", "kafka3"][(number % 3) as usize];
        let (source, kind) = match number % 4 {
            0 => ("engine", resources(broker, number)),
            1 => ("khd", offsets(number)),
            _ => (broker, isr_change(number)),
        };
        tell(number * length_ms / events, source, kind)?;
    }
    tell(
        length_ms,
        "khd",
        Kind::RunEnded {
            outcome: "passed".into(),
        },
    )?;
    Ok(file.flush()?)
}

fn isr_change(number: u64) -> Kind {
    let shrunk = number / 4 % 2 == 1;
    Kind::Partition {
        topic: format!("test-{}", 1 + number % 5),
        partition: (number % 6) as i32,
        leader: 1,
        leader_epoch: 1,
        replicas: vec![1, 2, 3],
        isr: if shrunk { [1, 3].into() } else { [1, 2, 3].into() },
    }
}

fn offsets(number: u64) -> Kind {
    Kind::Offsets {
        end: number as i64,
        committed: number as i64,
        partitions: 30,
    }
}

fn resources(service: &str, number: u64) -> Kind {
    Kind::Resources {
        service: service.into(),
        number: 1,
        cpu: 0.25,
        memory: 300 << 20,
        received: number * 1000,
        sent: number * 1000,
        read: 0,
        written: number * 500,
    }
}
