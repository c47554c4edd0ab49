//! Keeps the copy up to date: reads the key ring now and then, and follows the feed of revocations.
//!
//! Any replica of account may answer any question, and they know differently much. So each answer says how old its
//! knowledge is; the copy takes what is new from all of them, moves on only to where the answering replica says that the
//! feed has settled, and throws nothing away for a replica that knows less than the copy does.
//!
//! Nothing here can fail for good: a round that fails leaves the copy as it was, a little older.

use std::{sync::Arc, time::Duration};

use common::{
    clock::{SharedClock, Timestamp},
    rpc::CallError,
    token::{
        feed::Place,
        key_ring::{KeyId, KeyRing, TokenKey},
        master_key::TokenKeyVault,
        read_ring::ReadRing,
    },
};
use idl::account::{FeedPlace, FollowRevocationsResponse, GetTokenKeysResponse};
use tokio::time::{Instant, MissedTickBehavior};

use super::{
    config::FallbackConfig,
    held::{Known, TokenCopy},
    metrics::Metrics,
    source::Source,
};
use crate::reach::Reach;

/// How often the key ring is read. Account reads it every `account.follow.keys_every`, and a new key is announced for
/// several times both before it signs.
const KEYS_EVERY: Duration = Duration::from_secs(5);

/// How long a feed that is too large is left alone before it is loaded again.
const TOO_LARGE_FOR: Duration = Duration::from_secs(60);

/// After so much time without an answer from the copy, falling back is over: a line in the log for the whole of it.
const QUIET_FOR: Duration = Duration::from_secs(10);

/// What the copy is kept with.
#[derive(Debug)]
pub(super) struct FollowParts {
    pub(super) config: FallbackConfig,
    pub(super) vault: Arc<TokenKeyVault>,
    pub(super) copy: Arc<TokenCopy>,
    pub(super) reach: Arc<Reach>,
    pub(super) metrics: Metrics,
    pub(super) clock: SharedClock,
}

/// The task that keeps the copy.
pub(super) struct Follower<S> {
    source: S,
    parts: FollowParts,
    followed: Option<Followed>,
    keys_read_at: Option<Instant>,
    /// The last failure that was told.
    told: Option<&'static str>,
    falling_back: FallingBack,
}

/// How far the feed has been followed.
#[derive(Clone)]
struct Followed {
    known: Arc<Known>,
    /// Nothing up to here can still appear that is not known.
    settled: Place,
    /// Every revocation that could be seen in the database at this moment is known.
    as_of: Instant,
}

/// How a round ended.
enum Round {
    Complete(Followed),
    /// The place to begin at is not known to a replica that read the database at this moment.
    Reload(Instant),
}

/// Whether the copy answers questions, as the log tells it.
#[derive(Debug, Default)]
struct FallingBack {
    answers_seen: u64,
    since: Option<Since>,
}

#[derive(Debug)]
struct Since {
    answers_before: u64,
    last_answer_at: Instant,
}

/// Why a round brought nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum FollowError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("token key {} does not open: gateway.fallback.master_key is not account's master key", .0.get())]
    WrongMasterKey(KeyId),
    #[error("the answering replica of account knows less than the copy")]
    ReplicaBehind,
    #[error("there are more than {0} revocations, which is gateway.fallback.max_entries")]
    TooLarge(usize),
    #[error("account's answer makes no sense: {0}")]
    Malformed(&'static str),
}

impl<S: Source> Follower<S> {
    pub(super) fn new(source: S, parts: FollowParts) -> Self {
        let falling_back = FallingBack { answers_seen: parts.metrics.by_copy.get(), since: None };
        Self { source, parts, followed: None, keys_read_at: None, told: None, falling_back }
    }

