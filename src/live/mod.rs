//! A lab or a run as it is shown while it lives, on a terminal or on a page: the fold of its events into what is drawn.

mod flow;
pub mod gaps;
pub mod lines;
pub mod screen;
pub mod steps;

pub use flow::{Flow, Rates};
