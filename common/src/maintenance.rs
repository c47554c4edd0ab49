//! How a sign-in is refused while a game is under maintenance: by the gateway, or by account, with one answer.

use std::time::Duration;

use volo::FastStr;

use crate::{
    clock::Timestamp,
    error_code::{ErrorCode, PublicError},
};

/// When players come back if nobody knows when it is over.
const USUAL_PAUSE: Duration = Duration::from_secs(60);

/// The longest that players are told to stay away: an end can be moved.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// Whether a maintenance that ends at `until` is over. One without an end is not.
pub fn is_over(until: Option<Timestamp>, now: Timestamp) -> bool {
    until.is_some_and(|until| until <= now)
}

/// The refusal: the operator's text, the end if it is known (`details.until`, Unix milliseconds), and when to come back:
/// at the end, but within an hour. The answer jitters it, so that players do not come back at one moment.
pub fn refusal(message: FastStr, until: Option<Timestamp>, now: Timestamp) -> PublicError {
    let pause = until.map_or(USUAL_PAUSE, |until| until.since(now));
    let refusal =
        PublicError::new(ErrorCode::MAINTENANCE).retry_after(pause.clamp(Duration::from_secs(1), LONGEST_PAUSE));
    let refusal = if message.is_empty() { refusal } else { refusal.message(message) };
    match until {
        Some(until) => refusal.detail("until", until.as_millis().to_string()),
        None => refusal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_750_000_000_000);

    #[test]
    fn players_are_told_to_come_back_at_the_end_and_within_an_hour() {
        let pause = |end: Option<u64>| {
            let until = end.map(|seconds| NOW + Duration::from_secs(seconds));
            refusal("soon".into(), until, NOW).retry_after.map(|pause| pause.as_secs())
        };
        for (end, expected) in [(None, 60), (Some(0), 1), (Some(600), 600), (Some(86_400), 3600)] {
            assert_eq!(pause(end), Some(expected), "{end:?}");
        }
    }

    #[test]
    fn the_answer_has_the_operators_text_and_the_end() {
        let until = NOW + Duration::from_secs(600);
        let refused = refusal("back at ten".into(), Some(until), NOW);
        assert_eq!((refused.http_status(), &*refused.message), (503, "back at ten"));
        assert_eq!(refused.details, [("until".into(), until.as_millis().to_string().into())]);
        let bare = refusal("".into(), None, NOW);
        assert!(!bare.message.is_empty() && bare.details.is_empty());
    }

    #[test]
    fn it_is_over_at_its_end() {
        assert!(is_over(Some(NOW), NOW));
        assert!(!is_over(Some(NOW + Duration::from_millis(1)), NOW));
        assert!(!is_over(None, NOW));
    }
}
