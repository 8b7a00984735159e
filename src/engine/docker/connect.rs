//! Reaching the engine, and agreeing with it on a version of the API.

use std::time::Duration;

use bollard::{API_DEFAULT_VERSION, ClientVersion};

use super::Docker;
use super::endpoint::{self, Endpoint};
use super::failure::NO_ENGINE_HINT;
use super::usage::Processes;
use crate::error::Expected;

/// How long an engine may take to say its version.
const GREETING: Duration = Duration::from_secs(10);
/// How long any other answer may take: a loaded machine that starts eight containers at once needs a while.
const ANSWER: Duration = Duration::from_secs(120);
/// The API of Engine 20.10.
const OLDEST: ClientVersion = ClientVersion {
    major_version: 1,
    minor_version: 41,
};

impl Docker {
    /// Connects to the engine that `DOCKER_HOST`, `DOCKER_CONTEXT` or the Docker client's configuration names, or to
    /// the one on the usual socket.
    ///
    /// # Errors
    /// An [`Expected`] failure of the environment when no engine answers there, when khd cannot speak to such an
    /// address (TLS, ssh), or when the engine is older than 20.10.
    pub async fn connect() -> anyhow::Result<Self> {
        let endpoint = endpoint::find(|name| std::env::var(name).ok())?;
        Self::connect_to(&endpoint).await
    }

    async fn connect_to(endpoint: &Endpoint) -> anyhow::Result<Self> {
        let address = endpoint.to_string();
        let nobody = |error| {
            Expected::environment(format!("cannot reach the Docker engine: {error} ({address})")).hint(NO_ENGINE_HINT)
        };
        let client = match endpoint {
            Endpoint::Unix(path) if !path.exists() => Err(nobody(format!("{} does not exist", path.display())))?,
            Endpoint::Unix(_) => bollard::Docker::connect_with_unix(&address, ANSWER.as_secs(), API_DEFAULT_VERSION),
            Endpoint::Tcp(_) => bollard::Docker::connect_with_http(&address, ANSWER.as_secs(), API_DEFAULT_VERSION),
        };
        let docker = Self {
            client: client.map_err(|error| nobody(error.to_string()))?,
            local: matches!(endpoint, Endpoint::Unix(_)),
            processes: Processes::default(),
            address: address.clone(),
        };
        let greeting = tokio::time::timeout(GREETING, docker.client.clone().negotiate_version()).await;
        let greeting = greeting.map_err(|_| docker.too_late("cannot reach the Docker engine", GREETING))?;
        let client = greeting.map_err(docker.failed("cannot reach the Docker engine"))?;
        let agreed = client.client_version();
        if agreed < OLDEST {
            Err(Expected::environment(format!(
                "the Docker engine at {address} is too old: it offers API {agreed}, khd needs {OLDEST}"
            ))
            .hint("install Docker Engine 20.10 or later"))?;
        }
        Ok(Self { client, ..docker })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_engine_is_an_expected_failure_that_says_where_it_was_sought() {
        let folder = tempfile::tempdir().unwrap();
        let missing = Endpoint::Unix(folder.path().join("docker.sock"));
        let error = Docker::connect_to(&missing).await.unwrap_err();
        assert!(error.to_string().contains("does not exist"), "{error}");
        assert!(error.downcast_ref::<Expected>().unwrap().hint.is_some());
    }

    #[tokio::test]
    async fn a_socket_that_nobody_serves_is_an_expected_failure() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("docker.sock");
        // Closed at once, but the file stays, as after an engine that died.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let error = Docker::connect_to(&Endpoint::Unix(path)).await.unwrap_err();
        assert!(error.is::<Expected>(), "{error:?}");
        assert!(error.to_string().contains("refused"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_engine_that_hangs_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("docker.sock");
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let error = Docker::connect_to(&Endpoint::Unix(path)).await.unwrap_err();
        assert!(error.is::<Expected>(), "{error:?}");
        assert!(error.to_string().contains("said nothing for 10 s"), "{error}");
    }
}
