//! Collects the evidence of a run: the ledgers up to a cut, what the log holds, and what the containers printed.
//!
//! The cut: sends begun before it are awaited, then the end offsets are taken and the log is read up to them. Sends and
//! records that come later are not judged, so the workload never has to stop for its own audit.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::StreamExt as _;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::compose::render::LEDGERS;
use crate::drill::copies;
use crate::drill::machine::Outcome;
use crate::drill::stage::Stage;
use crate::engine::LogOptions;
use crate::kafka::log;
use crate::timeline::event::Kind;
use crate::workload::audit::{LogSummary, read_log};
use crate::workload::ledger::Scope;
use crate::workload::ledger::history::Ledgers;

/// How long sends begun before the cut may take to settle: message.timeout.ms (30 s), and the ledgers' own pace.
const SETTLED_WITHIN: Duration = Duration::from_secs(40);
/// A producer that has written nothing for so long is dead or frozen; its heartbeat is every second.
const SILENT_AFTER_MS: i64 = 4_000;
/// Time between two looks at the ledgers.
const LOOK: Duration = Duration::from_millis(500);
/// How long keeping what the containers printed may take.
const LOGS_WITHIN: Duration = Duration::from_secs(30);
/// How long the log's ends may take to be past what was acknowledged by all in-sync replicas, and by the leader alone:
/// then a follower that hangs holds them up until it is no longer in sync (`replica.lag.time.max.ms`, 30 s).
const VISIBLE_WITHIN: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(35));
/// How long reading the whole log may take.
const READ_WITHIN: Duration = Duration::from_secs(300);

/// Collects ledgers, log and container output into the run's folder, unless a signal comes first.
///
/// Fails when the ledgers or the log cannot be read.
pub async fn collect(stage: &Stage) -> Outcome {
    match gather(stage).await {
        Ok(()) if stage.cancel.is_cancelled() => Outcome::Interrupted,
        Ok(()) => Outcome::Done,
        Err(error) => Outcome::Failed(format!("{error:#}")),
    }
}

/// Ends early, and in order, when a signal comes: reading the ledgers makes a container, which has to be removed again.
async fn gather(stage: &Stage) -> anyhow::Result<()> {
    let begun = Timestamp::now();
    stage.timeline.emit("khd", Kind::Cut);
    let before = settled(stage, begun).await?;
    if stage.cancel.is_cancelled() {
        // A read of the log that was begun cannot be called back: it blocks a thread of its own until its deadline.
        return Ok(());
    }

    let partitions: BTreeSet<_> = stage.expected.partitions().collect();
    let from = log::Source::new(stage.bootstrap.clone());
    let read = async {
        let copies = copies::collect(stage).await;
        let summary = read_log(from, partitions, before.last_offsets(), patience(&before), READ_WITHIN).await?;
        anyhow::Ok(LogSummary { copies, ..summary })
    };
    let summary = tokio::select! {
        summary = read => summary?,
        () = stage.cancel.cancelled() => return Ok(()),
    };

    // Read after the log, so that nothing in the log was reserved later than the ledgers tell; and kept before it, so that
    // a log in the run's folder always has its ledgers beside it.
    copy_ledgers(stage).await?;
    stage.run.write_json(stage.run.log_summary(), &summary)?;
    if tokio::time::timeout(LOGS_WITHIN, keep_logs(stage)).await.is_err() {
        let message = "not all that the containers printed could be kept in time".to_owned();
        stage.timeline.emit("khd", Kind::Warning { message });
    }
    Ok(())
}

fn patience(ledgers: &Ledgers) -> Duration {
    let all = ledgers.producers.iter().all(|producer| producer.header.acks == "all");
    if all { VISIBLE_WITHIN.0 } else { VISIBLE_WITHIN.1 }
}

/// Waits until every send begun before `cut` is settled, and returns the ledgers as they are then.
async fn settled(stage: &Stage, cut: Timestamp) -> anyhow::Result<Ledgers> {
    let deadline = Instant::now() + SETTLED_WITHIN;
    loop {
        let ledgers = look(stage, cut).await?;
        let now = Timestamp::now().as_millisecond();
        let behind: Vec<&str> = ledgers
            .behind(cut.as_millisecond())
            .filter(|producer| now - producer.last < SILENT_AFTER_MS)
            .map(|producer| producer.header.producer.as_str())
            .collect();
        if behind.is_empty() || stage.cancel.is_cancelled() {
            return Ok(ledgers);
        }
        if Instant::now() >= deadline {
            let message = format!(
                "sends of {} have not settled in time; their fate is unknown",
                behind.join(", ")
            );
            stage.timeline.emit("khd", Kind::Warning { message });
            return Ok(ledgers);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Copies the ledgers, as they are now, into the run's folder.
async fn copy_ledgers(stage: &Stage) -> anyhow::Result<()> {
    let folder = stage.run.ledgers();
    let copied = stage
        .engine()
        .copy_volume(&stage.project, LEDGERS, &stage.ledger_image, &folder)
        .await;
    copied.context("cannot collect the ledgers")?;
    Ok(())
}

/// The ledgers as they are now, to see how far they are; what happened before the cut does not matter for that.
async fn look(stage: &Stage, cut: Timestamp) -> anyhow::Result<Ledgers> {
    copy_ledgers(stage).await?;
    let folder = stage.run.ledgers();
    let scope = Scope {
        since: cut.as_millisecond(),
        ..Scope::ALL
    };
    tokio::task::spawn_blocking(move || Ledgers::load(&folder, scope)).await?
}

/// Keeps what the containers printed since the run began. Evidence for people, which no verdict needs.
async fn keep_logs(stage: &Stage) {
    let started = Timestamp::now().checked_sub(stage.timeline.elapsed()).ok();
    let Ok(project) = stage.engine().project(&stage.project).await else {
        return;
    };
    for container in project.containers {
        let options = LogOptions {
            since: started,
            ..LogOptions::default()
        };
        let mut lines = stage.engine().logs(&container.name, options);
        let mut text = String::new();
        while let Some(Ok(line)) = lines.next().await {
            let _ = writeln!(text, "{}", line.text);
        }
        let name = format!("logs/{}-{}.log", container.service, container.number);
        if let Err(error) = stage.run.write(name, text.as_bytes()) {
            let message = format!("{error:#}");
            stage.timeline.emit("khd", Kind::Warning { message });
        }
    }
}
