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

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;

    async fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.0\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn what_is_registered_is_served_and_an_address_that_is_taken_is_named() {
        let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let mut registry = Registry::default();
        registry.register("khd_test", "A test", Counter::<u64>::default());
        let server = serve(address, registry).await.unwrap();
        let answer = get(address, "/metrics").await;
        assert!(answer.starts_with("HTTP/1.0 200 OK"), "{answer}");
        assert!(
            answer.contains("content-type: application/openmetrics-text"),
            "{answer}"
        );
        assert!(answer.contains("khd_test_total 0"), "{answer}");
        assert!(get(address, "/else").await.starts_with("HTTP/1.0 404"));
        let refused = serve(address, Registry::default()).await.unwrap_err().to_string();
        assert!(
            refused.contains(&format!("cannot serve metrics at {address}")),
            "{refused}"
        );
        drop(server);
    }
}
