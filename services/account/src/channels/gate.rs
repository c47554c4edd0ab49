//! How many questions one channel is asked at once, and when it is not asked at all.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use http::Request;

use super::{CouldNotTell, Outside, RETRY_AFTER, question::Failure};
use crate::domain::channel::breaker::{Breaker, BreakerLimits};

/// The way in to one channel of one app. What happens at one does not touch the others.
#[derive(Debug, Default)]
pub(super) struct Gate {
    asking: AtomicUsize,
    breaker: Mutex<Breaker>,
}

/// A question that is being asked.
pub(super) struct Place<'a>(&'a AtomicUsize);

impl Gate {
    /// Asks, and answers the status and the body.
    pub(super) async fn pass(&self, outside: &Outside, request: Request<Bytes>) -> Result<(u16, Bytes), CouldNotTell> {
        let config = &outside.config;
        let limits = BreakerLimits { failures: config.breaker_failures.get(), pause: config.breaker_pause };
        let _place = self.enter(config.concurrency.get())?;
        self.breaker().admit(limits, outside.clock.now()).map_err(|retry_after| CouldNotTell {
            reason: "it is not asked for a while after several failures in a row".to_owned(),
            retry_after,
        })?;
        match outside.exchange(request).await {
            Ok(answer) => {
                self.breaker().succeeded();
                Ok((answer.status().as_u16(), answer.into_body()))
            }
            Err(Failure { could_not_tell, of_channel }) => {
                if of_channel && self.breaker().failed(limits, outside.clock.now()) {
                    tracing::warn!(
                        reason = could_not_tell.reason,
                        "a channel fails again and again and is not asked for a while"
                    );
                }
                Err(could_not_tell)
            }
        }
    }

    /// A place among those who wait for the channel, if there is one.
    pub(super) fn enter(&self, most: usize) -> Result<Place<'_>, CouldNotTell> {
        let place = Place(&self.asking);
        if self.asking.fetch_add(1, Ordering::Relaxed) >= most {
            let reason = "as many questions as there may be are waiting for its answers".to_owned();
            return Err(CouldNotTell { reason, retry_after: RETRY_AFTER });
        }
        Ok(place)
    }

    fn breaker(&self) -> std::sync::MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_so_many_places_and_each_is_free_again_afterwards() {
        let gate = Gate::default();
        let (one, two) = (gate.enter(2).expect("a place"), gate.enter(2).expect("a place"));
        for _ in 0..3 {
            assert!(gate.enter(2).is_err());
        }
        drop(one);
        let three = gate.enter(2).expect("a place");
        assert!(gate.enter(2).is_err());
        drop((two, three));
        assert_eq!(gate.asking.load(Ordering::Relaxed), 0);
    }
}