    /// Follows for as long as the process runs.
    pub(super) async fn run(mut self) {
        let mut ticks = tokio::time::interval(self.parts.config.poll_interval);
        // After a stall the next round is a whole interval away: an account that has just come back has enough to do.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let outcome = self.poll().await;
            self.tell(&outcome);
            self.falling_back.tell(self.parts.metrics.by_copy.get(), Instant::now());
            match outcome {
                Err(FollowError::TooLarge(_)) => ticks.reset_after(TOO_LARGE_FOR),
                Err(FollowError::WrongMasterKey(_)) => ticks.reset_after(KEYS_EVERY),
                Ok(()) | Err(_) => {}
            }
        }
    }

    /// One round. After a failure the copy is what it was.
    pub(super) async fn poll(&mut self) -> Result<(), FollowError> {
        // The keys first: a copy that counts as new has keys that are.
        if self.keys_read_at.is_none_or(|read_at| read_at.elapsed() >= KEYS_EVERY) {
            self.read_keys().await?;
            self.keys_read_at = Some(Instant::now());
        }
        let outcome = self.follow().await;
        if let Err(FollowError::TooLarge(_)) = &outcome {
            self.followed = None;
            self.parts.copy.drop_feed();
        }
        self.note_copy();
        outcome
    }

    async fn read_keys(&self) -> Result<(), FollowError> {
        let asked_at = self.parts.clock.now();
        let answer = self.heard(self.source.token_keys().await)?;
        let ring = open_ring(&self.parts.vault, &answer, asked_at);
        self.parts.metrics.note_wrong_master_key(matches!(ring, Err(FollowError::WrongMasterKey(_))));
        self.parts.copy.replace_ring(ring?);
        Ok(())
    }

    async fn follow(&mut self) -> Result<(), FollowError> {
        let followed = match (self.round(self.followed.as_ref()).await?, &self.followed) {
            (Round::Complete(new), None) => new,
            (Round::Complete(new), Some(old)) => Followed {
                settled: if new.settled.sequence > old.settled.sequence { new.settled } else { old.settled },
                as_of: new.as_of.max(old.as_of),
                known: new.known,
            },
            // It had not read the database since the place was told, so it says nothing about the place, and loading
            // everything anew would teach nothing.
            (Round::Reload(read_at), Some(old)) if read_at < old.as_of => return Err(FollowError::ReplicaBehind),
            (Round::Reload(_), old) => self.load_anew(old.as_ref()).await?,
        };
        self.parts.copy.replace_feed(Arc::clone(&followed.known), followed.as_of);
        followed.known.forget_expired(self.parts.clock.now());
        self.followed = Some(followed);
        Ok(())
    }

    /// Everything from the beginning, into a set of its own: another history has not revoked what this one did. The old
    /// set answers meanwhile.
    async fn load_anew(&self, old: Option<&Followed>) -> Result<Followed, FollowError> {
        match self.round(None).await? {
            Round::Complete(new) if old.is_none_or(|old| new.as_of >= old.as_of) => Ok(new),
            Round::Complete(_) | Round::Reload(_) => Err(FollowError::ReplicaBehind),
        }
    }

    /// Page by page to the end of the feed, from where it had settled.
    async fn round(&self, begin: Option<&Followed>) -> Result<Round, FollowError> {
        let known = begin.map_or_else(Arc::default, |followed| Arc::clone(&followed.known));
        let mut after = begin.map_or(Place::default(), |followed| followed.settled);
        // What the least knowing of the answering replicas can vouch for.
        let mut vouched: Option<(Place, Instant)> = None;
        loop {
            let asked_at = Instant::now();
            let page = self.heard(self.source.revocations(after).await)?;
            let read_at = read_at(&page, asked_at)?;
            if page.reload {
                return match after == Place::default() {
                    true => Err(FollowError::Malformed("the beginning is not known")),
                    false => Ok(Round::Reload(read_at)),
                };
            }
            page.entries.iter().for_each(|entry| known.apply(entry));
            if known.len() > self.parts.config.max_entries {
                return Err(FollowError::TooLarge(self.parts.config.max_entries));
            }
            let settled = place(&page.settled);
            let (least_settled, earliest) = vouched.unwrap_or((settled, read_at));
            let least_settled = if settled.sequence < least_settled.sequence { settled } else { least_settled };
            let (settled, as_of) = (least_settled, earliest.min(read_at));
            if !page.more {
                return Ok(Round::Complete(Followed { known, settled, as_of }));
            }
            if page.entries.is_empty() || page.last.sequence <= after.sequence {
                return Err(FollowError::Malformed("a page that leads nowhere"));
            }
            (vouched, after) = (Some((settled, as_of)), place(&page.last));
        }
    }

    /// Notes whether account can be reached.
    fn heard<T>(&self, answer: Result<T, CallError>) -> Result<T, CallError> {
        match &answer {
            Ok(_) => self.parts.reach.answered(),
            Err(error) => self.parts.reach.failed(error),
        }
        answer
    }

    fn note_copy(&self) {
        let (clock, metrics) = (&self.parts.clock, &self.parts.metrics);
        match &self.followed {
            Some(followed) => metrics.note_copy(followed.known.len(), clock.now().minus(followed.as_of.elapsed())),
            None => metrics.note_copy(0, Timestamp::default()),
        }
    }

    /// Says once that the copy can't be kept up to date, and once that it can again.
    fn tell(&mut self, outcome: &Result<(), FollowError>) {
        let failing = outcome.as_ref().err().map(FollowError::kind);
        if failing != self.told {
            match outcome {
                // A mistake of whoever configured it; everything else passes by itself.
                Err(error @ FollowError::WrongMasterKey(_)) => {
                    tracing::error!(%error, "there is no copy of key ring and revocations: a verify that account can't answer is 503");
                }
                Err(error) => {
                    tracing::warn!(%error, "the copy of key ring and revocations can't be brought up to date");
                }
                Ok(()) => tracing::info!("the copy of key ring and revocations is up to date"),
            }
        }
        self.told = failing;
    }
}

