//! Which topic a line goes to, and which of its partitions.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// What becomes the partner's name.
const PARTNER: &str = "{partner}";

/// The longest name of a topic, in bytes.
const TOPIC_MAX: usize = 249;

/// The longest name of a partner, in bytes.
const PARTNER_MAX: usize = ingest::PARTNER_NAME_MAX;

/// The name of a topic, in which `{partner}` stands for the partner's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TopicTemplate {
    before: String,
    /// What is behind the partner's name, if that is in it.
    after: Option<String>,
}

/// Not the name of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a topic: letters, digits, `.`, `_`, `-`, and `{{partner}}` once, 249 in all")]
pub struct TopicError;

impl TopicTemplate {
    /// The topic of the platform's own events if none is chosen.
    pub(crate) fn of_the_platform() -> Self {
        Self { before: "playgate.platform".to_owned(), after: None }
    }

    /// The topic of a partner's lines.
    pub(crate) fn of(&self, partner: &str) -> String {
        match &self.after {
            Some(after) => [&self.before, partner, after].concat(),
            None => self.before.clone(),
        }
    }
}

impl FromStr for TopicTemplate {
    type Err = TopicError;

    fn from_str(raw: &str) -> Result<Self, TopicError> {
        let (before, after) = match raw.split_once(PARTNER) {
            Some((before, after)) => (before, Some(after)),
            None => (raw, None),
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let longest = before.len() + after.map_or(0, |after| after.len() + PARTNER_MAX);
        let is_plain = before.bytes().chain(after.unwrap_or_default().bytes()).all(plain);
        if !is_plain || !(1..=TOPIC_MAX).contains(&longest) || matches!(raw, "." | "..") {
            return Err(TopicError);
        }
        Ok(Self { before: before.to_owned(), after: after.map(str::to_owned) })
    }
}

impl TryFrom<String> for TopicTemplate {
    type Error = TopicError;

    fn try_from(raw: String) -> Result<Self, TopicError> {
        raw.parse()
    }
}

impl From<TopicTemplate> for String {
    fn from(template: TopicTemplate) -> Self {
        template.to_string()
    }
}

impl fmt::Display for TopicTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.before)?;
        self.after.as_ref().map_or(Ok(()), |after| write!(f, "{PARTNER}{after}"))
    }
}

impl Default for TopicTemplate {
    fn default() -> Self {
        Self { before: "playgate.events".to_owned(), after: None }
    }
}

/// The partition of a key among `count`, as Kafka's own producers choose it (`Utils.toPositive(Utils.murmur2(key)) % count`):
/// whoever else writes with these keys writes to the same partitions.
pub(crate) fn partition_of(key: &[u8], count: usize) -> usize {
    let positive = usize::try_from(murmur2(key) & 0x7fff_ffff).unwrap_or(0);
    positive.checked_rem(count).unwrap_or(0)
}

/// MurmurHash2 (Austin Appleby, public domain) with the seed that Kafka's producers take.
fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let mut hash = SEED ^ length;
    let (words, rest) = data.as_chunks::<4>();
    for word in words {
        let mut mixed = u32::from_le_bytes(*word).wrapping_mul(M);
        mixed ^= mixed >> 24;
        hash = hash.wrapping_mul(M) ^ mixed.wrapping_mul(M);
    }
    if !rest.is_empty() {
        let tail = rest.iter().rev().fold(0, |tail, byte| (tail << 8) | u32::from(*byte));
        hash = (hash ^ tail).wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_go_where_kafkas_own_producers_put_them() {
        // `testMurmur2` of org.apache.kafka.common.utils.UtilsTest.
        for (key, hash) in [
            ("21", -973_932_308_i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()), hash.cast_unsigned(), "{key}");
        }
    }

    #[test]
    fn a_template_is_a_topic_or_one_for_each_partner() {
        let of = |template: &str| template.parse::<TopicTemplate>().unwrap().of("ads");
        assert_eq!(of("playgate.events"), "playgate.events");
        assert_eq!(of("{partner}"), "ads");
        assert_eq!(of("events.{partner}-raw"), "events.ads-raw");
        let long = "x".repeat(250);
        let too_long_with_a_partner = format!("{{partner}}{}", "x".repeat(200));
        for bad in ["", ".", "..", "a b", "a/b", "{partner}{partner}", "{app}", &long, &too_long_with_a_partner] {
            assert_eq!(bad.parse::<TopicTemplate>(), Err(TopicError), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_key_has_one_partition_and_it_exists(key: Vec<u8>, count in 1_usize..1000) {
            prop_assert!(partition_of(&key, count) < count);
            prop_assert_eq!(partition_of(&key, count), partition_of(&key, count));
        }

        #[test]
        fn a_template_is_read_as_it_is_written(raw in "[a-z.]{0,5}(\\{partner\\})?[a-z.]{0,5}") {
            if let Ok(template) = raw.parse::<TopicTemplate>() {
                prop_assert_eq!(template.to_string(), raw);
            }
        }
    }
}
