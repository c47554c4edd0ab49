//! The store of what partners push: nothing that was acknowledged is lost, and nobody is starved.
//!
//! Events become lines of files, `data_dir/segments/*.ndjson`, that anything can ship: filebeat, Vector, rsyslog, a
//! script. There is no database behind it. `docs/partners.md` says what lies on the disk and how to ship it.
//!
//! A caller makes a body into [`parse::Events`] with the functions of [`parse`], and hands them to [`Ingest::accept`]
//! with the partner's name and limits. It answers when the events are durable, with how many were taken, known already,
//! or refused and why; or it fails with a time to come again, and then nothing counts as taken.
//!
//! ```no_run
//! # async fn example(config: ingest::IngestConfig, parts: ingest::Parts, partner: ingest::PartnerName) -> Result<(), Box<dyn std::error::Error>> {
//! let limits = config.limits;
//! let dead = config.dead;
//! let ingest = ingest::Ingest::open(config, parts)?;
//! let events = ingest::parse::json_or_ndjson(br#"{"event_id":"e-1","kind":"install"}"#, &limits, &dead)?;
//! let push = ingest::Push { partner, limits: ingest::PartnerLimits::default(), request_id: "r-1".to_owned(), events };
//! let receipt = ingest.accept(push).await?;
//! assert_eq!(receipt.accepted + receipt.duplicates + receipt.refused.len(), 1);
//! ingest.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! It knows no HTTP, no RPC, no SQL, and no secrets of partners.
//!
//! In reading order:
//! - [`partner`](PartnerName): who pushes, and how much of everything is theirs.
//! - [`parse`]: what partners send, made into events.
//! - `line`: one line of a segment, with its checksum.
//! - `segment`: files of lines: names, writing, mending after a crash, deleting.
//! - `queue`, `backlog`, `rate`: who waits for the disk, in whose turn, for how long, and how fast anybody may push.
//! - `window`: the events that were seen lately.
//! - `store`: [`Ingest`], which puts these together, and the thread that writes.
//! - [`read`]: for tools: looking into segments, following them, reading from a place on.
//!
//! What must stay true:
//! - An event is acknowledged after it is as durable as configured, also as the duplicate of one that is on its way.
//! - A push is on the disk wholly or not at all, in its order, and no push of the same partner that came later is before it.
//! - After a write that failed nothing is written to that file any more, and nothing elsewhere before it is cut back.
//! - Memory is bounded by `queue_bytes`, `dedupe.entries` and what callers hold; whoever finds no room is told when to
//!   come again.
//! - One thread writes. No async thread ever waits for the disk.

mod backlog;
mod config;
mod disk;
mod error;
mod line;
mod metrics;
pub mod parse;
mod partner;
mod queue;
mod rate;
pub mod read;
mod segment;
mod store;
mod window;

pub use self::{
    config::{DeadConfig, DedupeConfig, Durability, IngestConfig, LimitsConfig, RetentionConfig},
    error::{IngestError, OpenError},
    line::{Damage, DeadLine, Line},
    partner::{PARTNER_NAME_MAX, PartnerLimits, PartnerName, PartnerNameError, Share},
    segment::{
        Family,
        listing::{SegmentFile, segments},
        name::{SegmentName, SegmentNameError},
        progress::{DestinationError, Progress},
        retention::Checkpoint,
    },
    store::{Ingest, Parts, Push, Receipt, RefusedEvent},
};
