//! The `[setting]` section.

use std::{
    net::{Ipv4Addr, SocketAddr},
    num::{NonZeroU64, NonZeroUsize},
    path::PathBuf,
    time::Duration,
};

use common::config::{Invalid, Section};
use serde::{Deserialize, Serialize};

/// Where documents are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StoreKind {
    /// A directory.
    #[default]
    Fs,
}

/// The setting service: where its documents are and how long copies of them are trusted.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where `playgate serve setting` takes RPC. Cluster-internal: the wire format trusts its peers.
    pub listen: SocketAddr,

    /// What kind of store holds the documents.
    pub store: StoreKind,

    /// The directory of the `fs` store. Absent: `settings` under `data_dir`. Created if it does not exist.
    pub root: Option<PathBuf>,

    /// The largest document that is read, in bytes. A larger one counts as broken: it protects memory, and players
    /// from a download at each start of the game.
    pub document_bytes_max: NonZeroUsize,

    /// Memory for evaluated settings, in bytes. Beyond it the least used are dropped and read again when asked for.
    pub cache_bytes_max: NonZeroU64,

    /// How long evaluated settings are answered before the store is looked at again. The next reader after that still
    /// gets the old ones; the refresh happens behind its back. Spread by ±20 %.
    #[serde(with = "humantime_serde")]
    pub fresh_for: Duration,

    /// The same for settings that do not exist (neither the app nor the channel has a document). Shorter, because
    /// somebody may be about to publish them; not zero, because asking for nonsense must not become load on the store.
    #[serde(with = "humantime_serde")]
    pub absent_fresh_for: Duration,

    /// How long a failure is remembered before the store is tried again for the same settings. Spread by ±20 %.
    #[serde(with = "humantime_serde")]
    pub retry_after: Duration,

    /// Settings nobody asked for in this time are forgotten, so that the first reader after a quiet week does not get
    /// last week's.
    #[serde(with = "humantime_serde")]
    pub forget_idle_after: Duration,

    /// How long the first reader of settings waits for the store. Beyond it: "unavailable, ask again"; the read goes on
    /// and the next reader has its result.
    #[serde(with = "humantime_serde")]
    pub first_read_wait: Duration,

    /// A read of the store that takes longer is worth a warning in the log.
    #[serde(with = "humantime_serde")]
    pub slow_read_after: Duration,

    /// Reads of the store under way at one moment, one per app and channel. Protects the store and the threads that
    /// wait for it; beyond it first readers are told to come back and refreshes are left to a later reader.
    pub reads_max: NonZeroUsize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9082)),
            store: StoreKind::Fs,
            root: None,
            document_bytes_max: NonZeroUsize::MIN.saturating_add((1 << 20) - 1),
            cache_bytes_max: NonZeroU64::MIN.saturating_add((64 << 20) - 1),
            fresh_for: Duration::from_secs(5),
            absent_fresh_for: Duration::from_secs(2),
            retry_after: Duration::from_secs(1),
            forget_idle_after: Duration::from_secs(600),
            first_read_wait: Duration::from_secs(1),
            slow_read_after: Duration::from_secs(2),
            reads_max: NonZeroUsize::MIN.saturating_add(63),
        }
    }
}

impl Section for Config {
    const NAME: &'static str = "setting";

    fn validate(&self) -> Result<(), Invalid> {
        for (key, value) in [
            ("fresh_for", self.fresh_for),
            ("absent_fresh_for", self.absent_fresh_for),
            ("retry_after", self.retry_after),
            ("forget_idle_after", self.forget_idle_after),
            ("first_read_wait", self.first_read_wait),
            ("slow_read_after", self.slow_read_after),
        ] {
            if value.is_zero() {
                return Err(Invalid::new(key, "must be longer than zero"));
            }
        }
        if self.root.as_ref().is_some_and(|root| root.as_os_str().is_empty()) {
            return Err(Invalid::new("root", "must name a directory; leave it out for `settings` under `data_dir`"));
        }
        // An entry that outlives its own idle time would never be refreshed, only read again from nothing.
        if self.forget_idle_after <= self.fresh_for {
            return Err(Invalid::new("forget_idle_after", "must be longer than fresh_for"));
        }
        let bytes_max = u64::try_from(self.document_bytes_max.get()).unwrap_or(u64::MAX);
        if bytes_max > self.cache_bytes_max.get() {
            return Err(Invalid::new("cache_bytes_max", "must hold at least one document of document_bytes_max"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_the_limits_are_what_they_say() {
        let config = Config::default();
        assert_eq!(config.validate(), Ok(()));
        assert_eq!(config.document_bytes_max.get(), 1_048_576);
        assert_eq!(config.cache_bytes_max.get(), 67_108_864);
        assert_eq!(config.reads_max.get(), 64);
    }

    #[test]
    fn a_value_that_would_switch_a_protection_off_is_refused_by_name() {
        let refused = |change: fn(&mut Config)| {
            let mut config = Config::default();
            change(&mut config);
            config.validate().expect_err("refused").key
        };
        assert_eq!(refused(|config| config.fresh_for = Duration::ZERO), "fresh_for");
        assert_eq!(refused(|config| config.retry_after = Duration::ZERO), "retry_after");
        assert_eq!(refused(|config| config.root = Some(PathBuf::new())), "root");
        assert_eq!(refused(|config| config.forget_idle_after = config.fresh_for), "forget_idle_after");
        assert_eq!(refused(|config| config.cache_bytes_max = NonZeroU64::MIN), "cache_bytes_max");
    }
}
