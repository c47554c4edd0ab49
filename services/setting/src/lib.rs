//! The setting service: what a game's players may see of its settings, per app and channel.
//!
//! Settings are JSON documents in a store (today a directory), written by operators and read by everyone. The service
//! keeps evaluated copies in memory and answers from them; it never writes a player's request into the store.
//!
//! **Invariants**
//! - A reader never waits for the refresh of something the service already has: while the store is slow, down or holds
//!   a broken document, the last good settings are served.
//! - A missing document is an empty one, never an error. A broken document is a fault of ours, never an empty one.
//! - Equal entity tags mean equal answers.
//!
//! In reading order:
//! - `domain`: documents, how a channel's is laid over its app's, and entity tags. No input or output.
//! - `store`: where documents come from, and the copies in memory.
//! - `rpc`: one file per RPC method.
//! - `service`: the parts put together.
//! - `config`, `error`, `metrics`: what can be configured, what can go wrong, what is counted.

mod config;
mod domain;
mod error;
mod metrics;
mod rpc;
mod service;
mod store;

#[cfg(feature = "bench")]
#[doc(hidden)]
pub use self::domain::bench;
pub use self::{
    config::{Config, StoreKind},
    error::OpenError,
    service::{Setting, open},
};
