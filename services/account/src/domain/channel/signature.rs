//! How a question to a channel is signed, as data.
//!
//! The schemes of the field differ in what is written in front of, between and behind the parameters and which hash is
//! taken of it. None of that is code here: what is signed is either a template, or the parameters in order of their names.

use std::collections::BTreeMap;

use aws_lc_rs::{digest, hmac};
use base64::{Engine, prelude::BASE64_STANDARD};
use md5::{Digest, Md5};
use serde::Deserialize;

use super::template::{MissingField, Scope, Template};

/// The signature of a question.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignatureRules {
    /// Under which name it is sent.
    pub(crate) name: String,
    /// Where it is sent.
    #[serde(default)]
    pub(crate) place: SignaturePlace,
    /// What is signed.
    pub(crate) content: SignedText,
    /// What is signed is URL-encoded as a whole first.
    #[serde(default)]
    pub(crate) url_encode: bool,
    pub(crate) algorithm: SignatureAlgorithm,
    /// For the HMACs, which need one; the plain hashes have theirs in the content.
    pub(crate) key: Option<Template>,
    #[serde(default)]
    pub(crate) encoding: SignatureEncoding,
}

/// Where a signature is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SignaturePlace {
    /// Beside the parameters.
    #[default]
    Parameter,
    Header,
}

/// What is signed.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SignedText {
    /// This text: a fixed order.
    Template(Template),
    /// The parameters, ordered by the bytes of their names.
    Sorted(SortedText),
}

/// How ordered parameters are written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SortedText {
    /// Only these parameters; absent: all of them.
    pub(crate) names: Option<Vec<String>>,
    /// Between a name and its value.
    pub(crate) assign: String,
    /// Between two parameters.
    pub(crate) separator: String,
    /// Values without their names.
    pub(crate) values_only: bool,
    /// Parameters without a value are left out.
    pub(crate) skip_empty: bool,
    /// Each value is URL-encoded.
    pub(crate) url_encode_values: bool,
    /// In front of it all, such as a key.
    pub(crate) prefix: Template,
    /// Behind it all, such as `&key={secrets.key}`.
    pub(crate) suffix: Template,
}

/// Which hash is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SignatureAlgorithm {
    Md5,
    Sha1,
    Sha256,
    HmacSha1,
    HmacSha256,
}

/// How the hash is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SignatureEncoding {
    #[default]
    Hex,
    HexUpper,
    Base64,
}

impl Default for SortedText {
    fn default() -> Self {
        Self {
            names: None,
            assign: "=".to_owned(),
            separator: "&".to_owned(),
            values_only: false,
            skip_empty: true,
            url_encode_values: false,
            prefix: Template::literal(""),
            suffix: Template::literal(""),
        }
    }
}

impl SignatureRules {
    /// The signature over these parameters, in their order.
    pub(crate) fn sign(&self, parameters: &[(String, String)], scope: Scope<'_>) -> Result<String, MissingField> {
        let mut content = match &self.content {
            SignedText::Template(template) => template.render(scope)?,
            SignedText::Sorted(sorted) => sorted.write(parameters, scope)?,
        };
        if self.url_encode {
            content = url_encoded(&content);
        }
        let key = self.key.as_ref().map(|key| key.render(scope)).transpose()?.unwrap_or_default();
        Ok(self.encoding.write(&self.algorithm.hash(key.as_bytes(), content.as_bytes())))
    }

    /// Every template, with its name.
    pub(crate) fn templates(&mut self) -> Vec<(&'static str, &mut Template)> {
        let mut templates = match &mut self.content {
            SignedText::Template(template) => vec![("content.template", template)],
            SignedText::Sorted(sorted) => {
                vec![("content.sorted.prefix", &mut sorted.prefix), ("content.sorted.suffix", &mut sorted.suffix)]
            }
        };
        templates.extend(self.key.as_mut().map(|key| ("key", key)));
        templates
    }
}

impl SortedText {
    fn write(&self, parameters: &[(String, String)], scope: Scope<'_>) -> Result<String, MissingField> {
        let named = |name: &str| self.names.as_ref().is_none_or(|names| names.iter().any(|wanted| wanted == name));
        let ordered: BTreeMap<&str, &str> = parameters
            .iter()
            .filter(|(name, value)| named(name) && !(self.skip_empty && value.is_empty()))
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let written: Vec<String> = ordered
            .into_iter()
            .map(|(name, value)| {
                let value = if self.url_encode_values { url_encoded(value) } else { value.to_owned() };
                if self.values_only { value } else { format!("{name}{}{value}", self.assign) }
            })
            .collect();
        Ok(format!("{}{}{}", self.prefix.render(scope)?, written.join(&self.separator), self.suffix.render(scope)?))
    }
}

