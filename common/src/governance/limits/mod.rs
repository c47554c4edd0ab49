//! Who may ask how often, as the rules in force say: limits of this process by address, block, class of routes, device
//! and account, and quotas of apps and partners that all gateways share.
//!
//! The rules are [`govern::gcra`], [`govern::keyed_limit`] and [`govern::lease`]. What lives here is what they need to
//! run: tables, leases that are asked for in tasks of their own, metrics, and refusals. A change of the rules applies
//! from the next request on and forgets nobody's history. What must never happen here: a request that waits for the
//! shared limiter longer than `lease.patience`, or one that is refused because the shared limiter is away.
//!
//! In reading order:
//! - `kind`: what is limited, and what a refusal is called.
//! - `asked`: [`Limits`], what the layers and handlers ask.
//! - `keyed`: limits by key of this process.
//! - `routes`: limits by class of routes of this process.
//! - `quotas`: limits by key that all replicas share, by leases.
//! - `metrics`: what the operator sees.

mod asked;
mod keyed;
mod kind;
mod metrics;
mod quotas;
mod routes;
#[cfg(test)]
mod tests;

pub use self::{
    asked::{Limits, LimitsParts, Standing},
    kind::Kind,
};
