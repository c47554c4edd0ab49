//! A partner: another company's server that pushes events.

use std::num::NonZeroU32;

use common::clock::Timestamp;
use serde_json::{Value, json};

use super::{app::AppSecret, audit::Details, field::FieldError};

/// What a partner is called, in paths and in what is stored: 1-64 of `a-z`, `0-9`, `_` and `-`, a letter or digit first.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PartnerName(String);

/// How a partner's requests are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signing {
    /// As those of game servers.
    Hmac,
    /// As old ad networks do it: an MD5 over sorted parameters and the secret.
    Md5Sorted,
    /// Not at all: whoever reaches the gateway may push under this name.
    None,
}

/// What a partner may push. `None`: as configured where events are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PartnerLimits {
    pub(crate) events_per_second: Option<NonZeroU32>,
    /// Events that may come at once after a pause.
    pub(crate) burst: Option<NonZeroU32>,
    pub(crate) share: Option<Percent>,
}

/// A part of something: 1 to 100 percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Percent(u8);

/// A partner as its requests need it.
#[derive(Debug)]
pub(crate) struct Partner {
    pub(crate) name: PartnerName,
    pub(crate) signing: Signing,
    /// Nothing is taken from a disabled partner.
    pub(crate) enabled: bool,
    pub(crate) limits: PartnerLimits,
    /// At most two live secrets, newest first. Empty only for partners that don't sign.
    pub(crate) secrets: Vec<AppSecret>,
}

/// A partner as operators see it: without its secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartnerDetails {
    pub(crate) name: PartnerName,
    pub(crate) signing: Signing,
    pub(crate) enabled: bool,
    pub(crate) limits: PartnerLimits,
    /// How many secrets are live: 0-2.
    pub(crate) secrets: u8,
    pub(crate) created_at: Timestamp,
}

/// What is to be different. What is `None` stays; an inner `None` is: as configured from now on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PartnerChange {
    pub(crate) enabled: Option<bool>,
    pub(crate) signing: Option<Signing>,
    pub(crate) events_per_second: Option<Option<NonZeroU32>>,
    pub(crate) burst: Option<Option<NonZeroU32>>,
    pub(crate) share: Option<Option<Percent>>,
}

impl PartnerName {
    const LONGEST_BYTES: usize = 64;

