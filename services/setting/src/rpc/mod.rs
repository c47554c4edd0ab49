//! One file per RPC method: what it does, and its tests.

pub(crate) mod admin;
pub(crate) mod caller;
pub(crate) mod get_revisions;
pub(crate) mod get_settings;
