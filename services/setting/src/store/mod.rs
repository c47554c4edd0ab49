//! Where documents come from, and the copies in memory that answers are made of.

mod cache;
mod object_store;
mod source;

pub(crate) use self::{
    cache::SettingsCache,
    object_store::ObjectStore,
    source::{Loaded, ReadFailure, Source},
};
