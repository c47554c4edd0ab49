//! Ships stored events to Kafka: each one at least once, those of a partner in their order.
//!
//! It reads complete segments as any tool does, makes a record of each line, and moves its place in the segments on when
//! the broker has acknowledged the records with all in-sync replicas. The place is a file that the store respects: what is
//! not shipped is not deleted. A process that is killed goes on from there, so that the records of its last moments are
//! there twice; nothing is ever missing.
//!
//! It is generic over where segments lie and which topic they go to: a process may have several.
//!
//! It knows no HTTP, RPC or SQL, and nothing of partners but their names. It never writes segments, and nobody waits for it:
//! a broker that is slow or away costs room on the disk and nothing else.
//!
//! In reading order:
//! - `config`: the `[shipper]` section.
//! - `topic`: which topic a line goes to, and which of its partitions.
//! - `round`: lines that are on their way together, made into records.
//! - `broker`: the connection to a cluster, and what can go wrong with it.
//! - `source`: reading segments and keeping the place in them, away from async threads.
//! - `shipper`: [`Shipper`], which puts these together.
//! - `metrics`: what it counts.
//!
//! What must stay true:
//! - The place moves only behind what was acknowledged, and is durable before anybody may delete by it.
//! - No record of a partner is sent before the one in front of it was acknowledged.
//! - Memory is bounded by `in_flight_bytes` and the longest line.
//! - What fails is tried again for ever, with a wait between; it is told once, and counted each time.

mod broker;
mod config;
mod metrics;
mod round;
mod shipper;
mod source;
mod topic;

pub use self::{
    config::ShipperConfig,
    metrics::ShipperMetrics,
    shipper::{OpenError, Parts, Shipper},
    topic::{TopicError, TopicTemplate},
};
