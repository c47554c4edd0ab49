//! A deadline that costs nothing until somebody waits.
//!
//! tokio's `timeout` makes its timer before it looks at what it guards. On the path of a token check nothing is ever
//! waited for, and three such timers on it are made and dropped unused.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    task::{Unconstrained, unconstrained},
    time::{Instant, Sleep, sleep_until},
};

/// The timer, once there is one.
pub(crate) type LateTimer = Option<Unconstrained<Sleep>>;

/// Polls `inner`, and only if that is not ready the timer: `None` when `deadline` has passed. As with tokio's `timeout`,
/// what is ready at its deadline is in time, and an `inner` that has used up its share of the thread doesn't stop the
/// clock.
pub(crate) fn poll_until<F: Future>(
    deadline: Instant,
    inner: Pin<&mut F>,
    mut timer: Pin<&mut LateTimer>,
    task: &mut Context<'_>,
) -> Poll<Option<F::Output>> {
    if let Poll::Ready(output) = inner.poll(task) {
        return Poll::Ready(Some(output));
    }
    if timer.is_none() {
        timer.set(Some(unconstrained(sleep_until(deadline))));
    }
    match timer.as_pin_mut() {
        Some(timer) => timer.poll(task).map(|()| None),
        None => Poll::Pending,
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::{pending, poll_fn, ready},
        pin::pin,
        time::Duration,
    };

    use super::*;

    async fn until<F: Future>(deadline: Instant, inner: F) -> (Option<F::Output>, bool) {
        let (mut inner, mut timer) = (pin!(inner), pin!(None));
        let output = poll_fn(|task| poll_until(deadline, inner.as_mut(), timer.as_mut(), task)).await;
        (output, timer.is_some())
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_ready_is_in_time_whatever_the_clock_says_and_makes_no_timer() {
        let passed = Instant::now();
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(until(passed, ready(1)).await, (Some(1), false));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_ready_has_until_its_deadline() {
        let start = Instant::now();
        let deadline = start + Duration::from_secs(2);
        assert_eq!(until(deadline, sleep_until(start + Duration::from_secs(1))).await, (Some(()), true));
        assert_eq!(until(deadline, pending::<()>()).await, (None, true));
        assert_eq!(Instant::now(), deadline);
    }
}
