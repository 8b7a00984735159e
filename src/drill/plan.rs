//! What a drill shall do, as data, and how long each phase may take.

use std::time::Duration;

use crate::drill::machine::Phase;
use crate::faults::Fault;
use crate::timeline::limits::Limits;

/// One fault on one service, and how long it stays.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The fault.
    pub fault: &'static dyn Fault,
    /// The service it hits.
    pub service: String,
    /// How long it stays in place once it took effect.
    pub hold: Duration,
    /// Leave it in place at the end.
    pub leave: bool,
    /// Limits that the verdicts are judged by.
    pub limits: Limits,
}

impl Plan {
    /// How long a phase that waits for the lab may take.
    pub fn within(&self, phase: Phase) -> Duration {
        match phase {
            // A healthy lab is seen to be so at once; the rest is for a rebalance that is just under way.
            Phase::Healthy => Duration::from_secs(20),
            Phase::Effect => self.fault.effect_within(),
            // The group can only settle after the leaders did.
            Phase::Settle => {
                let moved = self.limits.get("leaders-moved").map_or(0.0, |bound| bound.value);
                Duration::from_secs_f64(moved / 1000.0) + Duration::from_secs(30)
            }
            Phase::Recover => Duration::from_secs(120),
            Phase::Inject | Phase::Hold | Phase::Restore | Phase::Audit => Duration::MAX,
        }
    }
}
