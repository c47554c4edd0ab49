//! [`Shipper`]: from segments to a topic, for as long as the process lives.

use std::{fmt, io, path::PathBuf, sync::Arc, time::Duration};

use common::clock::{SharedClock, SharedRandom, jittered};
use ingest::Progress;
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    ShipperConfig,
    broker::{Cluster, Failure},
    metrics::{OfSource, ShipperMetrics},
    round::Round,
    source::Source,
    topic::TopicTemplate,
};

/// Waits are spread by half, so that many processes don't come back to a broker at one moment.
const JITTER: f64 = 0.5;

/// Ships what lies in one store. Clones are the same shipper.
#[derive(Clone)]
pub struct Shipper(Arc<Shared>);

/// What a shipper is made of.
#[derive(Clone, Debug)]
pub struct Parts {
    /// What the store is called in logs and metrics.
    pub name: &'static str,
    /// The store's `data_dir`.
    pub data_dir: PathBuf,
    /// The topic of its lines.
    pub topic: TopicTemplate,
    /// Tells how old segments are.
    pub clock: SharedClock,
    /// Makes jitter.
    pub random: SharedRandom,
    /// Where it is counted.
    pub metrics: ShipperMetrics,
}

/// Why nothing can be shipped.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// How far it had come can't be read.
    #[error("{}: {source}", path.display())]
    Progress {
        /// The file.
        path: PathBuf,
        /// What the operating system said, or that it is not a place.
        source: io::Error,
    },
}

struct Shared {
    config: ShipperConfig,
    name: &'static str,
    source: Source,
    clock: SharedClock,
    random: SharedRandom,
    metrics: OfSource,
    stopping: CancellationToken,
    /// Whether [`Shipper::run`] has ended.
    ended: watch::Sender<bool>,
}

/// What one run has in hand.
#[derive(Default)]
struct InHand {
    cluster: Option<Cluster>,
    /// Read, and not wholly acknowledged.
    round: Option<Round>,
    /// Failures since the last success.
    failures: u32,
    /// Why it failed last, if it did: told once.
    told: Option<&'static str>,
    told_behind: bool,
}

impl Shipper {
    /// What the file is called in which the place in the segments is kept: `ingest/shipped-kafka`.
    pub const DESTINATION: &str = "kafka";

    /// Prepares to ship from `parts.data_dir`. From now on the store deletes nothing there that is not shipped: to be called
    /// before the store is opened. Nothing runs and nobody is asked yet. Reads and writes a small file.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(config: ShipperConfig, parts: Parts) -> Result<Self, OpenError> {
        let Parts { name, data_dir, topic, clock, random, metrics } = parts;
        let path = data_dir.clone();
        let unreadable = |source| OpenError::Progress { path, source };
        let progress = match Progress::of(&data_dir, Self::DESTINATION) {
            Ok(progress) => progress,
            Err(error) => return Err(unreadable(io::Error::other(error))),
        };
        let path = progress.path().to_owned();
        let source = Source::open(data_dir, topic, progress).map_err(|source| OpenError::Progress { path, source })?;
        Ok(Self(Arc::new(Shared {
            config,
            name,
            source,
            clock,
            random,
            metrics: metrics.of(name),
            stopping: CancellationToken::new(),
            ended: watch::Sender::new(false),
        })))
    }

    /// Ships until it is closed. To be run once.
    pub async fn run(&self) {
        let shared = &*self.0;
        let mut in_hand = InHand::default();
        tokio::select! {
            () = shared.ship(&mut in_hand) => {}
            // Whoever is cut off here sends the last records once more after the next start.
            () = shared.drained() => tracing::info!(source = shared.name, "the rest is shipped after the next start"),
        }
        shared.ended.send_replace(true);
    }

    /// Ships what is complete already, for `drain_timeout` at most, and ends. Ends at once when it is failing.
    pub async fn close(&self) {
        self.0.stopping.cancel();
        // The sender lives in `self`: the wait can't end without an answer.
        let _ = self.0.ended.subscribe().wait_for(|ended| *ended).await;
    }
}

