//! Log lines of producers and consumers: JSON in the lab, readable by hand and through `khd logs`.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use serde_json::{Map, Value};
use tracing_subscriber::EnvFilter;

use crate::timeline::event::TopicPartition;

/// Fields of an event's line that say for programs what its message says for people.
const FOR_PROGRAMS: [&str; 4] = ["event", "of", "partitions", "since"];

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One JSON object a line: timestamp, level, message, and the fields of the event.
    Json,
    /// Readable lines.
    Text,
}

/// Makes the process log to stdout in `format`, with the levels that `KHD_LOG` names (`info` by default).
///
/// # Errors
/// When the process logs already.
pub fn subscribe(format: Format) -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_env("KHD_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_writer(std::io::stdout);
    let done = match format {
        Format::Json => lines.json().flatten_event(true).with_current_span(false).try_init(),
        Format::Text => lines.with_ansi(std::io::stdout().is_terminal()).try_init(),
    };
    done.map_err(|error| anyhow::anyhow!("cannot set up log lines: {error}"))
}

/// Makes a readable line of a JSON one: time, level, message, then the other fields, but for those that only repeat
/// the message for programs. `None` when the line is not a JSON object with a message.
pub fn readable(json_line: &str) -> Option<String> {
    let mut fields: Map<String, Value> = serde_json::from_str(json_line).ok()?;
    let message = fields.remove("message")?;
    let mut line = String::new();
    if let Some(Value::String(timestamp)) = fields.remove("timestamp") {
        line.push_str(&clock_time(&timestamp));
        line.push(' ');
    }
    if let Some(Value::String(level)) = fields.remove("level") {
        // Writing into a string cannot fail.
        let _ = write!(line, "{level:<5} ");
    }
    line.push_str(&plain(&message));
    if fields.contains_key("event") {
        fields.retain(|name, _| !FOR_PROGRAMS.contains(&name.as_str()));
    }
    for (name, value) in &fields {
        let _ = write!(line, "  {name}={}", plain(value));
    }
    Some(line)
}

/// The time of day, to the millisecond, as the line has it (UTC).
fn clock_time(timestamp: &str) -> String {
    match timestamp.parse::<jiff::Timestamp>() {
        Ok(parsed) => parsed.strftime("%H:%M:%S%.3f").to_string(),
        Err(_) => timestamp.to_owned(),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Partitions in short: `test-1[0-5] test-2[0,3]`.
pub fn brief<'a>(partitions: impl IntoIterator<Item = &'a TopicPartition>) -> String {
    let mut topics: std::collections::BTreeMap<&str, std::collections::BTreeSet<i32>> = Default::default();
    for (topic, partition) in partitions {
        topics.entry(topic).or_default().insert(*partition);
    }
    let mut words = Vec::new();
    for (topic, numbers) in topics {
        let mut runs: Vec<(i32, i32)> = Vec::new();
        for number in numbers {
            match runs.last_mut() {
                Some((_, last)) if *last + 1 == number => *last = number,
                _ => runs.push((number, number)),
            }
        }
        let runs: Vec<String> = runs
            .into_iter()
            .map(|(first, last)| match last - first {
                0 => first.to_string(),
                _ => format!("{first}-{last}"),
            })
            .collect();
        words.push(format!("{topic}[{}]", runs.join(",")));
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_json_line_becomes_a_readable_one() {
        let line = r#"{"timestamp":"2026-01-07T09:22:57.123456Z","level":"INFO","message":"sent 500 messages","acked":498,"topic":"test-1"}"#;
        assert_eq!(
            readable(line).as_deref(),
            Some("09:22:57.123 INFO  sent 500 messages  acked=498  topic=test-1")
        );
    }

    #[test]
    fn what_is_no_log_line_of_ours_is_left_to_the_caller() {
        for line in ["", "plain text", "[1]", r#"{"a":1}"#] {
            assert_eq!(readable(line), None, "{line}");
        }
    }

    #[test]
    fn partitions_are_told_in_short() {
        let partitions = [0, 1, 2, 5].map(|number| ("test-1".to_owned(), number));
        let other = ("test-2".to_owned(), 3);
        assert_eq!(brief(partitions.iter().chain([&other])), "test-1[0-2,5] test-2[3]");
        assert_eq!(brief([]), "");
    }
}
