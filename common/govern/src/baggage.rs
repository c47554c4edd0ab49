//! [`Baggage`]: what a request carries from hop to hop beside its trace. A lane travels in it.
//!
//! Protects: every hop from headers that grow, and from what is malformed.
//!
//! Source: W3C Baggage, `w3c/baggage` HTTP_HEADER_FORMAT (2024): members `key=value;property`, values percent-encoded
//! UTF-8. Its limits are what must be carried at least, 64 members and 8192 bytes; here they are also the most: what goes
//! beyond is dropped from the end, as the specification allows, and so is what is malformed.
//!
//! A `baggage` from outside the platform must not be believed: the edge takes a new one.

use std::{fmt, str};

use crate::lane::LaneName;

/// The most members that are carried.
pub const MAX_MEMBERS: usize = 64;
/// The most bytes that are carried, commas included.
pub const MAX_BYTES: usize = 8192;

/// The key under which a lane travels.
const LANE: &str = "lane";

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
        let lane = lane.map(|lane| Member { key: LANE.into(), rest: lane.as_str().into() });
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
pub(crate) fn is_token(text: &str) -> bool {
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
