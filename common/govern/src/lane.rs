//! Lanes: which version of a service a request goes to, and how that travels.
//!
//! Protects: players from a new version that only some should meet yet, and the base from requests that were meant for
//! it. A lane is a label of instances; a request is coloured once, at the edge, and carries `lane=<name>` in the W3C
//! `baggage` from there on. Where a lane has no instance the base serves ([`crate::balance`]), so that a lane is only
//! those services that differ.
//!
//! Baggage: W3C Recommendation track, `w3c/baggage` HTTP_HEADER_FORMAT (2024): members `key=value;property`, values
//! percent-encoded UTF-8. Its limits are what must be carried at least, 64 members and 8192 bytes; here they are also the
//! most: what goes beyond is dropped from the end, as the specification allows, and so is what is malformed.
//!
//! A `baggage` from outside the platform must not be believed: the edge takes a new one and colours by rule.

use std::{fmt, str};

use serde::{Deserialize, Deserializer, Serialize, de};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::problems::{Check, Problems};

/// The most members that are carried.
pub const MAX_MEMBERS: usize = 64;
/// The most bytes that are carried, commas included.
pub const MAX_BYTES: usize = 8192;

/// The key under which a lane travels.
const LANE: &str = "lane";

/// The name of a lane: 1 to 32 of `a`-`z`, `0`-`9` and `-`. It goes into labels of metrics and needs no escaping.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct LaneName(Box<str>);

/// The name can't be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a lane's name has 1 to 32 of a-z, 0-9 and '-'")]
pub struct BadLaneName;

impl LaneName {
    /// Takes a name.
    ///
    /// # Errors
    /// When it has other characters, or is too long or empty.
    pub fn parse(raw: &str) -> Result<Self, BadLaneName> {
        let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if raw.is_empty() || raw.len() > 32 || !raw.bytes().all(is_plain) {
            return Err(BadLaneName);
        }
        Ok(Self(raw.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LaneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for LaneName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = String::deserialize(deserializer)?;
        Self::parse(&raw).map_err(de::Error::custom)
    }
}

/// What a request carries beside its trace. Printing it gives the header's value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baggage {
    members: Vec<Member>,
    /// The length of the header's value.
    bytes: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Member {
    key: Box<str>,
    /// As on the wire: percent-encoded value and properties, each trimmed.
    rest: Box<str>,
}

impl Baggage {
    /// Reads one or several header lines. Never fails: what is malformed or beyond the limits is left out.
    pub fn parse<'a>(lines: impl IntoIterator<Item = &'a str>) -> Self {
        let mut baggage = Self::default();
        // What comes in is bounded too, however many empty members it has.
        let members = lines.into_iter().flat_map(|line| line.split(',')).take(4 * MAX_MEMBERS);
        for member in members.filter_map(Member::parse) {
            if !baggage.append(member) {
                break;
            }
        }
        baggage
    }

    /// The decoded value of a key; of the first one if there are several. Nothing for what does not decode to UTF-8.
    pub fn get(&self, key: &str) -> Option<String> {
        self.members.iter().find(|member| &*member.key == key).and_then(|member| decode(member.value()))
    }

    /// The lane that the request was coloured with.
    pub fn lane(&self) -> Option<LaneName> {
        LaneName::parse(&self.get(LANE)?).ok()
    }

    /// Colours the request; `None` takes its colour away. The lane goes to the front, where no limit can drop it.
    pub fn set_lane(&mut self, lane: Option<&LaneName>) {
        let others: Vec<_> = std::mem::take(self).members.into_iter().filter(|member| &*member.key != LANE).collect();
        let lane = lane.map(|lane| Member { key: LANE.into(), rest: lane.0.clone() });
        for member in lane.into_iter().chain(others) {
            if !self.append(member) {
                break;
            }
        }
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    fn append(&mut self, member: Member) -> bool {
        let comma = usize::from(!self.members.is_empty());
        let bytes = self.bytes + comma + member.key.len() + 1 + member.rest.len();
        let fits = self.members.len() < MAX_MEMBERS && bytes <= MAX_BYTES;
        if fits {
            self.bytes = bytes;
            self.members.push(member);
        }
        fits
    }
}

impl fmt::Display for Baggage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Member { key, rest }) in self.members.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{key}={rest}")?;
        }
        Ok(())
    }
}

