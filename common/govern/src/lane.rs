//! Lanes: which version of a service a request goes to.
//!
//! Protects: players from a new version that only some should meet yet, and the base from requests that were meant for
//! it. A lane is a label of instances; a request is coloured once, at the edge, and carries `lane=<name>` in its
//! [`crate::baggage`] from there on. Where a lane has no instance the base serves ([`crate::balance`]), so that a lane is
//! only those services that differ.

use std::{fmt, num::NonZeroU8};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::{
    baggage::is_token,
    problems::{Check, Problems},
};

/// The longest name, in bytes: with its length it fills half a cache line.
const MAX_NAME: usize = 31;

/// The name of a lane: 1 to 31 of `a`-`z`, `0`-`9` and `-`. It goes into labels of metrics and needs no escaping, and
/// it is `Copy`, because it travels in the context of every request.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LaneName {
    /// Zeros after the name.
    bytes: [u8; MAX_NAME],
    length: NonZeroU8,
}

/// The name can't be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a lane's name has 1 to 31 of a-z, 0-9 and '-'")]
pub struct BadLaneName;

impl LaneName {
    /// Takes a name.
    ///
    /// # Errors
    /// When it has other characters, or is too long or empty.
    pub fn parse(raw: &str) -> Result<Self, BadLaneName> {
        let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let length = u8::try_from(raw.len()).ok().and_then(NonZeroU8::new).ok_or(BadLaneName)?;
        let mut bytes = [0; MAX_NAME];
        let name = bytes.get_mut(..raw.len()).filter(|_| raw.bytes().all(is_plain)).ok_or(BadLaneName)?;
        name.copy_from_slice(raw.as_bytes());
        Ok(Self { bytes, length })
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        // Only ASCII is ever put in, so there is nothing to fail.
        str::from_utf8(&self.bytes[..usize::from(self.length.get())]).unwrap_or_default()
    }
}

impl fmt::Debug for LaneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LaneName").field(&self.as_str()).finish()
    }
}

impl Serialize for LaneName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl fmt::Display for LaneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for LaneName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = String::deserialize(deserializer)?;
        Self::parse(&raw).map_err(de::Error::custom)
    }
}

/// Who is sent to which lane.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LanesConfig {
    /// The first rule that fits colours the request; none: the base. At most 100.
    pub rules: Vec<LaneRule>,
}

/// A rule: all conditions that it has must hold. One without conditions would send everybody and is refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaneRule {
    /// Where to.
    pub lane: LaneName,
    /// A header of the request that must have this value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<HeaderEquals>,
    /// The accounts that are meant. At most 1000; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<i64>,
    /// The percentage of accounts (of devices where there is no account) that is meant, by a stable hash. To be raised
    /// without anybody leaving.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<f64>,
    /// What the hash is drawn with; absent: the lane's name. Rules with the same salt mean the same players.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salt: Option<String>,
}

/// A condition on a header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeaderEquals {
    /// Its name, in any case.
    pub name: String,
    /// Its value, exactly.
    pub equals: String,
}

/// What is known of a request when it is coloured.
pub trait Colourable {
    /// The value of a header; the case of `name` does not matter.
    fn header(&self, name: &str) -> Option<&str>;
    /// The account that the request is authenticated as.
    fn account(&self) -> Option<i64>;
    /// The device that it comes from.
    fn device(&self) -> Option<&str>;
}

impl LanesConfig {
    /// The lane for a request that arrives from outside.
    pub fn colour(&self, request: &impl Colourable) -> Option<&LaneName> {
        self.rules.iter().find(|rule| rule.fits(request)).map(|rule| &rule.lane)
    }
}

impl LaneRule {
    fn fits(&self, request: &impl Colourable) -> bool {
        let header = |HeaderEquals { name, equals }: &HeaderEquals| request.header(name) == Some(equals.as_str());
        let percent = |percent: f64| {
            let salt = self.salt.as_deref().unwrap_or(self.lane.as_str());
            let account = request.account().map(|account| account.to_string());
            // An empty text is no device: all who send one would share a lot.
            let device = || request.device().filter(|device| !device.is_empty());
            let among = |identity| is_among(percent, salt, identity);
            percent >= 100.0 || account.as_deref().or_else(device).is_some_and(among)
        };
        let account = |account| self.accounts.contains(&account);
        let has_a_condition = self.header.is_some() || !self.accounts.is_empty() || self.percent.is_some();
        has_a_condition
            && self.header.as_ref().is_none_or(header)
            && (self.accounts.is_empty() || request.account().is_some_and(account))
            && self.percent.is_none_or(percent)
    }
}

