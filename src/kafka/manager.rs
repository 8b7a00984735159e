//! Kafka Manager's own list of clusters, which it keeps in ZooKeeper.
//!
//! It reads `/kafka-manager/configs/<name>` at its start, and watches the folder (CMAK, `KafkaManagerActor`). So a cluster
//! is registered without a hand on its page, whether it runs already or not.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use zookeeper_client::{Acls, CreateMode, Error};

use super::zookeeper::connect;

/// The folder of its clusters.
const CONFIGS: &str = "/kafka-manager/configs";
/// The newest version of Kafka that every Kafka Manager knows, the demo's image among them. It does not read a cluster of
/// a version that it does not know, and shows little more of one that is newer.
const KAFKA_VERSION: &str = "0.9.0.1";

/// Registers the cluster that uses an ensemble. One that is registered with these servers already is left alone, whatever
/// somebody set on its page. Returns whether anything was written.
///
/// `zookeepers` is where the ensemble is reached from here, `zookeeper_connect` where the manager reaches it.
///
/// # Errors
/// When the ensemble does not answer within `timeout`, or refuses.
pub async fn register(
    zookeepers: &[SocketAddr],
    name: &str,
    zookeeper_connect: &str,
    timeout: Duration,
) -> anyhow::Result<bool> {
    let servers: Vec<String> = zookeepers.iter().map(SocketAddr::to_string).collect();
    let servers = servers.join(",");
    match tokio::time::timeout(timeout, write(&servers, name, zookeeper_connect)).await {
        Ok(written) => written,
        Err(_) => bail!("ZooKeeper at {servers} did not answer within {timeout:?}"),
    }
}

async fn write(servers: &str, name: &str, zookeeper_connect: &str) -> anyhow::Result<bool> {
    let client = connect(servers).await?;
    let (path, config) = (format!("{CONFIGS}/{name}"), config(name, zookeeper_connect));
    let node = CreateMode::Persistent.with_acls(Acls::anyone_all());
    client
        .mkdir(CONFIGS, &node)
        .await
        .with_context(|| format!("cannot make {CONFIGS} in ZooKeeper"))?;
    let written = match client.create(&path, config.as_bytes(), &node).await {
        Ok(_) => Ok(true),
        Err(Error::NodeExists) => match client.get_data(&path).await {
            Ok((present, _)) if names(&present, zookeeper_connect) => Ok(false),
            Ok(_) => client.set_data(&path, config.as_bytes(), None).await.map(|_| true),
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    };
    written.with_context(|| format!("cannot write {path} to ZooKeeper"))
}

/// Whether a registration names just these servers.
fn names(config: &[u8], zookeeper_connect: &str) -> bool {
    let config: Option<Value> = serde_json::from_slice(config).ok();
    config.is_some_and(|config| config["curatorConfig"]["zkConnect"] == zookeeper_connect)
}

/// What Kafka Manager itself writes of a cluster that was added on its page; what is left out has its default there.
fn config(name: &str, zookeeper_connect: &str) -> String {
    json!({
        "name": name,
        "curatorConfig": {
            "zkConnect": zookeeper_connect,
            "zkMaxRetry": 100,
            "baseSleepTimeMs": 100,
            "maxSleepTimeMs": 1000,
        },
        "enabled": true,
        "kafkaVersion": KAFKA_VERSION,
        "jmxEnabled": true,
        "pollConsumers": true,
        "activeOffsetCacheEnabled": true,
        "displaySizeEnabled": true,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_set_on_the_page_is_no_reason_to_register_anew() {
        let servers = "zookeeper1:12181,zookeeper2:22181";
        let written = config("khd", servers);
        assert!(names(written.as_bytes(), servers));
        assert!(names(written.replace("true", "false").as_bytes(), servers));
        assert!(!names(written.as_bytes(), "zookeeper1:12181"));
        assert!(!names(b"no JSON", servers));
    }
}
