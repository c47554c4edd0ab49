//! [`Redis`]: what the process opens once.

use std::{
    fmt,
    future::Future,
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use prometheus::Registry;

use super::{
    RedisConfig, RedisFeed, RedisState, connection::Limits, feed::Opener, link::Link, metrics::Metrics, target::Target,
    tls,
};
use crate::{clock::SharedRandom, config::Secret};

/// A Redis server, or what takes the place of one. Opening it connects to nothing: that is what [`keep`](Self::keep)
/// does, and a process starts whether Redis is there or not.
#[derive(Clone)]
pub struct Redis {
    link: Link,
    config: RedisConfig,
    /// What followers of feeds open connections of their own with.
    opener: Opener,
}

/// Redis can't be used as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL says nothing that can be connected to.
    #[error("redis.url {0}")]
    Url(&'static str),
    /// The file of certificates can't be used.
    #[error("redis.ca_file {}: {reason}", file.display())]
    Authorities {
        /// Which file.
        file: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The metrics are registered already.
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
}

impl Redis {
    /// What the section names; `None` if it names nothing, and each process keeps to itself.
    ///
    /// # Errors
    /// When the URL or the file of certificates can't be used, or when the registry has the metrics of another [`Redis`].
    pub fn open(config: &RedisConfig, random: SharedRandom, registry: &Registry) -> Result<Option<Self>, OpenError> {
        let Some(url) = &config.url else { return Ok(None) };
        let target = target(url, config.ca_file.as_deref())?;
        let metrics = Metrics::register(registry)?;
        let link = Link::new(target.clone(), config, random.clone(), metrics.clone());
        let opener = Opener {
            target,
            limits: Limits::of(config),
            prefix: config.key_prefix.clone(),
            reconnect_every: config.reconnect_every,
            random,
            metrics,
        };
        Ok(Some(Self { link, config: config.clone(), opener }))
    }

    /// Connects, probes, and connects again. The process runs this as long as it lives; without it Redis stays away.
    pub fn keep(&self) -> impl Future<Output = ()> + Send + 'static {
        self.link.clone().keep()
    }

    /// Waits until the first attempt to connect has succeeded or failed, so that the first requests find Redis if it
    /// is there.
    pub async fn settled(&self) {
        self.link.settled().await;
    }

    /// Waits until Redis is found to be there, or to be away.
    #[cfg(any(test, feature = "testing"))]
    pub async fn is_up(&self, wanted: bool) {
        self.link.is_up(wanted).await;
    }

    /// The shared state on Redis alone: every question fails while Redis is away.
    pub fn state(&self) -> RedisState {
        RedisState::new(self.link.clone(), &self.config.key_prefix)
    }

    /// Feeds on Redis, of at least `bound` entries each.
    pub fn feed(&self, bound: NonZeroUsize) -> RedisFeed {
        RedisFeed::new(self.link.clone(), self.opener.clone(), bound)
    }

    /// What was configured.
    pub(in crate::shared) fn config(&self) -> &RedisConfig {
        &self.config
    }
}

/// What the URL names, with whom to trust.
fn target(url: &Secret, ca_file: Option<&Path>) -> Result<Target, OpenError> {
    let target = Target::parse(url.expose()).map_err(OpenError::Url)?;
    if target.is_encrypted() {
        tls::choose_cryptography();
    }
    let Some(file) = ca_file else { return Ok(target) };
    let refused = |reason| OpenError::Authorities { file: file.to_owned(), reason };
    let certificates = tls::authorities(file).map_err(refused)?;
    target.trusting(certificates).map_err(|error| refused(error.to_string()))
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("target", &self.opener.target).finish_non_exhaustive()
    }
}
