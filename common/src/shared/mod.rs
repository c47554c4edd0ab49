//! What replicas share besides SQL: counters that expire, keys that are taken once, and rates.
//!
//! Everything here is allowed to be lost: a lost counter means a limit that starts again, never a session that ends.
//! What must not be lost belongs into SQL.
//!
//! - [`SharedState`]: the questions, asked by limits, nonces and codes.
//! - `memory`: [`MemoryState`], for one process.
//! - `gcra`: the rate limiting rule as a function of values.

#[cfg(any(test, feature = "testing"))]
pub mod conformance;
mod expiring;
mod gcra;
mod memory;
mod state;

pub use self::{
    gcra::{Decision, Rate, Verdict, decide},
    memory::{MemoryState, SharedConfig},
    state::{SharedError, SharedState},
};
