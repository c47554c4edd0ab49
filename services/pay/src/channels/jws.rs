//! Signed tokens in their compact form (RFC 7515), taken apart and not yet believed.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::de::DeserializeOwned;

use super::{callback::CallbackRefusal, json};

/// A token whose signature has not been checked.
pub(super) struct Jws<'a> {
    /// Header and payload as they are signed.
    pub(super) signed: &'a [u8],
    pub(super) signature: Vec<u8>,
    header: Vec<u8>,
    payload: Vec<u8>,
}

impl<'a> Jws<'a> {
    /// Takes a token apart; `whole` is its name.
    pub(super) fn parse(whole: &'static str, token: &'a str) -> Result<Self, CallbackRefusal> {
        let refused = || CallbackRefusal::malformed(whole, "is not a signed token in its compact form");
        let (signed, signature) = token.rsplit_once('.').ok_or_else(refused)?;
        let (header, payload) = signed.split_once('.').ok_or_else(refused)?;
        let decode = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| refused());
        let (header, payload, signature) = (decode(header)?, decode(payload)?, decode(signature)?);
        Ok(Self { signed: signed.as_bytes(), signature, header, payload })
    }

    /// The header. Whoever reads it decides which algorithm and keys may be named there.
    pub(super) fn header<T: DeserializeOwned>(&self) -> Result<T, CallbackRefusal> {
        json::read("header", &self.header)
    }

    /// The payload, for who has checked the signature.
    pub(super) fn payload<T: DeserializeOwned>(&self, whole: &'static str) -> Result<T, CallbackRefusal> {
        json::read(whole, &self.payload)
    }
}
