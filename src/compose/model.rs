//! The part of the Compose specification that khd uses, and its config hash.
//!
//! Values are literal: a `$` in a value is what the container shall see, and is doubled only when the file is
//! written as YAML ([`ComposeFile::to_yaml`]), where Compose would otherwise take it for a variable.

use anyhow::Context as _;
use indexmap::IndexMap;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// A Compose file: one project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ComposeFile {
    /// The project.
    pub name: String,
    /// Services, in the order in which they are shown.
    pub services: IndexMap<String, Service>,
    /// Networks by key.
    pub networks: IndexMap<String, Network>,
    /// Named volumes by key.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub volumes: IndexMap<String, Volume>,
    /// Configs by key, content inline.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub configs: IndexMap<String, Config>,
}

/// A service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Service {
    /// Image reference.
    pub image: String,
    /// Host name inside the lab; Docker's own (the container's short id) when missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Profiles with which it starts; by itself where it has none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub profiles: Vec<String>,
    /// Arguments for the image's entrypoint.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Environment of the process.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub environment: IndexMap<String, String>,
    /// Published ports.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<Port>,
    /// Networks, with a fixed address where there is one.
    pub networks: IndexMap<String, Attachment>,
    /// Mounted volumes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<Mount>,
    /// Mounted configs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub configs: Vec<ConfigMount>,
    /// Services that must be so far before this one starts.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub depends_on: IndexMap<String, Dependency>,
    /// How the engine asks whether it is healthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// Number of containers. Not part of the config hash: scaling recreates nothing.
    pub scale: u16,
    /// Time between SIGTERM and SIGKILL, as Compose writes it: `30s`.
    pub stop_grace_period: String,
    /// Memory limit, as Compose writes it: `512m`.
    pub mem_limit: String,
    /// Restart policy: always `no`, because khd decides when a server comes back.
    pub restart: String,
    /// Dropped capabilities.
    pub cap_drop: Vec<String>,
    /// Security options.
    pub security_opt: Vec<String>,
}

/// A published port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Port {
    /// Port in the container.
    pub target: u16,
    /// Port on the host; the Compose specification has it as a string.
    pub published: String,
    /// Host address it is bound to.
    pub host_ip: String,
    /// Always `tcp`.
    pub protocol: String,
}

/// A service's place in a network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Attachment {
    /// Fixed address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv4_address: Option<String>,
    /// Names by which others find it, besides the service's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
}

/// A mounted named volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mount {
    /// Always `volume`.
    pub r#type: String,
    /// Key of the volume.
    pub source: String,
    /// Path in the container.
    pub target: String,
}

/// A mounted config.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfigMount {
    /// Key of the config.
    pub source: String,
    /// Path in the container.
    pub target: String,
}

/// A condition on another service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dependency {
    /// `service_healthy` or `service_started`.
    pub condition: String,
}

/// How the engine asks whether a container is healthy. Durations as Compose writes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Healthcheck {
    /// The probe, `CMD` first.
    pub test: Vec<String>,
    /// Time between probes.
    pub interval: String,
    /// Time a probe may take.
    pub timeout: String,
    /// Failures in a row that make it unhealthy.
    pub retries: u32,
    /// Time after the start in which failures do not count.
    pub start_period: String,
}

/// A network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Network {
    /// Always `bridge` on one machine.
    pub driver: String,
    /// Address management.
    pub ipam: Ipam,
}

/// Address management of a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ipam {
    /// Pools, of which khd uses one.
    pub config: Vec<IpamPool>,
}

/// One pool of addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IpamPool {
    /// The subnet.
    pub subnet: String,
    /// The part from which the engine deals out addresses itself.
    pub ip_range: String,
    /// The host's own address in it.
    pub gateway: String,
}

/// A named volume of the engine's own driver.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Volume {
    /// Options of the driver, as `mount` knows them: `type`, `device`, `o`. None for a folder of the engine's.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub driver_opts: IndexMap<String, String>,
}

