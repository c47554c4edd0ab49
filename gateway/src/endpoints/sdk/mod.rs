//! What game clients call.

pub(crate) mod cancel_deletion;
mod channel_credential;
pub(crate) mod create_order;
mod deletion;
mod device_class;
pub(crate) mod end_other_sessions;
pub(crate) mod end_session;
mod fields;
pub(crate) mod get_order;
pub(crate) mod history;
pub(crate) mod link;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod me;
pub(crate) mod password;
pub(crate) mod phone_codes;
mod player;
pub(crate) mod refresh;
pub(crate) mod register;
pub(crate) mod request_deletion;
mod session;
pub(crate) mod settings;
pub(crate) mod wallet;
