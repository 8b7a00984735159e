//! One fault in place, or about to be: all that is needed to undo it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::faults::{Field, How, Target};
use crate::timeline::event::Kind;
use crate::topology::Topology;

/// A fault on its targets, as it is journaled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Injection {
    /// Its number in the run that injected it; faults in place at the same time have different ones.
    pub id: u32,
    /// What is done.
    #[serde(flatten)]
    pub how: How,
    /// To whom.
    pub targets: Vec<Target>,
    /// What undoing has to know of the time before.
    #[serde(default)]
    pub before: Value,
    /// When it was journaled, just before it was injected.
    pub since: Timestamp,
    /// The run that injected it.
    pub run: String,
}

impl Injection {
    /// The names of its targets: `kafka1, kafka2`.
    pub fn names(&self) -> String {
        let names: Vec<String> = self.targets.iter().map(Target::name).collect();
        names.join(", ")
    }

    /// It in words: `kill of kafka2`.
    pub fn words(&self) -> String {
        format!("{} of {}", self.how.name(), self.names())
    }

    /// The event that tells of it; `asked` are the roles that the user named.
    pub fn injected(&self, topology: &Topology, asked: Vec<String>) -> Kind {
        let fault = self.how.fault();
        Kind::FaultInjected {
            id: self.id,
            fault: self.how.name().into(),
            targets: self.targets.iter().map(Target::name).collect(),
            out: fault.out(&self.targets, topology),
            adds: fault.adds(),
            options: self.how.options(),
            asked,
        }
    }

    /// Whether it is in Kafka's own state, so that it cannot be undone while no broker answers.
    pub fn in_kafka(&self) -> bool {
        self.how.fault().field() == Field::Kafka
    }

    /// Names of the containers that are in the lab only while it is in place.
    pub fn added(&self) -> impl Iterator<Item = &str> {
        let targets = self.targets.iter().filter(|_| self.how.fault().adds());
        targets.map(|target| target.container.as_str())
    }

    /// What both it and the other take for themselves, if there is something.
    pub fn contends(&self, other: &Self, topology: &Topology) -> Option<String> {
        let takes = |injection: &Self| injection.how.fault().takes(topology, &injection.targets);
        takes(self).intersection(&takes(other)).next().cloned()
    }

    /// Whether it hits the target of that name, or any of that service.
    pub fn hits(&self, name: &str) -> bool {
        self.targets
            .iter()
            .any(|target| target.name() == name || target.service == name)
    }
}
