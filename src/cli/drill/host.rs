//! The lab that drills run on: brought up, changed, verified between drills, made anew where one spoilt it.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::cli::lab::{Lab, require_no_migration};
use crate::cli::terminal::watched;
use crate::cli::up::bring_up;
use crate::drill::machine::Outcome;
use crate::drill::wait::until;
use crate::error::Expected;
use crate::settings::{Data, Settings};
use crate::timeline::conditions;
use crate::timeline::record::Timeline;
use crate::timeline::view::View;
use crate::topology::{CONSUMER, COPIER, PRODUCER};

/// How long a lab may take until it is ready.
const READY_WITHIN: Duration = Duration::from_secs(180);
/// How long a lab that served a drill may take to be whole.
const WHOLE_WITHIN: Duration = Duration::from_secs(60);

/// The lab, through all of the drills.
pub struct Host {
    /// As it is now.
    pub lab: Lab,
    /// As it was before the first drill, where there was one.
    before: Option<Settings>,
    is_up: bool,
    state: State,
}

/// What the drills so far have made of the lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It is as its settings say.
    Kept,
    /// Another number of clients runs.
    Changed,
    /// Its log is not what was acknowledged any more, or it did not recover.
    Spoilt,
    /// It is on its way from ZooKeeper to KRaft, or has come there, and is not what its settings say.
    Migrated,
}

impl Host {
    /// The lab that is there, or shall be.
    ///
    /// # Errors
    /// Those of the engine; an environment error when a fault is in place in it.
    pub async fn of(lab: Lab) -> anyhow::Result<Self> {
        let project = lab.engine.project(&lab.settings.project).await?;
        lab.require_no_fault(&project)?;
        require_no_migration(&project)?;
        let is_up = !project.containers.is_empty();
        Ok(Self {
            before: is_up.then(|| lab.settings.clone()),
            lab,
            is_up,
            state: State::Kept,
        })
    }

    /// Notes what a drill has made of it.
    pub fn note(&mut self, state: State) {
        self.state = self.state.max(state);
    }

    /// Makes the lab what a drill wants, whole and proven.
    ///
    /// # Errors
    /// When it cannot be brought up; or an interruption.
    pub async fn prepare(&mut self, wanted: &Settings, cancel: &CancellationToken) -> anyhow::Result<()> {
        if !self.is_up {
            self.lab = self.lab.with(wanted.clone());
            return self.up(cancel).await;
        }
        let changes = Changes::between(&self.lab.settings, wanted);
        match (self.state, changes) {
            (State::Spoilt | State::Migrated, _) => {
                self.renew(wanted, "the drill before has left its mark on it", cancel)
                    .await
            }
            (_, Changes::Cluster) => self.renew(wanted, "the drill wants another one", cancel).await,
            (State::Kept, Changes::None) => match self.whole(cancel).await {
                Outcome::Done => Ok(()),
                Outcome::Interrupted => Err(Expected::interrupted("interrupted").into()),
                Outcome::Failed(error) => anyhow::bail!(error),
                Outcome::Expired(lacking) => self.renew(wanted, &lacking.join("; "), cancel).await,
            },
            (_, Changes::None | Changes::Clients) => {
                self.lab = self.lab.with(wanted.clone());
                self.up(cancel).await
            }
        }
    }

    /// Leaves the lab as it was found: none, or the user's.
    ///
    /// # Errors
    /// When that cannot be done.
    pub async fn leave(mut self, keep: bool) -> anyhow::Result<()> {
        match self.before.take() {
            // It would be made anew for nothing: the fault is still there to be undone.
            Some(_) if self.lab.journal().require_empty().is_err() => Ok(()),
            None if !self.is_up => Ok(()),
            None if keep && self.state != State::Migrated => {
                tell!("the lab is kept; remove it with khd down");
                Ok(())
            }
            None => self.down().await,
            Some(before) if before == self.lab.settings && self.state == State::Kept => Ok(()),
            Some(before) => {
                tell!("the lab gets the settings back that it had before");
                // What was interrupted is put right all the same; a second signal ends khd.
                self.prepare(&before, &CancellationToken::new()).await
            }
        }
    }

    async fn up(&mut self, cancel: &CancellationToken) -> anyhow::Result<()> {
        // Also one that is up only half has to be taken down again.
        self.is_up = true;
        let ready = bring_up(&self.lab, READY_WITHIN, cancel).await?;
        tell!("{ready}");
        self.state = State::Kept;
        Ok(())
    }

    async fn renew(&mut self, wanted: &Settings, why: &str, cancel: &CancellationToken) -> anyhow::Result<()> {
        if self.lab.settings.data == Data::Keep {
            let message = format!("the lab would have to be made anew ({why}), and its settings say `data: keep`");
            let hint = "run drills on a lab of their own: --project drills --port-offset 100 --subnet 172.26.0.0/24";
            return Err(Expected::environment(message).hint(hint).into());
        }
        tell!("the lab is made anew: {why}");
        self.down().await?;
        self.lab = self.lab.with(wanted.clone());
        self.up(cancel).await
    }

    async fn down(&mut self) -> anyhow::Result<()> {
        self.lab.remove(self.lab.settings.data == Data::Keep).await?;
        self.is_up = false;
        Ok(())
    }

    /// Whether the lab is whole, with as many clients as its settings say.
    async fn whole(&self, cancel: &CancellationToken) -> Outcome {
        let lab = &self.lab;
        let expected = lab.topology.expectation(lab.settings.session_timeout());
        let timeline = Timeline::unrecorded();
        lab.start(&timeline, &expected, &lab.limits(), &BTreeMap::new());
        let _observers = lab.observe(&timeline);
        let whole = |view: &View| {
            let mut lacking = conditions::replicas_run(view, PRODUCER, expected.workload.producers);
            lacking.extend(conditions::replicas_run(view, CONSUMER, expected.workload.consumers));
            lacking.extend(conditions::replicas_run(view, COPIER, expected.workload.copiers));
            lacking.extend(conditions::whole(view, &expected));
            lacking
        };
        let wait = until(timeline.view(), WHOLE_WITHIN, cancel, whole);
        watched(timeline.view(), whole, wait).await
    }
}

/// How one lab's settings differ from another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Changes {
    None,
    /// Only clients: they are made anew, and what they wrote stays.
    Clients,
    /// Servers or topics: topics keep the settings that they were made with, so all is made anew.
    Cluster,
}

impl Changes {
    fn between(old: &Settings, new: &Settings) -> Self {
        let mut clients = old.clone();
        // Limits are no part of what runs.
        clients.limits = new.limits.clone();
        if clients == *new {
            return Self::None;
        }
        clients.producer = new.producer.clone();
        clients.consumer = new.consumer.clone();
        clients.copier = new.copier.clone();
        if clients == *new { Self::Clients } else { Self::Cluster }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Acks;

    #[test]
    fn topics_and_servers_need_a_new_lab_and_clients_do_not() {
        let old = Settings::default();
        let changes = |change: fn(&mut Settings)| {
            let mut new = old.clone();
            change(&mut new);
            Changes::between(&old, &new)
        };
        assert_eq!(changes(|_| {}), Changes::None);
        assert_eq!(changes(|new| new.limits.progress = Some(5)), Changes::None);
        assert_eq!(changes(|new| new.producer.acks = Acks::One), Changes::Clients);
        assert_eq!(changes(|new| new.consumer.replicas = 3), Changes::Clients);
        assert_eq!(changes(|new| new.copier.replicas = 2), Changes::Clients);
        assert_eq!(
            changes(|new| new.topics.min_insync_replicas = Some(1)),
            Changes::Cluster
        );
    }
}
