//! What partners call: they push events, one by one or many at once.
//!
//! Whatever is acknowledged is as durable as `ingest.durability` says. [`name`] reads which partner it is.

pub(crate) mod clicks;
pub(crate) mod clicks_by_get;
pub(crate) mod events;
mod name;
