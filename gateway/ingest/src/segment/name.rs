//! [`SegmentName`]: `20261130T101502.123Z-0000000042-gateway-0`.

use std::{fmt, str::FromStr, sync::Arc};

use common::clock::Timestamp;

use crate::config::is_instance;

const DAY_MILLIS: i64 = 24 * 3600 * 1000;

/// The name of a segment: when it was begun, which one of its instance it is, and whose. Names of one instance sort in
/// the order in which they were begun, also if its clock was set back; names of several sort by time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentName {
    begun_at: Timestamp,
    number: u64,
    instance: Arc<str>,
}

/// Not the name of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a segment")]
pub struct SegmentNameError;

impl SegmentName {
    /// The name of the segment that `instance` begins now.
    pub(crate) fn new(begun_at: Timestamp, number: u64, instance: Arc<str>) -> Self {
        // Years of four digits: the others would not sort.
        let begun_at = begun_at.clamp(Timestamp::from_millis(0), Timestamp::from_millis(253_402_300_799_999));
        Self { begun_at, number, instance }
    }

    /// When it was begun.
    pub fn begun_at(&self) -> Timestamp {
        self.begun_at
    }

    /// Which one of its instance it is.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Whose it is.
    pub fn instance(&self) -> &str {
        &self.instance
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.begun_at.as_millis();
        let (year, month, day) = civil(millis.div_euclid(DAY_MILLIS));
        let of_day = millis.rem_euclid(DAY_MILLIS);
        let (hour, minute) = (of_day / 3_600_000, of_day / 60_000 % 60);
        let (second, milli) = (of_day / 1000 % 60, of_day % 1000);
        write!(
            f,
            "{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}.{milli:03}Z-{:010}-{}",
            self.number, self.instance
        )
    }
}

impl FromStr for SegmentName {
    type Err = SegmentNameError;

    fn from_str(raw: &str) -> Result<Self, SegmentNameError> {
        let mut parts = raw.splitn(3, '-');
        let mut next = || parts.next().ok_or(SegmentNameError);
        let (time, number, instance) = (next()?, next()?, next()?);
        if !is_instance(instance) {
            return Err(SegmentNameError);
        }
        let number = number.parse().map_err(|_| SegmentNameError)?;
        let name = Self::new(moment(time).ok_or(SegmentNameError)?, number, instance.into());
        // Only what would be written is read: signs, missing zeros and the 31st of February are not.
        if name.to_string() == raw { Ok(name) } else { Err(SegmentNameError) }
    }
}

/// `20261130T101502.123Z`.
fn moment(raw: &str) -> Option<Timestamp> {
    let number = |range: std::ops::Range<usize>| raw.get(range)?.parse::<i64>().ok();
    let days = days_since_epoch(number(0..4)?, number(4..6)?, number(6..8)?);
    let seconds = number(9..11)? * 3600 + number(11..13)? * 60 + number(13..15)?;
    Some(Timestamp::from_millis(days * DAY_MILLIS + seconds * 1000 + number(16..19)?))
}

/// Year, month and day of a day since 1970-01-01. Eras of 400 years that begin in March: the leap day is their last.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The inverse of [`civil`].
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let from_march = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * from_march + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(millis: i64, number: u64) -> SegmentName {
        SegmentName::new(Timestamp::from_millis(millis), number, "gateway-0".into())
    }

    #[test]
    fn a_name_says_when_which_and_whose() {
        assert_eq!(name(1_796_033_702_123, 42).to_string(), "20261130T101502.123Z-0000000042-gateway-0");
        assert_eq!(name(951_782_400_000, 1).to_string(), "20000229T000000.000Z-0000000001-gateway-0");
        assert_eq!(name(-5, 1).to_string(), "19700101T000000.000Z-0000000001-gateway-0");
        assert_eq!(name(i64::MAX, 1).to_string(), "99991231T235959.999Z-0000000001-gateway-0");
    }

    #[test]
    fn what_would_not_be_written_is_not_read() {
        for bad in [
            "",
            "x",
            "20261130T101502.123Z",
            "20261130T101502.123Z-42-gateway-0",
            "20261130T101502.123Z-0000000042-",
            "20261130T101502.123Z-0000000042-Gateway",
            "20261130T101502.123Z-+000000042-a",
            "20260231T101502.123Z-0000000042-a",
            "20261130T251502.123Z-0000000042-a",
            "20261130 101502.123Z-0000000042-a",
            "2026113äT101502.123Z-0000000042-a",
        ] {
            assert_eq!(bad.parse::<SegmentName>(), Err(SegmentNameError), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn names_are_read_back_and_sort_as_they_were_begun(
            one in (0..253_402_300_799_999_i64, 0..10_000_000_000_u64),
            other in (0..253_402_300_799_999_i64, 0..10_000_000_000_u64),
        ) {
            let (one, other) = (name(one.0, one.1), name(other.0, other.1));
            prop_assert_eq!(&one.to_string().parse::<SegmentName>().unwrap(), &one);
            prop_assert_eq!(one.cmp(&other), one.to_string().cmp(&other.to_string()));
        }
    }
}
