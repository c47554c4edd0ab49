//! The passwords that everybody tries first.
//!
//! `common_passwords.txt` was written for this platform from what is publicly known about leaked passwords: the yearly
//! lists of the most used ones, the patterns that analyses of large leaks agree on (keyboard walks, names, teams, games
//! and words in several languages with the usual endings), and the defaults of well-known products. It holds no entry
//! that another rule refuses already: none under 8 characters, no runs, no repetitions.

use std::cmp::Ordering;

/// One per line: in lower case, NFKC, ordered by code point.
const LIST: &str = include_str!("common_passwords.txt");

/// Characters that are commonly put behind a common password, and no longer make it another one: `dragon123!`.
const LONGEST_ENDING: usize = 4;

/// Is this one of the most common passwords, in whatever case, with up to 4 digits or ASCII signs behind it? Takes it
/// after NFKC; allocates nothing.
pub(super) fn is_common(password: &str) -> bool {
    let mut rest = password;
    for _ in 0..=LONGEST_ENDING {
        if is_listed(rest) {
            return true;
        }
        rest = match rest.char_indices().next_back() {
            Some((at, last)) if last.is_ascii_digit() || last.is_ascii_punctuation() => &rest[..at],
            _ => return false,
        };
    }
    false
}

/// A binary search over lines of different lengths: a guess lands within a line and goes back to its start.
fn is_listed(password: &str) -> bool {
    let (mut from, mut to) = (0, LIST.len());
    while from < to {
        let middle = LIST.floor_char_boundary(usize::midpoint(from, to));
        let start = LIST[from..middle].rfind('\n').map_or(from, |newline| from + newline + 1);
        let end = LIST[middle..to].find('\n').map_or(to, |newline| middle + newline);
        match LIST[start..end].chars().cmp(password.chars().flat_map(char::to_lowercase)) {
            Ordering::Equal => return true,
            Ordering::Less => from = end + 1,
            Ordering::Greater => to = start,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use unicode_normalization::UnicodeNormalization;

    use super::*;

    #[test]
    fn the_list_is_ordered_and_in_the_form_that_is_compared() {
        assert!(LIST.lines().count() > 5000);
        assert!(LIST.lines().is_sorted_by(|one, other| one < other), "ordered, and nothing twice");
        for line in LIST.lines() {
            let compared: String = line.nfkc().flat_map(char::to_lowercase).collect();
            assert_eq!(line, compared);
            assert!(line.chars().count() >= 8, "{line}");
        }
    }

    #[test]
    fn every_line_is_found_whatever_its_case() {
        for line in LIST.lines() {
            assert!(is_listed(line), "{line}");
            // Not all letters survive upper case and back.
            if line.is_ascii() {
                assert!(is_common(&line.to_uppercase()), "{line}");
            }
        }
    }

    #[test]
    fn a_few_digits_or_signs_behind_do_not_make_it_another_one() {
        for common in ["Password", "PASSWORD1!", "sunshine2031", "iloveyou!!", "qwertyuiop[]", "trustno1"] {
            assert!(is_common(common), "{common}");
        }
        for other in ["", "12", "sunshine20311", "sunshine and rain", "password of mine", "correct horse", "zzzzzzzzy"]
        {
            assert!(!is_common(other), "{other}");
        }
    }
}
