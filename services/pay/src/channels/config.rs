//! The configuration of a payment channel as an operator writes it: one JSON object whose `kind` says which channel it is.
//!
//! It is read as a whole or refused by the places of what is wrong. Its secrets all lie under `secrets`; they go in and
//! never come out again.

use std::fmt;

use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{
    alipay::{Alipay, AlipayConfig},
    apple::{Apple, AppleConfig},
    callback::Question,
    channel::PaymentChannel,
    google_play::{GooglePlay, GooglePlayApp, GooglePlayConfig},
    issuer_keys::IssuerKeys,
    json::joined,
    manifest::{ManifestChannel, ManifestConfig},
    sandbox::{Sandbox, SandboxConfig},
    service_account::ServiceAccount,
    wechat_pay::{WechatPay, WechatPayConfig},
};

/// The longest configuration, in bytes. Protects the table and every instance's memory.
const LONGEST: usize = 64 * 1024;

/// What stands in the place of a secret. Written back, it keeps the secret there is.
const MASK: &str = "***";

const KINDS: &str = "must be sandbox, alipay, wechat_pay, apple, google_play or manifest";

/// A configuration that has been checked. Not printed: it holds secrets.
pub struct ChannelConfig {
    json: Map<String, Value>,
    channel: Configured,
}

enum Configured {
    Sandbox(SandboxConfig),
    Alipay(Alipay),
    WechatPay(WechatPay),
    Apple(Apple),
    GooglePlay(GooglePlayApp),
    Manifest(ManifestChannel),
}

/// What is not the channel's own configuration and yet needed to check its callbacks.
#[derive(Clone, Debug, Default)]
pub struct BuildInputs {
    /// The app's secrets that are alive: two while they are rotated. The sandbox signs with them.
    pub app_secrets: Vec<SecretString>,
    /// What lies at [`ChannelConfig::issuer_keys_url`], no older than its issuer allows. Without it such a channel refuses
    /// everything as [`super::CallbackRefusal::NotConfigured`]; a key that it lacks is an
    /// [`super::CallbackRefusal::UnknownCertificate`], and worth a fetch.
    pub issuer_keys: Option<IssuerKeys>,
}

/// Everything that is wrong with a configuration; never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct ChannelConfigError {
    /// In the order in which they were found.
    pub problems: Vec<ConfigProblem>,
}

/// One thing that is wrong. Safe to show: it names places and never repeats values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct ConfigProblem {
    /// Such as `manifest.fields.amount`, within the channel's configuration; `.` is all of it.
    pub path: String,
    /// What would be right.
    pub reason: String,
}

impl ChannelConfig {
    /// Reads a configuration. `previous` lends it the secrets that are masked. The sandbox is for `development`.
    ///
    /// # Errors
    /// When anything in it is wrong.
    pub fn parse(json: &str, previous: Option<&Self>, development: bool) -> Result<Self, ChannelConfigError> {
        if json.len() > LONGEST {
            return Err(ConfigProblem::new(".", "is longer than 65536 bytes").into());
        }
        let Ok(Value::Object(mut json)) = serde_json::from_str(json) else {
            return Err(ConfigProblem::new(".", "must be a JSON object").into());
        };
        lend_secrets(&mut json, previous)?;
        let channel = Configured::read(json.clone(), development)?;
        Ok(Self { json, channel })
    }

    /// The channel, ready to judge callbacks.
    pub fn build(&self, inputs: &BuildInputs) -> Box<dyn PaymentChannel> {
        match &self.channel {
            Configured::Sandbox(config) => Box::new(Sandbox::new(config, &inputs.app_secrets)),
            Configured::Alipay(alipay) => Box::new(alipay.clone()),
            Configured::WechatPay(wechat_pay) => Box::new(wechat_pay.clone()),
            Configured::Apple(apple) => Box::new(apple.clone()),
            Configured::GooglePlay(app) => Box::new(GooglePlay::new(app.clone(), inputs.issuer_keys.clone())),
            Configured::Manifest(channel) => Box::new(channel.clone()),
        }
    }

    /// Where the keys are published that this channel's callbacks are signed with; `None`: they are configured.
    pub fn issuer_keys_url(&self) -> Option<&str> {
        self.google_play().map(GooglePlayApp::keys_url)
    }

    /// Who asks this channel's questions; `None`: nobody is configured.
    pub fn service_account(&self) -> Option<&ServiceAccount> {
        self.google_play().and_then(GooglePlayApp::account)
    }

    /// The question about a purchase, as a [`super::Verdict::Ask`] has it; `None`: the channel asks none.
    pub fn question(&self, product_id: &str, purchase_token: &str) -> Option<Question> {
        self.google_play().map(|app| app.question(product_id.to_owned(), purchase_token.to_owned()))
    }

