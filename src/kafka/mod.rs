//! Kafka and ZooKeeper behind small types.
//!
//! [`client`], [`topics`], [`log`] and [`status`] go by librdkafka, which finds its way through a cluster by itself;
//! [`wire`] asks one broker and no other, and [`zookeeper`] one server; [`admin`] goes by `wire`, and finds the broker.
//! [`migration`] asks ZooKeeper how far a migration to KRaft has come. [`manager`] tells Kafka Manager of a cluster.

pub mod admin;
mod agreement;
pub mod client;
pub mod log;
pub mod manager;
pub mod migration;
pub mod status;
pub mod topics;
pub mod wire;
pub mod zookeeper;
