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
mod snapshot;
mod version_range;
mod window;

#[cfg(feature = "bench")]
pub mod bench;
#[cfg(test)]
mod testing;

pub(crate) use self::{
    audience::{AppId, AudienceError, Channel},
    caller::Caller,
    diff::{Change, diff},
    document::Document,
    entity_tag::still_holds,
    evaluate::evaluate,
    explain::{Candidate, ExplainedSetting, explain},
    limits::DocumentLimits,
    problem::{Problem, Problems},
    reserved::Switches,
    snapshot::Snapshot,
    version_range::Version,
};
