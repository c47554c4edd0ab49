//! The gateway's own copy of what decides about a token, for when account can't answer.
//!
//! The copy is of the key ring and of the feed of revocations, and it is judged by the rules that account judges by
//! ([`common::token`]). It answers only what it certainly knows: what it can't tell stays an open question, and so does
//! everything once the copy is too old.
//!
//! In reading order:
//! - [`config`]: the section `gateway.fallback`.
//! - [`held`]: what is held, and the verdict on a token.
//! - [`unclear`]: whom a revocation concerns that this version does not understand.
//! - [`source`], [`follow`]: how the copy is kept up to date.
//! - [`metrics`]: what is counted.
//! - [`tokens`]: asks account, and falls back on the copy.
//! - [`batch`]: the same for many tokens at once.
//! - [`accounts`]: whose a token is, which decides only where a request is looked at.

pub(crate) mod accounts;
pub(crate) mod batch;
pub(crate) mod config;
mod follow;
mod held;
mod metrics;
mod source;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod tokens;
mod unclear;
