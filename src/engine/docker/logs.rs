//! A container's output as lines with the engine's time.

use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptions;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};

use super::Docker;
use crate::engine::{LogLine, LogOptions};

impl Docker {
    pub(super) fn container_logs(
        &self,
        container: &str,
        options: LogOptions,
    ) -> BoxStream<'static, anyhow::Result<LogLine>> {
        let since = options.since;
        let query = LogsOptions {
            follow: options.follow,
            stdout: true,
            stderr: true,
            timestamps: true,
            // The API counts in whole seconds; the lines of the second before the moment are dropped below.
            since: since.map_or(0, |at| i32::try_from(at.as_second()).unwrap_or(i32::MAX)),
            tail: options.tail.map_or_else(|| "all".to_owned(), |lines| lines.to_string()),
            ..LogsOptions::default()
        };
        let docker = self.clone();
        let operation = format!("cannot read the output of container {container}");
        let mut parts = Parts::default();
        self.client
            .logs(container, Some(query))
            .map_err(move |error| docker.failed(&operation)(error))
            .try_filter_map(move |output| std::future::ready(Ok(parts.take(output))))
            .try_filter(move |line| std::future::ready(line.at.is_none_or(|at| since.is_none_or(|since| at >= since))))
            .boxed()
    }
}

/// Puts lines together again that the engine cut, as it does with those over 16 KiB.
#[derive(Debug, Default)]
struct Parts {
    out: Option<LogLine>,
    err: Option<LogLine>,
}

impl Parts {
    /// Takes a part, and gives the line that it completes.
    fn take(&mut self, output: LogOutput) -> Option<LogLine> {
        let (pending, message) = match output {
            LogOutput::StdErr { message } => (&mut self.err, message),
            LogOutput::StdOut { message } | LogOutput::Console { message } => (&mut self.out, message),
            LogOutput::StdIn { .. } => return None,
        };
        let complete = message.ends_with(b"\n");
        let part = part(&message);
        let line = match pending.take() {
            Some(mut line) => {
                line.text.push_str(&part.text);
                line
            }
            None => part,
        };
        if complete {
            return Some(line);
        }
        *pending = Some(line);
        None
    }
}

/// A part of a line; each begins with its own time.
fn part(message: &Bytes) -> LogLine {
    let text = String::from_utf8_lossy(message);
    let text = text.trim_end_matches(['\n', '\r']);
    let timed = text.split_once(' ').unwrap_or((text, ""));
    match timed.0.parse() {
        Ok(at) => LogLine {
            at: Some(at),
            text: timed.1.to_owned(),
        },
        Err(_) => LogLine {
            at: None,
            text: text.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_the_engine_cut_is_put_together_with_its_first_time() {
        let mut parts = Parts::default();
        let out = |text: &str| LogOutput::StdOut {
            message: Bytes::copy_from_slice(text.as_bytes()),
        };
        assert_eq!(parts.take(out("2026-01-01T00:00:00.5Z long")), None);
        let between = parts.take(LogOutput::StdErr {
            message: Bytes::from_static(b"2026-01-01T00:00:01Z other\n"),
        });
        assert_eq!(between.unwrap().text, "other");
        let line = parts.take(out("2026-01-01T00:00:02Z er\n")).unwrap();
        assert_eq!(line.text, "longer");
        assert_eq!(line.at, Some("2026-01-01T00:00:00.5Z".parse().unwrap()));
    }

    #[test]
    fn an_empty_line_and_one_without_time_are_lines_too() {
        let mut parts = Parts::default();
        let mut take = |text: &'static str| {
            parts.take(LogOutput::StdOut {
                message: Bytes::from_static(text.as_bytes()),
            })
        };
        assert_eq!(take("2026-01-01T00:00:00Z \n").unwrap().text, "");
        let plain = take("hello there\r\n").unwrap();
        assert_eq!((plain.at, plain.text.as_str()), (None, "hello there"));
    }
}
