//! A JSON array, a JSON object, or one JSON object per line.

use std::{borrow::Cow, fmt};

use memchr::memchr;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{BodyError, Events, Item, Refusal, compact::compact, event_id::EventId};
use crate::config::{DeadConfig, LimitsConfig};

/// The events of a body.
///
/// - It begins with `[`: an array, and each element is an event. Broken JSON refuses the body as a whole, because nobody
///   knows where the next event begins.
/// - It begins with `{` and is one object, over however many lines: one event.
/// - Otherwise each line that is not blank is an event, and a broken line is refused alone.
///
/// Events that can't be taken keep their places among the others. What insignificant space they have is dropped; text and
/// numbers stay byte for byte. A byte order mark at the beginning is ignored.
///
/// # Errors
/// [`BodyError`] when the body as a whole is no push.
pub fn json_or_ndjson(body: &[u8], limits: &LimitsConfig, dead: &DeadConfig) -> Result<Events, BodyError> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let first = body.iter().position(|byte| !byte.is_ascii_whitespace()).ok_or(BodyError::Empty)?;
    let mut sink = Sink::new(limits, dead);
    // At most what came in, if every event names itself.
    sink.events.text.reserve(body.len());
    if body.get(first) == Some(&b'[') {
        sink.take_array(body)?;
    } else if is_object_over_lines(body.get(first..).unwrap_or_default()) {
        sink.take(body)?;
    } else {
        for line in lines(body) {
            sink.take(line)?;
        }
    }
    if sink.events.is_empty() { Err(BodyError::Empty) } else { Ok(sink.events) }
}

/// Whether this is one object and its first line alone is none.
fn is_object_over_lines(body: &[u8]) -> bool {
    let Some(first_break) = memchr(b'\n', body) else { return false };
    let is_object = |json: &[u8]| json.first() == Some(&b'{') && serde_json::from_slice::<IgnoredAny>(json).is_ok();
    let first_line = body.get(..first_break).unwrap_or_default();
    !is_object(first_line) && is_object(body)
}

/// The lines that are not blank, without their ends.
fn lines(mut body: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        if body.is_empty() {
            return None;
        }
        let (line, rest) = match memchr(b'\n', body) {
            Some(end) => (body.get(..end)?, body.get(end + 1..)?),
            None => (body, &[][..]),
        };
        body = rest;
        Some(line.trim_ascii())
    })
    .filter(|line| !line.is_empty())
}

/// Events as they are found.
pub(super) struct Sink<'l> {
    limits: &'l LimitsConfig,
    raw_bytes_max: usize,
    pub(super) events: Events,
}

impl<'l> Sink<'l> {
    pub(super) fn new(limits: &'l LimitsConfig, dead: &DeadConfig) -> Self {
        Self { limits, raw_bytes_max: dead.raw_bytes_max.get(), events: Events::default() }
    }

    /// Takes one event, or notes why it can't be taken.
    pub(super) fn take(&mut self, raw: &[u8]) -> Result<(), BodyError> {
        let max = self.limits.events_max.get();
        if self.events.len() >= max {
            return Err(BodyError::TooManyEvents { max });
        }
        let item = match self.judge(raw) {
            Ok(item) => item,
            Err(reason) => Item::Bad { reason, raw: self.keep_raw(raw) },
        };
        self.events.items.push(item);
        Ok(())
    }

    fn judge(&mut self, raw: &[u8]) -> Result<Item, Refusal> {
        let text = std::str::from_utf8(raw).map_err(|_| Refusal::Malformed)?.trim_ascii();
        if !text.starts_with('{') {
            let is_json = serde_json::from_str::<IgnoredAny>(text).is_ok();
            return Err(if is_json { Refusal::NotAnObject } else { Refusal::Malformed });
        }
        let id = match serde_json::from_str(text).map_err(|_| Refusal::Malformed)? {
            EventId::Absent => None,
            EventId::Given(id) => Some(id),
            EventId::Bad => return Err(Refusal::EventId),
        };
        self.put(id, text)
    }

    /// Puts in what is known to be a JSON object.
    pub(super) fn put(&mut self, id: Option<Cow<'_, str>>, json: &str) -> Result<Item, Refusal> {
        let start = self.events.text.len();
        compact(json, self.limits.depth_max.get(), &mut self.events.text).map_err(|_| Refusal::TooDeep)?;
        let json = start..self.events.text.len();
        if json.len() > self.limits.event_bytes_max.get() {
            self.events.text.truncate(start);
            return Err(Refusal::TooLarge);
        }
        Ok(Item::Good { id: id.map(|id| self.events.put(&id)), json })
    }

