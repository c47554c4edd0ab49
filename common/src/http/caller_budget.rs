//! How long a caller of our own still waits: `X-Request-Timeout-Ms`, from trusted networks only.
//!
//! Whoever calls on behalf of somebody has promised an answer by some time; work for it after that is load without use.
//! The header is the rest of that time in whole milliseconds, so that no clocks are compared, and it can only shorten
//! what this process allows anyway. From strangers it is not looked at. What is no such number, zero included, is
//! ignored and not refused: a hint that can't be read must not cost an answer.

use std::time::Duration;

use http::{HeaderMap, HeaderName};

use super::extract::only_one;

/// The header, as gateways and service meshes spell it.
const X_REQUEST_TIMEOUT_MS: HeaderName = HeaderName::from_static("x-request-timeout-ms");

/// The most digits that are read: eleven days.
const MAX_DIGITS: usize = 9;

/// What is left of the caller's time, if it says so.
pub(super) fn callers_budget(headers: &HeaderMap) -> Option<Duration> {
    let digits = only_one(headers, &X_REQUEST_TIMEOUT_MS)?.as_bytes();
    if digits.is_empty() || digits.len() > MAX_DIGITS || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let millis = digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
    (millis > 0).then(|| Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn budget(values: &[&str]) -> Option<u128> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(X_REQUEST_TIMEOUT_MS, HeaderValue::from_str(value).expect("a header"));
        }
        callers_budget(&headers).map(|budget| budget.as_millis())
    }

    #[test]
    fn a_budget_is_a_whole_number_of_milliseconds_and_everything_else_is_ignored() {
        assert_eq!(budget(&["250"]), Some(250));
        assert_eq!(budget(&["000000001"]), Some(1));
        assert_eq!(budget(&["999999999"]), Some(999_999_999));
        for ignored in ["", "0", "-1", "+1", "1.5", "1s", "1e3", " ", "1 2", "1000000000", "0x10", "１"] {
            assert_eq!(
                HeaderValue::from_bytes(ignored.as_bytes())
                    .ok()
                    .and_then(|value| { callers_budget(&HeaderMap::from_iter([(X_REQUEST_TIMEOUT_MS, value)])) }),
                None,
                "{ignored:?}"
            );
        }
        assert_eq!(budget(&[]), None);
        assert_eq!(budget(&["250", "250"]), None, "of two, each hop may believe another");
    }

    proptest! {
        #[test]
        fn whatever_is_sent_a_budget_is_never_zero(value in "[0-9]{0,12}|[ -~]{0,12}") {
            prop_assert!(budget(&[&value]).is_none_or(|millis| millis > 0));
        }
    }
}
