//! Asking a Prometheus, over its HTTP interface.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use axum::body::Body;
use axum::http::Uri;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// How long it may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The longest answer that is taken, in bytes.
const LONGEST: usize = 64 << 20;

/// Something that Prometheus scrapes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// Its job.
    pub scrape_pool: String,
    /// Where it is scraped.
    pub scrape_url: String,
    /// `up`, `down`, or `unknown` before the first scrape.
    pub health: String,
    /// What went wrong last; empty where nothing did.
    pub last_error: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Targets {
    active_targets: Vec<Target>,
}

/// Asks what it scrapes.
///
/// # Errors
/// When it does not answer in time, or not as Prometheus does.
pub async fn targets(address: SocketAddr) -> anyhow::Result<Vec<Target>> {
    let targets: Targets = ask(address, "targets?state=active").await?;
    Ok(targets.active_targets)
}

/// Asks what a query that gives one number comes to at this moment; nothing where there is no data.
///
/// # Errors
/// When it does not answer in time, or not as Prometheus does.
pub async fn number(address: SocketAddr, query: &str) -> anyhow::Result<Option<f64>> {
    #[derive(Deserialize)]
    struct Data {
        result: Vec<Series>,
    }
    #[derive(Deserialize)]
    struct Series {
        /// When, and what, as text: there are numbers that JSON has not.
        value: (f64, String),
    }
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    let query: String = query.bytes().map(encode).collect();
    let data: Data = ask(address, &format!("query?query={query}")).await?;
    let number = data.result.first().map(|series| series.value.1.parse::<f64>());
    let number = number.transpose().context("Prometheus gives a number that is none")?;
    Ok(number.filter(|number| number.is_finite()))
}

/// Asks `path` of its interface, as `query?query=up`.
///
/// # Errors
/// When it does not answer in time, or not as Prometheus does.
async fn ask<T: DeserializeOwned>(address: SocketAddr, path: &str) -> anyhow::Result<T> {
    #[derive(Deserialize)]
    struct Answer<T> {
        data: T,
    }
    let what = || format!("Prometheus at {address}");
    let uri: Uri = format!("http://{address}/api/v1/{path}").parse()?;
    let client: Client<_, Body> = Client::builder(TokioExecutor::new()).build_http();
    let asked = async {
        let answer = client.get(uri).await?;
        ensure!(answer.status().is_success(), "it answers {}", answer.status());
        let body = axum::body::to_bytes(Body::new(answer.into_body()), LONGEST).await?;
        let answer: Answer<T> = serde_json::from_slice(&body)?;
        Ok(answer.data)
    };
    let answered = tokio::time::timeout(TIMEOUT, asked).await;
    let answered = answered.with_context(|| format!("{} did not answer within {} s", what(), TIMEOUT.as_secs()))?;
    answered.with_context(|| format!("cannot ask {}", what()))
}
