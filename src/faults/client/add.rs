//! Add: more producers or consumers than the lab has, as when an application is scaled out.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use crate::engine::converge::retire;
use crate::engine::{Container, Engine, LogOptions, Project, labels};
use crate::error::Expected;
use crate::faults::{Fault, Field, Injection, Means, Proof, Target, lacking, of_each};
use crate::timeline::conditions::Lacking;
use crate::timeline::view::View;
use crate::topology::{CONSUMER, PRODUCER, Topology};

/// The most that are added at once: with all that a lab may have, they still find addresses.
const MOST_ADDED: u16 = 10;
/// How long the engine may take to make what a khd that died had asked it for.
const TO_COME: Duration = Duration::from_secs(2);

/// Of each service that is named, containers are added, and removed when it is undone; those that are named stay as they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Add {
    /// How many more of each service that is named.
    pub replicas: u16,
}

impl Default for Add {
    fn default() -> Self {
        Self { replicas: 1 }
    }
}

#[async_trait]
impl Fault for Add {
    fn field(&self) -> Field {
        Field::Client
    }

    fn meaning(&self) -> &'static str {
        "let more producers or consumers join those that are named"
    }

    fn check(&self, _: &Topology, targets: &[Target]) -> Result<(), Expected> {
        let client = |target: &&Target| target.service == PRODUCER || target.service == CONSUMER;
        if let Some(other) = targets.iter().find(|target| !client(target)) {
            let message = format!("{} is neither producer nor consumer", other.name());
            return Err(Expected::usage(message).hint("brokers are added with --set kafka.servers=N and khd up"));
        }
        if !(1..=MOST_ADDED).contains(&self.replicas) {
            let message = format!("{} more replicas are not possible (1 to {MOST_ADDED})", self.replicas);
            return Err(Expected::usage(message));
        }
        Ok(())
    }

    /// The lowest free numbers of each service that is named.
    fn aim(&self, named: Vec<Target>, topology: &Topology, project: &Project) -> Vec<Target> {
        let services: BTreeSet<&str> = named.iter().map(|target| target.service.as_str()).collect();
        let of = |service: &str| {
            let present = project.containers.iter().filter(|found| found.service == service);
            let taken: BTreeSet<u32> = present.map(|found| found.number).collect();
            let free = (1..).filter(move |number| !taken.contains(number));
            free.take(self.replicas.into()).collect::<Vec<u32>>()
        };
        let target = |service: &str, number| Target {
            service: service.to_owned(),
            number,
            container: labels::container_name(&topology.project, service, number),
            address: None,
            numbered: true,
        };
        let added = services
            .into_iter()
            .flat_map(|service| of(service).into_iter().map(move |number| target(service, number)));
        added.collect()
    }

    fn adds(&self) -> bool {
        true
    }

    fn out(&self, _: &[Target], _: &Topology) -> BTreeSet<String> {
        BTreeSet::new()
    }

    /// None of those that are added can be started again once they are removed.
    fn takes(&self, _: &Topology, targets: &[Target]) -> BTreeSet<String> {
        let services = targets
            .iter()
            .map(|target| format!("the number of {}s", target.service));
        services.chain(of_each("the process", targets)).collect()
    }

    async fn inject(&self, means: &Means, injection: &Injection) -> anyhow::Result<()> {
        let engine = &means.engine;
        let adding = injection.targets.iter().map(|target| async {
            let Target { service, number, .. } = target;
            engine.create_container(&means.file, service, *number).await?;
            engine.start(&target.container).await
        });
        join_all(adding).await.into_iter().collect()
    }

    async fn undo(&self, means: &Means, injection: &Injection) -> anyhow::Result<()> {
        // What the engine does is told by the observer of containers.
        let (progress, _) = mpsc::unbounded_channel();
        let just_asked = Timestamp::now().duration_since(injection.since) < SignedDuration::from_secs(10);
        let deadline = Instant::now() + if just_asked { TO_COME } else { Duration::ZERO };
        let mut removed = 0;
        loop {
            let project = means.engine.project(&means.topology.project).await?;
            let added: Vec<Container> = (project.containers.into_iter())
                .filter(|found| injection.added().any(|name| name == found.name))
                .collect();
            removed += added.len();
            retire(means.engine.as_ref(), &added, &progress).await?;
            if removed >= injection.targets.len() || Instant::now() >= deadline {
                return Ok(());
            }
            // Until the next look; nothing tells that the engine will not make one any more.
            sleep(TO_COME / 10).await;
        }
    }

    /// A consumer that joins waits for the others to end their round.
    fn effect_within(&self) -> Duration {
        Duration::from_secs(60)
    }

    /// A consumer has its part when the group counts it as a member; a producer, when messages of its were acknowledged.
    async fn effect(&self, means: &Means, injection: &Injection, view: &View) -> Proof {
        let project = means.engine.project(&means.topology.project).await.map_err(lacking)?;
        let (mut proofs, mut lacks) = (Vec::new(), Lacking::new());
        for target in &injection.targets {
            let mut containers = project.containers.iter();
            let found = containers.find(|found| found.name == target.container && found.state == "running");
            match (found, target.service.as_str()) {
                (None, _) => lacks.push(format!("{} does not run", target.name())),
                (Some(found), CONSUMER) if is_member(found, view) => {
                    proofs.push(format!("{} is a member of the group", target.name()));
                }
                (Some(_), CONSUMER) => lacks.push(format!("{} is not yet a member of the group", target.name())),
                (Some(_), _) => match acknowledged(means.engine.as_ref(), target).await {
                    0 => lacks.push(format!("no message of {} has been acknowledged yet", target.name())),
                    some => proofs.push(format!("{some} messages of {} were acknowledged", target.name())),
                },
            }
        }
        if lacks.is_empty() {
            Ok(proofs.join("; "))
        } else {
            Err(lacks)
        }
    }

    async fn healed(&self, means: &Means, injection: &Injection, view: &View) -> Proof {
        let project = means.engine.project(&means.topology.project).await.map_err(lacking)?;
        let there = injection.targets.iter().filter(|target| {
            let mut containers = project.containers.iter();
            containers.any(|found| found.name == target.container)
        });
        let mut lacks: Lacking = there
            .map(|target| format!("{} is still there", target.name()))
            .collect();
        if injection.targets.iter().any(|target| target.service == CONSUMER) {
            if view.group.is_none() {
                lacks.push("no broker coordinates the group".into());
            }
            let members = view.group.iter().flat_map(|group| &group.members);
            let there: BTreeSet<Ipv4Addr> = project.containers.iter().filter_map(|found| found.address).collect();
            // Members from elsewhere than the lab's own containers are somebody else's.
            let of_lab = |host: &Ipv4Addr| means.topology.dynamic_range.contains(host);
            let hosts = members.filter_map(|member| member.host.parse().ok()).filter(of_lab);
            let gone = hosts.filter(|host| !there.contains(host));
            lacks.extend(gone.map(|host| format!("the group still has a member at {host}")));
        }
        if lacks.is_empty() {
            Ok(format!("{} is gone", injection.names()))
        } else {
            Err(lacks)
        }
    }
}

