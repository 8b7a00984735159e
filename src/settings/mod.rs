//! What the user wants, checked once: defaults, `khd.yaml`, `KHD_*` and flags become one [`Settings`].
//!
//! Nothing downstream sees raw flags, files or variables. [`load`] merges the sources and remembers where each value
//! came from; [`check`] refuses what cannot work, before anything is touched.

pub mod check;
mod clients;
pub mod duration;
pub mod load;
pub(crate) mod scalar;
pub mod size;

use std::net::IpAddr;
use std::time::Duration;

use indexmap::IndexMap;
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

pub use clients::{Acks, Assignment, Commit, Consumer, Copier, GroupProtocol, Producer};

/// Properties of a broker, a ZooKeeper server or a client, by their own names.
pub type Properties = IndexMap<String, String>;

/// `zookeeper.session.timeout.ms` where the settings do not name another: Kafka's own default.
pub const ZOOKEEPER_SESSION_TIMEOUT: Duration = Duration::from_secs(18);
/// librdkafka's `max.poll.interval.ms`.
const POLL_INTERVAL: Duration = Duration::from_secs(300);
/// `zookeeper.session.timeout.ms`, the time after which a killed broker counts as dead.
pub const ZOOKEEPER_SESSION_TIMEOUT_PROPERTY: &str = "zookeeper.session.timeout.ms";
/// `broker.session.timeout.ms` where the settings do not name another: Kafka's own default.
pub const BROKER_SESSION_TIMEOUT: Duration = Duration::from_secs(9);
/// `broker.session.timeout.ms`: the same in KRaft.
pub const BROKER_SESSION_TIMEOUT_PROPERTY: &str = "broker.session.timeout.ms";
/// The last Kafka with ZooKeeper, of which khd has a recipe.
pub const KAFKA_3: &str = "3.9.2";
/// The newest Kafka of which khd has a recipe: it has KRaft only.
pub const KAFKA_4: &str = "4.4.0";

/// All of khd's settings, each with a default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// Name of the Compose project: the prefix of every container, network and volume.
    pub project: String,
    /// Who keeps the cluster's metadata: ZooKeeper, or Kafka's own controllers.
    pub flavor: Flavor,
    /// Which images the services run.
    pub images: Images,
    /// What happens to the data of brokers and ZooKeeper servers on `khd down`.
    pub data: Data,
    /// The lab's own network.
    pub network: Network,
    /// Ports published on the host.
    pub ports: Ports,
    /// The ZooKeeper servers.
    pub zookeeper: Servers,
    /// The controllers of `kraft-separate`; those of `kraft` are the brokers.
    pub controller: Controllers,
    /// The Kafka brokers.
    pub kafka: Servers,
    /// The topics that producers write and consumers read.
    pub topics: Topics,
    /// The producers.
    pub producer: Producer,
    /// The consumers.
    pub consumer: Consumer,
    /// The copiers.
    pub copier: Copier,
    /// Metrics, and who collects them.
    pub monitoring: Monitoring,
    /// Limits that verdicts are judged by.
    pub limits: Limits,
}

/// Who keeps the cluster's metadata, and elects partitions' leaders by it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Flavor {
    /// An ensemble of ZooKeeper servers; one of the brokers is the controller. Kafka up to 3.9.
    #[default]
    #[serde(rename = "zookeeper")]
    #[value(name = "zookeeper")]
    ZooKeeper,
    /// KRaft, in combined mode: each broker is a controller too.
    Kraft,
    /// KRaft, with controllers in processes of their own.
    KraftSeparate,
}

impl std::fmt::Display for Flavor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::ZooKeeper => "zookeeper",
            Self::Kraft => "kraft",
            Self::KraftSeparate => "kraft-separate",
        })
    }
}

impl Flavor {
    /// Whether controllers keep the metadata in a log of their own, instead of ZooKeeper.
    pub fn is_kraft(self) -> bool {
        self != Self::ZooKeeper
    }
}

/// A set of images, or each image by its own name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Images {
    /// One word for all: `khd` or `confluent`.
    Set(ImageSet),
    /// Image references by service kind; what is missing comes from khd's own recipes.
    Each(EachImage),
}

/// A named set of images for Kafka and ZooKeeper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageSet {
    /// khd's own recipes: Apache Kafka and its ZooKeeper on Debian.
    Khd,
    /// Confluent's cp-kafka and cp-zookeeper.
    Confluent,
}

/// Image references by service kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct EachImage {
    /// Image of the ZooKeeper servers.
    pub zookeeper: Option<String>,
    /// Image of the brokers.
    pub kafka: Option<String>,
    /// Image of producers and consumers.
    pub khd: Option<String>,
    /// Image of Grafana.
    pub grafana: Option<String>,
    /// Image of the page on which the cluster is browsed: of kafka-ui or of Kafka Manager, as `monitoring.manager` says.
    pub manager: Option<String>,
    /// Image of danielqsj/kafka-exporter.
    pub kafka_exporter: Option<String>,
}

