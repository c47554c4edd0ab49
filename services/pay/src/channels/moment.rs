//! Moments as channels write them, as Unix milliseconds.

use common::clock::Timestamp;

/// The first second of the year 10000: later moments are an error of whoever writes them.
const END_OF_TIME: i64 = 253_402_300_800;

/// Unix milliseconds between 1970 and the year 9999.
pub(crate) fn from_millis(millis: i64) -> Option<Timestamp> {
    (0..END_OF_TIME * 1000).contains(&millis).then(|| Timestamp::from_millis(millis))
}

/// Unix seconds between 1970 and the year 9999.
pub(crate) fn from_seconds(seconds: i64) -> Option<Timestamp> {
    (0..END_OF_TIME).contains(&seconds).then(|| Timestamp::from_millis(seconds * 1000))
}

/// A moment of RFC 3339, such as `2026-11-30T10:34:56+08:00`. Fractions of a second are read to the millisecond.
pub(crate) fn from_rfc3339(raw: &str) -> Option<Timestamp> {
    let (date_and_time, rest) = raw.split_at_checked(19)?;
    let seconds = civil_seconds(date_and_time, "yyyy-MM-ddTHH:mm:ss")?;
    let (fraction, zone) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?),
        None => ("0", rest),
    };
    if fraction.is_empty() {
        return None;
    }
    let millis: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    let moment = from_seconds(seconds.checked_sub(zone_seconds(zone)?)?)?;
    Some(Timestamp::from_millis(moment.as_millis() + millis))
}

/// A moment in the time zone that lies `offset_minutes` east of Greenwich, written as `pattern`: `yyyy`, `MM`, `dd`, `HH`,
/// `mm` and `ss`, each once, with anything between them.
pub(crate) fn from_civil(raw: &str, pattern: &str, offset_minutes: i32) -> Option<Timestamp> {
    from_seconds(civil_seconds(raw, pattern)? - i64::from(offset_minutes) * 60)
}