/// A config with its content inline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Config {
    /// The file's text.
    pub content: String,
}

impl ComposeFile {
    /// How many services come one after the other before this one, by what depends on what; 0 where it depends on none.
    pub fn depth(&self, service: &str) -> usize {
        let on = self.services.get(service).map(|service| service.depends_on.keys());
        on.into_iter()
            .flatten()
            .map(|name| 1 + self.depth(name))
            .max()
            .unwrap_or(0)
    }

    /// It with only those services that start without a profile.
    pub fn without_profiles(&self) -> Self {
        let mut file = self.clone();
        file.services.retain(|_, service| service.profiles.is_empty());
        file
    }

    /// Names of the services that start with a profile only.
    pub fn with_profile(&self) -> impl Iterator<Item = &str> {
        let services = self.services.iter().filter(|(_, service)| !service.profiles.is_empty());
        services.map(|(name, _)| name.as_str())
    }

    /// The file as YAML, with every `$` doubled, so that Compose takes values literally.
    ///
    /// # Errors
    /// When the file cannot be serialized, which would be a defect of khd.
    pub fn to_yaml(&self) -> anyhow::Result<String> {
        let mut value = serde_yaml::to_value(self).context("cannot serialize the Compose file")?;
        double_dollars(&mut value);
        let yaml = serde_yaml::to_string(&value).context("cannot write the Compose file as YAML")?;
        // A bare `no` is a boolean to readers of YAML 1.1, of which Compose's older ones are.
        Ok(yaml.replace("restart: no\n", "restart: 'no'\n"))
    }

    /// A digest of all that makes a container of this service what it is, in lower-case hex.
    ///
    /// A container whose label holds another digest is out of date and is recreated. Contents of the mounted configs
    /// and of the attached networks count; the number of containers does not.
    ///
    /// # Panics
    /// When the file has no such service.
    pub fn config_hash(&self, service: &str) -> String {
        let mut definition = self.services[service].clone();
        definition.scale = 0;
        // Order of start and stop does not change what a container is.
        definition.depends_on.clear();
        let configs: Vec<_> = definition
            .configs
            .iter()
            .map(|mount| self.configs.get(&mount.source))
            .collect();
        let networks: Vec<_> = definition.networks.keys().map(|key| self.networks.get(key)).collect();
        let text = serde_json::to_vec(&(&definition, configs, networks)).unwrap_or_default();
        hex::encode(Sha256::digest(text))
    }
}

fn double_dollars(value: &mut serde_yaml::Value) {
    match value {
        serde_yaml::Value::String(text) if text.contains('$') => *text = text.replace('$', "$$"),
        serde_yaml::Value::Sequence(items) => items.iter_mut().for_each(double_dollars),
        serde_yaml::Value::Mapping(map) => map.iter_mut().for_each(|(_, item)| double_dollars(item)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(environment: &[(&str, &str)], scale: u16) -> ComposeFile {
        let service = Service {
            image: "image".into(),
            environment: environment
                .iter()
                .map(|(k, v)| (k.to_string(), v.to_string()))
                .collect(),
            scale,
            ..Service::default()
        };
        ComposeFile {
            name: "khd".into(),
            services: [("kafka1".to_owned(), service)].into(),
            networks: IndexMap::new(),
            volumes: IndexMap::new(),
            configs: IndexMap::new(),
        }
    }

    #[test]
    fn a_dollar_in_a_value_is_not_taken_for_a_variable_by_compose() {
        let yaml = file(&[("PASSWORD", "a$b")], 1).to_yaml().unwrap();
        assert!(yaml.contains("PASSWORD: a$$b"), "{yaml}");
    }

    #[test]
    fn a_changed_environment_changes_the_hash_and_scaling_does_not() {
        let hash = file(&[("A", "1")], 1).config_hash("kafka1");
        assert_eq!(hash, file(&[("A", "1")], 2).config_hash("kafka1"));
        assert_ne!(hash, file(&[("A", "2")], 1).config_hash("kafka1"));
    }
}
