//! The RPC methods, one file each: from the wire to the domain and back, with their tests.
//!
//! [`admin`] has what operators call. [`bearer`], [`client`] and [`switches`] read what several methods are sent.

pub(crate) mod admin;
pub(crate) mod authenticate;
pub(crate) mod bearer;
pub(crate) mod cancel_deletion;
pub(crate) mod change_password;
pub(crate) mod client;
mod credentials;
pub(crate) mod end_other_sessions;
pub(crate) mod end_session;
pub(crate) mod follow_revocations;
pub(crate) mod get_app;
pub(crate) mod get_history;
pub(crate) mod get_partner;
pub(crate) mod get_profile;
pub(crate) mod get_signing_keys;
pub(crate) mod get_token_keys;
pub(crate) mod link;
pub(crate) mod login;
pub(crate) mod logout;
mod own_password;
pub(crate) mod refresh;
pub(crate) mod register;
pub(crate) mod request_deletion;
pub(crate) mod revoke_sessions;
pub(crate) mod send_phone_code;
mod switches;
pub(crate) mod verify_token;
pub(crate) mod verify_tokens;
