//! What a channel has signed, and whether it has.

use base64::{Engine, prelude::BASE64_STANDARD};
use subtle::ConstantTimeEq;

use super::{
    super::{
        callback::{CallbackRefusal, RawCallback},
        public_key::RsaPublicKey,
    },
    hash::hash,
    rules::{Empty, Encoding, Order, Pair, SignaturePlace, SignatureRules, UrlEncode},
    source::Sent,
};

/// What signatures are checked with: a key that both know, or the channel's public one.
pub(super) enum VerifyingKey<'a> {
    Shared(&'a str),
    Public(&'a RsaPublicKey),
}

/// Refuses a callback whose signature is not the channel's.
pub(super) fn check(
    rules: &SignatureRules,
    key: &VerifyingKey<'_>,
    callback: &RawCallback<'_>,
    sent: &Sent<'_>,
) -> Result<(), CallbackRefusal> {
    let signature = signature_text(rules, callback, sent)?;
    let good = match key {
        VerifyingKey::Shared(key) => {
            let content = content(rules, key, sent);
            hash(rules.algorithm, key.as_bytes(), &content)
                .is_some_and(|hash| rules.encoding().write(&hash).as_bytes().ct_eq(signature.as_bytes()).into())
        }
        VerifyingKey::Public(public_key) => {
            let signature = rules.encoding().read(&signature);
            signature.is_some_and(|signature| public_key.verifies(&content(rules, "", sent), &signature))
        }
    };
    if good { Ok(()) } else { Err(CallbackRefusal::BadSignature) }
}

/// The signature as it was sent; one that is missing or empty is named.
fn signature_text(
    rules: &SignatureRules,
    callback: &RawCallback<'_>,
    sent: &Sent<'_>,
) -> Result<String, CallbackRefusal> {
    let (name, found) = match &rules.at {
        SignaturePlace::Parameter(name) => (name, sent.parameters.get(name).map(ToOwned::to_owned)),
        SignaturePlace::Header(name) => {
            let mut values = callback.headers.iter().filter(|(header, _)| header.eq_ignore_ascii_case(name));
            let first = values.next().map(|(_, value)| value.clone());
            if values.next().is_some() {
                return Err(CallbackRefusal::malformed(name.clone(), "must not come twice"));
            }
            (name, first)
        }
        SignaturePlace::Pointer(pointer) => (pointer, sent.at_pointer(pointer)?),
        SignaturePlace::Form(name) => (name, sent.form.as_ref().and_then(|form| form.get(name)).map(ToOwned::to_owned)),
    };
    found
        .filter(|signature| !signature.is_empty())
        .ok_or_else(|| CallbackRefusal::malformed(name.clone(), "is required"))
}

/// What is signed.
fn content(rules: &SignatureRules, key: &str, sent: &Sent<'_>) -> Vec<u8> {
    let mut content = Vec::new();
    rules.prefix.write(key, &mut content);
    match rules.pairs(sent) {
        Some(pairs) => content.extend_from_slice(pairs.join(&rules.join).as_bytes()),
        None => content.extend_from_slice(&sent.raw),
    }
    rules.suffix.write(key, &mut content);
    match rules.url_encode {
        UrlEncode::Whole => url_encoded(&content).into_bytes(),
        UrlEncode::Nothing | UrlEncode::Values => content,
    }
}

impl SignatureRules {
    /// Whether a parameter's value is under the signature.
    pub(super) fn covers(&self, parameter: &str) -> bool {
        let is_signature = matches!(&self.at, SignaturePlace::Parameter(name) if name == parameter);
        match &self.order {
            Order::Sorted => !is_signature && !self.exclude.iter().any(|excluded| excluded == parameter),
            Order::Listed(names) => names.iter().any(|name| name == parameter),
            Order::Raw => true,
        }
    }

    pub(super) fn encoding(&self) -> Encoding {
        let usual = if self.algorithm.rsa().is_some() { Encoding::Base64 } else { Encoding::Hex };
        self.encoding.unwrap_or(usual)
    }

    /// The parameters that are signed, as they are written; `None`: what came is signed as it came.
    fn pairs(&self, sent: &Sent<'_>) -> Option<Vec<String>> {
        let mut pairs: Vec<(&str, &str)> = match &self.order {
            Order::Raw => return None,
            Order::Sorted => sent.parameters.iter().filter(|(name, _)| self.covers(name)).collect(),
            Order::Listed(names) => {
                names.iter().map(|name| (name.as_str(), sent.parameters.get(name).unwrap_or_default())).collect()
            }
        };
        if self.order == Order::Sorted {
            pairs.sort_unstable();
        }
        pairs.retain(|(_, value)| self.empty == Empty::Keep || !value.is_empty());
        Some(pairs.into_iter().map(|(name, value)| self.write(name, value)).collect())
    }

    fn write(&self, name: &str, value: &str) -> String {
        let encoded = match self.url_encode {
            UrlEncode::Values => url_encoded(value.as_bytes()),
            UrlEncode::Nothing | UrlEncode::Whole => value.to_owned(),
        };
        match self.pair {
            Pair::NameEqualsValue => format!("{name}={encoded}"),
            Pair::NameValue => format!("{name}{encoded}"),
            Pair::Value => encoded,
        }
    }
}

impl Encoding {
    fn write(self, hash: &[u8]) -> String {
        match self {
            Self::Hex => hex::encode(hash),
            Self::HexUpper => hex::encode_upper(hash),
            Self::Base64 => BASE64_STANDARD.encode(hash),
        }
    }

    fn read(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Hex | Self::HexUpper => {
                // `hex` reads both cases; another case is another signature.
                hex::decode(text).ok().filter(|bytes| self.write(bytes) == text)
            }
            Self::Base64 => BASE64_STANDARD.decode(text).ok(),
        }
    }
}

/// As forms write it, and `URLEncoder` of Java: a space is `+`.
fn url_encoded(text: &[u8]) -> String {
    form_urlencoded::byte_serialize(text).collect()
}
