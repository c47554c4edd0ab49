//! Password hashing on threads of its own.
//!
//! One Argon2id hash costs about 13 ms of a core and 19 MiB: never on an async thread, and never more at once than there
//! are cores. Who finds the queue full is told so at once; whose caller has given up is not hashed for.
//! Passwords and hashes never appear in logs, metrics or errors.

pub(crate) mod argon;
mod metrics;
mod queue;

use std::{num::NonZeroUsize, sync::Arc, thread, time::Duration};

use common::{
    clock::{SharedRandom, random_bytes},
    context::RequestContext,
    telemetry::trace::{self, Description},
};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use self::{
    argon::{Hasher, Work},
    metrics::Metrics,
    queue::{Job, Queue},
};
use crate::domain::password::Password;

/// How passwords are hashed and how many wait for it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HashPoolConfig {
    /// Threads that do nothing but hash; 0 means one per core. More than the cores only adds memory.
    pub threads: usize,
    /// Sign-ins that may wait for a thread. Beyond it they are told at once to come back: a queue longer than a player's
    /// patience is load without use. At 77 hashes a second and core, 128 is under two seconds on one core.
    pub queue: NonZeroUsize,
    /// Memory of one hash in KiB, per thread, at most 1 GiB. What makes guessing on graphics cards expensive. A thread
    /// keeps it once it has hashed.
    pub memory_kib: u32,
    /// Passes over that memory.
    pub iterations: u32,
    /// Lanes of one hash. They are computed one after the other, so more than 1 makes a hash no faster here.
    pub parallelism: u32,
}

impl Default for HashPoolConfig {
    /// The first choice of the OWASP Password Storage Cheat Sheet for Argon2id.
    fn default() -> Self {
        Self {
            threads: 0,
            queue: NonZeroUsize::new(128).unwrap_or(NonZeroUsize::MIN),
            memory_kib: 19_456,
            iterations: 2,
            parallelism: 1,
        }
    }
}

/// Why there is no answer about a password. None of these says anything about the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HashError {
    #[error("the hash queue is full")]
    Full { retry_after: Duration },
    #[error("the caller's deadline passed before its turn came")]
    Expired,
    #[error("the hash could not be computed")]
    Failed,
}

