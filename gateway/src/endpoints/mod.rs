//! One file per endpoint, each read top to bottom: what it takes, what it does, what it answers.

pub(crate) mod documentation;
pub(crate) mod oauth2;
pub(crate) mod sdk;
pub(crate) mod server;
