//! The setting service: what a game's players may see of its settings.
//!
//! An app's settings are a document that operators publish as one immutable version after the other, into a directory or a
//! bucket. The service keeps the newest version of the apps in use in memory, made ready to be evaluated, and answers from
//! there; it never writes a player's request into the store.
//!
//! **Invariants**
//! - A reader never waits for the refresh of something the service already has: while the store is slow, down or holds
//!   a broken document, the last good settings are served.
//! - An app that has published nothing has no settings, never an error. A broken document is a fault of ours, never an
//!   empty one.
//! - A revision is one document, and is published by exactly one of those who try at one moment. Every answer is wholly
//!   of one revision, and no replica goes back to an earlier one.
//! - Equal entity tags mean equal answers.
//!
//! In reading order:
//! - `domain`: documents, and who gets what of them. No input or output.
//! - `store`: where versions lie, and the copies in memory.
//! - `rpc`: one file per RPC method.
//! - `service`: the parts put together; `publishing`, `operations`: how operators' requests are carried out.
//! - `follow`, `hints`: how a replica learns what others publish.
//! - `config`, `error`, `metrics`: what can be configured, what can go wrong, what is counted.

mod config;
mod domain;
mod error;
mod follow;
mod hints;
mod metrics;
mod operations;
mod publishing;
mod rpc;
mod service;
mod store;
#[cfg(test)]
mod testing;

#[cfg(feature = "bench")]
#[doc(hidden)]
pub use self::domain::bench;
pub use self::{
    config::{Config, DocumentConfig, OssConfig, S3Config, StoreKind},
    error::OpenError,
    service::{Resources, Setting, open},
};
