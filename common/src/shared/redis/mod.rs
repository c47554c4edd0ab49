//! The shared state and the feeds on a Redis server (or a cluster, or a pair under sentinels).
//!
//! No caller ever waits for a connection: there is one or there is none, and who asks without one is told so at once.
//! A task of its own connects, looks at the connection again and again, and gives it up as soon as it does not answer.
//! Redis is never the truth of anything, so nothing here retries a question whose answer was lost.
//!
//! In reading order:
//! - `config`: the section `redis`.
//! - `target`: what a URL names.
//! - `tls`: whom encrypted connections trust.
//! - `connection`: opening and probing one connection, whatever the URL names.
//! - `link`: the one connection that all questions share, and the task that keeps it.
//! - `server`: [`Redis`]: what the process opens once.
//! - `state`, `scripts`: the questions of [`SharedState`](super::SharedState), and what has to be atomic, in Lua.
//! - `feed`: [`Feed`](super::Feed) on streams.
//! - `metrics`: what the operator sees.

mod config;
mod connection;
mod feed;
mod link;
mod metrics;
mod scripts;
mod server;
mod state;
mod target;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod tls;

pub use self::{
    config::{OnceOnlyFallback, RedisConfig},
    feed::RedisFeed,
    server::{OpenError, Redis},
    state::RedisState,
};
