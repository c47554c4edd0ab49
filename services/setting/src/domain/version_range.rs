//! Versions of a game's SDK, and ranges of them.
//!
//! Not Semantic Versioning as the `semver` crate has it: that needs exactly three parts, and SDKs in the field write
//! "1.2" and "1.2.3.4".

use std::{cmp::Ordering, fmt};

use pilota::FastStr;

const PARTS_MAX: usize = 6;

const VERSION_BYTES_MAX: usize = 64;

const COMPARATORS_MAX: usize = 16;

/// A dotted version, such as `1.2`, `1.2.3.4`, `1.12.0-beta.2`: up to six numbers, a pre-release after `-`, and a build
/// after `+` that counts for nothing. A leading `v` is taken off.
///
/// Missing numbers are 0: `1.2` equals `1.2.0`. A pre-release comes before its release, and pre-releases are compared
/// part by part as in Semantic Versioning: numbers by value and before words, words by bytes, fewer parts first.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    parts: [u64; PARTS_MAX],
    pre_release: Option<FastStr>,
}

impl Version {
    /// `None` if it can't be read as a version.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.len() > VERSION_BYTES_MAX {
            return None;
        }
        let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
        let (text, build) = split(text, '+');
        let (numbers, pre_release) = split(text, '-');
        if [build, pre_release].into_iter().flatten().any(|words| !are_words(words)) {
            return None;
        }
        let mut parts = [0; PARTS_MAX];
        let mut places = parts.iter_mut();
        for number in numbers.split('.') {
            if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            *places.next()? = number.parse().ok()?;
        }
        Some(Self { parts, pre_release: pre_release.map(FastStr::new) })
    }
}

fn split(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(before, after)| (before, Some(after)))
}

fn are_words(words: &str) -> bool {
    words
        .split('.')
        .all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'))
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let pre_releases = || match (&self.pre_release, &other.pre_release) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(left), Some(right)) => compare_pre_releases(left, right),
        };
        self.parts.cmp(&other.parts).then_with(pre_releases)
    }
}

fn compare_pre_releases(left: &str, right: &str) -> Ordering {
    let number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    let (mut left, mut right) = (left.split('.'), right.split('.'));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(left), Some(right)) => match (number(left), number(right)) {
                (true, true) => {
                    // By value without a limit on the digits: the longer one is larger once leading zeros are gone.
                    let (left, right) = (left.trim_start_matches('0'), right.trim_start_matches('0'));
                    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
                }
                (true, false) => Ordering::Less,
                (false, true) => Ordering::Greater,
                (false, false) => left.cmp(right),
            },
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Version {}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.parts.iter().rposition(|part| *part > 0).unwrap_or(0).max(1);
        for (index, part) in self.parts[..=shown].iter().enumerate() {
            write!(f, "{}{part}", if index > 0 { "." } else { "" })?;
        }
        self.pre_release.as_ref().map_or(Ok(()), |words| write!(f, "-{words}"))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparator {
    AtLeast,
    Above,
    AtMost,
    Below,
    Exactly,
}

/// Comparisons that must all hold, such as `>=1.2, <2`. A version is compared as it is: `1.12.0-beta` is below `1.12`
/// and above `1.11`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VersionRange {
    comparisons: Box<[(Comparator, Version)]>,
    text: FastStr,
}

impl VersionRange {
    /// Reads comparisons joined by commas; the error continues a sentence.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let comparisons = text.split(',').map(str::trim).map(comparison).collect::<Result<Box<_>, _>>()?;
        if comparisons.len() > COMPARATORS_MAX {
            return Err(format!("has more than {COMPARATORS_MAX} comparisons"));
        }
        Ok(Self { comparisons, text: FastStr::new(text.trim()) })
    }

    /// Whether `version` lies inside.
    pub(crate) fn holds(&self, version: &Version) -> bool {
        self.comparisons.iter().all(|(comparator, bound)| match comparator {
            Comparator::AtLeast => version >= bound,
            Comparator::Above => version > bound,
            Comparator::AtMost => version <= bound,
            Comparator::Below => version < bound,
            Comparator::Exactly => version == bound,
        })
    }

    /// Heap memory, roughly.
    pub(super) fn weight_bytes(&self) -> usize {
        self.comparisons.len() * size_of::<(Comparator, Version)>() + self.text.len()
    }
}

