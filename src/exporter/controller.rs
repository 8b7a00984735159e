//! Asks one of KRaft's controllers for the metadata quorum, over and over.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::lookup_host;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::broker::locked;
use super::{Broker, Cluster};
use crate::kafka::wire::{BrokerConnection, Timeouts};

/// Time between two questions.
const INTERVAL: Duration = Duration::from_millis(500);
/// Time between two attempts to reach a controller that does not answer.
const RETRY: Duration = Duration::from_millis(250);
/// How long its name may take to be resolved.
const RESOLVE: Duration = Duration::from_secs(1);
/// What controllers see as `client.id`.
const CLIENT_ID: &str = "khd-exporter";

/// Asks until it is aborted.
pub async fn ask(controller: Broker, cluster: Arc<Mutex<Cluster>>) {
    loop {
        let Err(error) = ask_until_it_fails(&controller, &cluster).await;
        tracing::trace!(controller = controller.server, "{error:#}");
        locked(&cluster).controller(controller.id, None);
        // Nothing tells that a controller is back; this asks until the exporter ends.
        sleep(RETRY).await;
    }
}

async fn ask_until_it_fails(controller: &Broker, cluster: &Mutex<Cluster>) -> anyhow::Result<Infallible> {
    let resolved = timeout(RESOLVE, lookup_host(&controller.address)).await;
    let resolved = resolved.context("its name was not resolved in time")??.next();
    let address = resolved.context("its name has no address")?;
    let (name, timeouts) = (&controller.server, Timeouts::default());
    let mut connection = BrokerConnection::connect_to_controller(name, address, CLIENT_ID, timeouts).await?;
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let told = connection.describe_quorum().await?;
        locked(cluster).controller(controller.id, Some(told));
    }
}
