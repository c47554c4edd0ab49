//! The rules of identities, sessions and tokens, as functions of values.
//!
//! Time, randomness and storage come in as arguments. Nothing here knows tokio, SQL, RPC or HTTP.
//!
//! In reading order:
//! - [`ids`]: account, app and session identifiers.
//! - [`field`]: what a refused field is called and why it was refused.
//! - [`credential`], [`username`], [`password`], [`device`], [`client`]: wire text becomes a value that is right, or is refused.
//! - [`phone`], [`phone_code`]: phone numbers, and the codes that prove who holds one.
//! - [`channel`]: the documents of channels, and how credentials are judged by them.
//! - [`app`], [`app_details`], [`policy`], [`device_class`], [`device_limit`]: what an app is, and what it allows.
//! - [`cipher`], [`master_key`]: the one cipher, and every key derived from the master key.
//! - [`personal_data`]: how what names a person is stored and found again.
//! - [`key_ring`], [`access_token`], [`verdict`]: how a token is made, opened and judged.
//! - [`signing_key`], [`signing_key_vault`], [`id_token`]: what ID tokens are signed with, and what they say.
//! - [`key_rotation`]: when a key of either kind begins, and when it is over.
//! - [`refresh_token`], [`rotation`]: how a session is prolonged, and how theft is noticed.
//! - [`revocation`], [`announcement`]: which tokens no longer count, and how other instances are told.
//! - [`end_reason`], [`audit`]: what is told and written down about changes.

pub(crate) mod access_token;
pub(crate) mod announcement;
pub(crate) mod app;
pub(crate) mod app_details;
pub(crate) mod audit;
pub(crate) mod channel;
pub(crate) mod cipher;
pub(crate) mod client;
pub(crate) mod credential;
pub(crate) mod device;
pub(crate) mod device_class;
pub(crate) mod device_limit;
pub(crate) mod end_reason;
pub(crate) mod field;
pub(crate) mod id_token;
pub(crate) mod ids;
pub(crate) mod key_ring;
pub(crate) mod key_rotation;
pub(crate) mod master_key;
pub(crate) mod password;
pub(crate) mod personal_data;
pub(crate) mod phone;
pub(crate) mod phone_code;
pub(crate) mod policy;
pub(crate) mod refresh_token;
pub(crate) mod revocation;
pub(crate) mod rotation;
pub(crate) mod signing_key;
pub(crate) mod signing_key_vault;
pub(crate) mod username;
pub(crate) mod verdict;
