//! Waiting for what happens by itself: never a fixed time, always until it is so.

use std::{future::Future, time::Duration};

use tokio::time::{Instant, sleep};

/// How long a story waits for something that is certain to happen. Far longer than it takes, so that a busy machine
/// never fails a story; only a broken promise does.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(25);

/// Looks until there is something to see.
#[track_caller]
pub(crate) fn eventually<T, F>(what: &'static str, mut look: impl FnMut() -> F) -> impl Future<Output = T>
where
    F: Future<Output = Option<T>>,
{
    let caller = std::panic::Location::caller();
    async move {
        let give_up = Instant::now() + PATIENCE;
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            assert!(Instant::now() < give_up, "{caller}: still not so after {PATIENCE:?}: {what}");
            sleep(LOOK_AGAIN).await;
        }
    }
}
