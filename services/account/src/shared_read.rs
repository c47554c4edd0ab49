//! A read that those who ask for it at the same time share.

use std::{
    future::Future,
    sync::atomic::{AtomicU64, Ordering},
};

use tokio::sync::Mutex;

use crate::error::AccountError;

/// Runs one read at a time. Callers that come while one runs share the next, whatever its outcome: a storm of questions,
/// or a database that does not answer, costs one read at a time.
#[derive(Debug)]
pub(crate) struct SharedRead {
    /// How many reads have begun.
    begun: AtomicU64,
    /// Held while reading.
    last: Mutex<LastRead>,
}

/// How the last read that ended went.
#[derive(Debug)]
struct LastRead {
    number: u64,
    outcome: Result<(), AccountError>,
}

impl Default for SharedRead {
    fn default() -> Self {
        Self { begun: AtomicU64::new(0), last: Mutex::new(LastRead { number: 0, outcome: Ok(()) }) }
    }
}

impl SharedRead {
    /// Answers once a read that began after this call has ended: this one, or another caller's.
    pub(crate) async fn run(&self, read: impl Future<Output = Result<(), AccountError>>) -> Result<(), AccountError> {
        let begun_before = self.begun.load(Ordering::SeqCst);
        let mut last = self.last.lock().await;
        if last.number > begun_before {
            // It began after this call did, so it has seen everything this call could ask for.
            return last.outcome.clone();
        }
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let outcome = read.await;
        *last = LastRead { number, outcome: outcome.clone() };
        outcome
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn those_who_ask_while_a_read_runs_share_the_next_and_how_it_ends() {
        let (reads, gate, count) = (SharedRead::default(), Mutex::new(()), AtomicU64::new(0));
        let read = || async {
            let number = count.fetch_add(1, Ordering::SeqCst) + 1;
            drop(gate.lock().await);
            if number == 2 { Err(AccountError::Damaged("x")) } else { Ok(()) }
        };
        let closed = gate.lock().await;
        let mut first = Box::pin(reads.run(read()));
        assert!(futures_util::poll!(first.as_mut()).is_pending());
        let mut later: Vec<_> = (0..100).map(|_| Box::pin(reads.run(read()))).collect();
        for asked in &mut later {
            assert!(futures_util::poll!(asked.as_mut()).is_pending());
        }
        drop(closed);
        assert!(first.await.is_ok());
        assert!(join_all(later).await.into_iter().all(|outcome| outcome.is_err()));
        assert_eq!(count.load(Ordering::SeqCst), 2);
        assert!(reads.run(read()).await.is_ok(), "a failure is not kept");
    }
}
