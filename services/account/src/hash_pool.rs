//! Password hashing on threads of its own.
//!
//! One Argon2id hash costs about 13 ms of a core and 19 MiB: never on an async thread, and never more at once than there
//! are cores. Who finds the queue full is told so at once; whose caller has given up is not hashed for. Players on a
//! device that they have signed in from before go first: during an attack on passwords they are the ones to be served.
//! Passwords and hashes never appear in logs, metrics or errors.
//!
//! - `config`: the section `account.hash_pool`.
//! - `queue`: who waits, and who is next.
//! - `argon`: what a thread does.

mod argon;
mod config;
mod metrics;
mod queue;

use std::{
    fmt,
    num::NonZeroUsize,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use common::{
    clock::{SharedRandom, jittered, random_bytes},
    context::RequestContext,
    telemetry::trace::{self, Description},
};
use tokio::sync::oneshot;

pub use self::config::HashPoolConfig;
use self::{
    argon::{Hasher, Work},
    metrics::Metrics,
    queue::{Job, Order, Queue},
};
use crate::domain::password::Password;

/// How nice the threads are (`setpriority(2)`; 19 is the nicest). On a machine whose cores all hash, a token check then gets a
/// core when it comes, and hashing loses only what others need: `bench login_verify` has a p99 of 4.5 ms without it, 1.3 ms
/// at 10 and 0.6 ms at 19, with as many logins.
const NICENESS: i32 = 19;

/// Nobody is asked to come back sooner.
const SHORTEST_RETRY: Duration = Duration::from_secs(1);

/// Who is told to come back is spread by this share, so that they do not all come back at one moment.
const RETRY_JITTER_SHARE: f64 = 0.3;

/// Who asks. Decides who is hashed for first, and nothing else: a device is what a client says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// A device that the account has signed in from before.
    KnownDevice,
    Stranger,
}

/// What came of comparing a password with a stored hash.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Comparison {
    Wrong,
    Right {
        /// A hash to store instead, when the one that is stored was not made as they are now.
        replacement: Option<String>,
    },
}

/// Why there is no answer about a password. None of these says anything about the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HashError {
    /// There is no place, or no thread in time.
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

/// Lets everything else on this machine go before the calling thread. On Linux a priority is a thread's own.
fn give_way() {
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "password hashing competes with requests: its priority can't be lowered");
    }
}

impl HashPool {
    pub(crate) fn start(
        config: &HashPoolConfig,
        random: SharedRandom,
        registry: &prometheus::Registry,
    ) -> Result<Self, HashPoolStartError> {
        let mut hasher = Hasher::new(config)?;
        let started = Instant::now();
        let nobody = hasher.hash(&random_bytes::<32>(&*random), &random_bytes(&*random))?;
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let threads = if config.threads == 0 { cores } else { config.threads };
        let order = Order {
            capacity: config.queue,
            max_wait: config.max_wait,
            known_devices_first: config.known_devices_first,
            retry_after: time_to_empty(config.queue, threads, started.elapsed()).max(SHORTEST_RETRY),
        };
        let queue = Arc::new(Queue::new(order, Metrics::register(registry)?));
        // The pool exists before its threads, so that those already running end when a later one cannot start.
        let pool = Self { queue, random, nobody: nobody.into() };
        for number in 0..threads {
            let (queue, hasher) = (Arc::clone(&pool.queue), hasher.clone());
            thread::Builder::new()
                .name(format!("hash-{number}"))
                .spawn(move || {
                    give_way();
                    queue.work(hasher);
                })
                .map_err(HashPoolStartError::Thread)?;
        }
        Ok(pool)
    }

    /// Hashes a password that was just chosen; the answer is a PHC string.
    pub(crate) async fn hash(&self, password: Password, standing: Standing) -> Result<String, HashError> {
        let salt = random_bytes(&*self.random);
        self.submit(standing, |answer| Work::Hash { password, salt, answer }).await
    }

    /// Does `password` match the stored hash? Without one (there is no such account) the answer is no, after the same
    /// work, so that the time taken does not tell which usernames exist. A hash of another platform costs that work and
    /// its own; what a slow one takes longer shows until its owner has signed in once.
    pub(crate) async fn verify(
        &self,
        password: Password,
        stored: Option<&str>,
        standing: Standing,
    ) -> Result<Comparison, HashError> {
        let exists = stored.is_some();
        let stored = stored.map_or_else(|| Arc::clone(&self.nobody), Arc::from);
        let salt = random_bytes(&*self.random);
        let comparison = self.submit(standing, |answer| Work::Verify { password, stored, salt, answer }).await?;
        Ok(if exists { comparison } else { Comparison::Wrong })
    }

    async fn submit<T>(
        &self,
        standing: Standing,
        work: impl FnOnce(oneshot::Sender<Result<T, HashError>>) -> Work,
    ) -> Result<T, HashError> {
        // A hash takes its milliseconds: what is longer was the wait for a thread.
        let span = trace::leaf(|| Description::internal("hash pool"));
        let (answer, answered) = oneshot::channel();
        let deadline = RequestContext::current().and_then(|context| context.deadline);
        let deadline = deadline.map(tokio::time::Instant::into_std);
        let job = Job { work: work(answer), standing, queued_at: Instant::now(), deadline };
        let result = match self.queue.push(job) {
            // A thread that panicked drops the sender; so does the end of the pool.
            Ok(()) => answered.await.unwrap_or(Err(HashError::Failed)),
            Err(refused) => Err(refused),
        };
        span.end(result.is_err());
        result.map_err(|error| self.spread(error))
    }

    fn spread(&self, error: HashError) -> HashError {
        match error {
            HashError::Full { retry_after } => {
                let spread = jittered(retry_after, RETRY_JITTER_SHARE, &*self.random);
                HashError::Full { retry_after: spread.max(SHORTEST_RETRY) }
            }
            HashError::Expired | HashError::Failed => error,
        }
    }
}

/// How long a full queue takes, if every hash takes as long as the first one did.
fn time_to_empty(queue: NonZeroUsize, threads: usize, one_hash: Duration) -> Duration {
    let rounds = u32::try_from(queue.get() / threads.max(1)).unwrap_or(u32::MAX);
    one_hash.saturating_mul(rounds)
}

impl fmt::Debug for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wrong => f.write_str("Wrong"),
            Self::Right { replacement: None } => f.write_str("Right"),
            Self::Right { replacement: Some(_) } => f.write_str("Right(to be replaced)"),
        }
    }
}

#[cfg(test)]
impl HashPool {
    /// How many of them have had their turn.
    pub(crate) fn served(&self, standing: Standing) -> u64 {
        self.queue.waited(standing)
    }
}

impl Drop for HashPool {
    fn drop(&mut self) {
        self.queue.close();
    }
}

#[cfg(test)]
mod tests;
