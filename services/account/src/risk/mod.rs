//! Keeping guessers, stuffers and sign-up bots off, without getting in the way of players.
//!
//! **Invariants**
//! - Nobody waits inside a request: who must not try is refused at once, with the time that is left, before a hash is
//!   spent.
//! - A lock that strangers can cause never holds for a device that has signed in to the account before.
//! - A name that no account has climbs the same ladders as one that has.
//! - Counters lie in the shared state and may be lost. One that can't be asked refuses nobody.
//!
//! In reading order:
//! - `config`: the keys under `account.risk`.
//! - `guard`: [`Guard`]: who is kept out by hand, and the one way to climb a ladder. [`Risk`]: what it stands on.
//! - `banned`: [`BannedSubjects`]: the bans of devices and of parts of the network, in memory.
//! - `password_attempt`: a sign-in with a password, from before the hash to after it.
//! - `device_secret`: a wrong device secret.
//! - `registration`: the budgets of new accounts.
//! - `password_hash`: the budget of new password hashes of an account.
//! - `unlock`: what an operator lifts.
//! - `metrics`: what the operator sees.

mod banned;
mod config;
mod device_secret;
mod guard;
mod metrics;
mod password_attempt;
mod password_hash;
mod registration;
#[cfg(test)]
mod tests;
mod unlock;

pub use self::config::RiskConfig;
pub(crate) use self::{
    banned::BannedSubjects,
    guard::{Guard, Risk, RiskParts},
    password_attempt::Trying,
    unlock::Lockable,
};
