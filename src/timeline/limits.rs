//! Limits that measured values are judged by: set by the user, or derived from the lab.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A limit for each check that has one, by the check's id. Recorded with the run, so that it can be judged again.
pub type Limits = BTreeMap<String, Bound>;

/// What a measured value has to be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Bound {
    /// How it has to compare.
    pub op: Op,
    /// With what; times in milliseconds.
    pub value: f64,
    /// Whether somebody asked for just this run to be judged by it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub asked: bool,
}

impl Bound {
    /// Not more than this.
    pub fn at_most(value: f64) -> Self {
        Self {
            op: Op::AtMost,
            value,
            asked: false,
        }
    }

    /// Not less than this.
    pub fn at_least(value: f64) -> Self {
        Self {
            op: Op::AtLeast,
            value,
            asked: false,
        }
    }

    /// Whether a measured value is as it has to be.
    pub fn holds(&self, measured: f64) -> bool {
        match self.op {
            Op::Less => measured < self.value,
            Op::AtMost => measured <= self.value,
            Op::Greater => measured > self.value,
            Op::AtLeast => measured >= self.value,
            Op::Equal => measured == self.value,
        }
    }
}

/// How a value compares with a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Op {
    /// Less than it.
    #[serde(rename = "<")]
    Less,
    /// Not more than it.
    #[serde(rename = "<=")]
    AtMost,
    /// More than it.
    #[serde(rename = ">")]
    Greater,
    /// Not less than it.
    #[serde(rename = ">=")]
    AtLeast,
    /// Just it.
    #[serde(rename = "=")]
    Equal,
}

impl Op {
    /// All of them; those that begin like another come first.
    pub const ALL: [Self; 5] = [Self::AtMost, Self::AtLeast, Self::Less, Self::Greater, Self::Equal];

    /// The sign for it.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Greater => ">",
            Self::AtLeast => ">=",
            Self::Equal => "=",
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sign())
    }
}
