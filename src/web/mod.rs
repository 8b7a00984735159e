//! The live page: what a lab is doing, in a browser, as it happens.
//!
//! [`Site`] is what the page is told; [`watch`](watch()) keeps it up to date from a lab's timeline, its journal and the run
//! that is being recorded; [`serve`](serve()) gives it to browsers. It only reads.
//!
//! ```text
//! timeline ──┐
//! journal ───┼─> watch ──> Site ──> /live (server-sent events) ──> page/*.js
//! run ───────┘                      /runs, /runs/<run>
//! ```

mod feed;
mod guard;
mod run;
mod serve;
mod site;
mod state;
mod watch;

pub use serve::serve;
pub use site::Site;
pub use watch::{Watched, watch};
