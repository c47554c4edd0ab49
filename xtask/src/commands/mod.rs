//! One command, one file.

pub(crate) mod bench;
pub(crate) mod deny;
pub(crate) mod services;
pub(crate) mod setup;
pub(crate) mod test;
