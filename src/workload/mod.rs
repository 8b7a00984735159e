//! The workload: khd's own producers, consumers and copiers, the ledgers they keep, and the audit of the log.
//!
//! [`produce`] sends messages (see [`message`]) and notes in its [`ledger`] what it was told; [`consume`] notes
//! what it was given; [`copy`] copies records in transactions. What happens to either goes into its log as [`events`] for the timeline, [`stalls`] among it, and into
//! [`metrics`] for Prometheus.
//! [`audit`] reads the whole log and compares it with the ledgers.

pub mod audit;
pub mod consume;
pub mod copy;
pub mod events;
pub mod latency;
pub mod ledger;
mod limit;
pub mod logs;
pub mod message;
pub mod metrics;
pub mod placements;
pub mod produce;
pub mod ranges;
pub mod spans;
pub mod stalls;
