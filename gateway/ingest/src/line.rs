//! One line of a segment, as it is written and as it is read.
//!
//! `{"partner":…,"event_id":…,"received_at":…,"request_id":…,"event":{…},"seq":…,"more":…,"crc32c":"xxxxxxxx"}`
//!
//! The checksum (CRC-32C, hexadecimal) is of everything in the line before `,"crc32c"`. `seq` counts the lines of an
//! instance; `more` says how many lines of the same push follow this one, so that a push can be told to be complete.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{parse::Refusal, partner::PartnerName};

const CHECKSUM: &[u8] = br#","crc32c":""#;
const END: &[u8] = b"\"}";
/// `,"crc32c":"xxxxxxxx"}`
const CHECKSUM_BYTES: usize = CHECKSUM.len() + 8 + END.len();

/// What `seq`, `more`, the checksum and the line break take at most.
pub(crate) const SUFFIX_BYTES_MAX: u64 = 80;

/// The longest line that is read. Longer than any that is written: what is longer is no line.
pub(crate) const LINE_BYTES_MAX: usize = 8 << 20;

/// A stored event, as it stands in its segment.
#[derive(Clone, Debug, Deserialize)]
pub struct Line<'a> {
    /// Who pushed it.
    #[serde(borrow)]
    pub partner: Cow<'a, str>,
    /// What the partner calls it, or what it was called here.
    #[serde(borrow)]
    pub event_id: Cow<'a, str>,
    /// When it came in, in Unix milliseconds.
    pub received_at: i64,
    /// The request it came with.
    #[serde(borrow)]
    pub request_id: Cow<'a, str>,
    /// Its place among all lines of its instance.
    pub seq: u64,
    /// How many lines of the same push follow this one.
    pub more: u32,
    /// The partner's JSON object.
    #[serde(borrow)]
    pub event: &'a RawValue,
}

/// An event that could not be taken, as it stands among the dead letters.
#[derive(Clone, Debug, Deserialize)]
pub struct DeadLine<'a> {
    /// Who pushed it.
    #[serde(borrow)]
    pub partner: Cow<'a, str>,
    /// When it came in, in Unix milliseconds.
    pub received_at: i64,
    /// The request it came with.
    #[serde(borrow)]
    pub request_id: Cow<'a, str>,
    /// Its place in its push, counted from 0.
    pub index: u32,
    /// Why it was not taken: [`Refusal::label`].
    #[serde(borrow)]
    pub reason: Cow<'a, str>,
    /// What came, or its beginning.
    #[serde(borrow)]
    pub raw: Cow<'a, str>,
    /// Its place among all dead letters of its instance.
    pub seq: u64,
}

/// Why a line is not one that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// It does not end with a checksum: cut off, zeros, or not ours.
    #[error("it has no checksum")]
    NoChecksum,
    /// It was changed.
    #[error("its checksum does not fit")]
    WrongChecksum,
    /// The checksum fits and it is not a line of this kind.
    #[error("it is not such a line")]
    Foreign,
}

impl<'a> Line<'a> {
    /// Reads a line, without its line break.
    ///
    /// # Errors
    /// [`Damage`] when it is not what was written.
    pub fn read(line: &'a [u8]) -> Result<Self, Damage> {
        read(line)
    }
}

impl<'a> DeadLine<'a> {
    /// Reads a line of dead letters, without its line break.
    ///
    /// # Errors
    /// [`Damage`] when it is not what was written.
    pub fn read(line: &'a [u8]) -> Result<Self, Damage> {
        read(line)
    }
}

fn read<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Result<T, Damage> {
    checked(line)?;
    let text = std::str::from_utf8(line).map_err(|_| Damage::Foreign)?;
    serde_json::from_str(text).map_err(|_| Damage::Foreign)
}

/// What a line without its checksum is, if the checksum fits.
fn checked(line: &[u8]) -> Result<&[u8], Damage> {
    let split = line.len().checked_sub(CHECKSUM_BYTES).ok_or(Damage::NoChecksum)?;
    let (body, checksum) = line.split_at(split);
    let digits = checksum.strip_prefix(CHECKSUM).and_then(|rest| rest.strip_suffix(END)).ok_or(Damage::NoChecksum)?;
    let digits = std::str::from_utf8(digits).map_err(|_| Damage::NoChecksum)?;
    // One spelling only: any changed byte is seen.
    if !digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(Damage::NoChecksum);
    }
    let expected = u32::from_str_radix(digits, 16).map_err(|_| Damage::NoChecksum)?;
    if crc32c::crc32c(body) == expected { Ok(body) } else { Err(Damage::WrongChecksum) }
}

/// Where a line stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) seq: u64,
    /// Lines of the same push behind it.
    pub(crate) more: u32,
}