fn is_member(container: &Container, view: &View) -> bool {
    let mut members = view.group.iter().flat_map(|group| &group.members);
    let address = container.address.map(|address| address.to_string());
    members.any(|member| address.as_deref() == Some(member.host.as_str()))
}

/// How many messages of a producer were acknowledged, by what it last said.
async fn acknowledged(engine: &dyn Engine, producer: &Target) -> u64 {
    let options = LogOptions {
        tail: Some(100),
        ..LogOptions::default()
    };
    let said = engine.logs(&producer.container, options).filter_map(async |line| {
        let line: Value = serde_json::from_str(&line.ok()?.text).ok()?;
        line["acknowledged"].as_u64()
    });
    said.fold(0, async |most: u64, count| most.max(count)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    #[test]
    fn it_takes_the_lowest_free_numbers_and_leaves_those_that_are_named_alone() {
        let named = |service: &str, number| Target {
            container: labels::container_name("khd", service, number),
            number,
            numbered: true,
            ..Target::sample(service)
        };
        let present = [named(CONSUMER, 1), named(CONSUMER, 3), named(PRODUCER, 1)];
        let container = |target: &Target| Container {
            id: String::new(),
            name: target.container.clone(),
            service: target.service.clone(),
            number: target.number,
            state: "running".into(),
            health: None,
            status: String::new(),
            image: String::new(),
            image_id: String::new(),
            config_hash: String::new(),
            depends_on: Vec::new(),
            ports: Vec::new(),
            address: None,
        };
        let project = Project {
            containers: present.iter().map(container).collect(),
            ..Project::default()
        };
        let topology = Topology::of(&Settings::default());
        let aimed = Add { replicas: 2 }.aim(present.to_vec(), &topology, &project);
        assert_eq!(
            aimed,
            [
                named(CONSUMER, 2),
                named(CONSUMER, 4),
                named(PRODUCER, 2),
                named(PRODUCER, 3)
            ]
        );
    }

    #[test]
    fn servers_and_impossible_numbers_are_refused() {
        let topology = Topology::of(&Settings::default());
        let refused = |replicas, service: &str| {
            let refused = Add { replicas }.check(&topology, &[Target::sample(service)]);
            refused.unwrap_err().to_string()
        };
        assert_eq!(refused(1, "kafka1"), "kafka1 is neither producer nor consumer");
        assert!(refused(0, CONSUMER).contains("1 to 10"), "{}", refused(0, CONSUMER));
        assert!(refused(11, PRODUCER).contains("1 to 10"));
        assert!(Add::default().check(&topology, &[Target::sample(PRODUCER)]).is_ok());
    }
}
