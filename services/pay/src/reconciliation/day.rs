//! A day of a bill.

use std::time::Duration;

use common::clock::Timestamp;

use crate::channels::moment;

/// How far the clocks and the habits of channels may move a payment over the edge of a day.
const MARGIN: Duration = Duration::from_secs(10 * 60);

/// A day in a time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Day {
    name: String,
    zone: String,
    start: Timestamp,
    end: Timestamp,
}

/// Not a day, or not a time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a day such as 2026-11-29, and a time zone such as +08:00 or Z")]
pub struct DayError;

impl Day {
    /// The day of this name (`2026-11-29`) in the zone (`+08:00`, `Z`).
    ///
    /// # Errors
    /// When there is no such day or no such zone.
    pub fn parse(name: &str, zone: &str) -> Result<Self, DayError> {
        if name.len() != 10 {
            return Err(DayError);
        }
        let start = moment::from_rfc3339(&format!("{name}T00:00:00{zone}")).ok_or(DayError)?;
        let (name, zone) = (name.to_owned(), zone.to_owned());
        Ok(Self { name, zone, start, end: start + Duration::from_secs(24 * 3600) })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its first moment.
    pub(super) fn start(&self) -> Timestamp {
        self.start
    }

    /// The first moment after it.
    pub(super) fn end(&self) -> Timestamp {
        self.end
    }

    /// Whether what happened then may be in the bill of a neighbouring day.
    pub(super) fn is_at_edge(&self, at: Timestamp) -> bool {
        at < self.start + MARGIN || at >= self.end.minus(MARGIN)
    }

    /// A moment as bills write it in the day's zone: `2026-11-29 23:59:59`, or with a `T` between; with a zone of its own it
    /// is in that one.
    pub(super) fn moment(&self, raw: &str) -> Option<Timestamp> {
        let (date, time) = raw.split_at_checked(10)?;
        let time = time.strip_prefix([' ', 'T'])?;
        moment::from_rfc3339(&format!("{date}T{time}{}", self.zone))
            .or_else(|| moment::from_rfc3339(&format!("{date}T{time}")))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day() -> Day {
        Day::parse("2026-11-29", "+08:00").expect("a day")
    }

    #[test]
    fn a_day_begins_and_ends_at_midnight_in_its_zone() {
        // `date -d 2026-11-29T00:00:00+08:00 +%s`.
        assert_eq!(day().start().as_millis(), 1_795_881_600_000);
        assert_eq!(day().end().as_millis() - day().start().as_millis(), 86_400_000);
        assert_eq!(Day::parse("2026-11-29", "Z").expect("a day").start().as_millis(), 1_795_910_400_000);
        for (name, zone) in [
            ("2026-11-31", "+08:00"),
            ("2026-11-29", "China"),
            ("2026-11-29", ""),
            ("29.11.2026", "Z"),
            ("2026-11-29T", "Z"),
            ("", "Z"),
        ] {
            assert_eq!(Day::parse(name, zone), Err(DayError), "{name} {zone}");
        }
    }

    #[test]
    fn the_first_and_the_last_ten_minutes_are_its_edges() {
        let (start, end) = (day().start(), day().end());
        let minutes = |count: u64| Duration::from_secs(60 * count);
        for (at, is_at_edge) in [
            (start, true),
            (start + minutes(9), true),
            (start + minutes(10), false),
            (end.minus(minutes(10)).minus(Duration::from_millis(1)), false),
            (end.minus(minutes(10)), true),
        ] {
            assert_eq!(day().is_at_edge(at), is_at_edge, "{at}");
        }
    }

    #[test]
    fn moments_are_in_the_zone_of_the_day_unless_they_say_another() {
        assert_eq!(day().moment("2026-11-29 00:00:00"), Some(day().start()));
        assert_eq!(day().moment("2026-11-28T16:00:00Z"), Some(day().start()));
        assert_eq!(day().moment("2026-11-29 00:00"), None);
    }

    proptest! {
        #[test]
        fn no_text_panics(raw in ".*", close in "[0-9T:+ Z-]{0,30}") {
            let _ = (day().moment(&raw), day().moment(&close), Day::parse(&raw, &close), Day::parse(&close, "Z"));
        }
    }
}
