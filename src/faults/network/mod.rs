//! Faults of the lab's network: members that do not reach each other, links that lose, are slow or narrow.
//!
//! What is cut is known as [`links`]; `rules` makes of it what a helper puts into the network namespace of a container,
//! in chains of the fault's own, and `probe` tries the links. Only traffic of the lab with itself is touched: what comes
//! over the gateway, as khd's own observers do, and what a container says to itself goes on.

pub mod block;
pub mod delay;
pub mod disconnect;
mod helper;
pub mod kernel;
pub mod links;
pub mod loss;
pub mod partition;
mod probe;
pub mod rate;
mod rules;
#[cfg(test)]
mod tests;

pub use kernel::{Kernel, kernel};