fn comparison(text: &str) -> Result<(Comparator, Version), String> {
    let comparators = [
        (">=", Comparator::AtLeast),
        ("<=", Comparator::AtMost),
        (">", Comparator::Above),
        ("<", Comparator::Below),
        ("=", Comparator::Exactly),
    ];
    let found = comparators.into_iter().find_map(|(sign, comparator)| Some((comparator, text.strip_prefix(sign)?)));
    let Some((comparator, bound)) = found else {
        return Err("must be comparisons joined by commas, each >=, >, <=, < or = and a version".to_owned());
    };
    match Version::parse(bound.trim()) {
        Some(version) => Ok((comparator, version)),
        None => Err("compares with something that is not a version such as 1.2, 1.2.3.4 or 1.12.0-beta".to_owned()),
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, option, prelude::*};

    use super::*;

    fn version(text: &str) -> Version {
        Version::parse(text).unwrap_or_else(|| panic!("{text:?} is a version"))
    }

    fn holds(range: &str, text: &str) -> bool {
        VersionRange::parse(range).expect(range).holds(&version(text))
    }

    #[test]
    fn what_sdks_write_is_read_and_the_rest_is_no_version() {
        let long = "1".repeat(65);
        for bad in [
            "",
            ".",
            "1.",
            ".1",
            "1..2",
            "latest",
            "1.x",
            "-1",
            "1.2.3.4.5.6.7",
            "1 .2",
            " 1",
            "1.2-",
            "1.2-a..b",
            "1.2-b_c",
            "1.2+",
            "vv1",
            "v",
            "٣",
            "1.18446744073709551616",
            long.as_str(),
        ] {
            assert!(Version::parse(bad).is_none(), "{bad:?}");
        }
        for (good, shown) in [
            ("1", "1.0"),
            ("1.2", "1.2"),
            ("1.2.0.0", "1.2"),
            ("1.2.3.4.5.6", "1.2.3.4.5.6"),
            ("v1.12.0-beta.2", "1.12-beta.2"),
            ("20261130.1", "20261130.1"),
            ("1.02", "1.2"),
            ("1.2.3+build.7", "1.2.3"),
            ("1.2-a+b", "1.2-a"),
            ("0", "0.0"),
        ] {
            assert_eq!(version(good).to_string(), shown, "{good:?}");
        }
    }

    #[test]
    fn versions_are_ordered_by_number_and_a_pre_release_comes_before_its_release() {
        let rising = [
            "0",
            "0.9",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1",
            "1.0.0.1",
            "1.2",
            "1.2.1",
            "1.10",
            "2-1",
            "2-x",
            "2",
            "10",
        ];
        for (index, lower) in rising.iter().enumerate() {
            assert_eq!(version(lower), version(lower));
            for higher in &rising[index + 1..] {
                assert!(version(lower) < version(higher), "{lower} < {higher}");
                assert!(version(higher) > version(lower), "{higher} > {lower}");
            }
        }
        assert_eq!(version("1.2"), version("1.2.0.0"));
        assert_eq!(version("1.2-rc.01"), version("1.2-rc.1"));
        assert_eq!(version("1.2+a"), version("1.2+b"));
    }

    #[test]
    fn all_comparisons_of_a_range_must_hold() {
        for (range, text, expected) in [
            (">=1.2, <2", "1.2", true),
            (">=1.2,<2", "1.99.99", true),
            (">=1.2, <2", "2.0", false),
            (">=1.2, <2", "1.1.9", false),
            (">= 1.2", "1.2-beta", false),
            (">=1.2-0", "1.2-beta", true),
            (">=1.2-0", "1.2", true),
            (">=1.2-0", "1.1.9", false),
            ("<1.12", "1.12.0-beta", true),
            (">1.11", "1.12.0-beta", true),
            ("=1.2", "1.2.0", true),
            ("=1.2", "1.2.1", false),
            ("<=1.2", "1.2.0.0", true),
            ("<=1.2", "1.2.0.1", false),
            (">1.2", "1.2.0.1", true),
            (">1, <1", "1", false),
        ] {
            assert_eq!(holds(range, text), expected, "{text} in {range}");
        }
        assert!(VersionRange::parse(&vec![">=1"; 17].join(",")).is_err());
        assert_eq!(VersionRange::parse(" >=1.2, <2 ").expect("a range").to_string(), ">=1.2, <2");
    }

    fn any_text() -> impl Strategy<Value = String> {
        (vec(0..4_u64, 1..5), option::of("[0-2a-b]{1,2}(\\.[0-2a-b]{1,2})?")).prop_map(|(parts, words)| {
            let numbers: Vec<_> = parts.iter().map(u64::to_string).collect();
            words.map_or_else(|| numbers.join("."), |words| format!("{}-{words}", numbers.join(".")))
        })
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in ".{0,80}") {
            let _ = (Version::parse(&text), VersionRange::parse(&text));
        }

        #[test]
        fn a_version_is_read_again_from_how_it_is_shown(text in any_text()) {
            prop_assert_eq!(version(&version(&text).to_string()), version(&text));
        }

        #[test]
        fn the_order_of_versions_is_total_and_ranges_follow_it(a in any_text(), b in any_text(), c in any_text()) {
            let (left, middle, right) = (version(&a), version(&b), version(&c));
            prop_assert_eq!(left.cmp(&middle), middle.cmp(&left).reverse());
            if left <= middle && middle <= right {
                prop_assert!(left <= right);
            }
            let signs = [(">=", left >= middle), (">", left > middle), ("<=", left <= middle), ("<", left < middle)];
            for (sign, expected) in signs.into_iter().chain([("=", left == middle)]) {
                prop_assert_eq!(holds(&format!("{sign}{b}"), &a), expected, "{} {} {}", a, sign, b);
            }
        }
    }
}