/// What becomes of the data when the lab goes down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Data {
    /// Volumes are removed with the lab.
    Discard,
    /// Volumes stay, and the next `khd up` finds them.
    Keep,
}

/// The lab's network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Network {
    /// Subnet of the lab; the lower half holds fixed addresses, the upper half all others.
    pub subnet: Ipv4Net,
}

/// Ports published on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Ports {
    /// Host address to which ports are bound, and under which brokers advertise themselves to the host.
    pub bind: IpAddr,
    /// Added to every published port, so that labs can run side by side.
    pub offset: u16,
}

/// A row of like servers: brokers, or ZooKeeper servers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Servers {
    /// How many there are, 1 to 5.
    pub servers: u16,
    /// Client ports, one for each server; empty means the demo's (12181 … or 19092 …).
    pub ports: Vec<u16>,
    /// Java heap of each, as the JVM writes it: `256m`.
    pub heap: String,
    /// What each Java machine is tuned for.
    pub jvm: Jvm,
    /// Memory limit of each container, as Compose writes it: `512m`.
    pub memory: String,
    /// Version of Kafka; by default 3.9.2 with ZooKeeper, and 4.4.0 without. With an image of your own, the one that it
    /// holds.
    pub version: Option<String>,
    /// Size of each broker's disk, as Compose writes it: `600m`; by default it is bounded by nothing but the host's.
    ///
    /// A disk of a size is memory (tmpfs), by which the memory limit grows, and its data goes when the lab goes down.
    /// A lab that is up keeps the disks it has.
    pub disk: Option<String>,
    /// Properties by their own names, put over khd's.
    #[serde(deserialize_with = "scalar::properties")]
    pub properties: Properties,
}

/// Controllers in processes of their own, published on ports 19093, 29093 …
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Controllers {
    /// How many there are, 1 to 5.
    pub servers: u16,
    /// Java heap of each, as the JVM writes it: `256m`.
    pub heap: String,
    /// What each Java machine is tuned for.
    pub jvm: Jvm,
    /// Memory limit of each container, as Compose writes it: `512m`.
    pub memory: String,
    /// Properties by their own names, put over khd's.
    #[serde(deserialize_with = "scalar::properties")]
    pub properties: Properties,
}

/// What a Java machine is tuned for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Jvm {
    /// To start soon and stay small, since a lab is started more often than it is used up: the first compiler alone, and the
    /// serial collector, where khd's recipes run. Other images keep their own flags.
    Lab,
    /// To go on fast, with the flags that Kafka's own scripts give: for labs that run for long, or that are measured.
    Production,
}

/// The topics of the workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Topics {
    /// Names of the topics.
    pub names: Vec<String>,
    /// Partitions of each topic.
    pub partitions: i32,
    /// Replicas of each partition; by default min(3, brokers).
    pub replication_factor: Option<i16>,
    /// `min.insync.replicas`; by default min(2, replication factor).
    pub min_insync_replicas: Option<i16>,
}

/// Metrics of servers and clients, and the Prometheus that collects them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Monitoring {
    /// Whether the lab has any; without it, it takes less of a small machine.
    pub enabled: bool,
    /// Time between two scrapes, and between two evaluations of rules. The demo's is 15 s.
    #[serde(with = "duration")]
    pub interval: Duration,
    /// Whether Grafana and the manager run, where their images can be had.
    pub ui: bool,
    /// Which page the cluster is browsed on.
    pub manager: Manager,
    /// Whether danielqsj/kafka-exporter runs too, under its name in the demo.
    pub kafka_exporter: bool,
}

/// A page on which a cluster is browsed: its brokers, topics, groups and messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Manager {
    /// kafbat/kafka-ui. It is kept, knows the Kafka that runs, and asks the brokers alone.
    KafkaUi,
    /// The demo's Kafka Manager (now CMAK), which reads ZooKeeper. Its last release is of 2022 and knows Kafka up to 3.2.
    KafkaManager,
}

impl Manager {
    /// Its service in the lab.
    pub fn service(self) -> &'static str {
        match self {
            Self::KafkaUi => "kafka-ui",
            Self::KafkaManager => "kafka-manager",
        }
    }
}

