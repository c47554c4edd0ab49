//! The `[setting]` section.

use std::{
    net::{Ipv4Addr, SocketAddr},
    num::{NonZeroU32, NonZeroU64, NonZeroUsize},
    path::PathBuf,
    time::Duration,
};

use common::config::{Invalid, Section};
use serde::{Deserialize, Serialize};

mod document;
mod remote;

pub use self::{
    document::DocumentConfig,
    remote::{OssConfig, S3Config},
};
use crate::domain::DocumentLimits;

/// Where documents are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StoreKind {
    /// A directory: of this machine, or one that all replicas mount.
    #[default]
    Fs,
    /// A bucket of S3, or of a store that speaks its protocol and has its conditional writes.
    S3,
    /// A bucket of Aliyun OSS.
    Oss,
}

/// The fewest versions that are kept of an app. Protects publishing itself: a publisher that stood still for so many
/// versions could otherwise take a number that was used before.
const VERSIONS_KEPT_MIN: u32 = 300;

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

    /// The bucket of the `s3` store.
    pub s3: S3Config,

    /// The bucket of the `oss` store.
    pub oss: OssConfig,

    /// How long one request to the `s3` or `oss` store may take, from the connection to the last byte. A read of the `fs`
    /// store is never given up, because the thread that does it would not be: `reads_max` bounds those.
    #[serde(with = "humantime_serde")]
    pub store_timeout: Duration,

    /// The largest document, in bytes. A larger one is not published, and one in the store counts as broken: it protects
    /// memory, and players from a download at each start of the game.
    pub document_bytes_max: NonZeroUsize,

    /// What else a document may hold at most.
    pub document: DocumentConfig,

    /// Versions of an app that are kept, at least 300. Beyond them the oldest are deleted, at most two with each publish.
    /// Protects the store's space and the time it takes to list an app's versions.
    pub versions_kept: u32,

    /// Memory for the settings of apps, in bytes. Beyond it the least used are dropped and read again when asked for.
    pub cache_bytes_max: NonZeroU64,

    /// How often the store is asked for the revision of each app that is in use: a publish is seen elsewhere by then.
    #[serde(with = "humantime_serde")]
    pub follow_every: Duration,

    /// An app is in use for so long after somebody asked for its settings. Protects the store from questions about apps
    /// nobody plays.
    #[serde(with = "humantime_serde")]
    pub follow_idle_after: Duration,

    /// Every so many looks at an app's revision it is also looked for a version beyond it, which a publisher that was
    /// killed half-way leaves behind. Protects such a version from waiting for the next publish.
    pub follow_probe_every: NonZeroU32,

    /// Apps whose revision is asked for at one moment by `follow_every`. Protects the store.
    pub follow_parallel: NonZeroUsize,

    /// Apps in use that have published nothing and are followed all the same, so that their first publish is seen as soon as any
    /// other. Anybody can ask for apps that do not exist: protects the store from being asked for all of them again and again.
    pub follow_absent_max: usize,

    /// How long settings are answered before the store is looked at again, should `follow_every` not have done so. The next
    /// reader after that still gets the old ones; the refresh happens behind its back. Spread by ±20 %.
    #[serde(with = "humantime_serde")]
    pub fresh_for: Duration,

    /// The same for an app that has published nothing. Shorter, because somebody may be about to publish; not zero,
    /// because asking for nonsense must not become load on the store.
    #[serde(with = "humantime_serde")]
    pub absent_fresh_for: Duration,

    /// How long a failure is remembered before the store is tried again for the same app. Spread by ±20 %.
    #[serde(with = "humantime_serde")]
    pub retry_after: Duration,

    /// Settings of an app nobody asked for in this time are forgotten, so that the first reader after a quiet week does
    /// not get last week's.
    #[serde(with = "humantime_serde")]
    pub forget_idle_after: Duration,

    /// How long a reader waits for the store: the first one of an app's settings, and one that names a revision
    /// this replica has not heard of. Beyond it the first is told "unavailable, ask again", the other gets what there is;
    /// the read goes on and the next reader has its result.
    #[serde(with = "humantime_serde")]
    pub first_read_wait: Duration,

    /// A read of the store that takes longer is worth a warning in the log.
    #[serde(with = "humantime_serde")]
    pub slow_read_after: Duration,

    /// Reads of the store under way at one moment, one per app. Protects the store and the threads that wait for it;
    /// beyond it first readers are told to come back and refreshes are left to a later reader.
    pub reads_max: NonZeroUsize,

    /// Things that operators do under way at one moment: publishing, listing, comparing. Protects the store and memory;
    /// beyond it they are told at once to come back.
    pub operations_max: NonZeroUsize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9082)),
            store: StoreKind::Fs,
            root: None,
            s3: S3Config::default(),
            oss: OssConfig::default(),
            store_timeout: Duration::from_secs(5),
            document_bytes_max: NonZeroUsize::MIN.saturating_add((1 << 20) - 1),
            document: DocumentConfig::default(),
            versions_kept: 1000,
            cache_bytes_max: NonZeroU64::MIN.saturating_add((64 << 20) - 1),
            follow_every: Duration::from_millis(500),
            follow_idle_after: Duration::from_secs(60),
            follow_probe_every: NonZeroU32::MIN.saturating_add(19),
            follow_parallel: NonZeroUsize::MIN.saturating_add(15),
            follow_absent_max: 100,
            fresh_for: Duration::from_secs(5),
            absent_fresh_for: Duration::from_secs(1),
            retry_after: Duration::from_secs(1),
            forget_idle_after: Duration::from_secs(600),
            first_read_wait: Duration::from_secs(1),
            slow_read_after: Duration::from_secs(2),
            reads_max: NonZeroUsize::MIN.saturating_add(63),
            operations_max: NonZeroUsize::MIN.saturating_add(15),
        }
    }
}

impl Config {
    pub(crate) fn document_limits(&self) -> DocumentLimits {
        self.document.limits(self.document_bytes_max)
    }
}

impl Section for Config {
    const NAME: &'static str = "setting";

    fn validate(&self) -> Result<(), Invalid> {
        for (key, value) in [
            ("store_timeout", self.store_timeout),
            ("follow_every", self.follow_every),
            ("follow_idle_after", self.follow_idle_after),
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
        if self.follow_idle_after > self.forget_idle_after {
            return Err(Invalid::new("follow_idle_after", "must not be longer than forget_idle_after"));
        }
        if self.versions_kept < VERSIONS_KEPT_MIN {
            return Err(Invalid::new("versions_kept", format!("must be at least {VERSIONS_KEPT_MIN}")));
        }
        self.document.validate()?;
        match self.store {
            StoreKind::Fs => (),
            StoreKind::S3 => self.s3.validate()?,
            StoreKind::Oss => self.oss.validate()?,
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
        assert_eq!(config.operations_max.get(), 16);
        assert_eq!((config.follow_probe_every.get(), config.follow_parallel.get()), (20, 16));
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
        assert_eq!(refused(|config| config.store_timeout = Duration::ZERO), "store_timeout");
        assert_eq!(refused(|config| config.store = StoreKind::S3), "s3.bucket");
        assert_eq!(refused(|config| config.store = StoreKind::Oss), "oss.bucket");
        assert_eq!(refused(|config| config.follow_every = Duration::ZERO), "follow_every");
        assert_eq!(refused(|config| config.follow_idle_after = Duration::from_secs(601)), "follow_idle_after");
        assert_eq!(refused(|config| config.versions_kept = 299), "versions_kept");
    }
}