/// The same written as `yyyy-MM-dd HH:mm:ss`.
pub(super) fn to_civil(moment: Timestamp, offset_minutes: i32) -> String {
    let seconds = moment.as_millis().div_euclid(1000) + i64::from(offset_minutes) * 60;
    let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Not later than the year it is.
    let mut year = 1969 + days.div_euclid(366);
    while days_since_1970(year + 1, 1, 1) <= days {
        year += 1;
    }
    let mut month = 1;
    while month < 12 && days_since_1970(year, month + 1, 1) <= days {
        month += 1;
    }
    let day = days - days_since_1970(year, month, 1) + 1;
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

/// Whether a pattern names every part of a moment once.
pub(super) fn is_pattern(pattern: &str) -> bool {
    let parts = ["yyyy", "MM", "dd", "HH", "mm", "ss"];
    parts.iter().all(|part| pattern.matches(part).count() == 1) && pattern.is_ascii() && pattern.len() <= 32
}

/// Seconds since 1970 as if the moment were in Greenwich.
fn civil_seconds(raw: &str, pattern: &str) -> Option<i64> {
    if raw.len() != pattern.len() {
        return None;
    }
    let between = |(wanted, found): (u8, u8)| b"yMdHms".contains(&wanted) || wanted == found;
    if !pattern.bytes().zip(raw.bytes()).all(between) {
        return None;
    }
    let part = |letters: &str| {
        let start = pattern.find(letters)?;
        let digits = raw.get(start..start + letters.len())?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<i64>().ok())?
    };
    let (year, month, day) = (part("yyyy")?, part("MM")?, part("dd")?);
    let (hour, minute, second) = (part("HH")?, part("mm")?, part("ss")?);
    // A leap second is counted to the minute that follows.
    let in_range = (1..=12).contains(&month)
        && (1..=days_of(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    in_range.then(|| days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
}

/// `Z`, `+08:00` or `-03:30`.
fn zone_seconds(zone: &str) -> Option<i64> {
    if matches!(zone, "Z" | "z") {
        return Some(0);
    }
    let (sign, rest) = match zone.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let number = |digits: &str| {
        let two = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        two.then(|| digits.parse::<i64>().ok())?
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

fn is_leap(year: i64) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// In the Gregorian calendar; years count from March, so that the leap day is the last one.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn moments_are_read_in_their_zone() {
        let rfc = |raw| from_rfc3339(raw).map(Timestamp::as_millis);
        // `date -d … +%s`.
        assert_eq!(rfc("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(rfc("2018-06-08T10:34:56+08:00"), Some(1_528_425_296_000));
        assert_eq!(rfc("2024-02-29T23:59:59.1239-03:30"), Some(1_709_263_799_123));
        assert_eq!(rfc("2100-03-01T00:00:00z"), Some(4_107_542_400_000));
        assert_eq!(rfc("2016-12-31T23:59:60Z"), rfc("2017-01-01T00:00:00Z"));
        let civil = |raw, pattern| from_civil(raw, pattern, 480).map(Timestamp::as_millis);
        assert_eq!(civil("2018-06-08 10:34:56", "yyyy-MM-dd HH:mm:ss"), Some(1_528_425_296_000));
        assert_eq!(civil("20180608103456", "yyyyMMddHHmmss"), Some(1_528_425_296_000));
        assert_eq!(to_civil(Timestamp::from_millis(1_528_425_296_999), 480), "2018-06-08 10:34:56");
        assert_eq!(to_civil(Timestamp::from_millis(0), -1), "1969-12-31 23:59:00");
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for bad in [
            "",
            "2018-06-08T10:34:56",
            "2018-06-08T10:34:56+0800",
            "2018-06-08T10:34:56.Z",
            "2018-06-08 10:34:56Z",
            "2018-13-08T10:34:56Z",
            "2018-00-08T10:34:56Z",
            "2023-02-29T10:34:56Z",
            "2018-06-31T10:34:56Z",
            "2018-06-08T24:34:56Z",
            "2018-06-08T10:60:56Z",
            "2018-06-08T10:34:61Z",
            "+018-06-08T10:34:56Z",
            "1969-12-31T23:59:59Z",
            "２018-06-08T10:34:5Z",
        ] {
            assert_eq!(from_rfc3339(bad), None, "{bad}");
        }
        for bad in ["2018060810345", "2018060810345６", "2018-06-08 10:34", "2018-06-08T10:34:56"] {
            assert_eq!(from_civil(bad, "yyyyMMddHHmmss", 480), None, "{bad}");
            assert_eq!(from_civil(bad, "yyyy-MM-dd HH:mm:ss", 480), None, "{bad}");
        }
        assert!(!is_pattern("yyyyMMdd") && !is_pattern("yyyyMMddHHmmssss") && is_pattern("yyyy/MM/dd HH:mm:ss"));
        assert_eq!((from_millis(-1), from_seconds(i64::MAX)), (None, None));
    }

    proptest! {
        #[test]
        fn no_text_panics(raw in ".*", close in "[0-9T:+.Zz -]{0,30}") {
            for text in [&raw, &close] {
                let _ = from_rfc3339(text);
                let _ = from_civil(text, "yyyyMMddHHmmss", 480);
                let _ = from_civil(text, text, 0);
                let _ = is_pattern(text);
            }
        }

        #[test]
        fn what_is_written_out_is_read_back(seconds in 0_i64..END_OF_TIME) {
            // The same calendar by another way: walking over the years and months.
            let (mut days, mut year, mut month) = (seconds / 86_400, 1970, 1);
            while days >= if is_leap(year) { 366 } else { 365 } {
                days -= if is_leap(year) { 366 } else { 365 };
                year += 1;
            }
            while days >= days_of(year, month) {
                days -= days_of(year, month);
                month += 1;
            }
            let of_day = seconds % 86_400;
            let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
            let written = format!("{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", days + 1);
            prop_assert_eq!(from_rfc3339(&written), from_seconds(seconds));
            let moment = Timestamp::from_millis(seconds * 1000);
            let civil = written.replace('T', " ").replace('Z', "");
            prop_assert_eq!(to_civil(moment, 0), civil);
        }
    }
}
