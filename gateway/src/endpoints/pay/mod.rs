//! What payment channels call, in forms of their own.

pub(crate) mod callback;
