//! The real thing: labs in Docker, driven through the khd binary as a user would.
//!
//! Each test has a project, ports and a subnet of its own, brings its lab up, and leaves nothing behind. What can share
//! a lab does: a lab takes some twenty seconds to come up. An engine must answer; `scripts/test.sh` starts one.

#![expect(
    clippy::unwrap_used,
    reason = "a test that meets what it does not expect shall fail there and then"
)]

mod bad_days;
mod bad_surroundings;
mod browser;
mod controls;
mod kafka_faults;
mod kraft;
mod links;
mod main_job;
mod monitoring;
mod page;
mod prometheus;
#[path = "../schema/mod.rs"]
mod schema;
mod sigkill;
mod support;
mod ui;
