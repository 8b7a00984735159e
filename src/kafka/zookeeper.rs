//! What ZooKeeper knows: each server's mode, and who is controller.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tracing::instrument::WithSubscriber as _;
use tracing::subscriber::NoSubscriber;
use zookeeper_client::{Client, MultiReadResult};

/// How long the ensemble remembers a session that was not closed; no ephemeral node hangs on it.
const SESSION_TIMEOUT: Duration = Duration::from_secs(6);
/// How long a server may say nothing before the client turns to another.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest answer to a four-letter word that is taken, in bytes.
const MAX_ANSWER: u64 = 64 << 10;

/// The controller as ZooKeeper holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Controller {
    /// The broker in `/controller`; −1 for none.
    pub broker: i32,
    /// `/controller_epoch`: grows by one with each election.
    pub epoch: i32,
}

/// Asks one server for its mode: `leader`, `follower` or `standalone`.
///
/// # Errors
/// When it does not answer within `timeout`, or does not serve, for example without a quorum.
pub async fn mode(address: SocketAddr, timeout: Duration) -> anyhow::Result<String> {
    let Ok(answer) = tokio::time::timeout(timeout, srvr(address)).await else {
        bail!("{address} did not answer `srvr` within {} ms", timeout.as_millis());
    };
    let answer = answer?;
    match answer.lines().find_map(|line| line.strip_prefix("Mode: ")) {
        Some(mode) => Ok(mode.trim().to_owned()),
        None => bail!("{}", answer.lines().next().unwrap_or("the answer to `srvr` is empty")),
    }
}

async fn srvr(address: SocketAddr) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address)
        .await
        .with_context(|| format!("cannot connect to {address}"))?;
    let mut answer = Vec::new();
    let exchange = async {
        stream.write_all(b"srvr").await?;
        // The server closes the connection after its answer.
        stream.take(MAX_ANSWER).read_to_end(&mut answer).await
    };
    exchange
        .await
        .with_context(|| format!("cannot ask {address} for `srvr`"))?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Opens a session with an ensemble, `address:port` separated by commas.
///
/// # Errors
/// When no server of it serves.
pub(super) async fn connect(servers: &str) -> anyhow::Result<Client> {
    let connector = Client::connector()
        .with_session_timeout(SESSION_TIMEOUT)
        .with_connection_timeout(CONNECTION_TIMEOUT)
        .with_fail_eagerly();
    // It logs a warning for each server that does not serve; the error tells as much.
    let connected = connector
        .connect(servers)
        .with_subscriber(NoSubscriber::default())
        .await;
    connected.with_context(|| format!("cannot connect to ZooKeeper at {servers}"))
}

/// A session with an ensemble, made when it is first needed, and again after it was lost.
///
/// While it holds, the client moves by itself from a server that died to another.
#[derive(Debug)]
pub struct Ensemble {
    servers: String,
    client: Option<Client>,
}

impl Ensemble {
    /// Describes an ensemble by its servers; nothing is connected yet.
    pub fn new(servers: impl IntoIterator<Item = SocketAddr>) -> Self {
        let servers: Vec<String> = servers.into_iter().map(|server| server.to_string()).collect();
        Self {
            servers: servers.join(","),
            client: None,
        }
    }

    /// Reads who is controller, and its epoch, as of one moment; nothing before the first election.
    ///
    /// # Errors
    /// When no server of the ensemble answers within `timeout`.
    pub async fn controller(&mut self, timeout: Duration) -> anyhow::Result<Option<Controller>> {
        let answer = tokio::time::timeout(timeout, self.read_controller()).await;
        if self
            .client
            .as_ref()
            .is_some_and(|client| client.state().is_terminated())
        {
            self.client = None;
        }
        match answer {
            Ok(controller) => controller,
            Err(_) => bail!("ZooKeeper at {} did not answer within {timeout:?}", self.servers),
        }
    }

