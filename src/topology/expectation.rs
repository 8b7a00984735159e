//! What must be true of a healthy lab.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Workload;
use crate::settings::Flavor;

/// What must be true of a healthy lab: recorded at the head of each run, and read by every check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Expectation {
    /// Broker ids by their services.
    pub brokers: BTreeMap<String, i32>,
    /// Who keeps the cluster's metadata.
    #[serde(default)]
    pub flavor: Flavor,
    /// Services of the ZooKeeper servers; none in KRaft.
    pub zookeepers: Vec<String>,
    /// Node ids of KRaft's controllers by their services, which in combined mode are the brokers'.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub controllers: BTreeMap<String, i32>,
    /// Topics and group.
    pub workload: Workload,
    /// `zookeeper.session.timeout.ms`, or `broker.session.timeout.ms` in KRaft: how long a killed broker may count as
    /// alive.
    pub session_timeout_ms: u64,
}

impl Expectation {
    /// The id of the broker that a service runs, if it runs one.
    pub fn broker_id(&self, service: &str) -> Option<i32> {
        self.brokers.get(service).copied()
    }

    /// The service that runs a broker or a controller; the bare id for one that the lab does not have.
    pub fn node_service(&self, id: i32) -> String {
        let mut nodes = self.brokers.iter().chain(&self.controllers);
        let service = nodes.find(|(_, node)| **node == id);
        service.map_or_else(|| id.to_string(), |(service, _)| service.clone())
    }

    /// Services that decide by majority: ZooKeeper servers, or KRaft's controllers.
    pub fn ensemble(&self) -> impl Iterator<Item = &String> {
        self.zookeepers.iter().chain(self.controllers.keys())
    }

    /// Services that do nothing but keep the metadata: ZooKeeper servers, or KRaft's separate controllers.
    pub fn keepers(&self) -> impl Iterator<Item = &String> {
        self.ensemble().filter(|service| !self.brokers.contains_key(*service))
    }

    /// Whether a service is a broker, a ZooKeeper server or a controller.
    pub fn is_server(&self, service: &str) -> bool {
        self.brokers.contains_key(service) || self.ensemble().any(|own| own == service)
    }

    /// Every partition that the workload uses.
    pub fn partitions(&self) -> impl Iterator<Item = (String, i32)> + '_ {
        self.workload
            .topics
            .iter()
            .flat_map(|topic| (0..self.workload.partitions).map(move |partition| (topic.clone(), partition)))
    }
}
