//! Changed settings: of topics, or of brokers while they run, as by `kafka-configs --alter`.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use kafka_protocol::error::ResponseError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::broker_ids;
use crate::error::Expected;
use crate::faults::{Fault, Field, Injection, Means, Proof, Target};
use crate::kafka::admin::Admin;
use crate::kafka::wire::changes::{Resource, Setting};
use crate::kafka::wire::refusal::Refusal;
use crate::settings::{Properties, scalar};
use crate::timeline::view::View;
use crate::topology::Topology;

/// The word for all of the workload's topics.
const ALL: &str = "all";
/// How the names of Kafka's internal topics begin.
const INTERNAL: &str = "__";

/// Settings that are others for a while: `min.insync.replicas`, `leader.replication.throttled.rate` …
///
/// Kafka alone says which can be set, and to what.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The topic whose settings change, or `all` of the workload's topics; when missing, the targets' own settings change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// The settings by Kafka's names, with the values that they get.
    #[serde(deserialize_with = "scalar::properties")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub set: Properties,
}

/// What a resource's settings were: the values that were set while Kafka ran, or `None` where none was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Before {
    of: Resource,
    values: BTreeMap<String, Option<String>>,
}

impl Config {
    /// Whose settings change.
    fn resources(&self, topology: &Topology, targets: &[Target]) -> Result<Vec<Resource>, Expected> {
        let topics = &topology.workload.topics;
        match self.topic.as_deref() {
            None => Ok(broker_ids(topology, targets)?
                .into_iter()
                .map(Resource::Broker)
                .collect()),
            Some(ALL) => Ok(topics.iter().cloned().map(Resource::Topic).collect()),
            Some(topic) if topics.iter().any(|known| known == topic) || topic.starts_with(INTERNAL) => {
                Ok(vec![Resource::Topic(topic.to_owned())])
            }
            Some(topic) => Err(Expected::usage(format!("the lab has no topic `{topic}`"))
                .hint(format!("topics: {ALL}, {}", topics.join(", ")))),
        }
    }

    fn changes(&self) -> BTreeMap<String, Option<String>> {
        let set = self.set.iter();
        set.map(|(name, value)| (name.clone(), Some(value.clone()))).collect()
    }

    /// What Kafka tells of each of the settings, for every resource.
    async fn told(
        &self,
        means: &Means,
        targets: &[Target],
    ) -> anyhow::Result<Vec<(Resource, BTreeMap<String, Setting>)>> {
        let admin = Admin::of(&means.topology);
        let mut told = Vec::new();
        for of in self.resources(&means.topology, targets)? {
            let settings = admin.settings(&of, self.set.keys()).await;
            let settings =
                settings.map_err(|error| error.context(format!("cannot read settings of {}", words(&of, means))))?;
            told.push((of, settings));
        }
        Ok(told)
    }
}

#[async_trait]
impl Fault for Config {
    fn field(&self) -> Field {
        Field::Kafka
    }