    async fn read_controller(&mut self) -> anyhow::Result<Option<Controller>> {
        let client = match &mut self.client {
            Some(client) => client,
            none => none.insert(connect(&self.servers).await?),
        };
        // Kafka writes both nodes in one transaction; reading both in one request sees them before or after it.
        let mut read = client.new_multi_reader();
        read.add_get_data("/controller_epoch")?;
        read.add_get_data("/controller")?;
        let answers = read.commit().await.context("cannot read /controller")?;
        let [epoch, broker] = &answers[..] else {
            bail!("ZooKeeper gave {} answers to two questions", answers.len());
        };
        let Some(epoch) = data(epoch)? else {
            return Ok(None);
        };
        Ok(Some(Controller {
            epoch: parse_epoch(epoch)?,
            broker: data(broker)?.map_or(Ok(-1), parse_broker)?,
        }))
    }
}

/// The content of a node; nothing when it does not exist.
fn data(answer: &MultiReadResult) -> anyhow::Result<Option<&[u8]>> {
    match answer {
        MultiReadResult::Data { data, .. } => Ok(Some(data)),
        MultiReadResult::Error {
            err: zookeeper_client::Error::NoNode,
        } => Ok(None),
        other => bail!("ZooKeeper answered {other:?} instead of a node"),
    }
}

fn parse_epoch(data: &[u8]) -> anyhow::Result<i32> {
    let text = std::str::from_utf8(data).context("/controller_epoch is no text")?;
    text.trim().parse().context("/controller_epoch is no number")
}

fn parse_broker(data: &[u8]) -> anyhow::Result<i32> {
    #[derive(Deserialize)]
    struct Node {
        brokerid: i32,
    }
    let node: Node = serde_json::from_slice(data).context("/controller is not what Kafka writes")?;
    Ok(node.brokerid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    /// A server that answers every connection with the same bytes; with none, it hangs.
    async fn server(answer: Option<&'static str>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut word = [0; 4];
                stream.read_exact(&mut word).await.unwrap();
                match answer {
                    Some(answer) => stream.write_all(answer.as_bytes()).await.unwrap(),
                    None => std::future::pending().await,
                }
            }
        });
        address
    }

    const TIMEOUT: Duration = Duration::from_millis(300);

    #[tokio::test]
    async fn the_mode_is_read_from_srvr_and_a_server_without_quorum_gives_its_own_words() {
        let serving = server(Some(
            "Zookeeper version: 3.8.4\nClients: 2\nMode: follower\nNode count: 31\n",
        ))
        .await;
        assert_eq!(mode(serving, TIMEOUT).await.unwrap(), "follower");
        let alone = server(Some("This ZooKeeper instance is not currently serving requests\n")).await;
        let error = mode(alone, TIMEOUT).await.unwrap_err().to_string();
        assert_eq!(error, "This ZooKeeper instance is not currently serving requests");
    }

    #[tokio::test]
    async fn a_server_that_hangs_is_given_up() {
        let hung = server(None).await;
        let error = mode(hung, TIMEOUT).await.unwrap_err().to_string();
        assert!(error.contains("did not answer `srvr` within 300 ms"), "{error}");
    }

    #[tokio::test]
    async fn an_ensemble_that_hangs_or_refuses_is_given_up_and_can_be_asked_again() {
        let refusing = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        for servers in [vec![server(None).await], vec![refusing]] {
            let mut ensemble = Ensemble::new(servers);
            for _ in 0..2 {
                assert!(ensemble.controller(TIMEOUT).await.is_err());
            }
        }
    }

    #[test]
    fn the_controller_node_may_have_fields_that_khd_does_not_know() {
        let node = br#"{"version":2,"brokerid":3,"timestamp":"1763869000000","kraftControllerEpoch":-1}"#;
        assert_eq!(parse_broker(node).unwrap(), 3);
        assert_eq!(parse_epoch(b"17").unwrap(), 17);
        assert!(parse_broker(b"3").is_err());
        assert!(parse_epoch(b"").is_err());
    }
}
