//! Where versions of settings lie, and the copies in memory that answers are made of.

mod cache;
mod live;
mod objects;
mod source;
#[cfg(test)]
pub(crate) mod testing;
mod version;
mod version_store;

pub(crate) use self::{
    cache::{Copied, SettingsCache, Wait},
    live::{EMPTY_DOCUMENT, Live},
    objects::Objects,
    source::{Loaded, Look, ReadFailure, Source},
    version::{Draft, ENVELOPE_BYTES_MAX, Version, VersionInfo},
    version_store::{Outcome, PublishFailure, VersionStore},
};
