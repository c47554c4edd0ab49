//! What payment channels call, in forms of their own.

pub(crate) mod callback;
pub(crate) mod callback_by_get;