impl SignatureAlgorithm {
    pub(crate) fn needs_key(self) -> bool {
        matches!(self, Self::HmacSha1 | Self::HmacSha256)
    }

    fn hash(self, key: &[u8], content: &[u8]) -> Vec<u8> {
        let mac = |algorithm| hmac::sign(&hmac::Key::new(algorithm, key), content).as_ref().to_vec();
        match self {
            Self::Md5 => Md5::digest(content).to_vec(),
            Self::Sha1 => digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, content).as_ref().to_vec(),
            Self::Sha256 => digest::digest(&digest::SHA256, content).as_ref().to_vec(),
            Self::HmacSha1 => mac(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
            Self::HmacSha256 => mac(hmac::HMAC_SHA256),
        }
    }
}

impl SignatureEncoding {
    fn write(self, hash: &[u8]) -> String {
        match self {
            Self::Hex => hex::encode(hash),
            Self::HexUpper => hex::encode_upper(hash),
            Self::Base64 => BASE64_STANDARD.encode(hash),
        }
    }
}

/// As forms write it, and `URLEncoder` of Java: a space is `+`.
pub(crate) fn url_encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use common::clock::Timestamp;

    use super::*;
    use crate::domain::{channel::credential::ChannelCredential, ids::AppId};

    fn sign(rules: &str, parameters: &[(&str, &str)]) -> String {
        let rules: SignatureRules = serde_json::from_str(rules).expect("rules");
        let parameters: Vec<_> =
            parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let credential = ChannelCredential::parse("{}").expect("flat");
        let app_id = AppId::parse(1).expect("in range");
        let scope = Scope { credential: &credential, app_id, now: Timestamp::from_millis(0), nonce: "" };
        rules.sign(&parameters, scope).expect("signed")
    }

    fn md5(text: &str) -> String {
        hex::encode(Md5::digest(text))
    }

    #[test]
    fn ordered_parameters_are_written_in_every_form_the_field_has() {
        let parameters = [("b", "2 ü"), ("a", "1"), ("none", "")];
        for (sorted, written) in [
            (r"{}", "a=1&b=2 ü"),
            (r#"{"suffix":"KEY"}"#, "a=1&b=2 üKEY"),
            (r#"{"suffix":"&key=KEY"}"#, "a=1&b=2 ü&key=KEY"),
            (r#"{"prefix":"KEY","suffix":"KEY"}"#, "KEYa=1&b=2 üKEY"),
            (r#"{"separator":"","suffix":"KEY"}"#, "a=1b=2 üKEY"),
            (r#"{"values_only":true,"separator":"|","suffix":"|KEY"}"#, "1|2 ü|KEY"),
            (r#"{"url_encode_values":true}"#, "a=1&b=2+%C3%BC"),
            (r#"{"skip_empty":false,"names":["none","a"]}"#, "a=1&none="),
        ] {
            let rules = format!(r#"{{"name":"sign","algorithm":"md5","content":{{"sorted":{sorted}}}}}"#);
            assert_eq!(sign(&rules, &parameters), md5(written), "{sorted}");
        }
        let whole = r#"{"name":"sign","algorithm":"md5","content":{"sorted":{}},"url_encode":true}"#;
        assert_eq!(sign(whole, &parameters), md5("a%3D1%26b%3D2+%C3%BC"));
    }

    #[test]
    fn hashes_and_encodings_are_the_known_ones() {
        let rules =
            |rest: &str| format!(r#"{{"name":"s","content":{{"template":"what do ya want for nothing?"}},{rest}}}"#);
        // RFC 2202 and RFC 4231, test case 2; RFC 1321's and FIPS 180's functions over the same text.
        for (rest, signature) in [
            (r#""algorithm":"hmac_sha1","key":"Jefe""#, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
            (
                r#""algorithm":"hmac_sha256","key":"Jefe""#,
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (r#""algorithm":"hmac_sha1","key":"Jefe","encoding":"base64""#, "7/zfauXrL6LSdBbV8YTfnCWafHk="),
            (
                r#""algorithm":"hmac_sha1","key":"Jefe","encoding":"hex_upper""#,
                "EFFCDF6AE5EB2FA2D27416D5F184DF9C259A7C79",
            ),
        ] {
            assert_eq!(sign(&rules(rest), &[]), signature);
        }
        assert_eq!(md5("abc"), "900150983cd24fb0d6963f7d28e17f72");
        let abc =
            |algorithm: &str| format!(r#"{{"name":"s","content":{{"template":"abc"}},"algorithm":"{algorithm}"}}"#);
        assert_eq!(sign(&abc("sha1"), &[]), "a9993e364706816aba3e25717850c26c9cd0d89d");
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sign(&abc("sha256"), &[]), sha256);
    }
}
