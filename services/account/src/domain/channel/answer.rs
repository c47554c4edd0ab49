//! How the answer of a channel is read, as data.
//!
//! What is neither a success nor stated to mean a wrong credential is *could not tell*. So are 5xx, 408 and 429, whatever
//! the document says: a channel that is in trouble has said nothing about a player.

use serde::Deserialize;
use serde_json::Value;

use super::{Judgement, credential::ChannelCredential, identity::ChannelUid};

/// How an answer is read.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AnswerRules {
    /// The channel vouches for the player.
    pub(crate) success: Condition,
    /// Who the player is.
    pub(crate) uid: UidSource,
    /// Any of these: the credential is not good.
    #[serde(default)]
    pub(crate) wrong_credential: Vec<Condition>,
}

/// Everything that is stated has to hold. Something has to be stated.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Condition {
    /// One of these HTTP statuses. Absent: for a success any 2xx; for a wrong credential 2xx or 4xx.
    pub(crate) status: Option<Vec<u16>>,
    /// What is at this place of the JSON document (RFC 6901) …
    pub(crate) pointer: Option<String>,
    /// … is one of these values.
    pub(crate) equals: Option<Vec<Value>>,
    /// The body, without white space around it, is one of these texts.
    pub(crate) text: Option<Vec<String>>,
}

/// Where the uid comes from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UidSource {
    /// This place of the answer: a text or a whole number.
    Pointer(String),
    /// This field of what the client presented, which the channel was asked about.
    Credential(String),
}

impl AnswerRules {
    /// What an answer means.
    pub(crate) fn judge(&self, status: u16, body: &[u8], credential: &ChannelCredential) -> Judgement {
        if status >= 500 || matches!(status, 408 | 429) {
            return Judgement::Unclear("it answered with a status that says nothing about a credential");
        }
        let answer = Answer::read(status, body);
        if self.success.holds(&answer, 200..300) {
            return match self.uid.find(&answer, credential).as_deref().map(ChannelUid::parse) {
                Some(Some(uid)) => Judgement::Accepted(uid),
                Some(None) => Judgement::Unclear("its uid can't be stored: 1-255 bytes without control characters"),
                None => Judgement::Unclear("it said yes without a uid"),
            };
        }
        let is_wrong = |condition: &Condition| condition.holds(&answer, 200..300) || condition.holds(&answer, 400..500);
        if self.wrong_credential.iter().any(is_wrong) {
            return Judgement::WrongCredential;
        }
        Judgement::Unclear("its answer is neither a success nor a known refusal")
    }

    /// What can't mean anything, with its place.
    pub(crate) fn validate(&self) -> Result<(), (String, &'static str)> {
        self.success.validate(100..600).map_err(|(key, reason)| (format!("success.{key}"), reason))?;
        for (place, condition) in self.wrong_credential.iter().enumerate() {
            let at = |(key, reason): (&str, _)| (format!("wrong_credential[{place}].{key}"), reason);
            condition.validate(100..500).map_err(at)?;
        }
        match &self.uid {
            UidSource::Pointer(pointer) if !is_pointer(pointer) => Err(("uid.pointer".to_owned(), NOT_A_POINTER)),
            UidSource::Pointer(_) | UidSource::Credential(_) => Ok(()),
        }
    }
}

const NOT_A_POINTER: &str = "must be a JSON pointer, such as /data/uid";

struct Answer<'a> {
    status: u16,
    text: &'a str,
    json: Option<Value>,
}

impl<'a> Answer<'a> {
    fn read(status: u16, body: &'a [u8]) -> Self {
        let text =
            std::str::from_utf8(body).unwrap_or_default().trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        Self { status, text, json: serde_json::from_str(text).ok() }
    }

    fn at(&self, pointer: &str) -> Option<&Value> {
        self.json.as_ref()?.pointer(pointer)
    }
}

impl Condition {
    fn holds(&self, answer: &Answer<'_>, unless_stated: std::ops::Range<u16>) -> bool {
        let status = match &self.status {
            Some(statuses) => statuses.contains(&answer.status),
            None => unless_stated.contains(&answer.status),
        };
        let value = self.pointer.as_ref().is_none_or(|pointer| {
            let wanted = self.equals.as_deref().unwrap_or_default();
            answer.at(pointer).is_some_and(|found| wanted.contains(found))
        });
        status && value && self.text.as_ref().is_none_or(|texts| texts.iter().any(|text| text == answer.text))
    }

