//! Whom a fault shall hit, as the user says it: by name, or by the role that it has when the fault is injected.

use std::fmt;
use std::str::FromStr;

use chacha20::ChaCha8Rng;
use rand::SeedableRng as _;
use rand::seq::IndexedRandom as _;
use serde::{Deserialize, Serialize};

use crate::engine::{Project, labels};
use crate::error::{Expected, nearest};
use crate::faults::Target;
use crate::settings::Flavor;
use crate::timeline::event::TopicPartition;
use crate::timeline::view::{BrokerView, View};
use crate::topology::{CONSUMER, COPIER, Expectation, PRODUCER, Topology};

/// A word for one or more targets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Selector {
    /// By name: `kafka2`, `zookeeper1`, `controller1`, `consumer-1`; all of a service of clients: `consumer`.
    Named(String),
    /// `controller`: the broker that is the controller; in KRaft, the one that leads the metadata quorum.
    Controller,
    /// `leader:TOPIC/PARTITION`: the broker that leads it.
    Leader(TopicPartition),
    /// `follower:TOPIC/PARTITION`: the first broker in its ISR that does not lead it.
    Follower(TopicPartition),
    /// `coordinator:GROUP`: the broker that coordinates the group.
    Coordinator(String),
    /// `transaction-coordinator`: the broker that coordinates the transactions of a copier; of several, of most of them.
    TransactionCoordinator,
    /// `zookeeper-leader`: the ZooKeeper server that leads.
    ZooKeeperLeader,
    /// `all-brokers`.
    AllBrokers,
    /// `random`: any broker; `random:zookeeper`, `random:controller`, `random:consumer`, `random:producer`: any of those.
    Random(Pool),
}

/// Of whom a random one is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pool {
    /// Brokers.
    Broker,
    /// ZooKeeper servers.
    ZooKeeper,
    /// Voters of KRaft's metadata quorum, which in combined mode are brokers too.
    Controller,
    /// Consumers.
    Consumer,
    /// Producers.
    Producer,
}

impl Pool {
    const ALL: [Self; 5] = [
        Self::Broker,
        Self::ZooKeeper,
        Self::Controller,
        Self::Consumer,
        Self::Producer,
    ];

    fn word(self) -> &'static str {
        match self {
            Self::Broker => "broker",
            Self::ZooKeeper => "zookeeper",
            Self::Controller => "controller",
            Self::Consumer => CONSUMER,
            Self::Producer => PRODUCER,
        }
    }
}

/// The roles, as users write them.
pub const ROLES: [&str; 8] = [
    "controller",
    "leader:TOPIC/PARTITION",
    "follower:TOPIC/PARTITION",
    "coordinator:GROUP",
    "transaction-coordinator",
    "zookeeper-leader",
    "all-brokers",
    "random[:broker|zookeeper|controller|consumer|producer]",
];

