//! The bounded queue between requests and hashing threads.
//!
//! Two lines, one number of places. Who stands in the front one is hashed for first and, when all places are taken,
//! takes the place of the last in the back one; but of [`Order::known_devices_first`] and one hashes, the one is for the
//! back line, so that it moves under any load.

use std::{
    collections::VecDeque,
    num::{NonZeroU32, NonZeroUsize},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{
    HashError, Standing,
    argon::{Hasher, Work},
    metrics::Metrics,
};

/// One piece of work and how long it is worth doing.
pub(super) struct Job {
    pub(super) work: Work,
    pub(super) standing: Standing,
    pub(super) queued_at: Instant,
    /// Nobody wants it after this.
    pub(super) deadline: Option<Instant>,
}

/// How the queue is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    /// Places.
    pub(super) capacity: NonZeroUsize,
    /// The longest a job may wait.
    pub(super) max_wait: Duration,
    /// Jobs of the front line for each of the back line, while both wait.
    pub(super) known_devices_first: NonZeroU32,
    /// What who has to come back is told, before jitter.
    pub(super) retry_after: Duration,
}

/// The queue. Its lock is held for a few instructions only, and for a look at every place when all are taken, so async
/// code may take it.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    not_empty: Condvar,
    order: Order,
    metrics: Metrics,
}

#[derive(Default)]
struct State {
    known_devices: VecDeque<Job>,
    strangers: VecDeque<Job>,
    /// Known devices in a row that were hashed for while strangers waited.
    favoured: u32,
    closed: bool,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("queued", &self.len()).field("closed", &self.closed).finish()
    }
}

impl Job {
    fn is_wanted(&self, now: Instant) -> bool {
        !self.work.is_abandoned() && self.deadline.is_none_or(|deadline| deadline > now)
    }
}

impl State {
    fn len(&self) -> usize {
        self.known_devices.len() + self.strangers.len()
    }

    fn line(&mut self, standing: Standing) -> &mut VecDeque<Job> {
        match standing {
            Standing::KnownDevice => &mut self.known_devices,
            Standing::Stranger => &mut self.strangers,
        }
    }

    fn next(&mut self, known_devices_first: NonZeroU32) -> Option<Job> {
        if self.strangers.is_empty() {
            self.favoured = 0;
            return self.known_devices.pop_front();
        }
        if self.favoured >= known_devices_first.get() || self.known_devices.is_empty() {
            self.favoured = 0;
            return self.strangers.pop_front();
        }
        self.favoured += 1;
        self.known_devices.pop_front()
    }

    /// Takes out what nobody waits for any more.
    fn take_unwanted(&mut self) -> VecDeque<Job> {
        let now = Instant::now();
        let mut unwanted = VecDeque::new();
        for line in [&mut self.known_devices, &mut self.strangers] {
            let (wanted, late) = line.drain(..).partition(|job| job.is_wanted(now));
            *line = wanted;
            unwanted.extend::<VecDeque<Job>>(late);
        }
        unwanted
    }
}

impl Queue {
    pub(super) fn new(order: Order, metrics: Metrics) -> Self {
        Self { state: Mutex::default(), not_empty: Condvar::new(), order, metrics }
    }

    /// Queues the job, or says at once when to come back.
    pub(super) fn push(&self, job: Job) -> Result<(), HashError> {
        let capacity = self.order.capacity.get();
        let mut state = self.lock();
        let unwanted = if state.len() >= capacity { state.take_unwanted() } else { VecDeque::new() };
        let displaced = match job.standing {
            Standing::KnownDevice if state.len() >= capacity => state.strangers.pop_back(),
            Standing::KnownDevice | Standing::Stranger => None,
        };
        let has_place = state.len() < capacity;
        if has_place {
            let standing = job.standing;
            state.line(standing).push_back(job);
        }
        self.show_lengths(&state);
        drop(state);
        for job in unwanted {
            self.drop_unwanted(job);
        }
        if let Some(job) = displaced {
            self.metrics.rejected_displaced.inc();
            job.work.refuse(self.full());
        }
        if !has_place {
            self.metrics.rejected_full.inc();
            return Err(self.full());
        }
        self.not_empty.notify_one();
        Ok(())
    }

