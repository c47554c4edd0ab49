//! What is done last: buffers that must reach a disk or a collector before the process is gone.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::BoxFuture;

/// The flushes of a process, in the order they were added.
#[derive(Default)]
pub(super) struct Flushes(Mutex<Vec<(&'static str, BoxFuture<'static, ()>)>>);

impl Flushes {
    pub(super) fn add(&self, name: &'static str, flush: BoxFuture<'static, ()>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((name, flush));
    }

    /// Runs all of them, the last one added first: what was built on something is flushed before it. One that is too
    /// slow loses its turn, so that it can't cost the others theirs.
    pub(super) async fn run(&self, each_at_most: Duration) {
        loop {
            let next = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some((name, flush)) = next else { return };
            if tokio::time::timeout(each_at_most, flush).await.is_err() {
                tracing::warn!(flush = name, "a flush took too long, what it had left is lost");
            }
        }
    }
}

impl fmt::Debug for Flushes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flushes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_list().entries(flushes.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::FutureExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn flushes_run_backwards_and_a_stuck_one_does_not_hold_up_the_others() {
        let done = Arc::new(Mutex::new(Vec::new()));
        let note = |name: &'static str| {
            let done = Arc::clone(&done);
            async move { done.lock().unwrap().push(name) }.boxed()
        };
        let flushes = Flushes::default();
        flushes.add("log", note("log"));
        flushes.add("stuck", std::future::pending().boxed());
        flushes.add("store", note("store"));
        flushes.run(Duration::from_secs(2)).await;
        assert_eq!(*done.lock().unwrap(), ["store", "log"]);
    }
}
