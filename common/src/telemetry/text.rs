//! How values become JSON or one line of plain text.
//!
//! Written by hand because the access log does it for every answer; checked against `serde_json` in the tests. Nothing
//! here fails and nothing lets a value break out of its line: what a client sends ends up in logs, and a log line must
//! not be forged by one.

use std::{
    fmt,
    io::Write as _,
    time::{Duration, UNIX_EPOCH},
};

use humantime_serde::re::humantime;

use crate::clock::Timestamp;

/// Replaces what a cut text lost.
const ELLIPSIS: &str = "…";

/// The last moment that RFC 3339 has a four-digit year for.
const LAST_MOMENT_MS: i64 = 253_402_300_799_999;

/// Writes `text` as a JSON string with its quotes (RFC 8259: quote, backslash and control characters are escaped).
pub(crate) fn json_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    json_escaped(out, text);
    out.push(b'"');
}

/// Writes what `value` displays as a JSON string, without a `String` in between.
pub(crate) fn json_display(out: &mut Vec<u8>, value: &dyn fmt::Display) {
    out.push(b'"');
    show(&mut JsonEscape(out), format_args!("{value}"));
    out.push(b'"');
}

/// Writes `value` for a line that people read: control characters are shown as `\n`, `\u{1b}` and so on, so that a
/// value can neither start a line of its own nor colour the terminal.
pub(crate) fn plain(out: &mut Vec<u8>, value: fmt::Arguments<'_>) {
    show(&mut PlainEscape(out), value);
}

/// Appends digits, names of ours and the like, which need no escaping.
pub(crate) fn raw(out: &mut Vec<u8>, value: fmt::Arguments<'_>) {
    // Only the formatted value itself can fail here, a Vec can't; what it wrote until then stays.
    let _ = out.write_fmt(value);
}

/// `at` as RFC 3339 in UTC with milliseconds. A moment before 1970 or after 9999 shows as the nearest that fits.
pub(crate) fn rfc3339(at: Timestamp) -> impl fmt::Display {
    let millis = u64::try_from(at.as_millis().clamp(0, LAST_MOMENT_MS)).unwrap_or(0);
    humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(millis))
}

/// `duration` in milliseconds with three decimals, cut to whole microseconds.
pub(crate) fn milliseconds(duration: Duration) -> impl fmt::Display {
    let micros = duration.as_micros();
    fmt::from_fn(move |f| write!(f, "{}.{:03}", micros / 1_000, micros % 1_000))
}

/// `text`, or as much of it as fits `limit` bytes and an ellipsis: one request must not fill the log.
pub(crate) fn at_most(limit: usize, text: &str) -> (&str, &'static str) {
    if text.len() <= limit { (text, "") } else { (&text[..text.floor_char_boundary(limit)], ELLIPSIS) }
}

/// JSON escapes for a part of a string.
pub(crate) fn json_escaped(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let mut copied = 0;
    for (index, byte) in bytes.iter().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0..=0x1f => b"",
            _ => continue,
        };
        out.extend_from_slice(&bytes[copied..index]);
        copied = index + 1;
        if escape.is_empty() {
            raw(out, format_args!("\\u{byte:04x}"));
        } else {
            out.extend_from_slice(escape);
        }
    }
    out.extend_from_slice(&bytes[copied..]);
}

/// A value whose own formatting fails has its place in the line left as far as it came.
fn show(out: &mut dyn fmt::Write, value: fmt::Arguments<'_>) {
    let _ = out.write_fmt(value);
}

struct JsonEscape<'a>(&'a mut Vec<u8>);

impl fmt::Write for JsonEscape<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        json_escaped(self.0, text);
        Ok(())
    }
}

struct PlainEscape<'a>(&'a mut Vec<u8>);

impl fmt::Write for PlainEscape<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.split_inclusive(breaks_the_line) {
            let mut chars = part.chars();
            match chars.next_back() {
                Some(last) if breaks_the_line(last) => {
                    self.0.extend_from_slice(chars.as_str().as_bytes());
                    raw(self.0, format_args!("{}", last.escape_default()));
                }
                _ => self.0.extend_from_slice(part.as_bytes()),
            }
        }
        Ok(())
    }

    fn write_char(&mut self, char: char) -> fmt::Result {
        self.write_str(char.encode_utf8(&mut [0; 4]))
    }
}

/// Control characters, and Unicode's own line and paragraph separators and writing-direction overrides.
fn breaks_the_line(char: char) -> bool {
    char.is_control() || matches!(char, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    proptest! {
        #[test]
        fn a_json_string_is_what_serde_json_writes(text in any::<String>(), control in "[\\x00-\\x20\"\\\\/é\u{7f}]{0,40}") {
            for text in [&text, &control] {
                // serde_json has short forms for two more control characters; both forms mean the same.
                let ours = written(|out| json_string(out, text));
                let theirs = serde_json::to_string(text).unwrap().replace("\\b", "\\u0008").replace("\\f", "\\u000c");
                if !text.contains("\\b") && !text.contains("\\f") {
                    prop_assert_eq!(&ours, &theirs);
                }
                prop_assert_eq!(&serde_json::from_str::<String>(&ours).unwrap(), text);
                prop_assert_eq!(written(|out| json_display(out, text)), ours);
            }
        }

        #[test]
        fn plain_text_has_no_control_character_left(text in "[\\x00-\\x7f\u{85}\u{2028}\u{202e}é]{0,60}") {
            let line = written(|out| plain(out, format_args!("{text}")));
            prop_assert!(!line.chars().any(breaks_the_line), "{line:?}");
        }
    }

    #[test]
    fn plain_text_shows_a_line_break_instead_of_making_one() {
        let line = written(|out| plain(out, format_args!("ok\nINFO forged\u{1b}[31m {}", '\r')));
        assert_eq!(line, "ok\\nINFO forged\\u{1b}[31m \\r");
    }

    #[test]
    fn moments_are_rfc_3339_and_absurd_ones_do_not_break_the_line() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_709_210_096_007, "2024-02-29T12:34:56.007Z"),
            (i64::MIN, "1970-01-01T00:00:00.000Z"),
            (i64::MAX, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(rfc3339(Timestamp::from_millis(millis)).to_string(), text);
        }
    }

    #[test]
    fn durations_are_milliseconds_with_three_decimals() {
        for (nanos, text) in [(0, "0.000"), (999, "0.000"), (1_234_567, "1.234"), (60_000_000_007, "60000.000")] {
            assert_eq!(milliseconds(Duration::from_nanos(nanos)).to_string(), text);
        }
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(at_most(3, "abc"), ("abc", ""));
        assert_eq!(at_most(3, "abcd"), ("abc", "…"));
        assert_eq!(at_most(2, "aé"), ("a", "…"));
    }
}
