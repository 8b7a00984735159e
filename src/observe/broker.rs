//! Asks one broker, over and over, for the cluster, the partitions, the group and the offsets as it sees them.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::kafka::wire::{BrokerConnection, Timeouts};
use crate::observe::offsets::{EndOffset, Report};
use crate::observe::told::Told;
use crate::timeline::record::Timeline;
use crate::timeline::view::{GroupView, View};
use crate::topology::migration::Phase;
use crate::topology::{Broker, Workload};

/// Time between two rounds of questions; the resolution of every time that khd measures from observations.
const INTERVAL: Duration = Duration::from_millis(100);
/// Offsets are asked for in every so manieth round: they tell of progress, not of a state that lasts shortly.
const OFFSETS_EVERY: u32 = 2;
/// Time between two attempts to reach a broker that does not answer.
const RETRY: Duration = Duration::from_millis(100);
/// What brokers see as `client.id`, in their request logs and metrics.
const CLIENT_ID: &str = "khd-observer";

/// Observes one broker until it is aborted.
pub async fn observe(broker: Broker, workload: Workload, timeline: Timeline, offsets: mpsc::Sender<Report>) {
    let mut observer = BrokerObserver {
        broker,
        workload,
        view: timeline.view(),
        timeline,
        offsets,
        told: Told::default(),
    };
    loop {
        let Err(error) = observer.ask_until_it_fails().await;
        let event = observer.told.silent(format!("{error:#}"));
        if let Some(event) = event {
            observer.timeline.emit(&observer.broker.service, event);
        }
        sleep(RETRY).await;
    }
}

struct BrokerObserver {
    broker: Broker,
    /// Topics and the group.
    workload: Workload,
    view: watch::Receiver<View>,
    timeline: Timeline,
    offsets: mpsc::Sender<Report>,
    told: Told,
}

impl BrokerObserver {
    async fn ask_until_it_fails(&mut self) -> anyhow::Result<Infallible> {
        let address = self.broker.published;
        let mut connection =
            BrokerConnection::connect(&self.broker.service, address, CLIENT_ID, Timeouts::default()).await?;
        let mut ticks = interval(INTERVAL);
        // A broker that was slow is not to be flooded with the rounds it missed.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.ask_for_state(&mut connection).await?;
            self.ask_for_offsets(&mut connection).await?;
            for _ in 1..OFFSETS_EVERY {
                ticks.tick().await;
                self.ask_for_state(&mut connection).await?;
            }
        }
    }

    async fn ask_for_state(&mut self, connection: &mut BrokerConnection) -> anyhow::Result<()> {
        let mut metadata = connection.metadata(&self.workload.with_copies()).await?;
        // A controller of KRaft is told to nobody: brokers name any broker then, and another one each time.
        if self.view.borrow().is_throughout(Phase::is_controlled_by_kraft) {
            metadata.controller = -1;
        }
        for event in self.told.metadata(metadata) {
            self.timeline.emit(&self.broker.service, event);
        }
        let group = connection.describe_group(&self.workload.group).await?;
        if let Some(event) = self.told.group(&self.workload.group, group) {
            self.timeline.emit(&self.broker.service, event);
        }
        Ok(())
    }

    async fn ask_for_offsets(&mut self, connection: &mut BrokerConnection) -> anyhow::Result<()> {
        let mut of: HashMap<&str, HashMap<i32, i32>> = HashMap::new();
        let workload = &self.workload;
        let led = self.told.led_by(self.broker.id);
        // How far the copies have come is not how far the workload has.
        for led in led.filter(|led| workload.topics.iter().any(|topic| topic == led.topic)) {
            of.entry(led.topic).or_default().insert(led.partition, led.epoch);
        }
        if !of.is_empty() {
            let topics: Vec<(String, Vec<i32>)> = of
                .iter()
                .map(|(topic, partitions)| ((*topic).to_owned(), partitions.keys().copied().collect()))
                .collect();
            let offsets = connection.end_offsets(&topics).await?;
            let ends = offsets.into_iter().filter_map(|(partition, offset)| {
                let epoch = *of.get(partition.0.as_str())?.get(&partition.1)?;
                Some((partition, EndOffset { offset, epoch }))
            });
            // Fails only when the observer is being dropped.
            let _ = self.offsets.send(Report::Ends(ends.collect())).await;
        }
        // One that is cut off goes on telling what was committed to it last.
        let coordinates = |group: &GroupView| group.coordinator == self.broker.id;
        let coordinates = self.view.borrow().group.as_ref().is_some_and(coordinates);
        if coordinates && let Some(committed) = connection.committed_offsets(&self.workload.group).await? {
            let _ = self.offsets.send(Report::Committed(committed)).await;
        }
        if workload.copiers > 0
            && let Some(event) = self.told.transactions(connection.transactional_ids().await?)
        {
            self.timeline.emit(&self.broker.service, event);
        }
        Ok(())
    }
}
