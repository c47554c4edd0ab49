//! Configuration that changes while the process runs: typed, checked, handed out through a watch channel.
//!
//! A document that can't be read, does not parse or fails its check is refused as a whole, said once in the log and
//! shown in a metric; the last good value stays. That goes for a document that vanishes, too: to take a setting back,
//! publish a document that does not have it.
//!
//! In reading order:
//! - `config`: the section `dynamic`: where documents come from.
//! - `source`: what a document source is, and the one that reads files. `discovery::nacos` has the other.
//! - `document`: from text to a checked value, or to all that is wrong with it.
//! - `follow`: the task that reads again and again.
//! - `metrics`: what is measured.

mod config;
mod document;
mod follow;
mod metrics;
mod source;

pub use self::{
    config::{DynamicConfig, DynamicKind},
    document::Document,
    follow::{ConfigWatch, DocumentState, WatchParts},
    metrics::WatchMetrics,
    source::{DocumentError, DocumentSource, FileDocument},
};