    fn google_play(&self) -> Option<&GooglePlayApp> {
        match &self.channel {
            Configured::GooglePlay(app) => Some(app),
            Configured::Sandbox(_)
            | Configured::Alipay(_)
            | Configured::WechatPay(_)
            | Configured::Apple(_)
            | Configured::Manifest(_) => None,
        }
    }

    /// As it is stored.
    pub fn to_json(&self) -> String {
        Value::Object(self.json.clone()).to_string()
    }

    /// As it is answered: without its secrets.
    pub fn masked(&self) -> String {
        let mut json = self.json.clone();
        for secret in json.get_mut("secrets").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut) {
            *secret = MASK.into();
        }
        Value::Object(json).to_string()
    }
}

impl fmt::Debug for ChannelConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelConfig").field("kind", &self.json.get("kind")).finish_non_exhaustive()
    }
}

impl Configured {
    fn read(mut json: Map<String, Value>, development: bool) -> Result<Self, ChannelConfigError> {
        let kind = json.remove("kind");
        match kind.as_ref().and_then(Value::as_str) {
            Some("sandbox") if !development => {
                Err(ConfigProblem::new("kind", "sandbox is for development: anybody in the app could pay with it")
                    .into())
            }
            Some("sandbox") => Ok(Self::Sandbox(read::<SandboxConfig>(json)?.check()?)),
            Some("alipay") => Ok(Self::Alipay(read::<AlipayConfig>(json)?.prepare(development)?)),
            Some("wechat_pay") => Ok(Self::WechatPay(read::<WechatPayConfig>(json)?.prepare(development)?)),
            Some("apple") => Ok(Self::Apple(read::<AppleConfig>(json)?.prepare()?)),
            Some("google_play") => Ok(Self::GooglePlay(read::<GooglePlayConfig>(json)?.prepare(development)?)),
            Some("manifest") => Ok(Self::Manifest(read::<ManifestConfig>(json)?.prepare()?)),
            _ => Err(ConfigProblem::new("kind", KINDS).into()),
        }
    }
}

impl ConfigProblem {
    pub(super) fn new(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { path: path.into(), reason: reason.into() }
    }

    /// The same within another object.
    pub(super) fn below(self, parent: &str) -> Self {
        let path = if self.path == "." { parent.to_owned() } else { format!("{parent}.{}", self.path) };
        Self { path, reason: self.reason }
    }
}

impl From<Vec<ConfigProblem>> for ChannelConfigError {
    fn from(problems: Vec<ConfigProblem>) -> Self {
        Self { problems }
    }
}

impl From<ConfigProblem> for ChannelConfigError {
    fn from(problem: ConfigProblem) -> Self {
        Self { problems: vec![problem] }
    }
}

fn lend_secrets(json: &mut Map<String, Value>, previous: Option<&ChannelConfig>) -> Result<(), ChannelConfigError> {
    let Some(secrets) = json.get_mut("secrets").and_then(Value::as_object_mut) else { return Ok(()) };
    for (name, secret) in secrets.iter_mut().filter(|(_, secret)| *secret == MASK) {
        let kept = previous.and_then(|previous| previous.json.get("secrets")?.get(name));
        let none = || ConfigProblem::new(format!("secrets.{name}"), "there is none yet to keep");
        *secret = kept.cloned().ok_or_else(none)?;
    }
    Ok(())
}

/// Reads the rules of one kind, naming the place of what is wrong.
pub(super) fn read<T: DeserializeOwned>(json: Map<String, Value>) -> Result<T, ConfigProblem> {
    serde_path_to_error::deserialize(Value::Object(json)).map_err(|error| {
        let path = error.path().to_string();
        let message = error.into_inner().to_string();
        match message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
            Some(field) => ConfigProblem::new(joined(&path, field), "is required"),
            None => ConfigProblem::new(path, reason(&message)),
        }
    })
}