/// Limits that verdicts are judged by. Each has a default that follows from the lab.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Limits {
    /// Longest time without an acknowledgement or a delivery on a partition;
    /// by default the session time-out of brokers (`zookeeper.session.timeout.ms`, `broker.session.timeout.ms`) + 20 s.
    #[serde(with = "duration::option")]
    pub gap: Option<Duration>,
    /// Longest time until no partition is led by a stopped broker; by default the same time-out + 5 s.
    #[serde(with = "duration::option")]
    pub leaders_moved: Option<Duration>,
    /// Fewest acknowledgements, and fewest deliveries, while the fault is in place; by default 1.
    pub progress: Option<u64>,
    /// Longest time from a send that got no acknowledgement to the next that did, on a partition;
    /// by default the same time-out + 10 s.
    #[serde(with = "duration::option")]
    pub time_to_recover: Option<Duration>,
    /// Least share of sends that are acknowledged, from 0 to 1; by default 0.99.
    pub availability: Option<f64>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            project: "khd".into(),
            flavor: Flavor::ZooKeeper,
            images: Images::Set(ImageSet::Khd),
            data: Data::Discard,
            network: Network {
                subnet: Ipv4Net::new_assert(std::net::Ipv4Addr::new(172, 25, 0, 0), 24),
            },
            ports: Ports {
                bind: IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
                offset: 0,
            },
            zookeeper: Servers {
                servers: 3,
                ports: Vec::new(),
                heap: "256m".into(),
                jvm: Jvm::Lab,
                memory: "512m".into(),
                version: None,
                disk: None,
                properties: Properties::new(),
            },
            controller: Controllers {
                servers: 3,
                heap: "256m".into(),
                jvm: Jvm::Lab,
                memory: "512m".into(),
                properties: Properties::new(),
            },
            kafka: Servers {
                servers: 3,
                ports: Vec::new(),
                heap: "512m".into(),
                jvm: Jvm::Lab,
                memory: "1g".into(),
                version: None,
                disk: None,
                properties: Properties::new(),
            },
            topics: Topics {
                names: (1..=5).map(|n| format!("test-{n}")).collect(),
                partitions: 6,
                replication_factor: None,
                min_insync_replicas: None,
            },
            producer: Producer {
                replicas: 1,
                delay: Duration::from_millis(10),
                size: 0,
                acks: Acks::All,
                idempotence: None,
                properties: Properties::new(),
            },
            consumer: Consumer {
                replicas: 1,
                group: "test".into(),
                group_protocol: GroupProtocol::Classic,
                assignment: Assignment::Cooperative,
                static_membership: false,
                commit: Commit::AfterProcessing,
                processing_time: Duration::ZERO,
                properties: Properties::new(),
            },
            copier: Copier {
                replicas: 0,
                properties: Properties::new(),
            },
            monitoring: Monitoring {
                enabled: true,
                interval: Duration::from_secs(2),
                ui: true,
                manager: Manager::KafkaUi,
                kafka_exporter: false,
            },
            limits: Limits::default(),
        }
    }
}

impl Settings {
    /// Replicas of each partition: as set, otherwise min(3, brokers).
    pub fn replication_factor(&self) -> i16 {
        self.topics
            .replication_factor
            .unwrap_or(self.kafka.servers.min(3) as i16)
    }

    /// `min.insync.replicas`: as set, otherwise min(2, replication factor).
    pub fn min_insync_replicas(&self) -> i16 {
        self.topics
            .min_insync_replicas
            .unwrap_or(self.replication_factor().min(2))
    }

    /// Whether producers are idempotent: as set, otherwise just when `acks` is `all`.
    pub fn idempotence(&self) -> bool {
        self.producer.idempotence.unwrap_or(self.producer.acks == Acks::All)
    }

    /// How long a broker that died counts as alive, `zookeeper.session.timeout.ms` or `broker.session.timeout.ms`: as set,
    /// otherwise Kafka's default.
    pub fn session_timeout(&self) -> Duration {
        let (property, default) = if self.flavor.is_kraft() {
            (BROKER_SESSION_TIMEOUT_PROPERTY, BROKER_SESSION_TIMEOUT)
        } else {
            (ZOOKEEPER_SESSION_TIMEOUT_PROPERTY, ZOOKEEPER_SESSION_TIMEOUT)
        };
        // It is the controllers that wait; separate ones have properties of their own over those of brokers.
        let separate = (self.flavor == Flavor::KraftSeparate).then(|| self.controller.properties.get(property));
        let set = separate.flatten().or_else(|| self.kafka.properties.get(property));
        set.and_then(|value| value.parse().ok())
            .map_or(default, Duration::from_millis)
    }

    /// Version of Kafka: as set, otherwise the newest that the flavor runs on.
    pub fn kafka_version(&self) -> &str {
        let newest = if self.flavor.is_kraft() { KAFKA_4 } else { KAFKA_3 };
        self.kafka.version.as_deref().unwrap_or(newest)
    }

    /// `max.poll.interval.ms` of the consumers: as set, otherwise librdkafka's default.
    pub fn poll_interval(&self) -> Duration {
        let set = self.consumer.properties.get("max.poll.interval.ms");
        set.and_then(|value| value.parse().ok())
            .map_or(POLL_INTERVAL, Duration::from_millis)
    }
}

impl Servers {
    /// The memory limit of each container, as Compose writes it: a disk of a size is memory, and counts to it.
    pub fn mem_limit(&self) -> String {
        let Some(disk) = &self.disk else {
            return self.memory.clone();
        };
        // Checked settings hold sizes.
        let bytes = |text| size::bytes(text).unwrap_or_default();
        let both = bytes(&self.memory).saturating_add(bytes(disk));
        format!("{}m", both.div_ceil(size::MIB))
    }

    /// The client port of server `n`: as set, otherwise the demo's `n` × 10,000 + `base`.
    pub fn port(&self, n: u16, base: u16) -> u16 {
        self.ports.get(usize::from(n) - 1).copied().unwrap_or(n * 10_000 + base)
    }
}
