//! Asks every controller for KRaft's metadata quorum, and tells what changed in it.
//!
//! Only one that leads can tell, or believes that it does: one that was cut off or frozen has to find out. So the newest
//! epoch counts. (Brokers would pass the question on, but wait for half a minute when the leader is frozen.)

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::kafka::wire::answers::{QuorumDescription, QuorumReplica};
use crate::kafka::wire::{BrokerConnection, Timeouts};
use crate::timeline::event::Kind;
use crate::timeline::record::Timeline;
use crate::timeline::view::QUORUM;
use crate::topology::Controller;

/// Time between two questions to a controller.
const INTERVAL: Duration = Duration::from_millis(100);
/// Time between two attempts to reach a controller that does not answer.
const RETRY: Duration = Duration::from_millis(100);
/// How long a node may be without the end of the metadata log. The leader writes something every 500 ms, and nodes fetch as
/// often; one that has not caught up for 2 s (`controller.quorum.fetch.timeout.ms`) is taken for gone by Kafka itself.
const LAG_MS: i64 = 3_000;
/// What controllers see as `client.id`, in their request logs and metrics.
const CLIENT_ID: &str = "khd-observer";

/// What a controller says of the quorum, by its id; nothing where it does not lead, or does not answer.
#[derive(Debug)]
pub struct Word(i32, Option<QuorumDescription>);

/// Asks one controller until it is aborted.
pub async fn ask(controller: Controller, words: mpsc::Sender<Word>) {
    loop {
        let Err(error) = ask_until_it_fails(&controller, &words).await;
        tracing::trace!(controller = controller.service, "{error:#}");
        // Fails only when the observer is being dropped.
        let _ = words.send(Word(controller.id, None)).await;
        // Nothing tells that a controller is back; this asks until it is aborted.
        sleep(RETRY).await;
    }
}

async fn ask_until_it_fails(controller: &Controller, words: &mpsc::Sender<Word>) -> anyhow::Result<Infallible> {
    let timeouts = Timeouts::default();
    let (name, address) = (&controller.service, controller.published);
    let mut connection = BrokerConnection::connect_to_controller(name, address, CLIENT_ID, timeouts).await?;
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let told = connection.describe_quorum().await?;
        let _ = words.send(Word(controller.id, told)).await;
    }
}

/// Tells what changed, by the words of all controllers, until it is aborted.
pub async fn observe(mut words: mpsc::Receiver<Word>, timeline: Timeline) {
    let mut quorum = Quorum::default();
    let view = timeline.view();
    while let Some(word) = words.recv().await {
        let (_, phase) = view.borrow().phases();
        if !phase.has_controllers() {
            // Those that come next know nothing of those that were there, and count epochs from the first.
            quorum = Quorum::default();
            continue;
        }
        for event in quorum.hear(word) {
            timeline.emit(QUORUM, event);
        }
    }
}

/// What was heard last of each controller, and told last.
#[derive(Debug, Default)]
struct Quorum {
    heard: BTreeMap<i32, Option<QuorumDescription>>,
    told: Option<Kind>,
    elected: Option<(i32, i32)>,
}

impl Quorum {
    /// Takes in the word of a controller.
    fn hear(&mut self, Word(controller, told): Word) -> Vec<Kind> {
        self.heard.insert(controller, told);
        let newest = self.heard.values().flatten().max_by_key(|quorum| quorum.epoch);
        // An older leader is none any more, whoever still believes in it.
        let newest = newest.filter(|quorum| self.elected.is_none_or(|(_, epoch)| epoch <= quorum.epoch));
        let event = match (newest, &self.told) {
            (Some(quorum), _) => event(quorum),
            (None, Some(told)) => without_leader(told),
            // A lab that starts has no quorum yet.
            (None, None) => return Vec::new(),
        };
        if self.told.as_ref() == Some(&event) {
            return Vec::new();
        }
        let mut events = Vec::new();
        if let Kind::Quorum {
            leader, leader_epoch, ..
        } = event
            && self.elected != Some((leader, leader_epoch))
        {
            self.elected = Some((leader, leader_epoch));
            events.push(Kind::ControllerElected {
                controller: leader,
                epoch: leader_epoch,
            });
        }
        self.told = Some(event.clone());
        // Before who the controller is, which waits look at.
        events.insert(0, event);
        events
    }
}

