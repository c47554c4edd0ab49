//! Access tokens: how one is made, opened and judged, and how what decides about it travels.
//!
//! The account service judges tokens with this, and so does a gateway from its copy: there is one implementation, so
//! that the two can't come to different verdicts. Nothing here does I/O, waits, or reads a clock.
//!
//! In reading order:
//! - [`ids`]: account, app and session identifiers.
//! - [`cipher`], [`master_key`]: the one cipher, and the keys that are derived from the master key.
//! - [`key_ring`], [`access_token`]: how a token is made and opened.
//! - [`read_ring`]: a ring as it was read, and what it can tell for certain.
//! - [`revocation`], [`verdict`]: which tokens no longer count, and what one is worth to the app that asks.
//! - [`feed`]: the revocations in the order in which they are followed.
//! - [`wire`]: verdicts and revocations as they cross RPC.

pub mod access_token;
pub mod cipher;
pub mod feed;
pub mod ids;
pub mod key_ring;
pub mod master_key;
pub mod read_ring;
pub mod revocation;
pub mod verdict;
pub mod wire;