impl Shared {
    async fn ship(&self, in_hand: &mut InHand) {
        loop {
            // What was completed before it stopped is still shipped.
            let was_stopping = self.stopping.is_cancelled();
            let outcome = self.step(in_hand).await;
            self.told(in_hand, &outcome);
            self.look_at_lag(in_hand).await;
            let wait = match outcome {
                Ok(true) => continue,
                Ok(false) => self.config.look_every,
                Err(_) => self.backoff(in_hand.failures),
            };
            if was_stopping {
                return;
            }
            tokio::select! {
                () = sleep(wait) => {}
                () = self.stopping.cancelled() => {}
            }
        }
    }

    /// One round. Answers whether there was anything to ship.
    async fn step(&self, in_hand: &mut InHand) -> Result<bool, Failure> {
        let mut round = match in_hand.round.take() {
            Some(round) => round,
            None => self.source.read(self.config.in_flight_bytes.get()).await?,
        };
        self.metrics.damaged_lines.inc_by(std::mem::take(&mut round.damaged));
        let outcome = self.send(&mut in_hand.cluster, &mut round).await;
        if let Err(failure) = outcome {
            in_hand.cluster = None;
            in_hand.round = Some(round);
            return Err(failure);
        }
        let Some(end) = round.end.clone() else { return Ok(!round.is_empty()) };
        // Not acknowledged and not kept: it would be sent again. Kept and not acknowledged: it would be lost.
        if let Err(error) = self.source.keep(end).await {
            in_hand.round = Some(round);
            return Err(error.into());
        }
        Ok(!round.is_empty())
    }

    async fn send(&self, cluster: &mut Option<Cluster>, round: &mut Round) -> Result<(), Failure> {
        if round.is_empty() {
            return Ok(());
        }
        let cluster = match cluster {
            Some(cluster) => cluster,
            none => none.insert(Cluster::connect(&self.config).await?),
        };
        cluster.send(round, &self.config, &self.metrics).await
    }

    /// Each kind of failure is told once, until it goes well again.
    fn told(&self, in_hand: &mut InHand, outcome: &Result<bool, Failure>) {
        match outcome {
            Ok(_) => {
                in_hand.failures = 0;
                self.metrics.last_success.set(self.clock.now().as_millis() / 1000);
                if in_hand.told.take().is_some() {
                    tracing::info!(source = self.name, "events are shipped to Kafka again");
                }
            }
            Err(failure) => {
                in_hand.failures = in_hand.failures.saturating_add(1);
                self.metrics.failed(failure);
                if in_hand.told.replace(failure.label()) != Some(failure.label()) {
                    tracing::warn!(source = self.name, reason = failure.label(), error = %failure, "events are not shipped to Kafka; it is tried again");
                }
            }
        }
    }

    async fn look_at_lag(&self, in_hand: &mut InHand) {
        let lag = match self.source.lag().await {
            Ok(lag) => lag,
            Err(error) => {
                tracing::debug!(%error, "how far behind it is is not known");
                return;
            }
        };
        let age = lag.oldest.map_or(Duration::ZERO, |oldest| self.clock.now().since(oldest));
        self.metrics.lag_bytes.set(i64::try_from(lag.bytes).unwrap_or(i64::MAX));
        if let Some(lines) = lag.lines {
            self.metrics.lag_events.set(i64::try_from(lines).unwrap_or(i64::MAX));
        }
        self.metrics.lag_seconds.set(i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
        let is_behind = lag.bytes > self.config.lag_bytes_max || age > self.config.lag_age_max;
        self.metrics.is_behind.set(i64::from(is_behind));
        match (std::mem::replace(&mut in_hand.told_behind, is_behind), is_behind) {
            (false, true) => tracing::warn!(
                source = self.name,
                lag_bytes = lag.bytes,
                lag_seconds = age.as_secs(),
                "shipping is behind: what is not shipped stays on the disk"
            ),
            (true, false) => tracing::info!(source = self.name, "shipping has caught up"),
            _ => {}
        }
    }

    /// `retry_min`, doubled with each failure up to `retry_max`.
    fn backoff(&self, failures: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(failures.saturating_sub(1).min(16));
        let base = self.config.retry_min.saturating_mul(doubled).min(self.config.retry_max);
        jittered(base, JITTER, &*self.random)
    }

    /// Waits until it should have ended.
    async fn drained(&self) {
        self.stopping.cancelled().await;
        sleep(self.config.drain_timeout).await;
    }
}

impl fmt::Debug for Shipper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shipper").field("source", &self.0.name).finish_non_exhaustive()
    }
}
