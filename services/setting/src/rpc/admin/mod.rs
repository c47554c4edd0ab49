//! What operators ask of the service: one file per method.

pub(crate) mod diff;
pub(crate) mod explain;
pub(crate) mod field;
pub(crate) mod get_revision;
pub(crate) mod list_versions;
pub(crate) mod publish;
pub(crate) mod rollback;
pub(crate) mod validate;
pub(crate) mod wire;
