//! What is wrong with a drill's file, and where.

use std::fmt;

use super::node::Place;
use crate::error::{Expected, nearest};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub at: Place,
    /// What.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Problem {
    /// One without a hint.
    pub fn new(at: Place, message: impl Into<String>) -> Self {
        Self {
            at,
            message: message.into(),
            hint: None,
        }
    }

    /// Adds what can be done.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A word that is none of those that are possible there.
    pub fn unknown(at: Place, message: impl Into<String>, word: &str, known: &[&str]) -> Self {
        let all = known.join(", ");
        Self::new(at, message).hint(match nearest(word, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`? (there are: {all})"),
            None if known.is_empty() => "there are none".into(),
            None => format!("there are: {all}"),
        })
    }

    /// What settings, selectors and others say of themselves, at its place.
    pub fn of(at: Place, error: Expected) -> Self {
        Self {
            at,
            message: error.message,
            hint: error.hint,
        }
    }
}

/// All that is wrong with a file, in the order of its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    /// The file, as it was named.
    pub file: String,
    /// What is wrong; never empty.
    pub list: Vec<Problem>,
}

impl fmt::Display for Problems {
    /// `FILE:LINE:COLUMN: message`, as compilers write it, with the hint on a line of its own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.list.iter().enumerate() {
            let end = if number == 0 { "" } else { "\n" };
            write!(f, "{end}{}:{}: {}", self.file, problem.at, problem.message)?;
            if let Some(hint) = &problem.hint {
                write!(f, "\n    {hint}")?;
            }
        }
        Ok(())
    }
}

impl From<Problems> for Expected {
    fn from(problems: Problems) -> Self {
        Self::usage(format!("this drill cannot be run:\n{problems}"))
    }
}
