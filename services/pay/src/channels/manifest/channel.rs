//! A manifest and an app's keys put together: a payment channel.

use std::{borrow::Cow, collections::BTreeMap, fmt, sync::Arc};

use common::clock::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;

use super::{
    super::{
        callback::{CallbackRefusal, Charged, PaymentFacts, RawCallback, Verdict, What},
        channel::{Acknowledgement, Outcome, PaymentChannel},
        config::{self, ConfigProblem},
        moment,
        money::Money,
        parameters::Parameters,
        public_key::{RsaAlgorithm, RsaPublicKey},
        text,
    },
    check,
    rules::{AnswerRule, CurrencyRule, Manifest, TimeRule, Unit},
    shipped,
    signature::{self, VerifyingKey},
    source::Sent,
};
use crate::domain::Currency;

/// As an operator writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::channels) struct ManifestConfig {
    /// The name of a shipped manifest, or one that is written here.
    manifest: Value,
    /// What the parameters of `manifest.merchant` have to be equal to, by the names given there.
    #[serde(default)]
    merchant: BTreeMap<String, String>,
    /// The channel's key, for RSA.
    public_key: Option<String>,
    /// The key that both know, for everything else.
    #[serde(default)]
    secrets: Secrets,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Secrets {
    key: Option<SecretString>,
}

/// A channel that is described by a manifest, for one app.
#[derive(Clone)]
pub(in crate::channels) struct ManifestChannel {
    manifest: Arc<Manifest>,
    merchant: BTreeMap<String, String>,
    key: Key,
}

#[derive(Clone)]
enum Key {
    Shared(SecretString),
    Public(RsaPublicKey),
}

impl ManifestConfig {
    pub(in crate::channels) fn prepare(self) -> Result<ManifestChannel, Vec<ConfigProblem>> {
        let manifest = read_manifest(self.manifest).map_err(|problem| vec![problem])?;
        let mut problems = check::problems(&manifest);
        for name in manifest.merchant.values() {
            if self.merchant.get(name).is_none_or(String::is_empty) {
                problems.push(ConfigProblem::new(format!("merchant.{name}"), "is required"));
            }
        }
        for name in self.merchant.keys() {
            if !manifest.merchant.values().any(|known| known == name) {
                problems.push(ConfigProblem::new(format!("merchant.{name}"), "is not known to the manifest"));
            }
        }
        let key = key(manifest.signature.algorithm.rsa(), self.public_key.as_deref(), self.secrets.key);
        match key {
            Ok(key) if problems.is_empty() => {
                Ok(ManifestChannel { manifest: Arc::new(manifest), merchant: self.merchant, key })
            }
            Ok(_) => Err(problems),
            Err(problem) => {
                problems.push(problem);
                Err(problems)
            }
        }
    }
}

fn read_manifest(value: Value) -> Result<Manifest, ConfigProblem> {
    let value = match value {
        Value::String(name) => {
            let json = shipped::find(&name);
            let json = json.ok_or_else(|| ConfigProblem::new("manifest", shipped::not_known()))?;
            serde_json::from_str(json).map_err(|_| ConfigProblem::new("manifest", "can't be read"))?
        }
        written => written,
    };
    let Value::Object(object) = value else {
        return Err(ConfigProblem::new("manifest", "must be an object, or the name of a manifest that is shipped"));
    };
    config::read(object).map_err(|problem| problem.below("manifest"))
}

fn key(rsa: Option<RsaAlgorithm>, public: Option<&str>, shared: Option<SecretString>) -> Result<Key, ConfigProblem> {
    match (rsa, public, shared) {
        (Some(_), Some(_), Some(_)) => {
            Err(ConfigProblem::new("secrets.key", "is not used: the channel signs with RSA"))
        }
        (Some(algorithm), Some(public), None) => {
            let key = RsaPublicKey::parse(public, algorithm);
            key.map(Key::Public).map_err(|reason| ConfigProblem::new("public_key", reason))
        }
        (Some(_), None, _) => Err(ConfigProblem::new("public_key", "is required")),
        (None, Some(_), _) => Err(ConfigProblem::new("public_key", "is not used: the channel signs with a shared key")),
        (None, None, Some(key)) if key.expose_secret().is_empty() => {
            Err(ConfigProblem::new("secrets.key", "must not be empty"))
        }
        (None, None, Some(key)) => Ok(Key::Shared(key)),
        (None, None, None) => Err(ConfigProblem::new("secrets.key", "is required")),
    }
}