/// What serde says without the value that it quotes, which may be a secret.
fn reason(message: &str) -> String {
    match message.split_once(": ") {
        Some(("invalid type" | "invalid value" | "invalid length", rest)) => {
            let expected = rest.rsplit_once(", expected ").map_or("something else", |(_, expected)| expected);
            format!("is of another type; expected {expected}")
        }
        _ if message.starts_with("unknown variant") => {
            let expected = message.split_once("expected ").map_or("", |(_, expected)| expected);
            format!("is not known; expected {expected}")
        }
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn problem(json: &str, development: bool) -> String {
        ChannelConfig::parse(json, None, development).expect_err("refused").to_string()
    }

    #[test]
    fn the_sandbox_takes_an_address_and_is_for_development() {
        let config = ChannelConfig::parse(r#"{"kind":"sandbox"}"#, None, true).expect("valid");
        assert_eq!(config.to_json(), r#"{"kind":"sandbox"}"#);
        assert!(problem(r#"{"kind":"sandbox"}"#, false).starts_with("kind: sandbox is for development"));
        assert!(problem(r#"{"kind":"sandbox","key":1}"#, true).starts_with("key: unknown field"));
        assert!(problem(r#"{"kind":"sandbox","api":"file:///"}"#, true).starts_with("api: must be"));
        assert!(ChannelConfig::parse(r#"{"kind":"sandbox","api":"http://127.0.0.1:1"}"#, None, true).is_ok());
    }

    #[test]
    fn what_is_no_configuration_is_refused() {
        for (json, path) in [("[]", "."), ("{}", "kind"), (r#"{"kind":"magic"}"#, "kind"), (r#"{"kind":7}"#, "kind")] {
            assert!(problem(json, true).starts_with(&format!("{path}: ")), "{json}");
        }
        assert!(problem(&format!(r#"{{"kind":"{}"}}"#, "x".repeat(LONGEST)), true).starts_with(".: is longer"));
    }

    #[test]
    fn every_configuration_in_the_documentation_is_good() {
        let document = include_str!("../../../../docs/pay-channels.md");
        let vectors = |json: &str| serde_json::from_str::<Value>(json).expect("JSON");
        let keys = vectors(include_str!("vectors/public_keys.json"));
        let apple = vectors(include_str!("vectors/apple.json"));
        let asking = vectors(include_str!("vectors/asking.json"));
        let examples = document.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default());
        let mut kinds = Vec::new();
        for example in examples {
            let mut config = vectors(example);
            kinds.push(config["kind"].as_str().expect("a kind").to_owned());
            // Keys are shortened there.
            if kinds.last().is_some_and(|kind| kind == "alipay") {
                config["alipay_public_key"] = keys["rsa_2048_base64"].clone();
            }
            for (_, key) in config.get_mut("platform_keys").and_then(Value::as_object_mut).into_iter().flatten() {
                *key = keys["rsa_2048_pem"].clone();
            }
            if let Some(key) = config.pointer_mut("/secrets/service_account/private_key") {
                let account = vectors(include_str!("vectors/service_account.json"));
                *key = account["key_file"]["private_key"].clone();
            }
            for name in ["app_private_key", "merchant_private_key"] {
                if let Some(key) = config.get_mut("secrets").and_then(|secrets| secrets.get_mut(name)) {
                    *key = asking["private_key_forms"]["pkcs8_base64"].clone();
                }
            }
            if let Some(root) = config.get_mut("root_certificates") {
                *root = apple["root"].clone();
            }
            let parsed = ChannelConfig::parse(&config.to_string(), None, true);
            assert!(parsed.is_ok(), "{parsed:?} {example}");
        }
        let all = ["sandbox", "sandbox", "alipay", "wechat_pay", "apple", "google_play", "manifest", "manifest"];
        assert_eq!(kinds, all);
        for shipped in crate::channels::SHIPPED {
            assert!(document.contains(&format!("| `{}` |", shipped.name)), "{}", shipped.name);
        }
    }

    proptest! {
        #[test]
        fn no_configuration_panics(json in ".*", text in ".*", at in 0_usize..4096) {
            let _ = ChannelConfig::parse(&json, None, true);
            let text = serde_json::Value::from(text);
            for config in [
                serde_json::json!({ "kind": "alipay", "app_id": text, "seller_id": "1", "alipay_public_key": text }),
                serde_json::json!({
                    "kind": "wechat_pay", "mch_id": text, "app_id": "1", "platform_keys": { "1": text },
                    "secrets": { "api_v3_key": text },
                }),
                serde_json::json!({ "kind": "apple", "bundle_id": text, "root_certificates": text }),
                serde_json::json!({
                    "kind": "google_play", "package_name": text, "push_audience": text, "push_service_account": text,
                }),
            ] {
                let written = config.to_string();
                // Keys are never good by chance, and every problem has a place.
                match ChannelConfig::parse(&written, None, true) {
                    Ok(config) => prop_assert!(config.issuer_keys_url().is_some()),
                    Err(refused) => prop_assert!(refused.problems.iter().all(|problem| problem.path != ".")),
                }
                let cut = (0..=at % written.len()).rev().find(|end| written.is_char_boundary(*end)).unwrap_or(0);
                let _ = ChannelConfig::parse(&written[..cut], None, true);
            }
        }
    }
}
