//! What a fault hits.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::engine::Container;
use crate::timeline::event::Member;
use crate::topology::Expectation;

/// A container that a fault hits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Its service.
    pub service: String,
    /// Its number within the service.
    pub number: u32,
    /// The container's name.
    pub container: String,
    /// Its address in the lab, if it had one.
    pub address: Option<Ipv4Addr>,
    /// Whether there can be several of its service, so that it is named with its number.
    pub numbered: bool,
}

impl Target {
    /// Its name: `kafka2` for a server, `consumer-1` for a client.
    pub fn name(&self) -> String {
        if self.numbered {
            format!("{}-{}", self.service, self.number)
        } else {
            self.service.clone()
        }
    }

    /// Whether it is a broker, a ZooKeeper server or a controller.
    pub fn is_server(&self, expected: &Expectation) -> bool {
        expected.is_server(&self.service)
    }

    /// Whether it is that member of the group, known by the address that it connects from.
    pub fn is_member(&self, member: &Member) -> bool {
        self.address.is_some_and(|address| member.host == address.to_string())
    }

    /// The target that a container of the lab is.
    pub fn of(container: &Container, expected: &Expectation) -> Self {
        let mut target = Self {
            service: container.service.clone(),
            number: container.number,
            container: container.name.clone(),
            address: container.address,
            numbered: false,
        };
        target.numbered = !target.is_server(expected);
        target
    }

    /// One for tests: a server of the lab `khd`.
    #[cfg(test)]
    pub fn sample(service: &str) -> Self {
        Self {
            service: service.into(),
            number: 1,
            container: format!("khd-{service}-1"),
            address: None,
            numbered: false,
        }
    }
}
