//! The copier: `khd copy`.
//!
//! It copies each record to the same partition of another topic, exactly once: a batch's copies and the group's offsets
//! are committed in one transaction (`transaction`), of a consumer and a transactional producer (`clients`). A batch is
//! read before its transaction begins, so that none is open while the group rebalances.

mod batch;
mod clients;
mod context;
mod transaction;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::error::Expected;
use crate::kafka::client;
use crate::kafka::topics::{self, Creation, Wanted};
use crate::settings::Properties;
use crate::timeline::event::Kind;
use crate::topology::{COPY_GROUP, copy_of};
use crate::workload::copy::batch::Batch;
use crate::workload::copy::clients::Clients;
use crate::workload::events;
use crate::workload::message::{hostname, process_id};

/// How long to wait before new clients take the place of some that could not go on, so that a cause that persists does
/// not make this a busy loop.
const PAUSE: Duration = Duration::from_secs(1);

/// How a copier copies.
#[derive(Debug, Clone)]
pub struct Options {
    /// The cluster: `host:port`, comma-separated.
    pub brokers: String,
    /// The topics to copy; all are waited for.
    pub topics: Vec<String>,
    /// The group.
    pub group: String,
    /// `transactional.id`: whoever begins with it fences whoever had it before. Two copiers must not share one.
    pub transactional_id: String,
    /// How to make the topics of the copies, each with as many partitions as it copies.
    pub create: Creation,
    /// Ends after so many records, or a few more; `None` goes on until cancelled. Those of a transaction whose end is not known
    /// do not count.
    pub count: Option<u64>,
    /// librdkafka properties put over khd's, of both clients. They are never logged.
    pub properties: Properties,
}

impl Options {
    /// Group `copy` for the cluster at `brokers`, with a transactional id that stays when the process of a host, or of a
    /// container, is started again.
    pub fn new(brokers: impl Into<String>, topics: Vec<String>) -> Self {
        Self {
            brokers: brokers.into(),
            topics,
            group: COPY_GROUP.into(),
            transactional_id: format!("khd-copy-{}", hostname()),
            create: Creation::default(),
            count: None,
            properties: Properties::new(),
        }
    }
}

/// What a copier did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// The copier's id, which is also its `client.id`.
    pub copier: String,
    /// Records in transactions that were committed.
    pub copied: u64,
    /// Transactions that were aborted.
    pub aborted: u64,
    /// How many times new clients took the place of some that could not go on.
    pub replaced: u64,
}

/// Waits for the topics, makes those of the copies, joins the group and copies until cancelled or the count is reached.
/// Clients that cannot go on, as when they were fenced, are followed by new ones, which begin where the group has committed.
///
/// # Errors
/// When properties are refused, or the topic of a copy has fewer partitions than it needs.
pub async fn run(options: Options, cancel: CancellationToken) -> anyhow::Result<Totals> {
    client::check_brokers(&options.brokers)?;
    if options.topics.is_empty() {
        return Err(Expected::usage("a copier needs at least one topic").into());
    }
    let id = process_id(&hostname());
    if !ready(&options, &id, &cancel).await? {
        return Ok(Totals {
            copier: id,
            ..Totals::default()
        });
    }
    tokio::task::spawn_blocking(move || copy(&options, id, &cancel)).await?
}

/// Waits for the topics and those of their copies; false when cancelled first.
async fn ready(options: &Options, id: &str, cancel: &CancellationToken) -> anyhow::Result<bool> {
    let mut plain = client::config(&options.brokers, id);
    client::overlay(&mut plain, &options.properties);
    let sources = Wanted {
        names: options.topics.clone(),
        partitions: 1,
        create: None,
        everywhere: true,
    };
    let Some(sources) = topics::ready(&plain, &sources, cancel).await? else {
        return Ok(false);
    };
    let mut copies: BTreeMap<i32, Vec<String>> = BTreeMap::new();
    for (topic, partitions) in &sources {
        copies.entry(*partitions).or_default().push(copy_of(topic));
    }
    for (partitions, names) in copies {
        let copies = Wanted {
            names,
            partitions,
            create: Some(options.create),
            everywhere: true,
        };
        if topics::ready(&plain, &copies, cancel).await?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Copies until cancelled or the count is reached. Blocks.
fn copy(options: &Options, id: String, cancel: &CancellationToken) -> anyhow::Result<Totals> {
    let mut copier = Copier {
        options,
        cancel,
        totals: Totals {
            copier: id,
            ..Totals::default()
        },
        logged: (0, Instant::now()),
    };
    while !copier.is_over() {
        let outcome = copier.copy_with_new_clients();
        match outcome {
            Err(error) if error.is::<Expected>() => return Err(error),
            Err(error) if !copier.is_over() => {
                let message = format!("the clients cannot go on, and new ones follow them: {error}");
                events::log(&Kind::ClientError { message, suppressed: 0 });
                copier.totals.replaced += 1;
                // There is nothing to wait for: whether new clients can go on shows when they try.
                std::thread::sleep(PAUSE);
            }
            // What was left open is the next one's to abort.
            _ => {}
        }
    }
    let Totals {
        copied,
        aborted,
        replaced,
        ..
    } = copier.totals;
    tracing::info!(
        copier = copier.totals.copier,
        copied,
        aborted,
        replaced,
        "ended after {copied} records"
    );
    Ok(copier.totals)
}

struct Copier<'a> {
    options: &'a Options,
    cancel: &'a CancellationToken,
    totals: Totals,
    /// How many records had been copied when that was logged last, and when.
    logged: (u64, Instant),
}

impl Copier<'_> {
    fn is_over(&self) -> bool {
        self.cancel.is_cancelled() || self.options.count.is_some_and(|count| self.totals.copied >= count)
    }

    fn copy_with_new_clients(&mut self) -> anyhow::Result<()> {
        let clients = Clients::begin(self.options, &self.totals.copier, self.cancel)?;
        let outcome = self.copy_with(&clients);
        clients.end();
        outcome
    }

    /// Copies until it is over, or these clients cannot go on.
    fn copy_with(&mut self, clients: &Clients) -> anyhow::Result<()> {
        let mut batch = Batch::default();
        while !self.is_over() {
            batch.fill(clients.consumer())?;
            if batch.is_empty() {
                continue;
            }
            let (producer, member) = (clients.producer(), clients.consumer());
            if transaction::commit(producer, member, &batch, clients.transaction_timeout(), self.cancel)? {
                self.totals.copied += batch.len() as u64;
                batch.clear();
                self.log_progress();
            } else {
                // What the group leaves to this member of the batch is tried again.
                self.totals.aborted += 1;
            }
        }
        Ok(())
    }

    fn log_progress(&mut self) {
        let copied = self.totals.copied;
        let (logged, at) = self.logged;
        if copied - logged >= 500 && at.elapsed() >= Duration::from_secs(1) {
            self.logged = (copied, Instant::now());
            let Totals { copier, aborted, .. } = &self.totals;
            tracing::info!(copier, copied, aborted, "copied {copied} records");
        }
    }
}
