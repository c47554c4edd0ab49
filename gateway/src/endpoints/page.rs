//! How long a page of a list is.

use common::error_code::PublicError;

/// Entries on a page unless the caller says otherwise.
const USUAL: i32 = 50;

/// The number of entries as it is asked for. What is out of bounds is refused here, by the name the caller knows.
pub(crate) fn limit(asked: Option<i64>) -> Result<i32, PublicError> {
    match asked {
        None => Ok(USUAL),
        Some(limit) => i32::try_from(limit)
            .ok()
            .filter(|limit| (1..=200).contains(limit))
            .ok_or_else(|| PublicError::invalid("limit", "must be between 1 and 200")),
    }
}
