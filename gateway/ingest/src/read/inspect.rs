//! What is in a segment.

use std::{collections::BTreeMap, fs::File, io, path::Path};

use crate::{
    line::{Damage, DeadLine, Line},
    segment::{
        Family,
        lines::{LineReader, Step},
    },
};

/// What is in a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inspection {
    /// Undamaged lines.
    pub lines: u64,
    /// Undamaged lines of each partner.
    pub by_partner: BTreeMap<String, u64>,
    /// The first and last place among the lines of the instance; `None` when there is no line.
    pub seq: Option<Range<u64>>,
    /// The earliest and latest time of an event, in Unix milliseconds.
    pub received_at: Option<Range<i64>>,
    /// Bytes of the file.
    pub bytes: u64,
    /// The first damage, if there is any.
    pub torn: Option<Torn>,
    /// Damaged lines, an unfinished last one included. More than one, or one that is not the last, is no torn end.
    pub damaged_lines: u64,
}

/// From the smallest to the largest, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range<T> {
    /// The smallest.
    pub first: T,
    /// The largest.
    pub last: T,
}

/// Where a segment is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Torn {
    /// Where the damaged line begins, in bytes from the beginning of the file.
    pub at: u64,
    /// What is wrong with it.
    pub damage: Damage,
}

/// Reads a whole segment, about a second for 200 MB.
///
/// # Errors
/// What the operating system says. Damage is none: it is what is looked for.
pub fn inspect(path: &Path, family: Family) -> io::Result<Inspection> {
    let mut reader = LineReader::new(File::open(path)?, 0);
    let mut found = Inspection::default();
    loop {
        let at = reader.offset();
        let read = match reader.next()? {
            Step::Line(line) => seen(line, family),
            Step::End(0) => {
                found.bytes = at;
                return Ok(found);
            }
            Step::End(_) | Step::TooLong => {
                found.bytes = std::fs::metadata(path)?.len();
                found.damaged(at, Damage::NoChecksum);
                return Ok(found);
            }
        };
        match read {
            Ok(seen) => found.count(seen),
            Err(damage) => found.damaged(at, damage),
        }
    }
}

/// What is counted of a line.
struct Seen {
    partner: String,
    seq: u64,
    received_at: i64,
}

fn seen(line: &[u8], family: Family) -> Result<Seen, Damage> {
    Ok(match family {
        Family::Events => {
            let Line { partner, seq, received_at, .. } = Line::read(line)?;
            Seen { partner: partner.into_owned(), seq, received_at }
        }
        Family::Dead => {
            let DeadLine { partner, seq, received_at, .. } = DeadLine::read(line)?;
            Seen { partner: partner.into_owned(), seq, received_at }
        }
    })
}

impl Inspection {
    fn count(&mut self, Seen { partner, seq, received_at }: Seen) {
        self.lines += 1;
        *self.by_partner.entry(partner).or_default() += 1;
        widen(&mut self.seq, seq);
        widen(&mut self.received_at, received_at);
    }

    fn damaged(&mut self, at: u64, damage: Damage) {
        self.damaged_lines += 1;
        self.torn.get_or_insert(Torn { at, damage });
    }
}

fn widen<T: Copy + Ord>(range: &mut Option<Range<T>>, value: T) {
    let Range { first, last } = range.unwrap_or(Range { first: value, last: value });
    *range = Some(Range { first: first.min(value), last: last.max(value) });
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{
        line::{Origin, Unplaced},
        parse::Refusal,
        partner::PartnerName,
    };

    fn lines(partner: &str, received_at: i64, ids: &[&str], seq: u64) -> Vec<u8> {
        let partner = PartnerName::parse(partner).unwrap();
        let (mut push, mut bytes) = (Unplaced::default(), Vec::new());
        for id in ids {
            push.event(Origin { partner: &partner, received_at, request_id: "r" }, id, "{}");
        }
        push.place(seq, &mut bytes);
        bytes
    }

    fn inspected(bytes: &[u8], family: Family) -> Inspection {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), bytes).unwrap();
        inspect(file.path(), family).unwrap()
    }

    #[test]
    fn it_counts_partners_and_says_from_where_to_where() {
        let bytes = [lines("a", 20, &["1", "2"], 7), lines("b", 10, &["1"], 9)].concat();
        let expected = Inspection {
            lines: 3,
            by_partner: [("a".to_owned(), 2), ("b".to_owned(), 1)].into(),
            seq: Some(Range { first: 7, last: 9 }),
            received_at: Some(Range { first: 10, last: 20 }),
            bytes: u64::try_from(bytes.len()).unwrap(),
            torn: None,
            damaged_lines: 0,
        };
        assert_eq!(inspected(&bytes, Family::Events), expected);
        assert_eq!(inspected(b"", Family::Events), Inspection::default());
    }

    #[test]
    fn it_tells_a_torn_end_from_damage_inside() {
        let (first, second) = (lines("a", 1, &["1"], 0), lines("a", 1, &["2"], 1));
        let at = u64::try_from(first.len()).unwrap();
        let torn = inspected(&[&first[..], &second[..40]].concat(), Family::Events);
        assert_eq!(torn.torn, Some(Torn { at, damage: Damage::NoChecksum }));
        assert_eq!((torn.lines, torn.damaged_lines, torn.bytes), (1, 1, at + 40));
        let mut changed = second;
        changed[20] ^= 1;
        let inside = inspected(&[&first[..], &changed, &lines("a", 1, &["3"], 2)].concat(), Family::Events);
        assert_eq!(inside.torn, Some(Torn { at, damage: Damage::WrongChecksum }));
        assert_eq!((inside.lines, inside.damaged_lines), (2, 1));
    }

    #[test]
    fn dead_letters_are_counted_as_well() {
        let partner = PartnerName::parse("a").unwrap();
        let (mut push, mut bytes) = (Unplaced::default(), Vec::new());
        push.dead(Origin { partner: &partner, received_at: 5, request_id: "r" }, 0, Refusal::TooDeep, "[[[");
        push.place(3, &mut bytes);
        let found = inspected(&bytes, Family::Dead);
        assert_eq!((found.lines, found.seq, found.torn), (1, Some(Range { first: 3, last: 3 }), None));
        assert_eq!(inspected(&bytes, Family::Events).torn.unwrap().damage, Damage::Foreign);
    }
}
