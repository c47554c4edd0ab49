//! What game clients call.

mod channel_credential;
mod device_class;
mod fields;
pub(crate) mod link;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod me;
pub(crate) mod password;
pub(crate) mod phone_codes;
pub(crate) mod refresh;
pub(crate) mod register;
mod session;
pub(crate) mod settings;
