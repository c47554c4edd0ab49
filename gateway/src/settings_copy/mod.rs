//! The gateway's own copy of the settings it was asked for, so that a question costs no call and an outage no answer.
//!
//! An answer is kept for everybody who would be answered the same: the setting service says which fields of a caller its
//! revision looks at. It is fresh while its revision is known to be the app's, which a task asks for all apps at once a few
//! times a second; until a time window begins or ends; and no longer than the gateway is certain of both. Anything else is
//! asked for, once however many want it; and if it can't be had, the answer there is goes on being used for a while.
//!
//! Replicas of the setting service know differently much: the gateway never goes back to an earlier revision of an app.
//!
//! In reading order:
//! - [`config`]: the section `gateway.settings`.
//! - [`caller`]: who asks, and which of that an answer depends on.
//! - [`answer`]: an answer, ready to be given.
//! - [`app`]: what is known of an app's revision.
//! - [`source`]: the setting service.
//! - [`flights`]: one call for all that want the same.
//! - [`copy`]: answers questions, from what is kept where it can.
//! - [`follow`]: keeps the revisions.
//! - [`metrics`]: what is counted.

mod answer;
mod app;
mod caller;
pub(crate) mod config;
pub(crate) mod copy;
mod flights;
mod follow;
mod metrics;
mod source;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub(crate) use self::{answer::Answer, caller::Caller, copy::Served};