/// The pool could not be started.
#[derive(Debug, thiserror::Error)]
pub enum HashPoolStartError {
    /// The parameters are outside what Argon2 allows.
    #[error("account.hash_pool: {0}")]
    Parameters(#[from] argon2::Error),
    /// The first hash could not be computed.
    #[error("account.hash_pool: {0}")]
    FirstHash(#[from] argon2::password_hash::Error),
    /// No thread.
    #[error("a thread for hashing could not be started")]
    Thread(#[source] std::io::Error),
    /// A metric of the same name is registered already.
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
}

/// A running pool. Its threads end when it is dropped, after the hash they are at.
#[derive(Debug)]
pub(crate) struct HashPool {
    queue: Arc<Queue>,
    random: SharedRandom,
    /// Stands in for the hash of an account that does not exist.
    nobody: Arc<str>,
}

impl HashPool {
    pub(crate) fn start(
        config: &HashPoolConfig,
        random: SharedRandom,
        registry: &prometheus::Registry,
    ) -> Result<Self, HashPoolStartError> {
        let hasher = Hasher::new(config)?;
        let nobody = hasher.clone().hash(&random_bytes::<32>(&*random), &random_bytes(&*random))?;
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let threads = if config.threads == 0 { cores } else { config.threads };
        let queue = Arc::new(Queue::new(config.queue, threads, Metrics::register(registry)?));
        // The pool exists before its threads, so that those already running end when a later one cannot start.
        let pool = Self { queue, random, nobody: nobody.into() };
        for number in 0..threads {
            let (queue, hasher) = (Arc::clone(&pool.queue), hasher.clone());
            thread::Builder::new()
                .name(format!("hash-{number}"))
                .spawn(move || queue.work(hasher))
                .map_err(HashPoolStartError::Thread)?;
        }
        Ok(pool)
    }

    /// Hashes a password that was just chosen; the answer is a PHC string.
    pub(crate) async fn hash(&self, password: Password) -> Result<String, HashError> {
        let salt = random_bytes(&*self.random);
        self.submit(|answer| Work::Hash { password, salt, answer }).await
    }

    /// Does `password` match the stored PHC string? Without one (there is no such account) the answer is no, after the
    /// same work, so that the time taken does not tell which usernames exist.
    pub(crate) async fn verify(&self, password: Password, stored: Option<&str>) -> Result<bool, HashError> {
        let exists = stored.is_some();
        let stored = stored.map_or_else(|| Arc::clone(&self.nobody), Arc::from);
        let matches = self.submit(|answer| Work::Verify { password, stored, answer }).await?;
        Ok(matches && exists)
    }

    async fn submit<T>(
        &self,
        work: impl FnOnce(oneshot::Sender<Result<T, HashError>>) -> Work,
    ) -> Result<T, HashError> {
        // A hash takes its milliseconds: what is longer was the wait for a thread.
        let span = trace::leaf(|| Description::internal("hash pool"));
        let (answer, answered) = oneshot::channel();
        let deadline = RequestContext::current().and_then(|context| context.deadline);
        let result = match self.queue.push(Job::new(work(answer), deadline.map(tokio::time::Instant::into_std))) {
            // A thread that panicked drops the sender; so does the end of the pool.
            Ok(()) => answered.await.unwrap_or(Err(HashError::Failed)),
            Err(refused) => Err(refused),
        };
        span.end(result.is_err());
        result
    }
}

impl Drop for HashPool {
    fn drop(&mut self) {
        self.queue.close();
    }
}

#[cfg(test)]
mod tests {
    use common::clock::{Random, testing::SeededRandom};
    use std::time::Instant;

    use super::*;

    /// As little work as Argon2 allows: these tests are about the pool.
    fn config() -> HashPoolConfig {
        HashPoolConfig { threads: 1, memory_kib: 8, iterations: 1, ..HashPoolConfig::default() }
    }

    fn random() -> SharedRandom {
        Arc::new(SeededRandom::new(1))
    }

    fn pool(config: &HashPoolConfig) -> HashPool {
        HashPool::start(config, random(), &prometheus::Registry::new()).expect("starts")
    }

    fn password(text: &str) -> Password {
        Password::choose(text).expect("valid")
    }

    #[tokio::test]
    async fn only_the_hashed_password_verifies_and_each_hash_has_its_own_salt() {
        let pool = pool(&config());
        let stored = pool.hash(password("correct horse")).await.expect("hashed");
        assert_eq!(pool.verify(password("correct horse"), Some(&stored)).await, Ok(true));
        assert_eq!(pool.verify(password("correct house"), Some(&stored)).await, Ok(false));
        assert_ne!(pool.hash(password("correct horse")).await.expect("hashed"), stored);
    }

    #[tokio::test]
    async fn the_default_parameters_are_written_into_the_hash() {
        let pool = pool(&HashPoolConfig { threads: 1, ..HashPoolConfig::default() });
        let stored = pool.hash(password("correct horse")).await.expect("hashed");
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
    }

    #[tokio::test]
    async fn a_hash_made_with_other_parameters_still_verifies() {
        let stored = pool(&config()).hash(password("correct horse")).await.expect("hashed");
        let stronger = pool(&HashPoolConfig { memory_kib: 64, iterations: 2, ..config() });
        assert_eq!(stronger.verify(password("correct horse"), Some(&stored)).await, Ok(true));
    }

    #[tokio::test]
    async fn a_missing_account_costs_a_hash_and_is_never_right() {
        let pool = pool(&config());
        let before = pool.queue.hashes_done();
        assert_eq!(pool.verify(password("correct horse"), None).await, Ok(false));
        assert_eq!(pool.queue.hashes_done(), before + 1);
    }

    #[tokio::test]
    async fn a_damaged_stored_hash_is_a_fault_and_not_a_wrong_password() {
        let pool = pool(&config());
        for damaged in ["", "plain text", "$argon2id$v=19$m=4194304,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g"] {
            assert_eq!(
                pool.verify(password("correct horse"), Some(damaged)).await,
                Err(HashError::Failed),
                "{damaged}"
            );
        }
    }

    #[tokio::test]
    async fn who_finds_the_queue_full_is_told_at_once_when_to_come_back() {
        // No thread takes anything from this queue, so that it stays full.
        let metrics = Metrics::register(&prometheus::Registry::new()).expect("registers");
        let queue = Arc::new(Queue::new(NonZeroUsize::MIN, 1, metrics));
        let pool = HashPool { queue, random: random(), nobody: "".into() };
        let mut first = std::pin::pin!(pool.hash(password("correct horse")));
        assert!(futures_util::poll!(first.as_mut()).is_pending());
        let second = pool.hash(password("correct horse")).await;
        assert!(
            matches!(second, Err(HashError::Full { retry_after }) if retry_after >= Duration::from_secs(1)),
            "{second:?}"
        );
    }

    #[tokio::test]
    async fn work_whose_deadline_has_passed_is_dropped_unhashed() {
        let pool = pool(&config());
        let before = pool.queue.hashes_done();
        let mut context = RequestContext::root(&SeededRandom::new(2) as &dyn Random);
        context.deadline = Some(tokio::time::Instant::from_std(Instant::now()));
        assert_eq!(context.scope(pool.hash(password("correct horse"))).await, Err(HashError::Expired));
        assert_eq!(pool.queue.hashes_done(), before);
    }

    #[tokio::test]
    async fn waiting_work_is_answered_when_the_pool_ends() {
        let metrics = Metrics::register(&prometheus::Registry::new()).expect("registers");
        let queue = Arc::new(Queue::new(NonZeroUsize::MIN, 1, metrics));
        let (answer, answered) = oneshot::channel();
        let work = Work::Hash { password: password("correct horse"), salt: [0; 16], answer };
        queue.push(Job::new(work, None)).expect("there is room");
        drop(HashPool { queue, random: random(), nobody: "".into() });
        assert!(answered.await.is_err());
    }

    #[test]
    fn parameters_beyond_argon2_stop_the_start() {
        let config = HashPoolConfig { iterations: 0, ..config() };
        let started = HashPool::start(&config, random(), &prometheus::Registry::new());
        assert!(matches!(started, Err(HashPoolStartError::Parameters(_))));
    }
}