    fn validate(&self, statuses: std::ops::Range<u16>) -> Result<(), (&'static str, &'static str)> {
        if let Some(stated) = &self.status {
            let says_something = |status: &u16| statuses.contains(status) && !matches!(status, 408 | 429);
            if stated.is_empty() || !stated.iter().all(says_something) {
                return Err(("status", "names no status, or one that says nothing about a credential"));
            }
        }
        match (&self.pointer, &self.equals) {
            (Some(pointer), Some(values)) if !is_pointer(pointer) || values.is_empty() => {
                Err(("pointer", "must be a JSON pointer, such as /state/code, with at least one value to equal"))
            }
            (Some(_), None) => Err(("equals", "is required beside a pointer")),
            (None, Some(_)) => Err(("pointer", "is required beside equals")),
            (None, None) if self.text.is_none() && self.status.is_none() => {
                Err(("status", "state a status, a pointer or a text"))
            }
            _ if self.text.as_ref().is_some_and(Vec::is_empty) => Err(("text", "names no text")),
            _ => Ok(()),
        }
    }
}

impl UidSource {
    fn find(&self, answer: &Answer<'_>, credential: &ChannelCredential) -> Option<String> {
        match self {
            Self::Pointer(pointer) => match answer.at(pointer)? {
                Value::String(uid) => Some(uid.clone()),
                // A fraction has no one way to be written.
                Value::Number(uid) if uid.is_i64() || uid.is_u64() => Some(uid.to_string()),
                _ => None,
            },
            Self::Credential(name) => credential.get(name).map(str::to_owned),
        }
    }
}

fn is_pointer(text: &str) -> bool {
    text.starts_with('/') && text.len() <= 256
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(json: &str) -> AnswerRules {
        let rules: AnswerRules = serde_json::from_str(json).expect("rules");
        assert_eq!(rules.validate(), Ok(()));
        rules
    }

    fn judge(rules: &AnswerRules, status: u16, body: &str) -> Judgement {
        let credential = ChannelCredential::parse(r#"{"uid":"42"}"#).expect("flat");
        rules.judge(status, body.as_bytes(), &credential)
    }

    fn accepted(uid: &str) -> Judgement {
        Judgement::Accepted(ChannelUid::parse(uid).expect("valid"))
    }

    #[test]
    fn a_json_answer_is_yes_no_or_could_not_tell() {
        let rules = rules(
            r#"{"success":{"pointer":"/state","equals":[1]},"uid":{"pointer":"/data/userID"},
                "wrong_credential":[{"pointer":"/state","equals":[8,9]},{"status":[401]}]}"#,
        );
        assert_eq!(judge(&rules, 200, r#"{"state":1,"data":{"userID":42}}"#), accepted("42"));
        assert_eq!(judge(&rules, 200, r#"{"state":1,"data":{"userID":"a"}}"#), accepted("a"));
        assert_eq!(judge(&rules, 200, r#"{"state":9}"#), Judgement::WrongCredential);
        assert_eq!(judge(&rules, 401, ""), Judgement::WrongCredential);
        for (status, body) in [
            (200, r#"{"state":1}"#),
            (200, r#"{"state":1,"data":{"userID":1.5}}"#),
            (200, r#"{"state":1,"data":{"userID":""}}"#),
            (200, r#"{"state":"1","data":{"userID":42}}"#),
            (200, r#"{"state":10}"#),
            (200, "<html>maintenance</html>"),
            (302, r#"{"state":1,"data":{"userID":42}}"#),
            (403, ""),
            (500, r#"{"state":9}"#),
            (503, r#"{"state":1,"data":{"userID":42}}"#),
            (429, r#"{"state":9}"#),
        ] {
            assert!(matches!(judge(&rules, status, body), Judgement::Unclear(_)), "{status} {body}");
        }
    }

    #[test]
    fn a_plain_text_can_be_the_answer_and_the_uid_what_was_asked_about() {
        let rules =
            rules(r#"{"success":{"text":["1"]},"uid":{"credential":"uid"},"wrong_credential":[{"text":["0"]}]}"#);
        assert_eq!(judge(&rules, 200, "1\n"), accepted("42"));
        assert_eq!(judge(&rules, 200, "0"), Judgement::WrongCredential);
        assert!(matches!(judge(&rules, 200, ""), Judgement::Unclear(_)));
        assert!(matches!(judge(&rules, 502, "0"), Judgement::Unclear(_)));
    }

    #[test]
    fn a_condition_that_means_nothing_is_refused_by_its_place() {
        for (json, place) in [
            (r#"{"success":{},"uid":{"pointer":"/a"}}"#, "success.status"),
            (r#"{"success":{"pointer":"/a"},"uid":{"pointer":"/a"}}"#, "success.equals"),
            (r#"{"success":{"pointer":"a","equals":[1]},"uid":{"pointer":"/a"}}"#, "success.pointer"),
            (r#"{"success":{"status":[200]},"uid":{"pointer":"a"}}"#, "uid.pointer"),
            (
                r#"{"success":{"status":[200]},"uid":{"pointer":"/a"},"wrong_credential":[{"status":[500]}]}"#,
                "wrong_credential[0].status",
            ),
        ] {
            let rules: AnswerRules = serde_json::from_str(json).expect("rules");
            assert_eq!(rules.validate().map_err(|(place, _)| place), Err(place.to_owned()));
        }
    }
}
