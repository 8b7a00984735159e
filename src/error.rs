//! Expected failures: each says what happened, what to do next, and with which code khd exits.
//!
//! Anything may fail with an [`anyhow::Error`]; a failure that a user can act on is wrapped in [`Expected`],
//! and the one place that ends the process (`cli::run`) reads code and hint from it.

use std::fmt;

/// Exit codes of khd. They are documented API: scripts and CI servers depend on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything was done, and every verdict passed.
    Passed = 0,
    /// A verdict failed.
    Failed = 1,
    /// Wrong usage or settings; nothing was touched.
    Usage = 2,
    /// The environment cannot do it: no engine, a port taken, no image, a lab that is not healthy.
    Environment = 3,
    /// There is no verdict: a deadline passed, a fault did not take effect, or evidence is missing.
    NoVerdict = 4,
    /// Interrupted by a signal, after cleaning up.
    Interrupted = 130,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A failure that khd foresees: a lower-case sentence, a hint on what to do, and an exit code.
#[derive(Debug)]
pub struct Expected {
    /// The code with which khd exits.
    pub exit: Exit,
    /// What happened, to what, and why.
    pub message: String,
    /// What the user can do about it.
    pub hint: Option<String>,
}

impl Expected {
    /// Wrong usage or settings.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// The environment cannot do it.
    pub fn environment(message: impl Into<String>) -> Self {
        Self::new(Exit::Environment, message)
    }

    /// No verdict could be reached.
    pub fn no_verdict(message: impl Into<String>) -> Self {
        Self::new(Exit::NoVerdict, message)
    }

    /// A signal ended the work.
    pub fn interrupted(message: impl Into<String>) -> Self {
        Self::new(Exit::Interrupted, message)
    }

    /// Adds what the user can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            hint: None,
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Expected {}

/// The nearest of `known` to a misspelt `word`, if one is near enough to be meant.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_word_finds_its_nearest_and_a_strange_one_finds_none() {
        let known = ["kafka1", "kafka2", "partitions"];
        assert_eq!(nearest("partitons", known), Some("partitions"));
        assert_eq!(nearest("grafana", known), None);
    }
}