impl Member {
    fn parse(raw: &str) -> Option<Self> {
        let mut parts = raw.split(';');
        let (key, value) = parts.next()?.split_once('=')?;
        let (key, value) = (trimmed(key), trimmed(value));
        if !is_token(key) || !is_value(value) {
            return None;
        }
        let mut rest = value.to_owned();
        for property in parts {
            let (name, value) = match property.split_once('=') {
                Some((name, value)) => (trimmed(name), Some(trimmed(value))),
                None => (trimmed(property), None),
            };
            if !is_token(name) || !value.is_none_or(is_value) {
                return None;
            }
            rest.push(';');
            rest.push_str(name);
            if let Some(value) = value {
                rest.push('=');
                rest.push_str(value);
            }
        }
        Some(Self { key: key.into(), rest: rest.into() })
    }

    fn value(&self) -> &str {
        self.rest.split(';').next().unwrap_or_default()
    }
}

/// OWS of RFC 9110: spaces and tabs.
fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// `token` of RFC 9110, section 5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// `*baggage-octet`: printable ASCII without space, quotation mark, comma, semicolon and backslash.
fn is_value(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x2B | 0x2D..=0x3A | 0x3C..=0x5B | 0x5D..=0x7E))
}

fn decode(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        // A percent sign that begins no pair of digits stands for itself.
        let pair = after.get(..2).filter(|_| *first == b'%').and_then(|pair| str::from_utf8(pair).ok());
        let encoded = pair.filter(|pair| pair.bytes().all(|b| b.is_ascii_hexdigit()));
        match encoded.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok()
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
    use proptest::prelude::*;

    use super::*;

    fn parse(line: &str) -> Baggage {
        Baggage::parse([line])
    }

    fn lane(name: &str) -> LaneName {
        LaneName::parse(name).expect("a lane")
    }

    #[test]
    fn the_examples_of_the_specification_are_read() {
        let baggage = parse("key1=value1;property1;property2, key2 = value2, key3=value3; propertyKey=propertyValue");
        assert_eq!(
            baggage.to_string(),
            "key1=value1;property1;property2,key2=value2,key3=value3;propertyKey=propertyValue"
        );
        let lines = Baggage::parse(["userId =   alice", "serverNode = DF%2028, isProduction = false"]);
        assert_eq!(lines.get("serverNode").as_deref(), Some("DF 28"));
        assert_eq!(lines.to_string(), "userId=alice,serverNode=DF%2028,isProduction=false");
        assert_eq!(parse("a=b=c==").get("a").as_deref(), Some("b=c=="));
    }

    #[test]
    fn what_is_malformed_is_left_out_and_the_rest_is_kept() {
        for bad in ["=x", "x", "a b=c", "a=\"b\"", "a=b\\c", "a=b c", "a=ü", "a=b;", "a=b;c d", ""] {
            assert_eq!(parse(&format!("first=1,{bad},last=2")).to_string(), "first=1,last=2", "{bad:?}");
        }
        assert_eq!(parse("a=%FF").get("a"), None);
        assert_eq!(parse("a=%zz%4").get("a").as_deref(), Some("%zz%4"));
    }

    #[test]
    fn as_much_is_carried_as_the_specification_asks_for_and_no_more() {
        let many = (0..70).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(",");
        assert_eq!(parse(&many).len(), MAX_MEMBERS);
        let exactly = format!("a={},b={}", "x".repeat(4093), "y".repeat(4094));
        assert_eq!(exactly.len(), MAX_BYTES);
        assert_eq!(parse(&exactly).to_string(), exactly);
        assert_eq!(parse(&format!("{exactly}y")).len(), 1);
    }

    #[test]
    fn a_lane_replaces_every_other_and_is_never_what_is_dropped() {
        let mut baggage = parse(&(0..64).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(","));
        baggage.set_lane(Some(&lane("blue")));
        assert_eq!((baggage.len(), baggage.lane()), (64, Some(lane("blue"))));
        let mut baggage = parse("lane=green,a=1,lane=red");
        baggage.set_lane(Some(&lane("blue")));
        assert_eq!(baggage.to_string(), "lane=blue,a=1");
        baggage.set_lane(None);
        assert_eq!((baggage.to_string().as_str(), baggage.lane()), ("a=1", None));
        assert_eq!(parse("lane=Not%20One").lane(), None);
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

    proptest! {
        #[test]
        fn whatever_arrives_what_leaves_is_well_formed_and_within_the_limits(
            lines in prop::collection::vec("[ -~\t,;=%]{0,300}", 0..20),
        ) {
            let baggage = Baggage::parse(lines.iter().map(String::as_str));
            let sent = baggage.to_string();
            prop_assert!(sent.len() <= MAX_BYTES && baggage.len() <= MAX_MEMBERS);
            prop_assert_eq!(sent.len(), baggage.bytes);
            prop_assert_eq!(parse(&sent), baggage);
        }
    }
}