impl FromStr for Selector {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let partition = |text: &str| {
            let (topic, partition) = text.rsplit_once('/')?;
            Some((topic.to_owned(), partition.parse().ok()?)).filter(|(topic, _)| !topic.is_empty())
        };
        let (role, of) = text.split_once(':').map_or((text, None), |(role, of)| (role, Some(of)));
        match (role, of) {
            ("controller", None) => Ok(Self::Controller),
            ("transaction-coordinator", None) => Ok(Self::TransactionCoordinator),
            ("zookeeper-leader", None) => Ok(Self::ZooKeeperLeader),
            ("all-brokers", None) => Ok(Self::AllBrokers),
            ("random", None) => Ok(Self::Random(Pool::Broker)),
            ("random", Some(of)) => Pool::ALL
                .into_iter()
                .find(|pool| pool.word() == of)
                .map(Self::Random)
                .ok_or_else(|| {
                    format!("`{text}`: random takes one of broker, zookeeper, controller, consumer, producer")
                }),
            ("leader" | "follower", of) => {
                let partition = of.and_then(partition);
                let partition = partition.ok_or_else(|| format!("`{text}`: write it as {role}:TOPIC/PARTITION"))?;
                Ok(match role {
                    "leader" => Self::Leader(partition),
                    _ => Self::Follower(partition),
                })
            }
            ("coordinator", of) => of
                .filter(|group| !group.is_empty())
                .map(|group| Self::Coordinator(group.to_owned()))
                .ok_or_else(|| format!("`{text}`: write it as coordinator:GROUP")),
            (_, None) if !text.is_empty() => Ok(Self::Named(text.to_owned())),
            _ => Err(format!("`{text}` is no target; roles are {}", ROLES.join(", "))),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => f.write_str(name),
            Self::Controller => f.write_str("controller"),
            Self::Leader((topic, partition)) => write!(f, "leader:{topic}/{partition}"),
            Self::Follower((topic, partition)) => write!(f, "follower:{topic}/{partition}"),
            Self::Coordinator(group) => write!(f, "coordinator:{group}"),
            Self::TransactionCoordinator => f.write_str("transaction-coordinator"),
            Self::ZooKeeperLeader => f.write_str("zookeeper-leader"),
            Self::AllBrokers => f.write_str("all-brokers"),
            Self::Random(Pool::Broker) => f.write_str("random"),
            Self::Random(pool) => write!(f, "random:{}", pool.word()),
        }
    }
}

impl TryFrom<String> for Selector {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Selector> for String {
    fn from(selector: Selector) -> Self {
        selector.to_string()
    }
}

impl Selector {
    /// Whether it is a role that one server has, and another one when that is gone.
    fn is_held(&self) -> bool {
        !matches!(self, Self::Named(_) | Self::AllBrokers | Self::Random(_))
    }

    /// Whether it names no container but a role, of which it turns out at injection who has it.
    pub fn is_role(&self) -> bool {
        !matches!(self, Self::Named(_))
    }

    /// Checks it against the lab's description, before anything runs. A server that labs of another flavor have makes sense,
    /// and may be missing: see [`there`](Self::there).
    ///
    /// # Errors
    /// A usage error that lists what there is, the nearest first.
    pub fn check(&self, topology: &Topology) -> Result<(), Expected> {
        match self {
            Self::Named(name) => named(topology, name),
            Self::Leader((topic, partition)) | Self::Follower((topic, partition)) => {
                let workload = &topology.workload;
                let topics = workload.with_copies();
                if !topics.contains(topic) || !(0..workload.partitions).contains(partition) {
                    let topics = topics.join(", ");
                    let hint = format!("topics: {topics}, with partitions 0 to {}", workload.partitions - 1);
                    return Err(Expected::usage(format!("the lab has no partition {topic}/{partition}")).hint(hint));
                }
                Ok(())
            }
            Self::Coordinator(group) if *group != topology.workload.group => {
                Err(Expected::usage(format!("khd does not watch a group `{group}`"))
                    .hint(format!("the lab's group is {}", topology.workload.group)))
            }
            Self::TransactionCoordinator if topology.workload.copiers == 0 => Err(Expected::usage(
                "the lab's settings have no copiers, so that khd does not watch who coordinates their transactions",
            )
            .hint("have some: khd up --set copier.replicas=2")),
            _ => Ok(()),
        }
    }

    /// Checks that the lab has such servers: those that keep the metadata are others in other flavors.
    ///
    /// # Errors
    /// An environment error that says what keeps the metadata here.
    pub fn there(&self, topology: &Topology) -> Result<(), Expected> {
        let missing = match self {
            Self::ZooKeeperLeader | Self::Random(Pool::ZooKeeper) => topology.zookeepers.is_empty(),
            Self::Random(Pool::Controller) => topology.controllers.is_empty(),
            Self::Named(name) => is_keeper(name) && !topology.servers().any(|server| server == name),
            _ => false,
        };
        if !missing {
            return Ok(());
        }
        let (kept, hint) = match topology.flavor {
            Flavor::ZooKeeper => (
                "ZooKeeper",
                "controllers of their own are in labs of `--flavor kraft-separate`",
            ),
            Flavor::Kraft => (
                "its brokers",
                "`controller` is the one of them that leads the metadata quorum",
            ),
            Flavor::KraftSeparate => (
                "its controllers",
                "`controller` is the one of them that leads the metadata quorum",
            ),
        };
        let message = format!("there is no {self} in this lab, whose metadata is kept by {kept}");
        Err(Expected::environment(message).hint(hint))
    }

