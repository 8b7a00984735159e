//! khd: Kafka HA drills. Brings up a real Kafka cluster, breaks it, and proves what survived.
//!
//! Data flows one way, and a module uses only those above it in this list; [`cli`] alone composes them.

pub mod error;
pub mod processors;

pub mod lines;
pub mod metrics;
pub mod prometheus;

pub mod settings;
pub mod state;
pub mod topology;

pub mod compose;
pub mod timeline;

pub mod engine;
pub mod kafka;

pub mod workload;

pub mod faults;
pub mod observe;

pub mod exporter;

pub mod verdicts;

pub mod drill;

pub mod history;

pub mod report;

pub mod live;
pub mod web;

pub mod cli;
