//! Kafka behind small types: clients, topics, and reading a log from end to end, by librdkafka.

pub mod client;
pub mod log;
pub mod status;
pub mod topics;