impl Place {
    /// The place of a line of either kind, if it is undamaged.
    pub(crate) fn of(line: &[u8]) -> Result<Self, Damage> {
        let body = std::str::from_utf8(checked(line)?).map_err(|_| Damage::Foreign)?;
        let place = || {
            let (rest, more) = body.rsplit_once(r#","more":"#)?;
            let (_, seq) = rest.rsplit_once(r#","seq":"#)?;
            Some(Self { seq: seq.parse().ok()?, more: more.parse().ok()? })
        };
        place().ok_or(Damage::Foreign)
    }
}

/// What the lines of one push have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin<'a> {
    pub(crate) partner: &'a PartnerName,
    pub(crate) received_at: i64,
    pub(crate) request_id: &'a str,
}

/// Lines that wait for their places.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unplaced {
    bytes: Vec<u8>,
    lines: Vec<UnplacedLine>,
    left_out: usize,
}

#[derive(Clone, Copy, Debug)]
struct UnplacedLine {
    end: usize,
    crc: u32,
    left_out: bool,
}

impl Unplaced {
    pub(crate) fn with_capacity(lines: usize, bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), lines: Vec::with_capacity(lines), left_out: 0 }
    }

    pub(crate) fn event(&mut self, origin: Origin<'_>, event_id: &str, event: &str) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(br#"{"partner":"#);
        self.text(origin.partner.as_str());
        self.bytes.extend_from_slice(br#","event_id":"#);
        self.text(event_id);
        self.origin(origin);
        self.bytes.extend_from_slice(br#","event":"#);
        self.bytes.extend_from_slice(event.as_bytes());
        self.end(start);
    }

    pub(crate) fn dead(&mut self, origin: Origin<'_>, index: usize, reason: Refusal, raw: &str) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(br#"{"partner":"#);
        self.text(origin.partner.as_str());
        self.origin(origin);
        self.bytes.extend_from_slice(br#","index":"#);
        decimal(&mut self.bytes, index);
        self.bytes.extend_from_slice(br#","reason":"#);
        self.text(reason.label());
        self.bytes.extend_from_slice(br#","raw":"#);
        self.text(raw);
        self.end(start);
    }

    /// How many lines there are, those that are left out not counted.
    pub(crate) fn len(&self) -> usize {
        self.lines.len() - self.left_out
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that the lines will have at most.
    pub(crate) fn cost(&self) -> u64 {
        let lines = u64::try_from(self.len()).unwrap_or(u64::MAX);
        u64::try_from(self.bytes.len()).unwrap_or(u64::MAX).saturating_add(lines.saturating_mul(SUFFIX_BYTES_MAX))
    }

    /// Leaves a line out of what will be written.
    pub(crate) fn leave_out(&mut self, index: usize) {
        if let Some(line) = self.lines.get_mut(index)
            && !line.left_out
        {
            line.left_out = true;
            self.left_out += 1;
        }
    }

    /// Appends the lines to `out`, the first one at `seq`. Answers how many there are.
    pub(crate) fn place(&self, mut seq: u64, out: &mut Vec<u8>) -> u64 {
        let (mut start, mut written) = (0, 0_u64);
        for line in &self.lines {
            let body = self.bytes.get(start..line.end).unwrap_or_default();
            start = line.end;
            if line.left_out {
                continue;
            }
            written += 1;
            let more = self.len() - usize::try_from(written).unwrap_or(usize::MAX);
            out.extend_from_slice(body);
            let suffix = out.len();
            out.extend_from_slice(br#","seq":"#);
            decimal(out, seq);
            out.extend_from_slice(br#","more":"#);
            decimal(out, more);
            let crc = crc32c::crc32c_append(line.crc, out.get(suffix..).unwrap_or_default());
            out.extend_from_slice(CHECKSUM);
            out.extend_from_slice(&checksum_digits(crc));
            out.extend_from_slice(END);
            out.push(b'\n');
            seq += 1;
        }
        written
    }

    fn origin(&mut self, origin: Origin<'_>) {
        self.bytes.extend_from_slice(br#","received_at":"#);
        decimal(&mut self.bytes, origin.received_at);
        self.bytes.extend_from_slice(br#","request_id":"#);
        self.text(origin.request_id);
    }

    fn text(&mut self, text: &str) {
        if text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\') {
            self.bytes.push(b'"');
            self.bytes.extend_from_slice(text.as_bytes());
            self.bytes.push(b'"');
        } else {
            // Text into memory does not fail.
            let _ = serde_json::to_writer(&mut self.bytes, text);
        }
    }

    fn end(&mut self, start: usize) {
        let crc = crc32c::crc32c(self.bytes.get(start..).unwrap_or_default());
        self.lines.push(UnplacedLine { end: self.bytes.len(), crc, left_out: false });
    }
}

/// Without the formatter, which costs as much as all else about a line.
fn decimal(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Eight lower-case hexadecimal digits.
fn checksum_digits(crc: u32) -> [u8; 8] {
    let mut digits = [0; 8];
    // The lengths match, so there is nothing to fail.
    let _ = hex::encode_to_slice(crc.to_be_bytes(), &mut digits);
    digits
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn partner() -> PartnerName {
        PartnerName::parse("ads").unwrap()
    }

    fn origin(partner: &PartnerName) -> Origin<'_> {
        Origin { partner, received_at: 1_750_000_000_123, request_id: "r1" }
    }

    fn placed(lines: &Unplaced) -> Vec<u8> {
        let mut out = Vec::new();
        lines.place(7, &mut out);
        out
    }

    #[test]
    fn a_line_is_one_json_object_whose_checksum_anybody_can_check() {
        let (partner, mut lines) = (partner(), Unplaced::default());
        lines.event(origin(&partner), "e-1", r#"{"n":1.10}"#);
        let out = String::from_utf8(placed(&lines)).unwrap();
        let body = r#"{"partner":"ads","event_id":"e-1","received_at":1750000000123,"request_id":"r1","event":{"n":1.10},"seq":7,"more":0"#;
        // Computed with another implementation of CRC-32C.
        assert_eq!(out, format!("{body},\"crc32c\":\"{:08x}\"}}\n", bitwise_crc32c(body.as_bytes())));
    }

    /// The definition: reflected polynomial 0x82f63b78, bit by bit.
    fn bitwise_crc32c(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 })
        })
    }

    #[test]
    fn lines_of_a_push_count_down_to_its_end_and_left_out_ones_leave_no_gap() {
        let (partner, mut lines) = (partner(), Unplaced::default());
        for id in ["a", "b", "c", "d"] {
            lines.event(origin(&partner), id, "{}");
        }
        lines.leave_out(1);
        lines.leave_out(1);
        let out = placed(&lines);
        let read: Vec<_> = out.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
        let seen: Vec<_> = read
            .iter()
            .map(|line| {
                let line = Line::read(line).unwrap();
                (line.event_id.into_owned(), line.seq, line.more)
            })
            .collect();
        assert_eq!(seen, [("a".to_owned(), 7, 2), ("c".to_owned(), 8, 1), ("d".to_owned(), 9, 0)]);
        assert_eq!(Place::of(read[1]), Ok(Place { seq: 8, more: 1 }));
        assert!(u64::try_from(out.len()).unwrap() <= lines.cost());
    }

    #[test]
    fn a_dead_letter_keeps_what_came_as_text() {
        let (partner, mut lines) = (partner(), Unplaced::default());
        lines.dead(origin(&partner), 3, Refusal::Malformed, "{\"broken\u{fffd}\n\"");
        let out = placed(&lines);
        let line = DeadLine::read(out.strip_suffix(b"\n").unwrap()).unwrap();
        assert_eq!((line.index, &*line.reason, &*line.raw), (3, "malformed", "{\"broken\u{fffd}\n\""));
        assert_eq!(Line::read(out.strip_suffix(b"\n").unwrap()).err(), Some(Damage::Foreign));
    }

    proptest! {
        #[test]
        fn whatever_was_written_is_read(id in "[!-~]{1,128}", request_id in "\\PC{0,40}|[\"\\\\\\n]{0,4}", text in "\\PC*") {
            let (partner, mut lines) = (partner(), Unplaced::default());
            let event = serde_json::json!({ "text": text, "crc32c": ",\"crc32c\":\"00000000\"}" }).to_string();
            lines.event(Origin { request_id: &request_id, ..origin(&partner) }, &id, &event);
            let out = placed(&lines);
            let line = Line::read(out.strip_suffix(b"\n").unwrap()).unwrap();
            prop_assert_eq!((&*line.event_id, &*line.request_id, line.event.get()), (&*id, &*request_id, &*event));
            prop_assert!(u64::try_from(out.len()).unwrap() <= lines.cost());
        }

        #[test]
        fn any_changed_byte_and_any_cut_is_seen(at in any::<prop::sample::Index>(), change in 1_u8..) {
            let (partner, mut lines) = (partner(), Unplaced::default());
            lines.event(origin(&partner), "e-1", r#"{"some":"event","n":12345}"#);
            let out = placed(&lines);
            let line = out.strip_suffix(b"\n").unwrap();
            let at = at.index(line.len());
            prop_assert!(Place::of(&line[..at]).is_err());
            let mut changed = line.to_vec();
            changed[at] ^= change;
            prop_assert!(Place::of(&changed).is_err());
            prop_assert!(Line::read(&changed).is_err());
            let mut zeros = line.to_vec();
            zeros[at..].fill(0);
            prop_assert!(Place::of(&zeros).is_err());
        }
    }
}
