//! One file per endpoint, each read top to bottom: what it takes, what it does, what it answers.
//! [`if_none_match`], [`page`] and [`idempotency_key`] are what several of them read, [`history`], [`order`] and [`wallet`] what
//! several answer.

pub(crate) mod admin;
pub(crate) mod documentation;
pub(crate) mod history;
pub(crate) mod idempotency_key;
pub(crate) mod if_none_match;
pub(crate) mod oauth2;
pub(crate) mod order;
pub(crate) mod page;
pub(crate) mod partner;
pub(crate) mod pay;
pub(crate) mod sdk;
pub(crate) mod server;
pub(crate) mod wallet;
pub(crate) mod well_known;

/// The channel a session came through: one that named none came through the official one.
pub(crate) fn channel_or_official(channel: Option<volo::FastStr>) -> volo::FastStr {
    channel.unwrap_or(volo::FastStr::from_static_str("official"))
}
