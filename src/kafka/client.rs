//! What all of khd's librdkafka clients have in common: properties, and where their log lines go.

use std::path::Path;

use anyhow::Context as _;
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::KafkaError;

use crate::error::Expected;
use crate::settings::Properties;

/// Properties for any client of the cluster at `brokers` (`host:port`, comma-separated).
///
/// They make the client no slower to notice and to forget a dead broker than the cluster is: librdkafka's own
/// defaults (10 s between attempts to reconnect, 30 s to give up connecting, 60 s for an answer) would be what
/// a drill measures.
pub fn config(brokers: &str, client_id: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("client.id", client_id)
        .set("reconnect.backoff.ms", "100")
        .set("reconnect.backoff.max.ms", "1000")
        .set("socket.connection.setup.timeout.ms", "3000")
        .set("socket.timeout.ms", "10000")
        .set("socket.keepalive.enable", "true")
        .set("allow.auto.create.topics", "false")
        // An idle connection that a broker closes is no news.
        .set("log.connection.close", "false")
        .set_log_level(RDKafkaLogLevel::Info);
    config
}

/// Creates a client.
///
/// # Errors
/// When a property is unknown or refused. The error names the property and not its value, which may be a secret.
pub fn create<C, T>(config: &ClientConfig, context: C) -> anyhow::Result<T>
where
    C: ClientContext,
    T: FromClientConfigAndContext<C>,
{
    config.create_with_context(context).map_err(|error| {
        let message = match error {
            KafkaError::ClientConfig(_, _, property, _) => {
                format!("librdkafka refuses the client property {property}, or its value")
            }
            other => format!("librdkafka refuses the client's properties: {other}"),
        };
        Expected::usage(message).into()
    })
}

/// Refuses an empty list of brokers: librdkafka would wait for one forever.
///
/// # Errors
/// When there is none.
pub fn check_brokers(brokers: &str) -> anyhow::Result<()> {
    if brokers.split(',').all(|broker| broker.trim().is_empty()) {
        return Err(Expected::usage("no broker is named")
            .hint("name one or more as host:port, separated by commas")
            .into());
    }
    Ok(())
}

/// Reads client properties from a file in Java's style: `key=value` lines, `#` and `!` begin comments.
///
/// # Errors
/// When the file cannot be read, or a line is neither.
pub fn read_properties(path: &Path) -> anyhow::Result<Properties> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the client properties {}", path.display()))?;
    let mut properties = Properties::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        // The line itself may hold a secret: only its number is told.
        let (key, value) = line
            .split_once('=')
            .ok_or_else(|| Expected::usage(format!("{}:{} is not `key=value`", path.display(), number + 1)))?;
        properties.insert(key.trim().to_owned(), value.trim().to_owned());
    }
    Ok(properties)
}

/// Puts properties over those that are already set.
pub fn overlay(config: &mut ClientConfig, properties: &Properties) {
    for (key, value) in properties {
        config.set(key, value);
    }
}

/// Passes one of librdkafka's log lines on, a step lower than it is told: that a broker cannot be reached, or that
/// requests time out, is no error of the client, and is what drills are made of.
pub fn log_line(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        // Failed connections: the context's error callback gets these too.
        _ if facility == "FAIL" => tracing::debug!(target: "librdkafka", facility, "{message}"),
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
            tracing::warn!(target: "librdkafka", facility, "{message}");
        }
        RDKafkaLogLevel::Warning => tracing::info!(target: "librdkafka", facility, "{message}"),
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
            tracing::debug!(target: "librdkafka", facility, "{message}");
        }
    }
}

/// A context for clients that are waited on: what goes wrong shows in their answers, so their log lines are for
/// debugging only.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(target: "librdkafka", facility, "{message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "librdkafka", "{error}: {reason}");
    }
}

impl rdkafka::consumer::ConsumerContext for Quiet {}

#[cfg(test)]
mod tests {
    use rdkafka::consumer::BaseConsumer;

    use super::*;

    #[test]
    fn properties_are_read_as_java_writes_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("client.properties");
        std::fs::write(&path, "# comment\n\nsasl.password = a=b \n! other\nlinger.ms=1\n").unwrap();
        let properties = read_properties(&path).unwrap();
        assert_eq!(properties["sasl.password"], "a=b");
        assert_eq!(properties["linger.ms"], "1");
        std::fs::write(&path, "sasl.password secret\n").unwrap();
        let error = read_properties(&path).unwrap_err().to_string();
        assert!(error.contains(":1 is not") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn a_refused_property_is_named_without_its_value() {
        let mut config = config("localhost:1", "test");
        config.set("security.protocol", "secret");
        let error = create::<_, BaseConsumer<Quiet>>(&config, Quiet).err().unwrap();
        let error = format!("{error:#}");
        assert!(
            error.contains("security.protocol") && !error.contains("secret"),
            "{error}"
        );
    }
}
