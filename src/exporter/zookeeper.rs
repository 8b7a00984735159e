//! Asks one ZooKeeper server for its mode, over and over.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::lookup_host;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{Cluster, ZooKeeper};
use crate::kafka::zookeeper::mode;

/// Time between two questions. The server logs a line for each.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long to wait for the answer.
const TIMEOUT: Duration = Duration::from_millis(800);

/// Asks until it is aborted.
pub async fn ask(server: ZooKeeper, cluster: Arc<Mutex<Cluster>>) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let asked = timeout(TIMEOUT, mode_of(&server)).await;
        let mode = asked.ok().and_then(Result::ok);
        let mut cluster = cluster.lock().unwrap_or_else(PoisonError::into_inner);
        cluster.zookeepers.insert(server.server.clone(), mode);
    }
}

async fn mode_of(server: &ZooKeeper) -> anyhow::Result<String> {
    let address = lookup_host(&server.address).await?.next();
    mode(address.context("the name has no address")?, TIMEOUT).await
}
