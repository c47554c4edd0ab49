//! The bounded queue between requests and hashing threads.

use std::{
    collections::VecDeque,
    num::NonZeroUsize,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{
    HashError,
    argon::{Hasher, Work},
    metrics::Metrics,
};

/// What one hash is taken to cost when a full queue estimates how long it needs.
const TYPICAL_HASH: Duration = Duration::from_millis(15);

/// Nobody is asked to come back sooner.
const SHORTEST_RETRY: Duration = Duration::from_secs(1);

/// One piece of work and how long it is worth doing.
pub(super) struct Job {
    work: Work,
    queued_at: Instant,
    deadline: Option<Instant>,
}

/// A first-come, first-served queue. Its lock is held for a few instructions only, so async code may take it.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    not_empty: Condvar,
    capacity: usize,
    retry_after: Duration,
    metrics: Metrics,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl Job {
    pub(super) fn new(work: Work, deadline: Option<Instant>) -> Self {
        Self { work, queued_at: Instant::now(), deadline }
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("queued", &self.jobs.len()).field("closed", &self.closed).finish()
    }
}

impl Queue {
    pub(super) fn new(capacity: NonZeroUsize, threads: usize, metrics: Metrics) -> Self {
        let capacity = capacity.get();
        let rounds = u32::try_from(capacity / threads.max(1)).unwrap_or(u32::MAX);
        let retry_after = TYPICAL_HASH.saturating_mul(rounds).max(SHORTEST_RETRY);
        Self { state: Mutex::default(), not_empty: Condvar::new(), capacity, retry_after, metrics }
    }

    /// Queues the job, or says at once when to come back.
    pub(super) fn push(&self, job: Job) -> Result<(), HashError> {
        let mut state = self.lock();
        if state.jobs.len() >= self.capacity {
            self.metrics.rejected_full.inc();
            return Err(HashError::Full { retry_after: self.retry_after });
        }
        state.jobs.push_back(job);
        self.metrics.queued.inc();
        drop(state);
        self.not_empty.notify_one();
        Ok(())
    }

    /// A thread's life: jobs, one after the other, until the queue is closed.
    pub(super) fn work(&self, mut hasher: Hasher) {
        while let Some(job) = self.pop() {
            self.metrics.queued.dec();
            self.metrics.wait.observe(job.queued_at.elapsed().as_secs_f64());
            if job.work.is_abandoned() || job.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                self.metrics.rejected_expired.inc();
                job.work.refuse(HashError::Expired);
                continue;
            }
            let timer = self.metrics.duration.start_timer();
            let work = || job.work.run(&mut hasher, || timer.observe_duration());
            // A panic would silently make the pool one thread smaller. The asker learns of it by the dropped channel.
            if catch_unwind(AssertUnwindSafe(work)).is_err() {
                tracing::error!("a hashing thread panicked and goes on");
            }
        }
    }

    /// Ends the threads. What still waits is dropped, which its askers notice.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.jobs.clear();
        drop(state);
        self.not_empty.notify_all();
    }

    fn pop(&self) -> Option<Job> {
        let state = self.lock();
        let waiting = |state: &mut State| state.jobs.is_empty() && !state.closed;
        let mut state = self.not_empty.wait_while(state, waiting).unwrap_or_else(PoisonError::into_inner);
        state.jobs.pop_front()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
impl Queue {
    pub(super) fn hashes_done(&self) -> u64 {
        self.metrics.duration.get_sample_count()
    }
}
