//! [`Ingest`]: what callers push into.

mod committer;
mod history;
mod open;
mod state;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use common::{
    clock::{SharedClock, SharedRandom, Timestamp, jittered},
    sequence::UuidSequence,
};
use prometheus::Registry;
use tokio::{sync::watch, time::Instant};

use self::state::{Admitted, Failure, Offer, Outcome, Phase, Rejection, State, Waits};
use crate::{
    IngestConfig, IngestError, PartnerLimits, PartnerName,
    line::{Origin, Unplaced},
    metrics::Metrics,
    parse::{Events, Parsed, Refusal},
    window::EventHasher,
};

/// When to come again: the queue empties in less, and a disk is not freed in less.
const OVERLOADED_AFTER: Duration = Duration::from_secs(1);
const DISK_FAILED_AFTER: Duration = Duration::from_secs(2);
const DISK_FULL_AFTER: Duration = Duration::from_secs(15);

/// Those who are told to come again come spread by so much.
const JITTER: f64 = 0.3;

/// Bytes that are made into lines before other tasks have their turn.
const YIELD_BYTES: usize = 64 << 10;

/// The longest request id that is stored, in bytes.
const REQUEST_ID_MAX: usize = 128;

/// A UUID as text.
const UUID_BYTES: usize = 36;

/// What a line has beside its event, guessed for memory that is taken beforehand.
const LINE_GUESS: usize = 192;

/// The store. Clones are the same store; it closes by itself when the last one is gone, but only [`Ingest::close`] tells
/// when that is done.
#[derive(Clone)]
pub struct Ingest(Arc<Owner>);

/// What a store is made of.
#[derive(Clone, Debug)]
pub struct Parts {
    /// `data_dir`: `segments`, `segments-dead` and `ingest` are made in it.
    pub data_dir: PathBuf,
    /// Tells the time of events and of segments.
    pub clock: SharedClock,
    /// Makes identifiers, the secret of hashes, and jitter.
    pub random: SharedRandom,
    /// Where the metrics go.
    pub registry: Registry,
}

/// What a partner pushes at once.
#[derive(Clone, Debug)]
pub struct Push {
    /// Who pushes.
    pub partner: PartnerName,
    /// What they may take of everything.
    pub limits: PartnerLimits,
    /// The request it came with; 128 bytes of it are stored with each event.
    pub request_id: String,
    /// What they push.
    pub events: Events,
}

/// What became of a push that was acknowledged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Events that were stored.
    pub accepted: usize,
    /// Events that were stored before, or earlier in the same push.
    pub duplicates: usize,
    /// Events that can't be taken. They are among the dead letters.
    pub refused: Vec<RefusedEvent>,
}

/// An event that can't be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefusedEvent {
    /// Its place in the push, counted from 0; blank lines don't count.
    pub index: usize,
    /// Why.
    pub reason: Refusal,
}

/// Closes the store when nobody can push any more.
struct Owner(Arc<Shared>);

/// What callers and the writer share.
pub(crate) struct Shared {
    config: IngestConfig,
    clock: SharedClock,
    random: SharedRandom,
    /// What events are called that their partners don't name.
    ids: UuidSequence,
    hasher: EventHasher,
    metrics: Metrics,
    state: Mutex<State>,
    /// Wakes the writer.
    wake: Condvar,
    /// Whether the writer has ended.
    ended: watch::Sender<bool>,
    /// Rounds of housekeeping that are done.
    #[cfg(test)]
    rounds: watch::Sender<u64>,
}

impl Ingest {
    /// Stores a push. Answers once all of it is durable: what is new, and what it duplicates.
    ///
    /// Dropping the future does not take the push back. Needs a tokio runtime with time.
    ///
    /// # Errors
    /// [`IngestError`]: nothing of the push counts as taken, and it may be pushed again as it is.
    pub async fn accept(&self, push: Push) -> Result<Receipt, IngestError> {
        let shared = &self.0.0;
        let outcome = shared.take(&push).await;
        match &outcome {
            Ok(receipt) => shared.count(&push.partner, receipt),
            Err(error) => shared.metrics.refused_push(&push.partner, *error),
        }
        outcome
    }

    /// Takes nothing any more, writes what waits, and completes the open segment. Done when it returns; may be called
    /// more than once.
    pub async fn close(&self) {
        self.0.0.begin_closing();
        self.ended().await;
    }

    /// Waits until the store has ended: because it was closed, or by a fault. A process that should serve on without it
    /// must not exist: let it go down when this returns unasked.
    pub async fn ended(&self) {
        // The sender lives in `self`: the wait can't end without an answer.
        let _ = self.0.0.ended.subscribe().wait_for(|ended| *ended).await;
    }

    /// Waits until the writer has looked at the clock and the disk once more.
    #[cfg(test)]
    async fn housekept(&self) {
        let shared = &self.0.0;
        let mut rounds = shared.rounds.subscribe();
        let next = *rounds.borrow_and_update() + 2;
        while *rounds.borrow_and_update() < next {
            shared.lock().housekeeping_wanted = true;
            shared.wake.notify_all();
            rounds.changed().await.unwrap();
        }
    }
}

