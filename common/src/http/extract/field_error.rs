//! Which field was wrong and why, from what serde says.
//!
//! serde's texts quote the offending value, which may be a password, and positions that mean nothing to a caller. Only
//! what was *expected* is passed on.

use serde_path_to_error::{Path, Segment};

use crate::error_code::PublicError;

/// The name under which a value that is wrong as a whole is reported.
const WHOLE_VALUE: &str = "body";

/// The refusal for a value that does not have the form it should have.
pub(super) fn invalid_field(path: &Path, error: &str) -> PublicError {
    let reason = error.rsplit_once(" at line ").map_or(error, |(reason, _)| reason);
    if let Some(field) = reason.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        return PublicError::invalid(joined(path, Some(field)), "is required");
    }
    if let Some(field) = reason.strip_prefix("duplicate field `").and_then(|rest| rest.strip_suffix('`')) {
        return PublicError::invalid(joined(path, Some(field)), "is given twice");
    }
    let reason = match reason.split_once(", expected ") {
        Some((_, expected)) => format!("expected {}", as_json_calls_it(expected)),
        // A name out of a list was expected, and something came that is neither text nor anything like it.
        None if reason == "expected value" => "expected a string".to_owned(),
        None if is_about_an_integer(reason) => "expected an integer".to_owned(),
        None => reason.to_owned(),
    };
    PublicError::invalid(joined(path, None), reason)
}

/// serde names the types of this program; a caller knows those of JSON.
fn as_json_calls_it(expected: &str) -> &str {
    match expected {
        "i8" | "i16" | "i32" | "i64" | "u8" | "u16" | "u32" | "u64" | "usize" | "isize" => "an integer",
        "f32" | "f64" => "a number",
        "a sequence" => "an array",
        "a map" => "an object",
        _ if expected.starts_with("struct ") || expected.starts_with("internally tagged enum") => "an object",
        _ => expected,
    }
}

/// What the standard library says of text that is no number: queries and forms hold nothing but text.
fn is_about_an_integer(reason: &str) -> bool {
    [
        "invalid digit found in string",
        "cannot parse integer from empty string",
        "number too large to fit in target type",
        "number too small to fit in target type",
    ]
    .contains(&reason)
}

/// `credential.code`, `tokens[3]`.
fn joined(path: &Path, last: Option<&str>) -> String {
    let mut joined = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => joined.push_str(&format!("[{index}]")),
            Segment::Map { key } => push_name(&mut joined, key),
            Segment::Enum { variant } => push_name(&mut joined, variant),
            Segment::Unknown => {}
        }
    }
    if let Some(last) = last {
        push_name(&mut joined, last);
    }
    if joined.is_empty() { WHOLE_VALUE.to_owned() } else { joined }
}

fn push_name(joined: &mut String, name: &str) {
    if !joined.is_empty() {
        joined.push('.');
    }
    joined.push_str(name);
}
