//! The rules of identities, sessions and tokens, as functions of values.
//!
//! Time, randomness and storage come in as arguments. Nothing here knows tokio, SQL, RPC or HTTP.
//!
//! How access tokens are made, opened and judged is in [`common::token`], because a gateway judges them too; its modules
//! are named here as if they lay beside these.
//!
//! In reading order:
//! - [`credential`], [`username`], [`password`], [`device`], [`client`]: wire text becomes a value that is right, or is refused.
//! - [`app`], [`app_details`], [`policy`], [`device_class`], [`device_limit`]: what an app is, and what it allows.
//! - [`partner`]: who pushes events, and how what is pushed is signed.
//! - [`switches`]: what an operator has switched for sign-ins, on top of an app's policy.
//! - [`channel`]: the documents of channels, and how credentials are judged by them.
//! - [`stored_hash`]: the forms in which a password hash is stored, ours and those of other platforms.
//! - [`phone`], [`phone_code`], [`code_tries`]: phone numbers, the codes that prove who holds one, and who may guess at them.
//! - [`master_key`]: what is sealed under the master key besides the keys of the ring.
//! - [`personal_data`]: how what names a person is stored and found again.
//! - [`signing_key`], [`signing_key_vault`], [`id_token`]: what ID tokens are signed with, and what they say.
//! - [`key_rotation`]: when a key of either kind begins, and when it is over.
//! - [`refresh_token`], [`rotation`]: how a session is prolonged, and how theft is noticed.
//! - [`risk`]: who is kept from trying.
//! - [`ban`]: an account that may not play.
//! - [`announcement`]: how other instances are told of a revocation.
//! - [`end_reason`], [`audit`], [`history`]: what is told and written down about changes.

pub(crate) mod announcement;
pub(crate) mod app;
pub(crate) mod app_details;
pub(crate) mod audit;
pub(crate) mod ban;
pub(crate) mod channel;
pub(crate) mod client;
pub(crate) mod code_tries;
pub(crate) mod credential;
pub(crate) mod device;
pub(crate) mod device_class;
pub(crate) mod device_limit;
pub(crate) mod end_reason;
pub(crate) mod history;
pub(crate) mod id_token;
pub(crate) mod key_rotation;
pub(crate) mod master_key;
pub(crate) mod partner;
pub(crate) mod password;
pub(crate) mod personal_data;
pub(crate) mod phone;
pub(crate) mod phone_code;
pub(crate) mod policy;
pub(crate) mod refresh_token;
pub(crate) mod risk;
pub(crate) mod rotation;
pub(crate) mod signing_key;
pub(crate) mod signing_key_vault;
pub(crate) mod stored_hash;
pub(crate) mod switches;
pub(crate) mod username;

pub(crate) use common::{
    field,
    token::{access_token, cipher, ids, key_ring, revocation, verdict},
};
