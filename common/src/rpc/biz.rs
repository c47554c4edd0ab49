//! How a [`PublicError`] crosses an RPC hop: as volo's business error, and back without loss.
//!
//! | business error | public error |
//! |---|---|
//! | `status_code` | the code |
//! | `status_message` | the text |
//! | `extra["retry_after_ms"]` | the time to ask again, rounded up to milliseconds |
//! | `extra["detail.<n>.<field>"]` | the n-th detail: the reason for that field |
//!
//! Nothing but these four may cross. The number in a detail's key keeps the order, which a map has not.

use std::time::Duration;

use pilota::AHashMap;
use volo::FastStr;
use volo_thrift::BizError;

use crate::error_code::{ErrorCode, PublicError};

const RETRY_AFTER: &str = "retry_after_ms";
const DETAIL: &str = "detail.";

/// The header that carries a text holds 64 KiB and would be cut in the middle of the frame beyond it.
const MAX_MESSAGE_BYTES: usize = 4096;

/// What all details together may take in the header that carries them, as JSON. What does not fit is left out.
const MAX_DETAIL_BYTES: usize = 48 * 1024;

/// As it crosses. Both transports use it, so that what is lost on one is lost on the other.
pub(super) fn encode(error: &PublicError) -> BizError {
    // To volo a status of 0 means that all went well.
    let code = if error.code.inner() == 0 { ErrorCode::INTERNAL } else { error.code };
    let mut extra = AHashMap::with_capacity(error.details.len() + 1);
    if let Some(after) = error.retry_after {
        let millis = after.as_nanos().div_ceil(1_000_000).min(u128::from(u64::MAX));
        extra.insert(FastStr::from_static_str(RETRY_AFTER), FastStr::from_string(millis.to_string()));
    }
    let mut room = MAX_DETAIL_BYTES;
    for (place, (field, reason)) in error.details.iter().enumerate() {
        let Some(left) = room.checked_sub(json_size(field, reason)) else { break };
        room = left;
        extra.insert(FastStr::from_string(format!("{DETAIL}{place}.{field}")), reason.clone());
    }
    BizError {
        status_code: code.inner(),
        status_message: shortened(&error.message),
        extra: (!extra.is_empty()).then_some(extra),
    }
}

/// As it was. Keys that this version does not know are left out.
pub(super) fn decode(error: BizError) -> PublicError {
    let mut decoded = PublicError {
        code: ErrorCode::from(error.status_code),
        message: error.status_message,
        details: Vec::new(),
        retry_after: None,
        limit: None,
    };
    let mut details = Vec::new();
    for (key, value) in error.extra.into_iter().flatten() {
        if key == RETRY_AFTER {
            decoded.retry_after = value.parse().ok().map(Duration::from_millis);
        } else if let Some((place, field)) = key.strip_prefix(DETAIL).and_then(|key| key.split_once('.')) {
            let place = place.parse::<usize>().unwrap_or(usize::MAX);
            details.push((place, FastStr::new(field), value));
        }
    }
    details.sort_unstable_by_key(|(place, ..)| *place);
    decoded.details = details.into_iter().map(|(_, field, reason)| (field, reason)).collect();
    decoded
}

/// The most a detail can take: six bytes for a byte that JSON has to escape, and the punctuation around it.
fn json_size(field: &str, reason: &str) -> usize {
    6 * (field.len() + reason.len()) + 32
}

fn shortened(message: &FastStr) -> FastStr {
    if message.len() <= MAX_MESSAGE_BYTES {
        return message.clone();
    }
    FastStr::new(&message[..message.floor_char_boundary(MAX_MESSAGE_BYTES)])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_error() -> impl Strategy<Value = PublicError> {
        let text = || ".{0,40}".prop_map(FastStr::from_string);
        let details = proptest::collection::vec((text(), text()), 0..8);
        let retry = proptest::option::of((0_u64..86_400_000).prop_map(Duration::from_millis));
        (1_i32..i32::MAX, text(), details, retry).prop_map(|(code, message, details, retry_after)| PublicError {
            code: ErrorCode::from(code),
            message,
            details,
            retry_after,
            limit: None,
        })
    }

    proptest! {
        #[test]
        fn an_error_comes_back_as_it_was(error in any_error()) {
            prop_assert_eq!(decode(encode(&error)), error);
        }
    }

    #[test]
    fn a_code_that_would_mean_success_becomes_an_internal_fault() {
        assert_eq!(encode(&PublicError::new(ErrorCode::from(0))).status_code, ErrorCode::INTERNAL.inner());
    }

    #[test]
    fn a_retry_hint_below_a_millisecond_is_not_rounded_to_now() {
        let hint = PublicError::unavailable(Duration::from_micros(1));
        assert_eq!(decode(encode(&hint)).retry_after, Some(Duration::from_millis(1)));
    }

    #[test]
    fn texts_beyond_what_a_header_can_carry_are_cut_and_never_tear_a_character() {
        let mut error = PublicError::internal().message("é".repeat(MAX_MESSAGE_BYTES));
        for field in 0..10_000 {
            error = error.detail(field.to_string(), "\u{1}".repeat(10));
        }
        let cut = decode(encode(&error));
        assert!(cut.message.len() <= MAX_MESSAGE_BYTES && cut.message.chars().all(|c| c == 'é'));
        assert!(!cut.details.is_empty() && error.details.starts_with(&cut.details));
    }
}