    /// Keeps the beginning of an event that can't be taken.
    pub(super) fn keep_raw(&mut self, raw: &[u8]) -> std::ops::Range<usize> {
        let beginning = raw.get(..self.raw_bytes_max).unwrap_or(raw);
        self.events.put(&String::from_utf8_lossy(beginning))
    }

    fn take_array(&mut self, body: &[u8]) -> Result<(), BodyError> {
        let mut refused = None;
        let text = std::str::from_utf8(body).map_err(|error| malformed_at(body, error.valid_up_to()))?;
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let seed = ElementsSeed { sink: self, refused: &mut refused };
        let outcome = seed.deserialize(&mut deserializer).and_then(|()| deserializer.end());
        outcome.map_err(|error| refused.unwrap_or(BodyError::Malformed { line: error.line(), column: error.column() }))
    }
}

fn malformed_at(body: &[u8], offset: usize) -> BodyError {
    let before = body.get(..offset).unwrap_or_default();
    let line_start = memchr::memrchr(b'\n', before).map_or(0, |at| at + 1);
    BodyError::Malformed { line: memchr::memchr_iter(b'\n', before).count() + 1, column: offset - line_start + 1 }
}

/// Takes the elements of an array one by one, as they stand in the text.
struct ElementsSeed<'s, 'l> {
    sink: &'s mut Sink<'l>,
    /// Why the array is given up although it is JSON.
    refused: &'s mut Option<BodyError>,
}

