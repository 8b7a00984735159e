//! Faults of producers and consumers that no signal to any process would show.

pub mod add;
pub mod stall;
