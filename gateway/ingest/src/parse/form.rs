//! A query string or a form: one event whose members are texts.

use std::borrow::Cow;

use super::{BodyError, Events, Item, Refusal, body::Sink, event_id::EventId};
use crate::config::{DeadConfig, LimitsConfig};

/// Pairs in one form. Beyond it the event is refused as too large: telling repeated keys apart takes time.
const PAIRS_MAX: usize = 256;

/// The event in a query string (without its `?`) or in a body of `application/x-www-form-urlencoded`.
///
/// Each key becomes a member with the decoded text; one that is repeated becomes an array of its texts. What is no UTF-8
/// once decoded is replaced.
///
/// # Errors
/// [`BodyError::Empty`] when there is no pair in it.
pub fn form(encoded: &[u8], limits: &LimitsConfig, dead: &DeadConfig) -> Result<Events, BodyError> {
    let mut members: Vec<(Cow<'_, str>, Vec<Cow<'_, str>>)> = Vec::new();
    let mut pairs = 0;
    for (key, value) in form_urlencoded::parse(encoded).take(PAIRS_MAX + 1) {
        pairs += 1;
        match members.iter_mut().find(|(known, _)| *known == key) {
            Some((_, values)) => values.push(value),
            None => members.push((key, vec![value])),
        }
    }
    if members.is_empty() {
        return Err(BodyError::Empty);
    }
    let mut sink = Sink::new(limits, dead);
    let judged = if pairs > PAIRS_MAX { Err(Refusal::TooLarge) } else { judge(&mut sink, &members) };
    let item = match judged {
        Ok(item) => item,
        Err(reason) => Item::Bad { reason, raw: sink.keep_raw(encoded) },
    };
    sink.events.items.push(item);
    Ok(sink.events)
}

fn judge(sink: &mut Sink<'_>, members: &[(Cow<'_, str>, Vec<Cow<'_, str>>)]) -> Result<Item, Refusal> {
    let id = match members.iter().find(|(key, _)| key == "event_id").map(|(_, values)| values.as_slice()) {
        None => None,
        Some([only]) => match EventId::of_text(Cow::Borrowed(only)) {
            EventId::Given(id) => Some(id),
            EventId::Absent | EventId::Bad => return Err(Refusal::EventId),
        },
        Some(_) => return Err(Refusal::EventId),
    };
    let json = object(members).map_err(|_| Refusal::Malformed)?;
    sink.put(id, &json)
}

fn object(members: &[(Cow<'_, str>, Vec<Cow<'_, str>>)]) -> serde_json::Result<String> {
    let mut json = String::from("{");
    for (index, (key, values)) in members.iter().enumerate() {
        if index > 0 {
            json.push(',');
        }
        json.push_str(&serde_json::to_string(key)?);
        json.push(':');
        json.push_str(&match values.as_slice() {
            [only] => serde_json::to_string(only)?,
            several => serde_json::to_string(several)?,
        });
    }
    json.push('}');
    Ok(json)
}

#[cfg(test)]
mod tests {
    use super::{super::Parsed, *};

    fn one(encoded: &[u8]) -> (Option<String>, String) {
        let events = form(encoded, &LimitsConfig::default(), &DeadConfig::default()).unwrap();
        assert_eq!(events.len(), 1);
        match events.iter().next().unwrap() {
            Parsed::Good { event_id, json } => (event_id.map(str::to_owned), json.to_owned()),
            Parsed::Bad { reason, raw } => (None, format!("!{}={raw}", reason.label())),
        }
    }

    #[test]
    fn keys_become_members_in_their_order() {
        let (id, json) = one(b"click=%7B1%7D&event_id=c-1&name=a+b%22%0A&empty=&flag");
        assert_eq!(id.as_deref(), Some("c-1"));
        assert_eq!(json, r#"{"click":"{1}","event_id":"c-1","name":"a b\"\n","empty":"","flag":""}"#);
    }

    #[test]
    fn a_repeated_key_keeps_all_its_values() {
        assert_eq!(one(b"a=1&b=2&a=3").1, r#"{"a":["1","3"],"b":"2"}"#);
    }

    #[test]
    fn what_is_not_utf8_is_replaced_and_never_an_error() {
        assert_eq!(one(b"a=%FF%zz").1, "{\"a\":\"\u{fffd}%zz\"}");
    }

    #[test]
    fn an_identifier_that_can_not_be_used_refuses_the_event() {
        for bad in ["event_id=", "event_id=a%20b", "event_id=1&event_id=1"] {
            assert_eq!(one(bad.as_bytes()).1, format!("!event_id={bad}"));
        }
    }

    #[test]
    fn nothing_is_no_event_and_too_much_is_refused() {
        let parse = |encoded: &[u8]| form(encoded, &LimitsConfig::default(), &DeadConfig::default());
        assert_eq!(parse(b"").err(), Some(BodyError::Empty));
        assert_eq!(parse(b"&&").err(), Some(BodyError::Empty));
        assert!(one("a=1&".repeat(256).as_bytes()).1.starts_with("{\"a\""));
        assert!(one("a=1&".repeat(257).as_bytes()).1.starts_with("!too_large="));
    }
}
