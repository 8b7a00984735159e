//! Where the engine listens, as the Docker command line would find it.
//!
//! `DOCKER_HOST` comes first, then the context that `DOCKER_CONTEXT` or the client's configuration names, then the
//! usual socket. A context lies in `contexts/meta/<SHA-256 of its name>/meta.json` of the configuration folder.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};

use crate::error::Expected;

const USUAL_SOCKET: &str = "/var/run/docker.sock";

/// An address that khd can speak to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// A socket of this machine.
    Unix(PathBuf),
    /// A host and a port, without TLS.
    Tcp(String),
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(host) => write!(f, "tcp://{host}"),
        }
    }
}

/// Finds the endpoint; `variable` reads the environment, in which an empty value counts as none.
pub(super) fn find(variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<Endpoint> {
    let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
    if let Some(host) = variable("DOCKER_HOST") {
        let tls = variable("DOCKER_TLS_VERIFY").is_some();
        return parse(&host, tls, "DOCKER_HOST");
    }
    let folder = variable("DOCKER_CONFIG")
        .map(PathBuf::from)
        .or_else(|| variable("HOME").map(|home| Path::new(&home).join(".docker")));
    let named = match (variable("DOCKER_CONTEXT"), &folder) {
        (Some(name), _) => Some((name, "DOCKER_CONTEXT".to_owned())),
        (None, Some(folder)) => current_context(folder)?,
        (None, None) => None,
    };
    match (named, folder) {
        (Some((name, source)), Some(folder)) if name != "default" => {
            let origin = format!("the Docker context `{name}` (named by {source})");
            let (host, tls) = context(&folder, &name, &origin)?;
            parse(&host, tls, &origin)
        }
        _ => Ok(Endpoint::Unix(USUAL_SOCKET.into())),
    }
}

/// The context that the client's configuration names, and the file that does.
fn current_context(folder: &Path) -> anyhow::Result<Option<(String, String)>> {
    let path = folder.join("config.json");
    let Ok(text) = std::fs::read(&path) else {
        return Ok(None);
    };
    let config: serde_json::Value = serde_json::from_slice(&text)
        .with_context(|| format!("cannot read the Docker client's configuration {}", path.display()))?;
    let name = config["currentContext"].as_str().filter(|name| !name.is_empty());
    Ok(name.map(|name| (name.to_owned(), path.display().to_string())))
}

/// Host of a context, and whether it needs TLS.
fn context(folder: &Path, name: &str, origin: &str) -> anyhow::Result<(String, bool)> {
    let id = hex::encode(Sha256::digest(name));
    let path = folder.join("contexts/meta").join(&id).join("meta.json");
    let text = std::fs::read(&path).map_err(|error| {
        Expected::environment(format!("cannot find {origin}: {}: {error}", path.display()))
            .hint("`docker context ls` lists those that exist; set DOCKER_CONTEXT to one, or DOCKER_HOST to an address")
    })?;
    let meta: serde_json::Value =
        serde_json::from_slice(&text).with_context(|| format!("cannot read {}", path.display()))?;
    let host = meta["Endpoints"]["docker"]["Host"].as_str().unwrap_or_default();
    let tls = folder.join("contexts/tls").join(&id).join("docker").exists();
    Ok((host.to_owned(), tls))
}

fn parse(host: &str, tls: bool, origin: &str) -> anyhow::Result<Endpoint> {
    let refuse = |why: &str| {
        Expected::environment(format!("cannot use `{host}` of {origin}: {why}"))
            .hint("set DOCKER_HOST to a unix:// or tcp:// address; `ssh -L 2375:/var/run/docker.sock HOST` makes one")
            .into()
    };
    match host.split_once("://") {
        Some(("unix", path)) if !path.is_empty() => Ok(Endpoint::Unix(path.into())),
        Some(("tcp" | "http", _)) if tls => Err(refuse("khd does not speak TLS to the engine")),
        Some(("tcp" | "http", address)) if !address.is_empty() => {
            Ok(Endpoint::Tcp(address.trim_end_matches('/').to_owned()))
        }
        Some(("https", _)) => Err(refuse("khd does not speak TLS to the engine")),
        Some(("ssh", _)) => Err(refuse("khd does not reach the engine through ssh by itself")),
        _ => Err(refuse(
            "it is not an address of the form unix:///path or tcp://host:port",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> anyhow::Result<Endpoint> {
        find(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn context_folder(name: &str, host: &str, current: bool) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let id = hex::encode(Sha256::digest(name));
        let meta = folder.path().join("contexts/meta").join(id);
        std::fs::create_dir_all(&meta).unwrap();
        let text = format!(r#"{{"Name":"{name}","Endpoints":{{"docker":{{"Host":"{host}"}}}}}}"#);
        std::fs::write(meta.join("meta.json"), text).unwrap();
        if current {
            let text = format!(r#"{{"auths":{{}},"currentContext":"{name}"}}"#);
            std::fs::write(folder.path().join("config.json"), text).unwrap();
        }
        folder
    }

    #[test]
    fn without_any_setting_the_usual_socket_is_used() {
        assert_eq!(with(&[]).unwrap().to_string(), "unix:///var/run/docker.sock");
        assert_eq!(
            with(&[("DOCKER_HOST", "")]).unwrap().to_string(),
            "unix:///var/run/docker.sock"
        );
    }

    #[test]
    fn docker_host_comes_before_contexts_as_in_docker_itself() {
        let folder = context_folder("lab", "tcp://10.0.0.1:2375", true);
        let config = folder.path().to_str().unwrap();
        let both = [("DOCKER_HOST", "unix:///run/d.sock"), ("DOCKER_CONFIG", config)];
        assert_eq!(with(&both).unwrap().to_string(), "unix:///run/d.sock");
        assert_eq!(with(&both[1..]).unwrap().to_string(), "tcp://10.0.0.1:2375");
        let default = [("DOCKER_CONTEXT", "default"), ("DOCKER_CONFIG", config)];
        assert_eq!(with(&default).unwrap().to_string(), "unix:///var/run/docker.sock");
    }

    #[test]
    fn docker_context_names_one_that_is_not_current() {
        let folder = context_folder("lab", "http://host:1/", false);
        let config = folder.path().to_str().unwrap();
        let found = with(&[("DOCKER_CONTEXT", "lab"), ("DOCKER_CONFIG", config)]);
        assert_eq!(found.unwrap().to_string(), "tcp://host:1");
        let missing = with(&[("DOCKER_CONTEXT", "other"), ("DOCKER_CONFIG", config)]).unwrap_err();
        assert!(missing.to_string().contains("`other`"), "{missing}");
        assert!(missing.is::<Expected>());
    }

    #[test]
    fn what_khd_cannot_speak_is_refused_with_the_reason() {
        for (host, why) in [
            ("ssh://me@host", "ssh"),
            ("https://host:2376", "TLS"),
            ("nonsense", "unix:///path"),
        ] {
            let error = with(&[("DOCKER_HOST", host)]).unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
        }
        let tls = with(&[("DOCKER_HOST", "tcp://host:2376"), ("DOCKER_TLS_VERIFY", "1")]);
        assert!(tls.unwrap_err().to_string().contains("TLS"));
    }
}