impl ManifestChannel {
    fn check_merchant(&self, parameters: &Parameters) -> Result<(), CallbackRefusal> {
        for (parameter, name) in &self.manifest.merchant {
            if Some(parameters.required(parameter)?) != self.merchant.get(name).map(String::as_str) {
                return Err(CallbackRefusal::wrong_merchant(parameter.clone()));
            }
        }
        Ok(())
    }

    fn facts(&self, parameters: &Parameters) -> Result<PaymentFacts, CallbackRefusal> {
        let fields = &self.manifest.fields;
        let identifier = |name: &String| text::identifier(name.clone(), parameters.required(name)?.to_owned());
        let product_id = fields.product_id.as_ref().map(identifier);
        Ok(PaymentFacts {
            order_id: Some(identifier(&fields.order_id)?),
            channel_order_id: identifier(&fields.channel_order_id)?,
            charged: Charged::Exactly(self.money(parameters)?),
            paid_at: fields.paid_at.as_ref().map(|rule| time(rule, parameters)).transpose()?.flatten(),
            is_test: self.manifest.test.as_ref().is_some_and(|test| hold(test, parameters)),
            channel_product_id: product_id.transpose()?,
            what: What::Paid,
        })
    }

    fn money(&self, parameters: &Parameters) -> Result<Money, CallbackRefusal> {
        let fields = &self.manifest.fields;
        let (code, named) = match &fields.currency {
            CurrencyRule::Fixed(code) => (code.as_str(), "currency"),
            CurrencyRule::Parameter(name) => (parameters.required(name)?, name.as_str()),
        };
        let no_currency =
            |_| CallbackRefusal::malformed(named.to_owned(), "must be three upper-case letters (ISO 4217)");
        let currency = Currency::parse(code).map_err(no_currency)?;
        let raw = parameters.required(&fields.amount.parameter)?;
        let money = match fields.amount.unit {
            Unit::Major => Money::parse_major(raw, currency),
            Unit::Minor => Money::parse_minor(raw, currency),
        };
        money.map_err(|error| CallbackRefusal::malformed(fields.amount.parameter.clone(), error.reason()))
    }
}

impl PaymentChannel for ManifestChannel {
    fn verify(&self, callback: &RawCallback<'_>, _now: Timestamp) -> Result<Verdict, CallbackRefusal> {
        let sent = Sent::read(&self.manifest, callback)?;
        let key = match &self.key {
            Key::Shared(key) => VerifyingKey::Shared(key.expose_secret()),
            Key::Public(key) => VerifyingKey::Public(key),
        };
        signature::check(&self.manifest.signature, &key, callback, &sent)?;
        self.check_merchant(&sent.parameters)?;
        if !hold(&self.manifest.success, &sent.parameters) {
            return Ok(Verdict::Ignored("a state other than the one of a payment"));
        }
        self.facts(&sent.parameters).map(Verdict::Facts)
    }

    fn acknowledge(&self, outcome: Outcome) -> Acknowledgement {
        let rules = &self.manifest.acknowledge;
        let AnswerRule { status, content_type, body } = match outcome {
            Outcome::Accepted => &rules.accepted,
            Outcome::Refused => &rules.refused,
            Outcome::ComeBackLater => &rules.come_back_later,
        };
        let content_type = Some(Cow::Owned(content_type.clone()));
        Acknowledgement { status: *status, content_type, body: Cow::Owned(body.clone()) }
    }
}

impl fmt::Debug for ManifestChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManifestChannel").field("merchant", &self.merchant).finish_non_exhaustive()
    }
}

/// Whether each of these parameters has one of its values.
fn hold(conditions: &BTreeMap<String, Vec<String>>, parameters: &Parameters) -> bool {
    conditions.iter().all(|(name, values)| {
        let value = parameters.get(name);
        value.is_some_and(|value| values.iter().any(|accepted| accepted == value))
    })
}

fn time(rule: &TimeRule, parameters: &Parameters) -> Result<Option<Timestamp>, CallbackRefusal> {
    let Some(raw) = parameters.get(&rule.parameter).filter(|raw| !raw.is_empty()) else { return Ok(None) };
    let time = match rule.format.as_str() {
        "unix_s" => raw.parse().ok().and_then(moment::from_seconds),
        "unix_ms" => raw.parse().ok().and_then(moment::from_millis),
        pattern => moment::from_civil(raw, pattern, rule.utc_offset_minutes),
    };
    let refused = || CallbackRefusal::malformed(rule.parameter.clone(), "is not a time in the channel's form");
    time.map(Some).ok_or_else(refused)
}
