//! Asks each ZooKeeper server for its mode, and the ensemble for the controller.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::kafka::zookeeper::{Ensemble, mode};
use crate::timeline::event::Kind;
use crate::timeline::record::Timeline;
use crate::topology::ZooKeeper;

/// Time between two questions for a server's mode. The server logs a line for each.
const MODE_INTERVAL: Duration = Duration::from_secs(1);
/// How long to wait for a server's mode.
const MODE_TIMEOUT: Duration = Duration::from_secs(1);
/// Time between two reads of the controller.
const CONTROLLER_INTERVAL: Duration = Duration::from_millis(100);
/// How long to wait for the controller: until the client has turned from a server that hangs to another.
const CONTROLLER_TIMEOUT: Duration = Duration::from_secs(4);
/// Time between two attempts to read the controller when the last one failed: each makes the client log a warning.
const CONTROLLER_RETRY: Duration = Duration::from_secs(1);
/// How long the controller may be unreadable before that is worth a warning: longer than an election in the ensemble.
const UNREADABLE: Duration = Duration::from_secs(5);
/// Source of what the ensemble says, whichever server said it.
const ENSEMBLE: &str = "zookeeper";

/// Observes one server's mode until it is aborted.
pub async fn observe_mode(server: ZooKeeper, timeline: Timeline) {
    let mut told = None;
    let mut ticks = interval(MODE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let (mode, error) = match mode(server.published, MODE_TIMEOUT).await {
            Ok(mode) => (Some(mode), None),
            Err(error) => (None, Some(format!("{error:#}"))),
        };
        let event = Kind::ZooKeeper { mode, error };
        if told.as_ref() != Some(&event) {
            timeline.emit(&server.service, event.clone());
            told = Some(event);
        }
    }
}

/// Observes the controller that ZooKeeper holds until it is aborted.
pub async fn observe_controller(servers: Vec<SocketAddr>, timeline: Timeline) {
    let mut ensemble = Ensemble::new(servers);
    let mut told = None;
    // When it was read last; nothing before it was read first, because a lab that starts has no controller.
    let mut read_last: Option<Instant> = None;
    let mut ticks = interval(CONTROLLER_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match ensemble.controller(CONTROLLER_TIMEOUT).await {
            Ok(None) => {}
            Ok(Some(controller)) => {
                read_last = Some(Instant::now());
                if told != Some(controller) {
                    told = Some(controller);
                    let event = Kind::ControllerElected {
                        controller: controller.broker,
                        epoch: controller.epoch,
                    };
                    timeline.emit(ENSEMBLE, event);
                }
            }
            Err(error) => {
                if read_last.is_some_and(|last| last.elapsed() > UNREADABLE) {
                    // Once: not before it was read again.
                    read_last = None;
                    let message = format!("the controller cannot be read: {error:#}");
                    timeline.emit(ENSEMBLE, Kind::Warning { message });
                }
                sleep(CONTROLLER_RETRY).await;
            }
        }
    }
}
