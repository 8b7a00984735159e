//! `--expect`: limits for this run.

use crate::timeline::limits::{Bound, Limits};
use crate::verdicts::expect::parse;

/// What is expected of measured values, over the lab's own limits.
#[derive(Debug, Clone, clap::Args)]
pub struct Expect {
    /// Judge by this limit, such as 'gap<5s' or 'availability>0.99' (see `khd checks`); may be given several times
    #[arg(long = "expect", value_name = "CHECK<LIMIT", value_parser = parse)]
    expectations: Vec<(String, Bound)>,
}

impl Expect {
    /// These expectations over other limits.
    pub fn over(&self, mut limits: Limits) -> Limits {
        limits.extend(self.expectations.iter().cloned());
        limits
    }
}
