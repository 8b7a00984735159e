//! Kafka's protocol over one connection to one broker, for what librdkafka does not offer, or not of a broker of choice.
//!
//! [`BrokerConnection`] carries one request at a time; [`answers`] holds what brokers answer, in types of khd's own.
//! The versions of requests are pinned to those that Kafka 3.0 to 4.4 all accept, and checked once per connection, so
//! that an answer means the same whichever broker gave it.

pub mod answers;
mod calls;
pub mod changes;
pub mod refusal;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use bytes::{BufMut as _, Bytes, BytesMut};
use kafka_protocol::messages::{RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable as _, HeaderVersion, StrBytes};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use calls::Call;

/// Longest answer that is taken, in bytes. Metadata of 10,000 partitions is below 1 MiB.
const MAX_FRAME: usize = 16 << 20;
/// Where correlation ids start. A value that no other protocol sends by chance, so that what answers in a foreign
/// protocol is refused before its bytes are taken for lengths.
const FIRST_CORRELATION_ID: i32 = 0x6b68_6401;

/// How long to wait for a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For the connection itself.
    pub connect: Duration,
    /// For each request, from its first byte sent to the last byte of its answer.
    pub request: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_millis(500),
            request: Duration::from_secs(1),
        }
    }
}

/// A connection to one broker, with one request in flight.
///
/// Every method that asks fails when the broker does not answer in time or not in Kafka's protocol. After that the
/// connection is of no use (a late answer would be taken for that of the next request), and every further request
/// fails at once: drop it, and connect anew.
#[derive(Debug)]
pub struct BrokerConnection {
    broker: String,
    address: SocketAddr,
    client_id: StrBytes,
    request_timeout: Duration,
    stream: TcpStream,
    correlation_id: i32,
    sound: bool,
    // Whether it knows groups of the protocol that came with Kafka 4.
    has_new_groups: bool,
}

impl BrokerConnection {
    /// Connects to the broker that `broker` names in errors, and checks that it speaks the versions khd uses.
    ///
    /// # Errors
    /// When it cannot be connected to, does not answer in time, or is no Kafka between 3.0 and 4.x.
    pub async fn connect(
        broker: &str,
        address: SocketAddr,
        client_id: &str,
        timeouts: Timeouts,
    ) -> anyhow::Result<Self> {
        let mut connection = Self::open(broker, address, client_id, timeouts).await?;
        connection.check_versions(calls::OF_BROKERS).await?;
        Ok(connection)
    }

    /// The same with a controller of KRaft, which can be asked for nothing but the quorum.
    ///
    /// # Errors
    /// When it cannot be connected to, does not answer in time, or is no controller.
    pub async fn connect_to_controller(
        controller: &str,
        address: SocketAddr,
        client_id: &str,
        timeouts: Timeouts,
    ) -> anyhow::Result<Self> {
        let mut connection = Self::open(controller, address, client_id, timeouts).await?;
        connection.check_versions(calls::OF_CONTROLLERS).await?;
        Ok(connection)
    }

    async fn open(broker: &str, address: SocketAddr, client_id: &str, timeouts: Timeouts) -> anyhow::Result<Self> {
        let Ok(stream) = tokio::time::timeout(timeouts.connect, TcpStream::connect(address)).await else {
            let waited = timeouts.connect.as_millis();
            bail!("{broker} at {address} could not be connected to within {waited} ms");
        };
        let stream = stream.with_context(|| format!("cannot connect to {broker} at {address}"))?;
        // On loopback, a port from the ephemeral range where nobody listens may be connected to itself.
        if stream.local_addr().ok() == Some(address) {
            bail!("cannot connect to {broker} at {address}: nobody listens");
        }
        stream
            .set_nodelay(true)
            .with_context(|| format!("cannot set up the connection to {broker} at {address}"))?;
        Ok(Self {
            broker: broker.to_owned(),
            address,
            client_id: StrBytes::from_string(client_id.to_owned()),
            request_timeout: timeouts.request,
            stream,
            correlation_id: FIRST_CORRELATION_ID,
            sound: true,
            has_new_groups: false,
        })
    }

    /// Sends a request and waits for its answer.
    async fn call<C: Call>(&mut self, request: &C) -> anyhow::Result<C::Answer> {
        ensure!(
            self.sound,
            "the connection to {} was broken by an earlier request",
            self.broker
        );
        // Until the answer is here: also when this future is dropped, the connection must not be used again.
        self.sound = false;
        let Ok(answer) = tokio::time::timeout(self.request_timeout, self.exchange(request)).await else {
            let waited = self.request_timeout.as_millis();
            bail!(
                "{} at {} did not answer {} within {waited} ms",
                self.broker,
                self.address,
                C::NAME
            );
        };
        let answer = answer.with_context(|| format!("{} failed at {} at {}", C::NAME, self.broker, self.address))?;
        self.sound = true;
        Ok(answer)
    }

    async fn exchange<C: Call>(&mut self, request: &C) -> anyhow::Result<C::Answer> {
        self.correlation_id = self.correlation_id.wrapping_add(1);
        let frame = encode(request, self.correlation_id, &self.client_id)?;
        self.stream.write_all(&frame).await?;
        let answer = self.read_frame().await?;
        decode::<C>(answer, self.correlation_id)
    }

    async fn read_frame(&mut self) -> anyhow::Result<Bytes> {
        let size = self.stream.read_i32().await?;
        let size = usize::try_from(size)
            .ok()
            .filter(|size| *size <= MAX_FRAME)
            .with_context(|| format!("an answer of {size} bytes is not one of Kafka's"))?;
        let mut frame = BytesMut::zeroed(size);
        self.stream.read_exact(&mut frame).await?;
        Ok(frame.freeze())
    }
}

/// A request as it goes over the wire, its length in front.
fn encode<C: Call>(request: &C, correlation_id: i32, client_id: &StrBytes) -> anyhow::Result<BytesMut> {
    let header = RequestHeader::default()
        .with_request_api_key(C::KEY as i16)
        .with_request_api_version(C::VERSION)
        .with_correlation_id(correlation_id)
        .with_client_id(Some(client_id.clone()));
    let mut frame = BytesMut::with_capacity(256);
    frame.put_i32(0);
    header.encode(&mut frame, C::header_version(C::VERSION))?;
    request.encode(&mut frame, C::VERSION)?;
    let size = i32::try_from(frame.len() - 4)?;
    frame[..4].copy_from_slice(&size.to_be_bytes());
    Ok(frame)
}

/// The answer in a frame whose length was taken off.
fn decode<C: Call>(mut frame: Bytes, correlation_id: i32) -> anyhow::Result<C::Answer> {
    // Before anything that follows is trusted: the decoder reserves what lengths in the answer claim.
    let Some(answered) = frame.first_chunk().copied().map(i32::from_be_bytes) else {
        bail!("an answer of {} bytes is not one of Kafka's", frame.len());
    };
    ensure!(
        answered == correlation_id,
        "the answer is to request {answered:#x}, not to {correlation_id:#x}"
    );
    ResponseHeader::decode(&mut frame, C::Answer::header_version(C::VERSION))?;
    let answer = C::Answer::decode(&mut frame, C::VERSION)?;
    ensure!(frame.is_empty(), "the answer has {} bytes too many", frame.len());
    Ok(answer)
}
