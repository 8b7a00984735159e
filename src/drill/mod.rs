//! Drills: what is done to a lab and in which order, up to the evidence that verdicts are made of.
//!
//! [`script`] reads a drill as people write it, and [`soak`] draws one by lot; [`plan`] says what shall be done, in words
//! of [`condition`], [`machine`] what follows what, [`runner`] does it on a [`stage`]. [`wait`] waits for conditions with a
//! deadline, [`undo`] undoes faults, [`migration`] leads from ZooKeeper to KRaft, [`audit`] collects what producers were told and what the log holds.

pub mod audit;
pub mod condition;
mod copies;
pub mod machine;
pub mod migration;
pub mod plan;
pub mod runner;
pub mod script;
pub mod soak;
pub mod stage;
pub mod undo;
pub mod wait;
