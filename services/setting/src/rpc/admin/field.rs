//! The fields that operators' requests share.

use pilota::FastStr;

use crate::{domain::AppId, error::ArgumentError};

const NOTE_CHARS_MAX: usize = 500;

const AUTHOR_CHARS_MAX: usize = 64;

/// Versions cross JSON like every integer of ours: below 2^53.
const VERSION_END: i64 = 1 << 53;

pub(super) fn app_id(raw: i64) -> Result<AppId, ArgumentError> {
    AppId::parse(raw).map_err(ArgumentError::of("app_id"))
}

/// Why a version was published: may be empty.
pub(super) fn note(raw: FastStr) -> Result<FastStr, ArgumentError> {
    text("note", raw, 0, NOTE_CHARS_MAX)
}

/// Who published it.
pub(super) fn author(raw: FastStr) -> Result<FastStr, ArgumentError> {
    text("author", raw, 1, AUTHOR_CHARS_MAX)
}

/// A version that is asked for.
pub(super) fn version(field: &'static str, raw: i64) -> Result<i64, ArgumentError> {
    if (1..VERSION_END).contains(&raw) {
        Ok(raw)
    } else {
        Err(ArgumentError::new(field, "must be a version, from 1 on"))
    }
}

/// What a document was made from; 0 for an app's first.
pub(super) fn base_revision(raw: i64) -> Result<i64, ArgumentError> {
    if (0..VERSION_END - 1).contains(&raw) {
        Ok(raw)
    } else {
        Err(ArgumentError::new("base_revision", "must be a revision, 0 for the first"))
    }
}

fn text(field: &'static str, raw: FastStr, min: usize, max: usize) -> Result<FastStr, ArgumentError> {
    if raw.chars().any(char::is_control) {
        return Err(ArgumentError::new(field, "must not have control characters"));
    }
    if !(min..=max).contains(&raw.chars().count()) {
        return Err(ArgumentError::new(field, format!("must be {min}-{max} characters")));
    }
    Ok(raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_and_an_author_are_short_and_of_one_line() {
        let of = |text: &str| FastStr::new(text);
        for good in ["", "patch day", &"日".repeat(500)] {
            assert_eq!(note(of(good)).expect(good), good);
        }
        for bad in ["a\nb", "\u{7f}", &"日".repeat(501)] {
            assert_eq!(note(of(bad)).expect_err(bad).field, "note");
        }
        assert_eq!(author(of("ann")).expect("an author"), "ann");
        for bad in ["", "a\0", &"a".repeat(65)] {
            assert_eq!(author(of(bad)).expect_err(bad).field, "author");
        }
    }

    #[test]
    fn versions_and_revisions_are_counted_from_one_and_stay_numbers_of_javascript() {
        assert_eq!((version("to_version", 1), base_revision(0)), (Ok(1), Ok(0)));
        for bad in [0, -1, 1 << 53] {
            assert_eq!(version("to_version", bad).expect_err("refused").field, "to_version");
        }
        for bad in [-1, (1 << 53) - 1, i64::MAX] {
            assert_eq!(base_revision(bad).expect_err("refused").field, "base_revision");
        }
    }
}
