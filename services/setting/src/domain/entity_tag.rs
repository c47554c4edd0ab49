//! Entity tags: how a client asks "is what I have still right?" (RFC 9110, sections 8.8.3 and 13.1.2).

use aws_lc_rs::digest::{Context, SHA256};
use pilota::FastStr;

/// 128 of the 256 bits: enough that two documents never share a tag by chance or by intent worth the work.
const TAG_BYTES: usize = 16;

/// The strong tag of a document in canonical form, quotes included.
///
/// The revision is part of the answer and therefore of the tag.
pub(crate) fn of(revision: i64, canonical_json: &str) -> FastStr {
    let mut context = Context::new(&SHA256);
    context.update(&revision.to_be_bytes());
    context.update(canonical_json.as_bytes());
    FastStr::from(format!("\"{}\"", hex::encode(&context.finish().as_ref()[..TAG_BYTES])))
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
        let tag = of(7, "{}");
        assert_eq!(tag.len(), 2 + 2 * TAG_BYTES);
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