    pub(crate) fn parse(raw: &str) -> Result<Self, FieldError> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
        let begins_well = raw.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
        if !begins_well || raw.len() > Self::LONGEST_BYTES || !raw.bytes().all(allowed) {
            return Err(FieldError::new("partner", "1 to 64 of a-z, 0-9, _ and -, beginning with a letter or digit"));
        }
        Ok(Self(raw.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Signing {
    const ALL: [Self; 3] = [Self::Hmac, Self::Md5Sorted, Self::None];

    pub(crate) fn parse(raw: &str) -> Result<Self, FieldError> {
        let found = Self::ALL.into_iter().find(|signing| signing.as_str() == raw);
        found.ok_or(FieldError::new("signing", "must be hmac, md5-sorted or none"))
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Hmac => "hmac",
            Self::Md5Sorted => "md5-sorted",
            Self::None => "none",
        }
    }

    pub(crate) fn needs_secret(self) -> bool {
        self != Self::None
    }
}

impl PartnerLimits {
    /// Of numbers that somebody has asked for.
    pub(crate) fn parse(
        events_per_second: Option<i64>,
        burst: Option<i64>,
        share: Option<i64>,
    ) -> Result<Self, FieldError> {
        Ok(Self {
            events_per_second: events_per_second.map(|raw| count("limits.events_per_second", raw)).transpose()?,
            burst: burst.map(|raw| count("limits.burst", raw)).transpose()?,
            share: share.map(Percent::parse).transpose()?,
        })
    }
}

impl Percent {
    pub(crate) fn parse(raw: i64) -> Result<Self, FieldError> {
        match u8::try_from(raw) {
            Ok(percent @ 1..=100) => Ok(Self(percent)),
            _ => Err(FieldError::new("limits.share", "must be between 1 and 100")),
        }
    }

    pub(crate) fn get(self) -> u8 {
        self.0
    }
}

impl PartnerDetails {
    /// This partner with a change made, if what comes out is allowed.
    pub(crate) fn changed(&self, change: &PartnerChange) -> Result<Self, FieldError> {
        let signing = change.signing.unwrap_or(self.signing);
        if signing.needs_secret() && self.secrets == 0 {
            return Err(FieldError::new("signing", "the partner has no secret yet: give it one first (rotate-secret)"));
        }
        Ok(Self {
            name: self.name.clone(),
            signing,
            enabled: change.enabled.unwrap_or(self.enabled),
            limits: PartnerLimits {
                events_per_second: change.events_per_second.unwrap_or(self.limits.events_per_second),
                burst: change.burst.unwrap_or(self.limits.burst),
                share: change.share.unwrap_or(self.limits.share),
            },
            secrets: self.secrets,
            created_at: self.created_at,
        })
    }

    /// What an audit record says of a new partner.
    pub(crate) fn recorded(&self) -> Details {
        self.described().into_iter().fold(Details::default(), |details, (name, value)| details.with(name, value))
    }

    /// What an audit record says of a change from this to `after`: the values that differ, before and after.
    pub(crate) fn difference(&self, after: &Self) -> Details {
        let (before, after) = (self.described(), after.described());
        let differing = before.into_iter().zip(after).filter(|((_, before), (_, after))| before != after);
        differing.fold(Details::default(), |details, ((name, before), (_, after))| {
            details.with(name, json!({ "before": before, "after": after }))
        })
    }

    /// Every value by its name, in one order.
    fn described(&self) -> [(&'static str, Value); 5] {
        [
            ("signing", json!(self.signing.as_str())),
            ("enabled", json!(self.enabled)),
            ("limits.events_per_second", json!(self.limits.events_per_second)),
            ("limits.burst", json!(self.limits.burst)),
            ("limits.share", json!(self.limits.share.map(Percent::get))),
        ]
    }
}

/// A number of events that has been asked for, or is stored.
pub(crate) fn count(field: &'static str, raw: i64) -> Result<NonZeroU32, FieldError> {
    let count = u32::try_from(raw).ok().and_then(NonZeroU32::new);
    count.ok_or(FieldError::new(field, "must be between 1 and 4294967295"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partner(signing: Signing, secrets: u8) -> PartnerDetails {
        PartnerDetails {
            name: PartnerName::parse("ads").expect("a name"),
            signing,
            enabled: true,
            limits: PartnerLimits::default(),
            secrets,
            created_at: Timestamp::default(),
        }
    }

    #[test]
    fn a_name_can_stand_in_a_path_and_a_label_as_it_is() {
        for good in ["a", "ad_network-2", &"x".repeat(64)] {
            assert_eq!(PartnerName::parse(good).map(|name| name.0), Ok(good.to_owned()));
        }
        for bad in ["", "Ads", "-a", "_a", "a b", "a/b", "a.b", "\u{e9}", &"x".repeat(65)] {
            assert_eq!(PartnerName::parse(bad).map_err(|error| error.field), Err("partner"), "{bad:?}");
        }
    }

    #[test]
    fn a_way_of_signing_is_read_as_it_is_written() {
        for signing in Signing::ALL {
            assert_eq!(Signing::parse(signing.as_str()), Ok(signing));
        }
        for bad in ["", "HMAC", "md5", "md5_sorted"] {
            assert_eq!(Signing::parse(bad).map_err(|error| error.field), Err("signing"), "{bad:?}");
        }
    }

    #[test]
    fn limits_are_numbers_that_can_work() {
        let limits = PartnerLimits::parse(Some(1), Some(1), Some(100)).expect("allowed");
        assert_eq!((limits.events_per_second, limits.share), (NonZeroU32::new(1), Some(Percent(100))));
        for (refused, field) in [
            (PartnerLimits::parse(Some(0), None, None), "limits.events_per_second"),
            (PartnerLimits::parse(Some(1 << 32), None, None), "limits.events_per_second"),
            (PartnerLimits::parse(None, Some(-1), None), "limits.burst"),
            (PartnerLimits::parse(None, None, Some(0)), "limits.share"),
            (PartnerLimits::parse(None, None, Some(101)), "limits.share"),
        ] {
            assert_eq!(refused.map_err(|error| error.field), Err(field));
        }
    }

    #[test]
    fn nobody_has_to_sign_without_a_secret() {
        let to_hmac = PartnerChange { signing: Some(Signing::Hmac), ..PartnerChange::default() };
        let refused = partner(Signing::None, 0).changed(&to_hmac);
        assert_eq!(refused.map_err(|error| error.field), Err("signing"));
        assert_eq!(partner(Signing::None, 1).changed(&to_hmac).map(|changed| changed.signing), Ok(Signing::Hmac));
    }

    #[test]
    fn a_difference_tells_what_changed_and_nothing_else() {
        let before = partner(Signing::Hmac, 1);
        let change = PartnerChange { share: Some(Some(Percent(7))), enabled: Some(false), ..PartnerChange::default() };
        let after = before.changed(&change).expect("allowed");
        let expected = r#"{"enabled":{"after":false,"before":true},"limits.share":{"after":7,"before":null}}"#;
        assert_eq!(before.difference(&after).to_json(), expected);
        let back = PartnerChange { share: Some(None), enabled: Some(true), ..PartnerChange::default() };
        assert_eq!(after.changed(&back), Ok(before));
    }
}
