//! What ZooKeeper holds of a migration to KRaft, by the paths that Kafka's guide names.

use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use zookeeper_client::{Client, Error};

use super::zookeeper::connect;

/// How long the ensemble may take to answer, turning to another server meanwhile.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How far the metadata of ZooKeeper was taken over, and by whom.
const MIGRATION: &str = "/migration";
/// Who is controller.
const CONTROLLER: &str = "/controller";

/// Reads the id of the cluster, which KRaft's nodes have to be formatted with.
///
/// # Errors
/// When ZooKeeper does not answer, or no broker was ever there.
pub async fn cluster_id(servers: &str) -> anyhow::Result<String> {
    #[derive(Deserialize)]
    struct Node {
        id: String,
    }
    let Some(data) = within(servers, async |client| read(client, "/cluster/id").await).await? else {
        bail!("ZooKeeper at {servers} knows of no cluster: it has no /cluster/id");
    };
    let node: Node = serde_json::from_slice(&data).context("/cluster/id is not what Kafka writes")?;
    Ok(node.id)
}

/// Whether KRaft's controllers have taken over all of ZooKeeper's metadata.
///
/// # Errors
/// When ZooKeeper does not answer.
pub async fn is_loaded(servers: &str) -> anyhow::Result<bool> {
    let data = within(servers, async |client| read(client, MIGRATION).await).await?;
    data.map_or(Ok(false), |data| parse_loaded(&data))
}

/// Lets brokers elect a controller among themselves again, once KRaft's controllers are gone: what these left in ZooKeeper
/// is removed.
///
/// # Errors
/// When ZooKeeper does not answer.
pub async fn give_control_back(servers: &str) -> anyhow::Result<()> {
    within(servers, async |client| {
        for path in [CONTROLLER, MIGRATION] {
            match client.delete(path, None).await {
                Ok(()) | Err(Error::NoNode) => {}
                Err(error) => return Err(error).with_context(|| format!("cannot remove {path}")),
            }
        }
        Ok(())
    })
    .await
}

async fn read(client: &Client, path: &str) -> anyhow::Result<Option<Vec<u8>>> {
    match client.get_data(path).await {
        Ok((data, _)) => Ok(Some(data)),
        Err(Error::NoNode) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {path}")),
    }
}

async fn within<T>(servers: &str, work: impl AsyncFnOnce(&Client) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let asked = async {
        let client = connect(servers).await?;
        work(&client).await
    };
    match tokio::time::timeout(TIMEOUT, asked).await {
        Ok(answer) => answer,
        Err(_) => bail!("ZooKeeper at {servers} did not answer within {TIMEOUT:?}"),
    }
}

/// The offset in the metadata log up to which ZooKeeper has been written; 0 or less until all was taken over from there.
fn parse_loaded(data: &[u8]) -> anyhow::Result<bool> {
    #[derive(Deserialize)]
    struct Node {
        kraft_metadata_offset: i64,
    }
    let node: Node = serde_json::from_slice(data).context("/migration is not what Kafka writes")?;
    Ok(node.kraft_metadata_offset > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_taken_over_once_kraft_has_written_to_zookeeper_up_to_an_offset() {
        let node = |offset: i64| {
            let node = format!(
                r#"{{"version":0,"kraft_metadata_offset":{offset},"kraft_controller_id":3001,"kraft_metadata_epoch":1,"kraft_controller_epoch":2}}"#
            );
            parse_loaded(node.as_bytes()).unwrap()
        };
        assert!(!node(-1) && !node(0) && node(12));
        assert!(parse_loaded(b"{}").is_err());
    }
}