    fn meaning(&self) -> &'static str {
        "change settings of a topic or of running brokers (options: set, topic)"
    }

    fn check(&self, topology: &Topology, targets: &[Target]) -> Result<(), Expected> {
        if self.set.is_empty() {
            return Err(Expected::usage("config has no setting to change")
                .hint("name one or more under set, such as min.insync.replicas: 3"));
        }
        self.resources(topology, targets).map(drop)
    }

    fn out(&self, _: &[Target], _: &Topology) -> BTreeSet<String> {
        BTreeSet::new()
    }

    fn takes(&self, topology: &Topology, targets: &[Target]) -> BTreeSet<String> {
        // What cannot be set at all is refused elsewhere.
        let resources = self.resources(topology, targets).unwrap_or_default();
        let words = |of: &Resource| match of {
            Resource::Topic(topic) => format!("the settings of topic {topic}"),
            Resource::Broker(id) => format!("the settings of broker {id}"),
        };
        resources.iter().map(words).collect()
    }

    async fn remember(&self, means: &Means, targets: &[Target]) -> anyhow::Result<Value> {
        let mut before = Vec::new();
        for (of, settings) in self.told(means, targets).await? {
            let mut values = BTreeMap::new();
            for name in self.set.keys() {
                let set = settings.get(name).filter(|setting| setting.dynamic);
                if set.is_some_and(|setting| setting.value.is_none()) {
                    let message = format!(
                        "{name} of {} is a secret, which could not be put back",
                        words(&of, means)
                    );
                    return Err(Expected::usage(message).into());
                }
                values.insert(name.clone(), set.and_then(|setting| setting.value.clone()));
            }
            // What Kafka would refuse is refused while nothing is touched.
            if let Err(error) = change(means, &of, &self.changes(), true).await {
                return Err(match refused(&error) {
                    Some(_) => Expected::usage(format!("{error:#}")).into(),
                    None => error,
                });
            }
            before.push(Before { of, values });
        }
        let is_so = |Before { values, .. }: &Before| {
            let mut wanted = self.set.iter();
            wanted.all(|(name, wanted)| {
                values
                    .get(name)
                    .is_some_and(|old| old.as_deref().is_some_and(|old| same(old, wanted)))
            })
        };
        if before.iter().all(is_so) {
            return Err(Expected::usage("all of these settings have these values already").into());
        }
        Ok(serde_json::to_value(before)?)
    }

    async fn inject(&self, means: &Means, injection: &Injection) -> anyhow::Result<()> {
        for of in self.resources(&means.topology, &injection.targets)? {
            change(means, &of, &self.changes(), false).await?;
        }
        Ok(())
    }

    async fn undo(&self, means: &Means, injection: &Injection) -> anyhow::Result<()> {
        for before in remembered(injection)? {
            match change(means, &before.of, &before.values, false).await {
                // A topic that is gone has no settings.
                Err(error) if refused(&error) == Some(ResponseError::UnknownTopicOrPartition) => {}
                result => result?,
            }
        }
        Ok(())
    }

    async fn effect(&self, means: &Means, injection: &Injection, _: &View) -> Proof {
        let told = self.told(means, &injection.targets).await;
        let mut lacking = Vec::new();
        let mut proofs = Vec::new();
        for (of, settings) in told.map_err(|error| vec![format!("{error:#}")])? {
            for (name, wanted) in &self.set {
                let setting = settings.get(name).filter(|setting| setting.dynamic);
                let value = setting.and_then(|setting| setting.value.as_ref());
                // A secret's value is not told: that there is one has to do.
                if setting.is_some_and(|setting| setting.value.as_ref().is_none_or(|value| same(value, wanted))) {
                    proofs.push(format!("{name} of {} is {wanted}", words(&of, means)));
                } else {
                    lacking.push(format!(
                        "{name} of {} is {}, not {wanted}",
                        words(&of, means),
                        or_not_set(value)
                    ));
                }
            }
        }
        if lacking.is_empty() {
            Ok(proofs.join("; "))
        } else {
            Err(lacking)
        }
    }

    async fn healed(&self, means: &Means, injection: &Injection, _: &View) -> Proof {
        let before = remembered(injection).map_err(|error| vec![format!("{error:#}")])?;
        let admin = Admin::of(&means.topology);
        let mut lacking = Vec::new();
        for Before { of, values } in &before {
            let settings = match admin.settings(of, values.keys()).await {
                Ok(settings) => settings,
                Err(error) if refused(&error) == Some(ResponseError::UnknownTopicOrPartition) => continue,
                Err(error) => return Err(vec![format!("{error:#}")]),
            };
            for (name, old) in values {
                let now = settings.get(name).filter(|setting| setting.dynamic);
                let now = now.and_then(|setting| setting.value.as_ref());
                if now != old.as_ref() {
                    let (now, old) = (or_not_set(now), or_not_set(old.as_ref()));
                    lacking.push(format!("{name} of {} is {now}, not {old} as before", words(of, means)));
                }
            }
        }
        if lacking.is_empty() {
            Ok("every setting is as it was before".into())
        } else {
            Err(lacking)
        }
    }
}

