//! The pure rules of settings: what a document may say and how documents become an answer.
//!
//! Nothing here knows of stores, caches, time or the network.

mod audience;
mod document;
mod entity_tag;
mod merge;
mod snapshot;

pub(crate) use self::{
    audience::{AppId, Audience, AudienceError, Channel},
    document::{AppDocument, ChannelDocument, DocumentError},
    entity_tag::still_holds,
    merge::merge,
    snapshot::Snapshot,
};