impl FallingBack {
    /// Says once that the copy answers, and once that it is no longer needed.
    fn tell(&mut self, answers: u64, now: Instant) {
        let answered = answers > self.answers_seen;
        match &mut self.since {
            None if answered => {
                tracing::warn!("account can't answer about tokens: the gateway answers from its copy");
                self.since = Some(Since { answers_before: self.answers_seen, last_answer_at: now });
            }
            Some(since) if answered => since.last_answer_at = now,
            Some(since) if now.saturating_duration_since(since.last_answer_at) >= QUIET_FOR => {
                let answers = answers - since.answers_before;
                tracing::info!(answers, "the gateway no longer answers about tokens from its copy");
                self.since = None;
            }
            None | Some(_) => {}
        }
        self.answers_seen = answers;
    }
}

impl FollowError {
    /// What tells one failure from another.
    fn kind(&self) -> &'static str {
        match self {
            Self::Call(_) => "call",
            Self::WrongMasterKey(_) => "wrong master key",
            Self::ReplicaBehind => "replica behind",
            Self::TooLarge(_) => "too large",
            Self::Malformed(_) => "malformed",
        }
    }
}

/// Every key has to open: a ring that lacks some would be taken for complete.
fn open_ring(
    vault: &TokenKeyVault,
    answer: &GetTokenKeysResponse,
    asked_at: Timestamp,
) -> Result<ReadRing, FollowError> {
    let mut keys = Vec::with_capacity(answer.keys.len());
    for sealed in &answer.keys {
        let id = u32::try_from(sealed.key_id).map_err(|_| FollowError::Malformed("a key id beyond 32 bits"))?;
        let id = KeyId::new(id);
        let key = vault.open(id, &sealed.sealed).ok_or(FollowError::WrongMasterKey(id))?;
        keys.push(TokenKey::new(id, Timestamp::from_millis(sealed.signs_from), &key));
    }
    let ring = KeyRing::new(keys).ok_or(FollowError::Malformed("a key ring without keys"))?;
    let complete_for = Duration::from_millis(u64::try_from(answer.complete_for_ms).unwrap_or(0));
    Ok(ReadRing::new(ring, asked_at + complete_for))
}

/// When the answering replica had read the database, by this gateway's clock: its age on top of the whole call.
fn read_at(page: &FollowRevocationsResponse, asked_at: Instant) -> Result<Instant, FollowError> {
    let age = u64::try_from(page.age_ms).map_err(|_| FollowError::Malformed("a negative age"))?;
    asked_at.checked_sub(Duration::from_millis(age)).ok_or(FollowError::ReplicaBehind)
}

fn place(wire: &FeedPlace) -> Place {
    Place { sequence: wire.sequence, created_at: Timestamp::from_millis(wire.created_at) }
}

#[cfg(test)]
mod tests;
