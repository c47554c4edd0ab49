//! The pure rules of settings: what a document may say, and which value it gives to whom.
//!
//! Nothing here knows of stores, caches or the network; the moment is an argument.
//!
//! In reading order:
//! - `audience`, `caller`: who asks.
//! - `limits`, `problem`, `json_reader`: how a text becomes a tree without harm, and how everything wrong is told at once.
//! - `document` and what it is made of: `conditions` (`version_range`, `rollout`, `window`), `segments`, `schema`,
//!   `reserved`.
//! - `snapshot`: a document made ready; `evaluate`, `explain`: who gets what, and why; `entity_tag`.
//! - `canonical`, `diff`: values as text, and what is different between two documents.

#![cfg_attr(not(test), expect(dead_code, reason = "the store moves to it next"))]
#![expect(unused_imports, reason = "the store moves to it next")]

mod audience;
mod caller;
mod canonical;
mod condition_reader;
mod conditions;
mod declarations;
mod diff;
mod document;
mod entity_tag;
mod evaluate;
mod explain;
mod json_reader;
mod limits;
mod members;
mod problem;
mod reserved;
mod rollout;
mod schema;
mod segments;
pub(crate) mod snapshot;
mod version_range;
mod window;

#[cfg(feature = "bench")]
pub mod bench;
#[cfg(test)]
mod testing;

mod earlier_document;
mod earlier_merge;
mod earlier_snapshot;

pub(crate) use self::{
    audience::{AppId, Audience, AudienceError, Channel},
    caller::Caller,
    diff::{Change, ChangeKind, diff},
    document::Document,
    earlier_document::{AppDocument, ChannelDocument, DocumentError},
    earlier_merge::merge,
    // The new one is `snapshot::Snapshot` until the store has moved.
    earlier_snapshot::Snapshot,
    entity_tag::still_holds,
    evaluate::{Evaluation, evaluate},
    explain::{Candidate, ExplainedSetting, explain},
    limits::DocumentLimits,
    problem::{Problem, Problems},
    reserved::{Maintenance, Switches},
    snapshot::DependsOn,
    version_range::Version,
};
