//! What a failure of the engine means to the user.

use std::fmt::Display;
use std::time::Duration;

use bollard::errors::Error;

use super::Docker;
use crate::error::Expected;

/// What one can do about an engine that does not answer.
pub(super) const NO_ENGINE_HINT: &str = "is Docker running, and may you use it (`docker version` shows both)? \
     DOCKER_HOST or DOCKER_CONTEXT choose another engine";

/// The status code with which the engine refused, if it was the engine that did.
pub(super) fn status(error: &Error) -> Option<u16> {
    match error {
        Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

/// Whether the engine says that the object is not there.
pub(super) fn is_missing(error: &Error) -> bool {
    status(error) == Some(404)
}

/// Whether a process of the host holds a port that is to be published.
pub(super) fn is_port_in_use(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { message, .. } if message.contains("address already in use"))
}

/// Whether a network cannot go because something is attached to it.
pub(super) fn has_endpoints(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { message, .. } if message.contains("has active endpoints"))
}

/// Whether runc gave up freezing a container, and thawed it again.
pub(super) fn could_not_freeze(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { message, .. } if message.contains("unable to freeze"))
}

impl Docker {
    /// Makes an error that names operation and object, such as `cannot start container khd-kafka1-1`.
    pub(super) fn failed(&self, operation: impl Display) -> impl FnOnce(Error) -> anyhow::Error {
        let address = self.address.clone();
        move |error| explain(&operation.to_string(), &address, &error)
    }

    /// The failure of an answer that did not come in time.
    pub(super) fn too_late(&self, operation: impl Display, deadline: Duration) -> anyhow::Error {
        let seconds = deadline.as_secs();
        let message = format!(
            "{operation}: the Docker engine at {} said nothing for {seconds} s",
            self.address
        );
        Expected::environment(message).hint(NO_ENGINE_HINT).into()
    }
}

fn explain(operation: &str, address: &str, error: &Error) -> anyhow::Error {
    let (reason, hint) = match error {
        Error::DockerResponseServerError { message, .. } | Error::DockerStreamError { error: message } => {
            let message = message.trim();
            match advice(message) {
                Some(hint) => (message.to_owned(), hint),
                None => return anyhow::anyhow!("{operation}: {message}"),
            }
        }
        Error::RequestTimeoutError => (
            format!("the Docker engine at {address} does not answer"),
            NO_ENGINE_HINT,
        ),
        Error::SocketNotFoundError(_) => (format!("there is no Docker engine at {address}"), NO_ENGINE_HINT),
        Error::HyperLegacyError { .. } | Error::HyperResponseError { .. } | Error::IOError { .. } => {
            let cause = deepest(error);
            (
                format!("no connection to the Docker engine at {address}: {cause}"),
                NO_ENGINE_HINT,
            )
        }
        other => return anyhow::anyhow!("{operation}: {other}"),
    };
    Expected::environment(format!("{operation}: {reason}"))
        .hint(hint)
        .into()
}

/// What to do about those refusals that the user's machine is the cause of.
fn advice(message: &str) -> Option<&'static str> {
    const KNOWN: [(&str, &str); 5] = [
        (
            "port is already allocated",
            "another container holds this port: stop it, or move khd's ports with `ports: {offset: …}`",
        ),
        (
            "address already in use",
            "another process holds this port: stop it, or move khd's ports with `ports: {offset: …}`",
        ),
        (
            "Address already in use",
            "another container holds this address in the lab's network: `khd down` and `khd up` deal them out again",
        ),
        (
            "Pool overlaps",
            "another network has these addresses: set `network: {subnet: …}` to a free one",
        ),
        (
            "no space left on device",
            "free disk space where Docker keeps its data (`docker system df` shows what it holds)",
        ),
    ];
    let found = KNOWN.iter().find(|(part, _)| message.contains(part));
    found.map(|(_, hint)| *hint)
}

/// The innermost cause: `connection refused` says more than the layers around it.
fn deepest(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(message: &str) -> Error {
        Error::DockerResponseServerError {
            status_code: 500,
            message: message.into(),
        }
    }

    #[test]
    fn a_refusal_names_operation_object_and_the_engines_reason() {
        let error = explain(
            "cannot create container khd-kafka1-1",
            "unix:///d",
            &refusal("bad name"),
        );
        assert_eq!(error.to_string(), "cannot create container khd-kafka1-1: bad name");
        assert!(!error.is::<Expected>());
    }

    #[test]
    fn what_the_user_can_mend_comes_with_a_hint() {
        let message = "driver failed: Bind for 127.0.0.1:19092 failed: port is already allocated";
        let error = explain("cannot start container c", "unix:///d", &refusal(message));
        let expected = error.downcast_ref::<Expected>().unwrap();
        assert!(expected.hint.as_ref().unwrap().contains("offset"));
    }

    #[test]
    fn a_lost_connection_is_the_environments_and_names_the_engine() {
        let lost = Error::IOError {
            err: std::io::Error::from(std::io::ErrorKind::ConnectionReset),
        };
        let error = explain("cannot list containers of project khd", "tcp://h:1", &lost);
        let expected = error.downcast_ref::<Expected>().unwrap();
        assert_eq!(expected.exit, crate::error::Exit::Environment);
        assert!(expected.message.contains("tcp://h:1"), "{}", expected.message);
    }
}
