//! The rules of identities, sessions and tokens, as functions of values.
//!
//! Time, randomness and storage come in as arguments. Nothing here knows tokio, SQL, RPC or HTTP.
//!
//! How access tokens are made, opened and judged is in [`common::token`], because a gateway judges them too; its modules
//! are named here as if they lay beside these.
//!
//! In reading order:
//! - [`credential`], [`username`], [`password`], [`device`], [`client`]: wire text becomes a value that is right, or is refused.
//! - [`app`]: what an app allows.
//! - [`master_key`]: what is sealed under the master key besides the keys of the ring.
//! - [`signing_key`], [`signing_key_vault`], [`id_token`]: what ID tokens are signed with, and what they say.
//! - [`key_rotation`]: when a key of either kind begins, and when it is over.
//! - [`refresh_token`], [`rotation`]: how a session is prolonged, and how theft is noticed.
//! - [`announcement`]: how other instances are told of a revocation.

pub(crate) mod announcement;
pub(crate) mod app;
pub(crate) mod client;
pub(crate) mod credential;
pub(crate) mod device;
pub(crate) mod id_token;
pub(crate) mod key_rotation;
pub(crate) mod master_key;
pub(crate) mod password;
pub(crate) mod refresh_token;
pub(crate) mod rotation;
pub(crate) mod signing_key;
pub(crate) mod signing_key_vault;
pub(crate) mod username;

pub(crate) use common::{
    field,
    token::{access_token, cipher, ids, key_ring, revocation, verdict},
};