    /// A thread's life: jobs, one after the other, until the queue is closed.
    pub(super) fn work(&self, mut hasher: Hasher) {
        while let Some(job) = self.pop() {
            let (now, waited) = (Instant::now(), job.queued_at.elapsed());
            self.metrics.wait(job.standing).observe(waited.as_secs_f64());
            if !job.is_wanted(now) {
                self.drop_unwanted(job);
                continue;
            }
            if waited > self.order.max_wait {
                self.metrics.rejected_waited.inc();
                job.work.refuse(self.full());
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
        *state = State { closed: true, ..State::default() };
        drop(state);
        self.not_empty.notify_all();
    }

    fn pop(&self) -> Option<Job> {
        let state = self.lock();
        let waiting = |state: &mut State| state.len() == 0 && !state.closed;
        let mut state = self.not_empty.wait_while(state, waiting).unwrap_or_else(PoisonError::into_inner);
        let job = state.next(self.order.known_devices_first);
        self.show_lengths(&state);
        job
    }

    fn drop_unwanted(&self, job: Job) {
        self.metrics.rejected_expired.inc();
        job.work.refuse(HashError::Expired);
    }

    fn full(&self) -> HashError {
        HashError::Full { retry_after: self.order.retry_after }
    }

    fn show_lengths(&self, state: &State) {
        for (standing, line) in [(Standing::KnownDevice, &state.known_devices), (Standing::Stranger, &state.strangers)]
        {
            self.metrics.queued(standing).set(i64::try_from(line.len()).unwrap_or(i64::MAX));
        }
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

    pub(super) fn waited(&self, standing: Standing) -> u64 {
        self.metrics.wait(standing).get_sample_count()
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::domain::password::Password;

    type Answer = oneshot::Receiver<Result<String, HashError>>;

    fn order(capacity: usize) -> Order {
        Order {
            capacity: NonZeroUsize::new(capacity).expect("positive"),
            max_wait: Duration::from_secs(2),
            known_devices_first: NonZeroU32::new(3).expect("positive"),
            retry_after: Duration::from_secs(1),
        }
    }

    fn queue(capacity: usize) -> Queue {
        Queue::new(order(capacity), Metrics::register(&prometheus::Registry::new()).expect("registers"))
    }

    fn job(standing: Standing) -> (Job, Answer) {
        let (answer, answered) = oneshot::channel();
        let work = Work::Hash { password: Password::present("x").expect("valid"), salt: [0; 16], answer };
        (Job { work, standing, queued_at: Instant::now(), deadline: None }, answered)
    }

    fn push(queue: &Queue, standing: Standing) -> Result<Answer, HashError> {
        let (job, answer) = job(standing);
        queue.push(job).map(|()| answer)
    }

    #[test]
    fn known_devices_go_first_and_strangers_still_get_their_turns() {
        let queue = queue(100);
        let mut waiting = Vec::new();
        for standing in [Standing::Stranger, Standing::KnownDevice] {
            waiting.extend((0..8).map(|_| push(&queue, standing).expect("room")));
        }
        let order: String = (0..16)
            .map(|_| match queue.pop().expect("waits").standing {
                Standing::KnownDevice => 'k',
                Standing::Stranger => 's',
            })
            .collect();
        assert_eq!(order, "kkkskkkskksssssss"[..16]);
    }

    #[test]
    fn in_a_full_queue_a_known_device_takes_the_place_of_the_last_stranger() {
        let queue = queue(2);
        let mut first = push(&queue, Standing::Stranger).expect("room");
        let mut last = push(&queue, Standing::Stranger).expect("room");
        let full = HashError::Full { retry_after: Duration::from_secs(1) };
        assert_eq!(push(&queue, Standing::Stranger).err(), Some(full));
        let _known = push(&queue, Standing::KnownDevice).expect("takes a place");
        assert_eq!(last.try_recv().expect("answered"), Err(full));
        let _known_too = push(&queue, Standing::KnownDevice).expect("takes a place");
        assert_eq!(first.try_recv().expect("answered"), Err(full));
        assert_eq!(push(&queue, Standing::KnownDevice).err(), Some(full));
        assert_eq!((queue.metrics.rejected_displaced.get(), queue.metrics.rejected_full.get()), (2, 2));
    }

    #[test]
    fn who_has_gone_makes_room() {
        let queue = queue(2);
        drop(push(&queue, Standing::Stranger).expect("room"));
        let (late, mut answer) = job(Standing::KnownDevice);
        queue.push(Job { deadline: Some(Instant::now()), ..late }).expect("room");
        let _waiting = push(&queue, Standing::Stranger).expect("the one that has gone made room");
        assert_eq!(answer.try_recv().expect("answered"), Err(HashError::Expired));
        let _waiting_too = push(&queue, Standing::Stranger).expect("so did the one that is late");
        assert_eq!(queue.metrics.rejected_expired.get(), 2);
        assert_eq!(queue.metrics.queued(Standing::Stranger).get(), 2);
        assert_eq!(queue.metrics.queued(Standing::KnownDevice).get(), 0);
    }
}
