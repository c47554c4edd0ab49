//! Entity tags: how a client asks "is what I have still right?" (RFC 9110, sections 8.8.3 and 13.1.2).

use aws_lc_rs::digest::{Context, SHA256};
use common::clock::Timestamp;
use pilota::FastStr;
use serde_json::json;

use crate::domain::reserved::Maintenance;

/// 128 of the 256 bits: enough that two documents never share a tag by chance or by intent worth the work.
const TAG_BYTES: usize = 16;

/// A digest of what an answer is made of: the sum of the digests of its parts, so that a part can be taken out and
/// another put in. Parts are the first 128 bits of SHA-256: two answers whose sums are equal by chance do not happen.
/// Only who publishes an app's documents chooses the parts, and would only deceive the app's own players.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digest(u128);

impl Digest {
    pub(super) fn of_revision(revision: i64) -> Self {
        Self::of("revision", &revision.to_be_bytes(), "")
    }

    pub(super) fn of_value(name: &str, json: &str) -> Self {
        Self::of("value", name.as_bytes(), json)
    }

    pub(super) fn of_maintenance(maintenance: &Maintenance) -> Self {
        let Maintenance { message, until, allowed_accounts } = maintenance;
        let until = until.map(Timestamp::as_millis);
        Self::of("maintenance", b"", &json!([message.as_str(), until, allowed_accounts]).to_string())
    }

    /// `place` is the notice's among those that are shown: their order is part of the answer.
    pub(super) fn of_notice(place: usize, json: &str) -> Self {
        Self::of("notice", &place.to_be_bytes(), json)
    }

    fn of(what: &str, first: &[u8], second: &str) -> Self {
        let mut context = Context::new(&SHA256);
        for part in [what.as_bytes(), first, second.as_bytes()] {
            // With its length, so that no two lists of parts are the same bytes.
            context.update(&part.len().to_be_bytes());
            context.update(part);
        }
        let mut bytes = [0; TAG_BYTES];
        bytes.copy_from_slice(&context.finish().as_ref()[..TAG_BYTES]);
        Self(u128::from_be_bytes(bytes))
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self(self.0.wrapping_add(other.0))
    }

    pub(super) fn minus(self, other: Self) -> Self {
        Self(self.0.wrapping_sub(other.0))
    }

    /// The strong tag of an answer of `revision`, quotes included. The revision is part of the answer.
    pub(super) fn entity_tag(self, revision: i64) -> FastStr {
        FastStr::from(format!("\"{revision}-{:032x}\"", self.0))
    }
}

/// Whether an `If-None-Match` value covers `current`.
///
/// The comparison is weak, as the RFC asks for this header: `W/` prefixes are ignored. `*` covers everything, since
/// there is always a current answer. What can't be read as a list of entity tags covers nothing: the client then gets
/// the document, which is never wrong.
pub(crate) fn still_holds(if_none_match: &str, current: &str) -> bool {
    let mut rest = if_none_match.trim();
    if rest == "*" {
        return true;
    }
    while let Some((tag, after)) = first_tag(rest) {
        if tag == current {
            return true;
        }
        rest = after;
    }
    false
}

/// The first tag of the list, quotes included, and what follows it. A comma inside the quotes belongs to the tag.
fn first_tag(list: &str) -> Option<(&str, &str)> {
    let list = list.trim_start_matches([',', ' ', '\t']);
    let list = list.strip_prefix("W/").unwrap_or(list);
    let end = list.strip_prefix('"')?.find('"')? + 2;
    Some(list.split_at(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_quoted_and_strong() {
        let tag = Digest::of_revision(7).entity_tag(7);
        assert_eq!(tag.len(), 2 + "7-".len() + 2 * TAG_BYTES);
        assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");
    }

    #[test]
    fn if_none_match_is_read_as_the_rfc_writes_it() {
        for (header, holds) in [
            (r#""current""#, true),
            (r#"W/"current""#, true),
            (r#""old", "current""#, true),
            (r#""old",W/"current","other""#, true),
            (r#" , "a,b" ,	"current" "#, true),
            ("*", true),
            (" * ", true),
            (r#""old""#, false),
            (r#""cur", "rent""#, false),
            (r#""a, "current"#, false),
            ("current", false),
            (r#""current"#, false),
            (r#"w/"current""#, false),
            ("", false),
            ("\"", false),
            ("W/", false),
            ("é\"current\"", false),
        ] {
            assert_eq!(still_holds(header, r#""current""#), holds, "{header:?}");
        }
    }
}