    /// One that it may mean, by the lab's description alone: a fault that makes no sense for it makes none for the others.
    pub fn example(&self, topology: &Topology) -> Option<Target> {
        let broker = || topology.brokers.first().map(|broker| broker.service.clone());
        let zookeeper = || topology.zookeepers.first().map(|server| server.service.clone());
        let name = match self {
            Self::Named(name) => Some(name.clone()),
            Self::Controller | Self::Random(Pool::Controller) => {
                let controller = topology.controllers.first();
                controller.map(|controller| controller.service.clone()).or_else(broker)
            }
            Self::ZooKeeperLeader | Self::Random(Pool::ZooKeeper) => zookeeper(),
            Self::Random(pool @ (Pool::Consumer | Pool::Producer)) => Some(pool.word().to_owned()),
            _ => broker(),
        }?;
        let of = |service: &str| name.strip_prefix(service)?.strip_prefix('-')?.parse::<u32>().ok();
        let client = [CONSUMER, PRODUCER, COPIER]
            .into_iter()
            .find(|service| name == *service || of(service).is_some());
        let service = client.map_or_else(|| name.clone(), str::to_owned);
        let number = of(&service).unwrap_or(1);
        Some(Target {
            container: labels::container_name(&topology.project, &service, number),
            number,
            address: None,
            numbered: client.is_some(),
            service,
        })
    }

