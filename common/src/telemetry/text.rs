//! How values become JSON or one line of plain text.
//!
//! Written by hand because the access log does it for every answer; checked against `serde_json` in the tests. Nothing
//! here fails and nothing lets a value break out of its line: what a client sends ends up in logs, and a log line must
//! not be forged by one.

use std::{
    cell::Cell,
    fmt,
    io::Write as _,
    net::IpAddr,
    time::{Duration, UNIX_EPOCH},
};

use humantime_serde::re::humantime;

use crate::{clock::Timestamp, context::TraceId};

/// Replaces what a cut text lost.
const ELLIPSIS: &str = "…";

/// The last moment that RFC 3339 has a four-digit year for.
const LAST_MOMENT_MS: i64 = 253_402_300_799_999;

/// `2025-06-15T15:06:40`.
const SECOND_LENGTH: usize = 19;

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

thread_local! {
    /// The second whose text was written last by this thread, and that text: most lines of a busy process share it.
    static LAST_SECOND: Cell<(u64, [u8; SECOND_LENGTH])> = const { Cell::new((u64::MAX, [0; SECOND_LENGTH])) };
}

/// Appends a number in decimal digits.
pub(crate) fn decimal(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends `number` with leading zeros up to three digits.
fn three_digits(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&b"000"[usize::from(number >= 10) + usize::from(number >= 100) + 1..]);
    decimal(out, number);
}

/// Appends a trace id as its 32 digits.
pub(crate) fn trace_digits(out: &mut Vec<u8>, id: TraceId) {
    out.extend_from_slice(&id.hex_digits());
}

/// Appends an address as it is usually written.
pub(crate) fn address(out: &mut Vec<u8>, address: IpAddr) {
    let IpAddr::V4(address) = address else { return raw(out, format_args!("{address}")) };
    for (index, octet) in address.octets().into_iter().enumerate() {
        if index > 0 {
            out.push(b'.');
        }
        decimal(out, octet);
    }
}

/// Appends `at` as [`rfc3339`] shows it.
pub(crate) fn moment(out: &mut Vec<u8>, at: Timestamp) {
    let millis = displayable_millis(at);
    let (second, text) = LAST_SECOND.get();
    let text = if second == millis / 1_000 { text } else { second_text(millis / 1_000) };
    out.extend_from_slice(&text);
    out.push(b'.');
    three_digits(out, millis % 1_000);
    out.push(b'Z');
}

fn second_text(second: u64) -> [u8; SECOND_LENGTH] {
    let shown = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(second)).to_string();
    let mut text = [b'?'; SECOND_LENGTH];
    for (place, digit) in text.iter_mut().zip(shown.bytes()) {
        *place = digit;
    }
    LAST_SECOND.set((second, text));
    text
}

/// Appends `duration` as [`milliseconds`] shows it.
pub(crate) fn duration_ms(out: &mut Vec<u8>, duration: Duration) {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    decimal(out, micros / 1_000);
    out.push(b'.');
    three_digits(out, micros % 1_000);
}

fn displayable_millis(at: Timestamp) -> u64 {
    u64::try_from(at.as_millis().clamp(0, LAST_MOMENT_MS)).unwrap_or(0)
}

/// `at` as RFC 3339 in UTC with milliseconds. A moment before 1970 or after 9999 shows as the nearest that fits.
pub(crate) fn rfc3339(at: Timestamp) -> impl fmt::Display {
    humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(displayable_millis(at)))
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
    // Nearly always there is nothing to escape, and a loop that only looks takes many bytes at a time.
    if !bytes.iter().fold(false, |found, byte| found | (*byte < 0x20) | (*byte == b'"') | (*byte == b'\\')) {
        return out.extend_from_slice(bytes);
    }
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
        fn the_short_ways_write_what_the_formatter_shows(millis in 0..=LAST_MOMENT_MS, micros in any::<u32>()) {
            let (at, duration) = (Timestamp::from_millis(millis), Duration::from_micros(micros.into()));
            prop_assert_eq!(written(|out| moment(out, at)), rfc3339(at).to_string());
            prop_assert_eq!(written(|out| duration_ms(out, duration)), milliseconds(duration).to_string());
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
            // Twice: looked up the first time, remembered the second.
            for _ in 0..2 {
                assert_eq!(written(|out| moment(out, Timestamp::from_millis(millis))), text);
            }
        }
    }

    #[test]
    fn durations_are_milliseconds_with_three_decimals() {
        for (nanos, text) in [(0, "0.000"), (999, "0.000"), (1_234_567, "1.234"), (60_000_000_007, "60000.000")] {
            assert_eq!(milliseconds(Duration::from_nanos(nanos)).to_string(), text);
            assert_eq!(written(|out| duration_ms(out, Duration::from_nanos(nanos))), text);
        }
    }

    #[test]
    fn addresses_are_written_as_they_are_shown() {
        for shown in ["0.0.0.0", "192.0.2.7", "255.255.255.255", "::1", "2001:db8::7"] {
            let parsed: IpAddr = shown.parse().unwrap();
            assert_eq!(written(|out| address(out, parsed)), shown);
        }
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(at_most(3, "abc"), ("abc", ""));
        assert_eq!(at_most(3, "abcd"), ("abc", "…"));
        assert_eq!(at_most(2, "aé"), ("a", "…"));
    }
}