/// Whether an identity is among the first `percent` of all, in steps of a thousandth. The draw is that of roll-outs in
/// settings: XXH3 of the identity, seeded with XXH3 of the salt, modulo 100 000.
pub fn is_among(percent: f64, salt: &str, identity: &str) -> bool {
    let place = xxh3_64_with_seed(identity.as_bytes(), xxh3_64(salt.as_bytes())) % 100_000;
    (place as f64) < (percent * 1000.0).round()
}

impl Check for LanesConfig {
    fn check(&self, problems: &mut Problems) {
        problems.within("rules", |problems| {
            problems.number("", self.rules.len(), 0..=100);
            for (index, rule) in self.rules.iter().enumerate() {
                problems.within(format!("[{index}]"), |problems| rule.check(problems));
            }
        });
    }
}

impl Check for LaneRule {
    fn check(&self, problems: &mut Problems) {
        if self.header.is_none() && self.accounts.is_empty() && self.percent.is_none() {
            problems.add("", "has no condition: it would send everybody");
        }
        if let Some(HeaderEquals { name, equals }) = &self.header {
            if !is_token(name) || name.len() > 64 {
                problems.add("header.name", "is not the name of a header");
            }
            if equals.is_empty() || equals.len() > 256 {
                problems.add("header.equals", "has to have 1 to 256 bytes");
            }
        }
        if self.accounts.len() > 1000 {
            problems.add("accounts", "has more than 1000");
        }
        if let Some(percent) = self.percent {
            problems.number("percent", percent, 0.0..=100.0);
        }
        if self.salt.as_ref().is_some_and(|salt| salt.len() > 64) {
            problems.add("salt", "is longer than 64 bytes");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(name: &str) -> LaneName {
        LaneName::parse(name).expect("a lane")
    }

    struct Request {
        account: Option<i64>,
        device: Option<&'static str>,
        canary: Option<&'static str>,
    }

    impl Colourable for Request {
        fn header(&self, name: &str) -> Option<&str> {
            self.canary.filter(|_| name.eq_ignore_ascii_case("x-canary"))
        }
        fn account(&self) -> Option<i64> {
            self.account
        }
        fn device(&self) -> Option<&str> {
            self.device
        }
    }

    const NOBODY: Request = Request { account: None, device: None, canary: None };

    fn rule(name: &str) -> LaneRule {
        LaneRule { lane: lane(name), header: None, accounts: Vec::new(), percent: None, salt: None }
    }

    #[test]
    fn the_first_rule_whose_conditions_all_hold_colours() {
        let header = HeaderEquals { name: "X-Canary".into(), equals: "1".into() };
        let rules = vec![
            LaneRule { header: Some(header), accounts: vec![7], ..rule("both") },
            LaneRule { accounts: vec![7, 8], ..rule("listed") },
            LaneRule { percent: Some(99.999), ..rule("all") },
            rule("never"),
        ];
        let lanes = LanesConfig { rules };
        let colour = |request: Request| lanes.colour(&request).map(ToString::to_string);
        assert_eq!(colour(Request { account: Some(7), canary: Some("1"), ..NOBODY }).as_deref(), Some("both"));
        assert_eq!(colour(Request { account: Some(7), canary: Some("2"), ..NOBODY }).as_deref(), Some("listed"));
        assert_eq!(colour(Request { device: Some("d"), canary: Some("1"), ..NOBODY }).as_deref(), Some("all"));
        assert_eq!(colour(Request { device: Some(""), ..NOBODY }), None, "nobody knows whose lot that would be");
        assert_eq!(colour(NOBODY), None);
    }

    #[test]
    fn a_percentage_is_that_share_of_accounts_and_grows_without_anybody_leaving() {
        let among =
            |percent| (0..20_000).filter(|n: &u32| is_among(percent, "salt", &n.to_string())).collect::<Vec<_>>();
        let (ten, twenty) = (among(10.0), among(20.0));
        assert!((1800..2200).contains(&ten.len()), "{}", ten.len());
        assert!(ten.iter().all(|account| twenty.contains(account)));
        assert!(among(0.0).is_empty() && among(100.0).len() == 20_000);
        assert_ne!(ten, (0..20_000).filter(|n: &u32| is_among(10.0, "other", &n.to_string())).collect::<Vec<_>>());
    }

    #[test]
    fn the_draw_does_not_change_between_releases() {
        // Those of roll-outs in settings, whose values are from the reference implementation of XXH3.
        for (identity, place) in [("1", 64.601), ("100001", 42.9), ("a-device", 62.19)] {
            assert!(!is_among(place, "drop_rate", identity) && is_among(place + 0.001, "drop_rate", identity));
        }
    }
}
