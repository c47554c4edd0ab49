//! JSON without its insignificant space.

use memchr::memchr2;

/// Nested deeper than allowed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooDeep;

/// Appends `json`, which must be valid JSON, to `out` without the space between its tokens. Strings and numbers stay
/// byte for byte what they are, so the result has no line break. Leaves `out` as it was when it fails.
pub(super) fn compact(json: &str, depth_max: u32, out: &mut Vec<u8>) -> Result<(), TooDeep> {
    let bytes = json.as_bytes();
    let (before, mut depth) = (out.len(), 0_u32);
    // What was looked at and not yet copied.
    let mut kept = 0;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at = end_of_string(bytes, at + 1);
                continue;
            }
            b' ' | b'\n' | b'\r' | b'\t' => {
                out.extend_from_slice(bytes.get(kept..at).unwrap_or_default());
                kept = at + 1;
            }
            b'{' | b'[' => {
                depth += 1;
                if depth > depth_max {
                    out.truncate(before);
                    return Err(TooDeep);
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    out.extend_from_slice(bytes.get(kept..).unwrap_or_default());
    Ok(())
}

/// The place behind the quote that ends the string whose inside begins at `at`.
fn end_of_string(bytes: &[u8], mut at: usize) -> usize {
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += found;
        if bytes.get(at) == Some(&b'"') {
            return at + 1;
        }
        // A backslash and what it escapes; the digits of \u are no quotes.
        at += 2;
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn compacted(json: &str) -> String {
        let mut out = b"before".to_vec();
        compact(json, 128, &mut out).unwrap();
        String::from_utf8(out).unwrap().strip_prefix("before").unwrap().to_owned()
    }

    #[test]
    fn space_between_tokens_goes_and_space_inside_strings_stays() {
        assert_eq!(
            compacted(" { \"a b\" : [ 1 , \"x \\\" \\\\\" ] ,\r\n\t\"c\":null } "),
            r#"{"a b":[1,"x \" \\"],"c":null}"#
        );
    }

    #[test]
    fn numbers_stay_as_they_were_written() {
        let numbers = "[1.0,1e400,-0,12345678901234567890123,0.10]";
        assert_eq!(compacted(numbers), numbers);
    }

    #[test]
    fn depth_is_counted_outside_of_strings() {
        let mut out = Vec::new();
        assert_eq!(compact(r#"{"a":["[[[["]}"#, 2, &mut out), Ok(()));
        assert_eq!(compact(r#"{"a":[[]]}"#, 2, &mut out), Err(TooDeep));
        assert_eq!(out, br#"{"a":["[[[["]}"#, "what failed left nothing");
        assert_eq!(compact(r#"[{},{},{},[],[]]"#, 2, &mut out), Ok(()), "side by side is not deep");
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            "\\PC*|[\"\\\\\\n\\t ]*".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                proptest::collection::vec(("\\PC{0,4}|[\"\\\\\\n ]{0,3}", inner), 0..4)
                    .prop_map(|entries| serde_json::Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_pretty_document_becomes_the_compact_one(value in json()) {
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            prop_assert_eq!(compacted(&pretty), value.to_string());
        }
    }
}
