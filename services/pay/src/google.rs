//! Google's interfaces, as far as payments need them: whom pushes are signed by, what was bought, and that we have it.
//!
//! Nothing of what is kept here is lost with the process but time: keys and access tokens are fetched again. What has to be
//! done for certain lies in the database (see `store::channel_tasks`).
//!
//! In reading order:
//! - `config`: `pay.google`.
//! - `published_keys`: the keys that pushes are signed with.
//! - `access_tokens`: what calls of the interface are made with.
//! - `caller`: one call.
//! - `acknowledging`: telling Google of purchases whose order is paid.

mod access_tokens;
mod acknowledging;
mod caller;
mod config;
mod metrics;
mod published_keys;
#[cfg(test)]
mod tests;

pub use self::config::{AcknowledgeConfig, GoogleConfig};
pub(crate) use self::{
    acknowledging::acknowledge_due,
    caller::{Google, Unavailable},
    metrics::GoogleMetrics,
};
