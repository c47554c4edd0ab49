//! Channels: stores and platforms that have players of their own, and tell us who one is.
//!
//! A channel is described by a document per app, as data: what to ask, how to sign the question, and how to read the
//! answer. Here are the document and the rules; who asks over the network is `crate::channels`.
//!
//! In reading order:
//! - [`identity`]: a channel's name and its players. The uid alone is never an identity.
//! - [`credential`]: what a client presents.
//! - [`document`]: the configuration of a channel, checked as a whole.
//! - [`oidc`], [`jws`], [`jwk`]: ID tokens of an OpenID provider.
//! - [`signed_http`], with [`template`], [`request`], [`signature`] and [`answer`]: a question over HTTP.
//! - [`breaker`]: when a channel is not asked for a while.

pub(crate) mod answer;
pub(crate) mod breaker;
pub(crate) mod credential;
pub(crate) mod document;
pub(crate) mod identity;
pub(crate) mod jwk;
pub(crate) mod jws;
pub(crate) mod oidc;
pub(crate) mod request;
pub(crate) mod signature;
pub(crate) mod signed_http;
pub(crate) mod template;
pub(crate) mod vault;

/// What a check of a credential came to. Only the second one is a "no", and only the channel itself can say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// The channel vouches for this player.
    Accepted(identity::ChannelUid),
    /// The channel says that the credential is not good.
    WrongCredential,
    /// Could not tell. The text is for operators and holds nothing that was sent or answered.
    Unclear(&'static str),
}