fn event(quorum: &QuorumDescription) -> Kind {
    let ids = |replicas: &[QuorumReplica]| replicas.iter().map(|replica| replica.id).collect::<BTreeSet<i32>>();
    let all = quorum.voters.iter().chain(&quorum.observers);
    // The leader has all of its own log at every moment, so its time is the present one.
    let now = all.clone().map(|replica| replica.caught_up).max().unwrap_or_default();
    let lagging = all.filter(|replica| replica.id != quorum.leader && now - replica.caught_up > LAG_MS);
    Kind::Quorum {
        leader: quorum.leader,
        leader_epoch: quorum.epoch,
        voters: ids(&quorum.voters),
        observers: ids(&quorum.observers),
        lagging: lagging.map(|replica| replica.id).collect(),
    }
}

/// What was told, now that nobody leads.
fn without_leader(told: &Kind) -> Kind {
    let mut event = told.clone();
    if let Kind::Quorum { leader, .. } = &mut event {
        *leader = -1;
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_764_000_000_000;

    fn quorum(leader: i32, epoch: i32, lag: &[(i32, i64)]) -> QuorumDescription {
        let replica = |id: i32| QuorumReplica {
            id,
            caught_up: lag.iter().find(|(late, _)| *late == id).map_or(NOW, |(_, ms)| NOW - ms),
        };
        QuorumDescription {
            leader,
            epoch,
            voters: [3001, 3002, 3003].map(replica).into(),
            observers: [1, 2].map(replica).into(),
        }
    }

    fn words(events: &[Kind]) -> Vec<String> {
        let words = |event: &Kind| match event {
            Kind::Quorum {
                leader,
                leader_epoch,
                lagging,
                ..
            } => format!("{leader} leads in {leader_epoch}, without {lagging:?}"),
            Kind::ControllerElected { controller, epoch } => format!("{controller} elected in {epoch}"),
            other => format!("{other:?}"),
        };
        events.iter().map(words).collect()
    }

    #[test]
    fn only_what_changed_is_told_and_a_lag_of_moments_is_no_change() {
        let mut heard = Quorum::default();
        let mut hear = |controller, told| words(&heard.hear(Word(controller, told)));
        assert_eq!(hear(3002, None), [""; 0]);
        let first = hear(3001, Some(quorum(3001, 4, &[])));
        assert_eq!(first, ["3001 leads in 4, without {}", "3001 elected in 4"]);
        assert_eq!(hear(3001, Some(quorum(3001, 4, &[(3002, 900)]))), [""; 0]);
        let late = [(3002, 3_001), (2, NOW + 1)];
        assert_eq!(
            hear(3001, Some(quorum(3001, 4, &late))),
            ["3001 leads in 4, without {2, 3002}"]
        );
        assert_eq!(hear(3002, None), [""; 0]);
    }

    #[test]
    fn a_leader_counts_until_it_says_so_no_more_and_an_older_one_never_again() {
        let mut heard = Quorum::default();
        let mut hear = |controller, told| words(&heard.hear(Word(controller, told)));
        hear(3001, Some(quorum(3001, 4, &[])));
        assert_eq!(hear(3003, None), [""; 0]);
        assert_eq!(hear(3001, None), ["-1 leads in 4, without {}", "-1 elected in 4"]);
        let next = ["3003 leads in 5, without {}", "3003 elected in 5"];
        assert_eq!(hear(3003, Some(quorum(3003, 5, &[]))), next);
        // It was frozen, and does not know yet.
        assert_eq!(hear(3001, Some(quorum(3001, 4, &[]))), [""; 0]);
        assert_eq!(hear(3003, None), ["-1 leads in 5, without {}", "-1 elected in 5"]);
    }
}
