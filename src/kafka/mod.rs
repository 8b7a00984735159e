//! Kafka and ZooKeeper behind small types.

pub mod wire;
pub mod zookeeper;