impl<'de> DeserializeSeed<'de> for ElementsSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for ElementsSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(element) = seq.next_element::<&RawValue>()? {
            if let Err(error) = self.sink.take(element.get().as_bytes()) {
                *self.refused = Some(error);
                return Err(A::Error::custom("given up"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use proptest::prelude::*;

    use super::{super::Parsed, *};

    fn parse(body: &str) -> Result<Vec<String>, BodyError> {
        parse_within(body.as_bytes(), &LimitsConfig::default())
    }

    /// `id=json`, `-=json` without an identifier, `!reason=raw` when refused.
    fn parse_within(body: &[u8], limits: &LimitsConfig) -> Result<Vec<String>, BodyError> {
        let dead = DeadConfig { raw_bytes_max: NonZeroUsize::MIN.saturating_add(19), ..DeadConfig::default() };
        let events = json_or_ndjson(body, limits, &dead)?;
        Ok(events
            .iter()
            .map(|event| match event {
                Parsed::Good { event_id, json } => format!("{}={json}", event_id.unwrap_or("-")),
                Parsed::Bad { reason, raw } => format!("!{}={raw}", reason.label()),
            })
            .collect())
    }

    #[test]
    fn an_object_an_array_and_lines_are_all_taken() {
        assert_eq!(parse(r#" {"event_id":"a"} "#).unwrap(), [r#"a={"event_id":"a"}"#]);
        assert_eq!(parse("{\n \"a\": 1,\n \"b\": [\n 2 ]\n}\n").unwrap(), [r#"-={"a":1,"b":[2]}"#]);
        assert_eq!(parse("[{\"a\" : 1},\n{\"event_id\": 7}]").unwrap(), [r#"-={"a":1}"#, r#"7={"event_id":7}"#]);
        assert_eq!(parse("{\"a\":1}\r\n\n  \n{\"b\":1.50}").unwrap(), [r#"-={"a":1}"#, r#"-={"b":1.50}"#]);
        assert_eq!(parse("\u{feff}{\"a\":1}\n").unwrap(), [r#"-={"a":1}"#]);
    }

    #[test]
    fn a_broken_line_is_refused_in_its_place_and_the_others_are_taken() {
        let body = "{\"a\":1}\n\n{broken and long enough to be cut\n[1]\n17\n{\"event_id\":\"\"}\n{\"b\":2}\n";
        assert_eq!(
            parse(body).unwrap(),
            [
                r#"-={"a":1}"#,
                "!malformed={broken and long eno",
                "!not_an_object=[1]",
                "!not_an_object=17",
                r#"!event_id={"event_id":""}"#,
                r#"-={"b":2}"#
            ]
        );
    }

    #[test]
    fn an_element_that_is_no_event_is_refused_in_its_place() {
        assert_eq!(
            parse(r#"[{"a":1},[2],"x",null,{"b":2}]"#).unwrap(),
            [r#"-={"a":1}"#, "!not_an_object=[2]", "!not_an_object=\"x\"", "!not_an_object=null", r#"-={"b":2}"#]
        );
    }

    #[test]
    fn a_broken_array_is_no_push_and_the_place_is_told() {
        assert_eq!(parse("[{\"a\":1},\n {\"b\":}]"), Err(BodyError::Malformed { line: 2, column: 7 }));
        assert_eq!(parse("[{}] x"), Err(BodyError::Malformed { line: 1, column: 6 }));
        assert!(matches!(parse("[{}"), Err(BodyError::Malformed { .. })));
        assert_eq!(
            parse_within(b"[\n{\"a\":\"\xff\"}]", &LimitsConfig::default()),
            Err(BodyError::Malformed { line: 2, column: 7 })
        );
    }

    #[test]
    fn a_line_that_is_not_utf8_is_refused_alone() {
        let parsed = parse_within(b"{\"a\":1}\n{\"a\":\"\xff\"}\n", &LimitsConfig::default()).unwrap();
        assert_eq!(parsed, [r#"-={"a":1}"#, "!malformed={\"a\":\"\u{fffd}\"}"]);
    }

    #[test]
    fn nothing_is_no_push() {
        for body in ["", " \n\r\n ", "[]", "\u{feff}"] {
            assert_eq!(parse(body), Err(BodyError::Empty), "{body:?}");
        }
    }

    #[test]
    fn a_push_has_no_more_events_than_allowed_in_any_form() {
        let limits = LimitsConfig { events_max: NonZeroUsize::MIN.saturating_add(1), ..LimitsConfig::default() };
        for (two, three) in [("[{},{}]", "[{},{},{}]"), ("{}\n{}", "{}\n{}\n{}")] {
            assert_eq!(parse_within(two.as_bytes(), &limits).unwrap().len(), 2);
            assert_eq!(parse_within(three.as_bytes(), &limits), Err(BodyError::TooManyEvents { max: 2 }));
        }
    }

    #[test]
    fn an_event_is_no_larger_and_no_deeper_than_allowed_and_space_does_not_count() {
        let limits = LimitsConfig { event_bytes_max: NonZeroUsize::MIN.saturating_add(9), ..LimitsConfig::default() };
        let body = b"{\"a\":  \"123\"}\n{ \"a\":  \"12\" }\n";
        assert_eq!(parse_within(body, &limits).unwrap(), ["!too_large={\"a\":  \"123\"}", r#"-={"a":"12"}"#]);
        let deep = |depth: usize| format!("{}{}{}", "{\"a\":".repeat(depth), "1", "}".repeat(depth));
        assert!(parse(&deep(64)).unwrap()[0].starts_with("-="));
        assert!(parse(&deep(65)).unwrap()[0].starts_with("!too_deep="));
        assert!(parse(&deep(100_000)).unwrap()[0].starts_with("!too_deep="), "and the stack holds");
        assert!(parse(&format!("[{}]", deep(100_000))).unwrap()[0].starts_with("!too_deep="));
    }

    proptest! {
        #[test]
        fn no_body_breaks_it_and_no_event_has_a_line_break(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(parsed) = parse_within(&body, &LimitsConfig::default()) {
                prop_assert!(parsed.iter().all(|event| event.starts_with('!') || !event.contains('\n')));
            }
        }

        #[test]
        fn something_like_json_does_not_break_it_either(body in "[\\[{}\\]\",:0-9a\\\\ \n]{0,60}") {
            for event in parse(&body).unwrap_or_default() {
                if let Some((_, json)) = event.strip_prefix("-=").map(|json| ("", json)) {
                    prop_assert!(serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(json).is_ok());
                }
            }
        }

        #[test]
        fn lines_and_the_array_of_them_are_the_same_events(numbers in proptest::collection::vec(any::<u64>(), 1..20)) {
            let objects: Vec<_> = numbers.iter().map(|n| format!("{{\"event_id\":{n},\"x\":[{n}]}}")).collect();
            prop_assert_eq!(parse(&objects.join("\n")).unwrap(), parse(&format!("[{}]", objects.join(","))).unwrap());
        }
    }
}
