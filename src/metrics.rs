//! Metrics served over HTTP, as Prometheus asks for them.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::error::Expected;

/// Bounds of the buckets of latency histograms, in seconds: from half a millisecond to a ZooKeeper session and beyond.
pub const LATENCY_BUCKETS: [f64; 15] = [
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// A server that ends when this is dropped.
#[derive(Debug)]
#[must_use = "dropping the server ends it"]
pub struct Server(JoinHandle<()>);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Serves what is registered at `/metrics` of an address.
///
/// # Errors
/// When nothing can listen there.
pub async fn serve(address: SocketAddr, registry: Registry) -> anyhow::Result<Server> {
    let listener = TcpListener::bind(address).await.map_err(|error| {
        Expected::environment(format!("cannot serve metrics at {address}: {error}"))
            .hint("choose another address, or stop what holds this one")
    })?;
    let registry = Arc::new(registry);
    let app = Router::new()
        .route("/metrics", get(move || metrics(registry.clone())))
        .route("/", get(async || "metrics are at /metrics\n"));
    Ok(Server(tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, app).await {
            tracing::error!("metrics are served no more: {error}");
        }
    })))
}

async fn metrics(registry: Arc<Registry>) -> impl IntoResponse {
    let mut text = String::new();
    match encode(&mut text, &registry) {
        Ok(()) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
