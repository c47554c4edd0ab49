//! A manifest as it is written: one JSON object.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{super::public_key::RsaAlgorithm, template::Template};

/// Everything about a channel that is not an app's own.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    /// Where its rules are published, and what of them is uncertain. For people.
    #[serde(rename = "documentation")]
    pub(super) _documentation: String,
    pub(super) source: Source,
    /// In JSON: where the object is whose members are the parameters, such as `/data`. Absent: the document itself.
    pub(super) parameters_at: Option<String>,
    pub(super) signature: SignatureRules,
    /// Parameters that say whose payment it is, and the name of the configured value that each has to be equal to.
    #[serde(default)]
    pub(super) merchant: BTreeMap<String, String>,
    /// Parameters and the values by which a payment is one. All have to hold; otherwise the callback is ignored.
    #[serde(default)]
    pub(super) success: BTreeMap<String, Vec<String>>,
    /// Parameters and the values by which a payment is a test. Absent: none is.
    pub(super) test: Option<BTreeMap<String, Vec<String>>>,
    pub(super) fields: FieldRules,
    pub(super) acknowledge: AcknowledgeRules,
}

/// Where the parameters are.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Source {
    /// In the query.
    Query,
    /// In a body of `application/x-www-form-urlencoded`.
    Form,
    /// In the query of a GET, in the form of anything else.
    QueryOrForm,
    /// In a body of JSON.
    Json,
    /// In JSON that is the value of this field of a form.
    FormJson(String),
}

/// What is signed, how, and where the signature is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SignatureRules {
    pub(super) at: SignaturePlace,
    pub(super) algorithm: Algorithm,
    /// Absent: base64 for RSA, hex digits in lower case for everything else.
    pub(super) encoding: Option<Encoding>,
    pub(super) order: Order,
    /// Parameters that are not signed, besides the signature itself.
    #[serde(default)]
    pub(super) exclude: Vec<String>,
    #[serde(default)]
    pub(super) pair: Pair,
    /// Between two pairs.
    #[serde(default = "ampersand")]
    pub(super) join: String,
    /// What becomes of parameters without a value, and of listed ones that are not there.
    #[serde(default)]
    pub(super) empty: Empty,
    #[serde(default)]
    pub(super) url_encode: UrlEncode,
    /// In front of it all, such as `{key}`.
    #[serde(default)]
    pub(super) prefix: Template,
    /// Behind it all, such as `&key={key}`.
    #[serde(default)]
    pub(super) suffix: Template,
}

/// Where the signature is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SignaturePlace {
    /// Among the parameters.
    Parameter(String),
    /// A header.
    Header(String),
    /// In JSON, beside the object with the parameters, such as `/sign`.
    Pointer(String),
    /// With [`Source::FormJson`]: a field of the form.
    Form(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Algorithm {
    Md5,
    Sha1,
    Sha256,
    HmacMd5,
    HmacSha1,
    HmacSha256,
    RsaSha1,
    RsaSha256,
}

/// How a signature is written. Another case is another signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Encoding {
    Hex,
    HexUpper,
    Base64,
}

/// Which parameters are signed, in which order.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Order {
    /// All of them, by the bytes of their names.
    Sorted,
    /// These, in this order.
    Listed(Vec<String>),
    /// The body as it came, or the value of the form's field with [`Source::FormJson`].
    Raw,
}

/// How a parameter is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) enum Pair {
    #[default]
    #[serde(rename = "k=v")]
    NameEqualsValue,
    #[serde(rename = "kv")]
    NameValue,
    #[serde(rename = "v")]
    Value,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Empty {
    /// Written with an empty value.
    #[default]
    Keep,
    /// Left out.
    Drop,
}

/// What is URL-encoded before it is signed, as forms are: a space is `+`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum UrlEncode {
    #[default]
    Nothing,
    Values,
    /// All of it, with the pairs' signs and what is in front and behind.
    Whole,
}

/// Which parameter is what.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FieldRules {
    /// Ours.
    pub(super) order_id: String,
    pub(super) channel_order_id: String,
    pub(super) amount: AmountRule,
    pub(super) currency: CurrencyRule,
    pub(super) paid_at: Option<TimeRule>,
    pub(super) product_id: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AmountRule {
    pub(super) parameter: String,
    pub(super) unit: Unit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Unit {
    /// Such as `6.00`.
    #[serde(alias = "yuan")]
    Major,
    /// Such as `600`.
    #[serde(alias = "fen")]
    Minor,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum CurrencyRule {
    /// Always this one.
    Fixed(String),
    /// The one that this parameter names.
    Parameter(String),
}

/// When it was paid. A parameter that is not there says nothing.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TimeRule {
    pub(super) parameter: String,
    /// `unix_s`, `unix_ms`, or a pattern such as `yyyy-MM-dd HH:mm:ss`.
    pub(super) format: String,
    /// Of a pattern: how far east of Greenwich its clock is. Absent: Beijing.
    #[serde(default = "beijing")]
    pub(super) utc_offset_minutes: i32,
}

/// What the channel reads.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AcknowledgeRules {
    pub(super) accepted: AnswerRule,
    pub(super) refused: AnswerRule,
    pub(super) come_back_later: AnswerRule,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AnswerRule {
    #[serde(default = "ok")]
    pub(super) status: u16,
    #[serde(default = "plain")]
    pub(super) content_type: String,
    pub(super) body: String,
}

impl Algorithm {
    /// For RSA: what a public key has to be good for.
    pub(super) fn rsa(self) -> Option<RsaAlgorithm> {
        match self {
            Self::RsaSha1 => Some(RsaAlgorithm::Sha1Legacy),
            Self::RsaSha256 => Some(RsaAlgorithm::Sha256Legacy),
            Self::Md5 | Self::Sha1 | Self::Sha256 | Self::HmacMd5 | Self::HmacSha1 | Self::HmacSha256 => None,
        }
    }

    pub(super) fn is_plain_hash(self) -> bool {
        matches!(self, Self::Md5 | Self::Sha1 | Self::Sha256)
    }
}

impl FieldRules {
    /// Every parameter that is used, with the place where it is named.
    pub(super) fn parameters(&self) -> Vec<(&'static str, &str)> {
        let mut used = vec![
            ("fields.order_id", self.order_id.as_str()),
            ("fields.channel_order_id", &self.channel_order_id),
            ("fields.amount.parameter", &self.amount.parameter),
        ];
        if let CurrencyRule::Parameter(name) = &self.currency {
            used.push(("fields.currency.parameter", name));
        }
        used.extend(self.paid_at.as_ref().map(|rule| ("fields.paid_at.parameter", rule.parameter.as_str())));
        used.extend(self.product_id.as_deref().map(|name| ("fields.product_id", name)));
        used
    }
}

fn ampersand() -> String {
    "&".to_owned()
}

fn beijing() -> i32 {
    480
}

fn ok() -> u16 {
    200
}

fn plain() -> String {
    "text/plain".to_owned()
}