    /// Whom it means now, but for those that are `taken`, where it may mean others.
    ///
    /// `seed` decides what is random.
    ///
    /// # Errors
    /// An environment error when nobody has the role now, or the lab has no such container.
    fn resolve(
        &self,
        project: &Project,
        expected: &Expectation,
        view: &View,
        seed: u64,
        taken: &[Target],
    ) -> Result<Vec<Target>, Expected> {
        let broker = |id: Option<i32>| id.filter(|id| *id >= 0).map(|id| vec![expected.node_service(id)]);
        let names: Option<Vec<String>> = match self {
            Self::Named(name) => Some(vec![name.clone()]),
            Self::Controller => broker(view.controller.map(|(controller, _)| controller)),
            Self::Leader(partition) => broker(view.told(partition).map(|fact| fact.leader)),
            Self::Follower(partition) => broker(view.told(partition).and_then(|fact| {
                let mut replicas = fact.replicas.iter().copied();
                replicas.find(|id| *id != fact.leader && fact.isr.contains(id))
            })),
            Self::Coordinator(_) => broker(view.group.as_ref().map(|group| group.coordinator)),
            Self::TransactionCoordinator => {
                let of = |(id, broker): &(i32, &BrokerView)| (broker.transactions.len(), -id);
                let coordinator = view.witnesses().max_by_key(of);
                broker(
                    coordinator
                        .filter(|coordinator| of(coordinator).0 > 0)
                        .map(|(id, _)| id),
                )
            }
            Self::ZooKeeperLeader => {
                let mut servers = view.zookeepers.iter();
                let leads = servers.find(|(_, mode)| mode.as_deref().is_some_and(|mode| mode != "follower"));
                leads.map(|(service, _)| vec![service.clone()])
            }
            Self::AllBrokers => Some(expected.brokers.keys().cloned().collect()),
            Self::Random(pool) => {
                let of: Vec<String> = match pool {
                    Pool::Broker => expected.brokers.keys().cloned().collect(),
                    Pool::ZooKeeper => expected.zookeepers.clone(),
                    Pool::Controller => expected.controllers.keys().cloned().collect(),
                    Pool::Consumer | Pool::Producer => clients(project, pool.word()),
                };
                // One that is out already would be hit twice.
                let free = |name: &&String| !view.is_out(name) && taken.iter().all(|target| target.name() != **name);
                let of: Vec<&String> = of.iter().filter(free).collect();
                let chosen = of.choose(&mut ChaCha8Rng::seed_from_u64(seed));
                chosen.map(|name| vec![(*name).clone()])
            }
        };
        // Who is out keeps a role until others notice.
        let names = names.filter(|names| !self.is_held() || names.iter().all(|name| !view.is_out(name)));
        let names = names.ok_or_else(|| {
            Expected::environment(format!("nobody is {self} at this moment")).hint("look with khd status")
        })?;
        let targets: Vec<Target> = project
            .containers
            .iter()
            .filter(|container| {
                let numbered = format!("{}-{}", container.service, container.number);
                names.iter().any(|name| *name == container.service || *name == numbered)
            })
            .map(|container| Target::of(container, expected))
            .collect();
        if targets.is_empty() {
            return Err(
                Expected::environment(format!("the lab has no container for {}", names.join(", ")))
                    .hint("look with khd ps; bring the lab up with khd up"),
            );
        }
        Ok(targets)
    }
}

/// Whom several selectors mean now, each once, in the order of their names.
///
/// `seed` decides what is random.
///
/// # Errors
/// An environment error when nobody has a role now, or the lab has no such container.
pub fn resolve(
    selectors: &[Selector],
    project: &Project,
    expected: &Expectation,
    view: &View,
    seed: u64,
) -> Result<Vec<Target>, Expected> {
    let mut targets: Vec<Target> = Vec::new();
    for selector in selectors {
        targets.extend(selector.resolve(project, expected, view, seed, &targets)?);
    }
    targets.sort_by_key(Target::name);
    targets.dedup();
    Ok(targets)
}

/// Checks that a word names a container, or a service, that a fault can hit.
fn named(topology: &Topology, word: &str) -> Result<(), Expected> {
    let brokers = topology.brokers.iter().map(|broker| &broker.service);
    let mut known: Vec<&str> = brokers.chain(topology.keepers()).map(String::as_str).collect();
    let client = |service: &str| {
        let number = word.strip_prefix(service).and_then(|rest| rest.strip_prefix('-'));
        word == service || number.is_some_and(|number| number.parse::<u32>().is_ok_and(|number| number > 0))
    };
    if known.contains(&word)
        || is_keeper(word) && !topology.keepers().any(|own| is_like(own, word))
        || client(PRODUCER)
        || client(CONSUMER)
        || client(COPIER)
    {
        return Ok(());
    }
    known.extend([PRODUCER, CONSUMER, "producer-1", "consumer-1"]);
    known.extend(ROLES);
    let all = format!("targets: {}", known.join(", "));
    Err(
        Expected::usage(format!("there is no target `{word}`")).hint(match nearest(word, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`? ({all})"),
            None => all,
        }),
    )
}

/// Whether a word names one of the servers that keep the metadata, in labs of any flavor.
fn is_keeper(word: &str) -> bool {
    ["zookeeper1", "controller1"]
        .into_iter()
        .any(|first| is_like(first, word))
}

/// Whether two services are of one kind, as `controller1` and `controller2` are.
fn is_like(one: &str, other: &str) -> bool {
    let kind = |name: &str| name.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned();
    kind(one) == kind(other) && [one, other].into_iter().all(|name| kind(name) != name)
}

fn clients(project: &Project, service: &str) -> Vec<String> {
    let of = project
        .containers
        .iter()
        .filter(|container| container.service == service);
    of.map(|container| format!("{service}-{}", container.number)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    #[test]
    fn what_is_written_is_read_again() {
        for text in [
            "kafka2",
            "consumer-1",
            "controller",
            "leader:test-1/0",
            "follower:a/b/3",
            "coordinator:test",
            "transaction-coordinator",
            "zookeeper-leader",
            "all-brokers",
            "random",
            "random:zookeeper",
            "random:controller",
        ] {
            assert_eq!(text.parse::<Selector>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "leader",
            "leader:test-1",
            "leader:/1",
            "coordinator:",
            "random:disk",
            "what:ever",
        ] {
            assert!(text.parse::<Selector>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_unknown_target_lists_those_there_are() {
        let topology = Topology::of(&Settings::default());
        let error = Selector::Named("kafka9".into()).check(&topology).unwrap_err();
        assert_eq!(error.message, "there is no target `kafka9`");
        assert!(error.hint.unwrap().starts_with(
            "did you mean `kafka1`? (targets: kafka1, kafka2, kafka3, zookeeper1, zookeeper2, zookeeper3, producer"
        ));
        for known in ["zookeeper2", "consumer", "producer-7", "copier-1", "leader:test-5/5"] {
            known.parse::<Selector>().unwrap().check(&topology).unwrap();
        }
        assert!("leader:test-1/6".parse::<Selector>().unwrap().check(&topology).is_err());
        assert!("consumer-0".parse::<Selector>().unwrap().check(&topology).is_err());
    }

    #[test]
    fn what_copiers_write_and_who_coordinates_them_are_targets_where_there_are_copiers() {
        let mut settings = Settings::default();
        let refused = |settings: &Settings, text: &str| {
            let checked = text.parse::<Selector>().unwrap().check(&Topology::of(settings));
            checked.err().map(|error| error.message)
        };
        assert!(
            refused(&settings, "transaction-coordinator")
                .unwrap()
                .contains("no copiers")
        );
        assert!(
            refused(&settings, "leader:test-1-copy/0")
                .unwrap()
                .contains("no partition")
        );
        settings.copier.replicas = 1;
        assert_eq!(refused(&settings, "transaction-coordinator"), None);
        assert_eq!(refused(&settings, "leader:test-1-copy/0"), None);
    }

    #[test]
    fn servers_of_another_flavor_are_targets_that_this_lab_does_not_have() {
        let lab = |flavor| {
            Topology::of(&Settings {
                flavor,
                ..Settings::default()
            })
        };
        let there = |flavor, text: &str| {
            let (topology, selector) = (lab(flavor), text.parse::<Selector>().unwrap());
            selector.check(&topology).map_err(|error| error.message)?;
            selector.there(&topology).map_err(|error| error.message)
        };
        for text in ["zookeeper1", "zookeeper-leader", "random:zookeeper"] {
            there(Flavor::ZooKeeper, text).unwrap();
            let why = there(Flavor::Kraft, text).unwrap_err();
            assert_eq!(
                why,
                format!("there is no {text} in this lab, whose metadata is kept by its brokers")
            );
        }
        for text in ["controller3", "random:controller"] {
            there(Flavor::KraftSeparate, text).unwrap();
            let why = there(Flavor::ZooKeeper, text).unwrap_err();
            assert_eq!(
                why,
                format!("there is no {text} in this lab, whose metadata is kept by ZooKeeper")
            );
        }
        there(Flavor::Kraft, "random:controller").unwrap();
        for flavor in [Flavor::ZooKeeper, Flavor::Kraft, Flavor::KraftSeparate] {
            there(flavor, "controller").unwrap();
        }
        assert!(there(Flavor::Kraft, "controller1").unwrap_err().contains("its brokers"));
        assert_eq!(
            there(Flavor::KraftSeparate, "controller7"),
            Err("there is no target `controller7`".into())
        );
        let example = Selector::Controller.example(&lab(Flavor::KraftSeparate)).unwrap();
        assert_eq!(example.name(), "controller1");
    }
}