fn remembered(injection: &Injection) -> anyhow::Result<Vec<Before>> {
    Ok(serde_json::from_value(injection.before.clone())?)
}

async fn change(
    means: &Means,
    of: &Resource,
    changes: &BTreeMap<String, Option<String>>,
    validate_only: bool,
) -> anyhow::Result<()> {
    let changed = Admin::of(&means.topology)
        .change_settings(of, changes, validate_only)
        .await;
    changed.map_err(|error| error.context(format!("cannot change settings of {}", words(of, means))))
}

/// What Kafka refused, when that is the error.
fn refused(error: &anyhow::Error) -> Option<ResponseError> {
    error.downcast_ref::<Refusal>().map(|refusal| refusal.error)
}

fn words(of: &Resource, means: &Means) -> String {
    match of {
        Resource::Topic(name) => name.clone(),
        Resource::Broker(id) => means.expected.node_service(*id),
    }
}

fn or_not_set(value: Option<&String>) -> &str {
    value.map_or("not set", String::as_str)
}

/// Whether Kafka's value is the one that was given: it writes numbers, lists and booleans in its own way.
fn same(told: &str, given: &str) -> bool {
    let number = |text: &str| text.trim().parse::<f64>().ok();
    let plain = |text: &str| text.split_whitespace().collect::<String>().to_lowercase();
    plain(told) == plain(given) || number(told).is_some_and(|told| number(given) == Some(told))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    fn config(json: serde_json::Value) -> Config {
        serde_json::from_value(json).unwrap()
    }

    fn refusal(config: &Config, target: &str) -> String {
        let topology = Topology::of(&Settings::default());
        config.check(&topology, &[Target::sample(target)]).unwrap_err().message
    }

    #[test]
    fn values_may_be_numbers_or_booleans_and_are_journaled_as_words() {
        let read = config(serde_json::json!({ "set": { "min.insync.replicas": 3, "a": true, "b": "x" } }));
        let journaled = serde_json::to_value(&read).unwrap();
        assert_eq!(
            journaled,
            serde_json::json!({ "set": { "min.insync.replicas": "3", "a": "true", "b": "x" } })
        );
        assert_eq!(config(journaled), read);
    }

    #[test]
    fn it_needs_a_setting_and_someone_who_has_it() {
        assert_eq!(refusal(&Config::default(), "kafka1"), "config has no setting to change");
        let of_brokers = config(serde_json::json!({ "set": { "a": 1 } }));
        assert_eq!(refusal(&of_brokers, "zookeeper1"), "zookeeper1 is no broker");
        let of_topic = config(serde_json::json!({ "topic": "test-9", "set": { "a": 1 } }));
        assert_eq!(refusal(&of_topic, "kafka1"), "the lab has no topic `test-9`");
    }

    #[test]
    fn settings_change_of_the_targets_or_of_one_topic_or_of_all() {
        let topology = Topology::of(&Settings::default());
        let of = |topic: Option<&str>| {
            let config = Config {
                topic: topic.map(str::to_owned),
                ..Config::default()
            };
            config.resources(&topology, &[Target::sample("kafka2")]).unwrap()
        };
        assert_eq!(of(None), [Resource::Broker(2)]);
        assert_eq!(of(Some("test-2")), [Resource::Topic("test-2".into())]);
        assert_eq!(
            of(Some("__consumer_offsets")),
            [Resource::Topic("__consumer_offsets".into())]
        );
        assert_eq!(of(Some("all")).len(), topology.workload.topics.len());
    }

    #[test]
    fn a_value_is_known_again_as_kafka_writes_it() {
        for (told, given) in [
            ("0.5", "0.50"),
            ("a,b", "a, b"),
            ("true", "TRUE"),
            ("1048576", "1048576"),
        ] {
            assert!(same(told, given), "{told} {given}");
        }
        for (told, given) in [("2", "3"), ("a,b", "a"), ("", "0")] {
            assert!(!same(told, given), "{told} {given}");
        }
    }
}
