//! Whether a service is known to be away.
//!
//! A few calls in a row that nobody answered, and the service counts as away: what a copy can tell is then told at once,
//! instead of after waiting for the service each time. The copy goes on asking the service for news, one call at a time,
//! and the first call that is answered, that one or any other, ends it. A refusal is an answer.

use std::sync::atomic::{AtomicU32, Ordering};

use common::{context::RequestContext, rpc::CallError};

/// So many unanswered calls in a row: one or two happen when an instance is replaced.
const AWAY_AFTER: u32 = 3;

/// The unanswered calls since the last answer. While the service answers it is only read.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    unanswered: AtomicU32,
}

impl Reach {
    pub(crate) fn is_away(&self) -> bool {
        self.unanswered.load(Ordering::Relaxed) >= AWAY_AFTER
    }

    /// A call was answered.
    pub(crate) fn answered(&self) {
        if self.unanswered.load(Ordering::Relaxed) != 0 {
            self.unanswered.store(0, Ordering::Relaxed);
        }
    }

    /// A call brought no result.
    pub(crate) fn failed(&self, error: &CallError) {
        match error {
            CallError::Answered(_) => self.answered(),
            // The caller had less time than is usual: that says nothing of the service.
            CallError::DeadlineExceeded if RequestContext::nobody_waits() => {}
            CallError::NotSent { .. }
            | CallError::LostAfterSend { .. }
            | CallError::Rejected
            | CallError::NoRoom
            | CallError::DeadlineExceeded
            | CallError::Internal { .. } => {
                // Stops counting there: nobody needs to know how many more.
                if !self.is_away() {
                    self.unanswered.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use common::{
        clock::SystemRandom,
        error_code::{ErrorCode, PublicError},
    };

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn whoever_gives_up_early_says_nothing_about_the_service() {
        let reach = Reach::default();
        let in_a_hurry = RequestContext::root(&SystemRandom).within(Duration::from_millis(1));
        tokio::time::advance(Duration::from_millis(1)).await;
        for _ in 0..AWAY_AFTER {
            in_a_hurry.sync_scope(|| reach.failed(&CallError::DeadlineExceeded));
        }
        assert!(!reach.is_away());
        let patient = RequestContext::root(&SystemRandom).within(Duration::from_secs(10));
        for _ in 0..AWAY_AFTER {
            patient.sync_scope(|| reach.failed(&CallError::DeadlineExceeded));
        }
        assert!(reach.is_away());
    }

    #[test]
    fn a_service_is_away_after_a_few_unanswered_calls_in_a_row_and_back_with_the_first_answer() {
        let reach = Reach::default();
        let refusal = CallError::Answered(PublicError::new(ErrorCode::OVERLOADED));
        for answer in [None, Some(&refusal)] {
            for _ in 0..AWAY_AFTER * 2 {
                assert!(!reach.is_away());
                reach.failed(&CallError::DeadlineExceeded);
                reach.failed(&CallError::DeadlineExceeded);
                reach.answered();
            }
            for _ in 0..AWAY_AFTER {
                assert!(!reach.is_away());
                reach.failed(&CallError::NotSent { cause: String::new() });
            }
            reach.failed(&CallError::DeadlineExceeded);
            assert!(reach.is_away());
            match answer {
                None => reach.answered(),
                Some(refusal) => reach.failed(refusal),
            }
            assert!(!reach.is_away());
        }
    }
}
