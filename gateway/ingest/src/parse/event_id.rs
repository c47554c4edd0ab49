//! What a partner calls an event: the member `event_id` of its object.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// The longest identifier, in bytes.
pub(crate) const EVENT_ID_MAX: usize = 128;

/// What an object says about its identifier. Reading it reads the whole object, and so finds out whether it is JSON.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum EventId<'a> {
    /// Nothing, or null.
    Absent,
    /// One that can be used.
    Given(Cow<'a, str>),
    /// One that can't.
    Bad,
}

impl<'a> EventId<'a> {
    pub(super) fn of_text(text: Cow<'a, str>) -> Self {
        let is_visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_visible && (1..=EVENT_ID_MAX).contains(&text.len()) { Self::Given(text) } else { Self::Bad }
    }
}

impl<'de> Deserialize<'de> for EventId<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = EventId<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<EventId<'de>, A::Error> {
        let mut found = None;
        while let Some(IsEventId(it_is)) = map.next_key()? {
            if !it_is {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let Member(id) = map.next_value()?;
            // Which of two is meant nobody knows.
            found = Some(if found.is_none() { id } else { EventId::Bad });
        }
        Ok(found.unwrap_or(EventId::Absent))
    }
}

/// Whether a key is `event_id`, however it is escaped.
struct IsEventId(bool);

impl<'de> Deserialize<'de> for IsEventId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl Visitor<'_> for KeyVisitor {
            type Value = IsEventId;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_str<E>(self, key: &str) -> Result<IsEventId, E> {
                Ok(IsEventId(key == "event_id"))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

/// The value of `event_id`, of whatever type it is.
struct Member<'a>(EventId<'a>);

impl<'de> Deserialize<'de> for Member<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MemberVisitor).map(Self)
    }
}

struct MemberVisitor;

impl<'de> Visitor<'de> for MemberVisitor {
    type Value = EventId<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(EventId::of_text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(EventId::of_text(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(EventId::Given(Cow::Owned(number.to_string())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(EventId::Given(Cow::Owned(number.to_string())))
    }

    fn visit_f64<E>(self, _number: f64) -> Result<Self::Value, E> {
        Ok(EventId::Bad)
    }

    fn visit_bool<E>(self, _value: bool) -> Result<Self::Value, E> {
        Ok(EventId::Bad)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(EventId::Absent)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(EventId::Bad)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(EventId::Bad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(json: &str) -> Option<EventId<'_>> {
        serde_json::from_str(json).ok()
    }

    #[expect(clippy::unnecessary_wraps, reason = "as `id` answers")]
    fn given(text: &str) -> Option<EventId<'_>> {
        Some(EventId::Given(Cow::Borrowed(text)))
    }

    #[test]
    fn text_and_integers_are_identifiers_and_the_same_one_in_either_form() {
        assert_eq!(id(r#"{"a":1,"event_id":"e-1"}"#), given("e-1"));
        assert_eq!(id(r#"{"event_id":"42"}"#), given("42"));
        assert_eq!(id(r#"{"event_id":42}"#), given("42"));
        assert_eq!(id(r#"{"event_id":-9223372036854775808}"#), given("-9223372036854775808"));
        assert_eq!(id(r#"{"event_id":18446744073709551615}"#), given("18446744073709551615"));
        assert_eq!(id(r#"{"event\u005fid":"\u0061\"\\"}"#), given("a\"\\"));
    }

    #[test]
    fn no_identifier_is_no_mistake() {
        for json in ["{}", r#"{"event_id":null}"#, r#"{"inner":{"event_id":"x"}}"#, r#"{"Event_ID":"x"}"#] {
            assert_eq!(id(json), Some(EventId::Absent), "{json}");
        }
    }

    #[test]
    fn what_can_not_be_compared_safely_is_refused() {
        let long = format!(r#"{{"event_id":"{}"}}"#, "x".repeat(129));
        for json in [
            r#"{"event_id":""}"#,
            r#"{"event_id":"a b"}"#,
            r#"{"event_id":"a\n"}"#,
            r#"{"event_id":"ä"}"#,
            r#"{"event_id":1.0}"#,
            r#"{"event_id":18446744073709551616}"#,
            r#"{"event_id":true}"#,
            r#"{"event_id":["a",[1]]}"#,
            r#"{"event_id":{"a":{"b":1}}}"#,
            r#"{"event_id":"a","event_id":"a"}"#,
            &long,
        ] {
            assert_eq!(id(json), Some(EventId::Bad), "{json}");
        }
    }

    #[test]
    fn reading_it_finds_out_whether_the_whole_object_is_json() {
        for json in
            ["", "{", r#"{"a":}"#, r#"{"event_id":"a"} x"#, r#"{"a":"\x"}"#, "{\"a\":\"\n\"}", "[]", "1", r#"{"a":01}"#]
        {
            assert_eq!(id(json), None, "{json}");
        }
    }
}