impl Shared {
    async fn take(&self, push: &Push) -> Result<Receipt, IngestError> {
        // What certainly finds no room, or comes too fast, costs no more than this look.
        let least = u64::try_from(push.events.bytes()).unwrap_or(u64::MAX);
        let count = u64::try_from(push.events.len()).unwrap_or(u64::MAX);
        let early = {
            let state = self.lock();
            let Push { partner, limits, .. } = push;
            state
                .check(partner, limits, least)
                .and_then(|()| state.check_rate(partner, limits, (count, least), Instant::now()))
        };
        early.map_err(|rejection| self.rejected(rejection))?;

        let (offer, mut receipt) = self.offer(push, self.clock.now()).await;
        // Making a large push into lines takes its time.
        let now = (self.clock.now(), Instant::now());
        let admitted = self.lock().admit(&push.partner, &push.limits, offer, now);
        let Admitted { waits, accepted, duplicates, wakes_writer } =
            admitted.map_err(|rejection| self.rejected(rejection))?;
        if wakes_writer {
            self.wake.notify_one();
        }
        (receipt.accepted, receipt.duplicates) = (accepted, duplicates);

        match tokio::time::timeout(self.config.ack_timeout, all_durable(waits)).await {
            Ok(Ok(())) => Ok(receipt),
            Ok(Err(failure)) => Err(self.failed(failure)),
            Err(_elapsed) => Err(IngestError::Slow { retry_after: self.spread(OVERLOADED_AFTER) }),
        }
    }

    /// Makes a push into lines.
    async fn offer(&self, push: &Push, now: Timestamp) -> (Offer, Receipt) {
        let request_id = beginning(&push.request_id, REQUEST_ID_MAX);
        let origin = Origin { partner: &push.partner, received_at: now.as_millis(), request_id };
        let count = push.events.len();
        let mut offer = Offer {
            lines: Unplaced::with_capacity(count, push.events.bytes() + count * LINE_GUESS),
            hashes: Vec::with_capacity(count),
            ..Offer::default()
        };
        let (mut receipt, mut text, mut since_yield) = (Receipt::default(), Vec::new(), 0);
        for (index, event) in push.events.iter().enumerate() {
            match event {
                Parsed::Good { event_id, json } => {
                    offer.hashes.push(event_id.map(|id| self.hasher.hash(&push.partner, id, &mut text)));
                    match event_id {
                        Some(id) => offer.lines.event(origin, id, json),
                        None => {
                            let id = self.ids.next(now);
                            offer.lines.event(origin, id.hyphenated().encode_lower(&mut [0; UUID_BYTES]), json);
                        }
                    }
                    since_yield += json.len() + LINE_GUESS;
                }
                Parsed::Bad { reason, raw } => {
                    receipt.refused.push(RefusedEvent { index, reason });
                    offer.dead.dead(origin, index, reason, raw);
                    since_yield += raw.len() + LINE_GUESS;
                }
            }
            if since_yield >= YIELD_BYTES {
                since_yield = 0;
                tokio::task::yield_now().await;
            }
        }
        offer.events = u64::try_from(count).unwrap_or(u64::MAX);
        offer.event_bytes = u64::try_from(push.events.bytes()).unwrap_or(u64::MAX);
        (offer, receipt)
    }

    fn count(&self, partner: &PartnerName, receipt: &Receipt) {
        let counts = self.metrics.of(partner);
        counts.accepted.inc_by(u64::try_from(receipt.accepted).unwrap_or(0));
        counts.duplicates.inc_by(u64::try_from(receipt.duplicates).unwrap_or(0));
        for refused in &receipt.refused {
            counts.refused(refused.reason).inc();
        }
    }

    fn rejected(&self, rejection: Rejection) -> IngestError {
        match rejection {
            Rejection::Closing => IngestError::ShuttingDown,
            Rejection::DiskFull => self.failed(Failure::DiskFull),
            Rejection::NoRoom => IngestError::Overloaded { retry_after: self.spread(OVERLOADED_AFTER) },
            Rejection::TooLarge => IngestError::TooLarge,
            // Not earlier than it would go through.
            Rejection::TooFast { wait } => {
                IngestError::RateLimited { retry_after: wait.mul_f64(1.0 + JITTER * self.random.fraction()) }
            }
        }
    }

    fn failed(&self, failure: Failure) -> IngestError {
        match failure {
            Failure::DiskFull => IngestError::DiskFull { retry_after: self.spread(DISK_FULL_AFTER) },
            Failure::DiskFailed => IngestError::DiskFailed { retry_after: self.spread(DISK_FAILED_AFTER) },
            Failure::Ended => IngestError::ShuttingDown,
        }
    }

    fn spread(&self, base: Duration) -> Duration {
        jittered(base, JITTER, &*self.random)
    }

    fn begin_closing(&self) {
        let mut state = self.lock();
        if state.phase == Phase::Open {
            state.phase = Phase::Closing;
        }
        drop(state);
        self.wake.notify_all();
    }

    /// Nothing is done under this lock that could panic half-way: what it holds is whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for the pushes that a receipt stands on.
async fn all_durable(Waits { own, others }: Waits) -> Result<(), Failure> {
    for mut other in others {
        // Boxed: nearly every push waits for itself alone, and would carry the room for this.
        let outcome = Box::pin(other.wait_for(|outcome| *outcome != Outcome::Waiting)).await;
        outcome.map_or(Outcome::Waiting, |outcome| *outcome).durable()?;
    }
    match own {
        // Nobody answers any more when the writer has ended.
        Some(own) => own.await.unwrap_or(Outcome::Waiting).durable(),
        None => Ok(()),
    }
}

/// As much of the beginning of `text` as fits.
fn beginning(text: &str, bytes_max: usize) -> &str {
    let end = (0..=bytes_max.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.begin_closing();
    }
}

impl fmt::Debug for Ingest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.0.lock();
        f.debug_struct("Ingest").field("phase", &state.phase).field("queue_bytes", &state.queue.held()).finish()
    }
}
