//! What of a manifest can't work, or would believe what nobody has signed. Every problem is named by its place.

use super::{
    super::{config::ConfigProblem, moment},
    rules::{AnswerRule, Encoding, Manifest, Order, SignaturePlace, Source, TimeRule},
};
use crate::domain::Currency;

/// Parameters that a manifest names in one list. Protects memory and time.
const MOST_NAMES: usize = 64;

/// The problems of a manifest, each below `manifest`.
pub(super) fn problems(manifest: &Manifest) -> Vec<ConfigProblem> {
    let mut problems = Problems(Vec::new());
    problems.places(manifest);
    problems.signature(manifest);
    problems.coverage(manifest);
    problems.fields(manifest);
    let answers = &manifest.acknowledge;
    problems.answer("accepted", &answers.accepted);
    problems.answer("refused", &answers.refused);
    problems.answer("come_back_later", &answers.come_back_later);
    problems.0
}

struct Problems(Vec<ConfigProblem>);

impl Problems {
    fn add(&mut self, path: &str, reason: impl Into<String>) {
        self.0.push(ConfigProblem::new(format!("manifest.{path}"), reason));
    }

    /// Whether the places exist in what this source has.
    fn places(&mut self, manifest: &Manifest) {
        let is_json = matches!(manifest.source, Source::Json | Source::FormJson(_));
        let is_pointer = |pointer: &str| pointer.starts_with('/') && pointer.len() <= 255;
        if let Some(pointer) = &manifest.parameters_at {
            if !is_json {
                self.add("parameters_at", "is for JSON only");
            } else if !is_pointer(pointer) {
                self.add("parameters_at", "must be a place such as /data");
            }
        }
        match &manifest.signature.at {
            SignaturePlace::Pointer(_) if !is_json => self.add("signature.at.pointer", "is for JSON only"),
            SignaturePlace::Pointer(pointer) if !is_pointer(pointer) => {
                self.add("signature.at.pointer", "must be a place such as /sign");
            }
            SignaturePlace::Form(_) if !matches!(manifest.source, Source::FormJson(_)) => {
                self.add("signature.at.form", "is for JSON in a field of a form only");
            }
            SignaturePlace::Form(name) | SignaturePlace::Parameter(name) | SignaturePlace::Header(name)
                if name.is_empty() =>
            {
                self.add("signature.at", "must have a name");
            }
            SignaturePlace::Form(_)
            | SignaturePlace::Parameter(_)
            | SignaturePlace::Header(_)
            | SignaturePlace::Pointer(_) => {}
        }
    }

    fn signature(&mut self, manifest: &Manifest) {
        let rules = &manifest.signature;
        let has_key = rules.prefix.has_key() || rules.suffix.has_key();
        if rules.algorithm.is_plain_hash() && !has_key {
            self.add("signature.suffix", "a hash without {key} in front or behind is one that everybody can make");
        }
        if rules.algorithm.rsa().is_some() && has_key {
            self.add("signature.suffix", "RSA has no key that is written into what is signed");
        }
        if rules.algorithm.rsa().is_some() && rules.encoding == Some(Encoding::HexUpper) {
            self.add("signature.encoding", "must be base64 or hex for RSA");
        }
        match &rules.order {
            Order::Listed(names) if names.is_empty() || names.len() > MOST_NAMES => {
                self.add("signature.order.listed", "must be 1-64 names");
            }
            Order::Listed(names) => {
                let twice = names.iter().enumerate().any(|(at, name)| names[..at].contains(name));
                if twice {
                    self.add("signature.order.listed", "has a name twice");
                }
                if !rules.exclude.is_empty() {
                    self.add("signature.exclude", "is for sorted parameters: leave them out of the list");
                }
            }
            Order::Raw => {
                let beside = matches!(rules.at, SignaturePlace::Header(_) | SignaturePlace::Form(_));
                if !beside {
                    self.add("signature.order", "raw: the signature can't lie in what it signs");
                }
                if matches!(manifest.source, Source::Query | Source::QueryOrForm) {
                    self.add("signature.order", "raw: is for bodies only");
                }
            }
            Order::Sorted => {}
        }
    }

    /// A value that is used and not signed is one that anybody can change on its way.
    fn coverage(&mut self, manifest: &Manifest) {
        let mut used = manifest.fields.parameters();
        used.extend(manifest.success.keys().map(|name| ("success", name.as_str())));
        used.extend(manifest.merchant.keys().map(|name| ("merchant", name.as_str())));
        used.extend(manifest.test.iter().flatten().map(|(name, _)| ("test", name.as_str())));
        for (place, name) in used {
            if name.is_empty() {
                self.add(place, "must have a name");
            } else if !manifest.signature.covers(name) {
                self.add(place, "is not signed: it could be changed on its way");
            }
        }
    }

    fn fields(&mut self, manifest: &Manifest) {
        if let super::rules::CurrencyRule::Fixed(code) = &manifest.fields.currency
            && Currency::parse(code).is_err()
        {
            self.add("fields.currency.fixed", "must be three upper-case letters (ISO 4217)");
        }
        if let Some(TimeRule { format, utc_offset_minutes, .. }) = &manifest.fields.paid_at {
            if !matches!(format.as_str(), "unix_s" | "unix_ms") && !moment::is_pattern(format) {
                self.add("fields.paid_at.format", "must be unix_s, unix_ms or a pattern such as yyyy-MM-dd HH:mm:ss");
            }
            if utc_offset_minutes.abs() > 14 * 60 {
                self.add("fields.paid_at.utc_offset_minutes", "must be at most 14 hours");
            }
        }
        for (place, conditions) in [("success", Some(&manifest.success)), ("test", manifest.test.as_ref())] {
            if conditions.is_some_and(|conditions| conditions.values().any(Vec::is_empty)) {
                self.add(place, "a parameter must have at least one value");
            }
        }
        // Without a condition everything would be a test, which is paid with no money.
        if manifest.test.as_ref().is_some_and(std::collections::BTreeMap::is_empty) {
            self.add("test", "must name at least one parameter");
        }
    }

    fn answer(&mut self, name: &str, answer: &AnswerRule) {
        if !(200..600).contains(&answer.status) {
            self.add(&format!("acknowledge.{name}.status"), "must be 200-599");
        }
        let printable = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
        if answer.content_type.is_empty() || !answer.content_type.bytes().all(printable) {
            self.add(&format!("acknowledge.{name}.content_type"), "must be printable ASCII characters");
        }
        if answer.body.len() > 1024 {
            self.add(&format!("acknowledge.{name}.body"), "must be at most 1024 bytes");
        }
    }
}
