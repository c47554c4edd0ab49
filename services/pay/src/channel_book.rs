//! Which payment channels an app has, and how they are changed.
//!
//! Configurations hold secrets: they are sealed at rest under a key of the service, and shown without them. What was read
//! is used for a moment, and whoever comes while it is read waits for that: a flood of callbacks costs one read a second.

use std::{fmt, sync::Arc, time::Duration};

use common::{
    clock::{SharedClock, SharedRandom, Timestamp},
    config::Environment,
    sql::{Contention, Database, SqlError},
    token::{cipher::Cipher, master_key::MasterKey},
};
use moka::future::Cache;

use crate::{
    channels::{ChannelConfig, ChannelConfigError},
    store::channels::{self, SealedChannel},
};

/// How long what was read is used without looking again.
const FRESH_FOR: Duration = Duration::from_secs(1);

/// Channels that are remembered, and names that are none. Protects memory against made-up names.
const CAPACITY: u64 = 10_000;

/// The channel that is there without being configured, in development.
const SANDBOX: (&str, &str) = ("sandbox", r#"{"kind":"sandbox"}"#);

/// Every payment channel of every app. Cheap to clone.
#[derive(Clone)]
pub(crate) struct ChannelBook {
    database: Database,
    vault: Option<Arc<Cipher>>,
    known: Cache<(i64, String), Option<Arc<ChannelConfig>>>,
    per_app: u32,
    development: bool,
    clock: SharedClock,
    random: SharedRandom,
}

/// A channel as operators see it.
#[derive(Clone, Debug)]
pub(crate) struct ShownChannel {
    pub(crate) channel: String,
    pub(crate) version: i64,
    pub(crate) updated_at: Timestamp,
    /// JSON, without its secrets.
    pub(crate) document: String,
}

/// Why a channel was not read, or not changed.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum ChannelError {
    #[error(transparent)]
    Config(#[from] ChannelConfigError),
    #[error("the app has as many channels as it may")]
    TooMany,
    /// There is nothing to seal it with.
    #[error("`pay.master_key` is not set: secrets of channels can't be kept")]
    NoMasterKey,
    /// Sealed under another key, or damaged.
    #[error("the configuration of {channel} in app {app_id} can't be opened: was `pay.master_key` changed?")]
    Sealed { app_id: i64, channel: String },
    /// Another change was made at the same moment. It may be tried again.
    #[error("another change was made at the same moment")]
    Raced,
    #[error(transparent)]
    Sql(#[from] SqlError),
}

impl ChannelBook {
    pub(crate) fn new(
        database: Database,
        master_key: Option<&MasterKey>,
        per_app: u32,
        environment: Environment,
        clock: SharedClock,
        random: SharedRandom,
    ) -> Self {
        let vault = master_key.map(|key| Arc::new(Cipher::new(&key.derive("payment channels at rest, 1"))));
        let known = Cache::builder().max_capacity(CAPACITY).time_to_live(FRESH_FOR).build();
        let development = environment == Environment::Development;
        Self { database, vault, known, per_app, development, clock, random }
    }

    /// A channel; `None` when the app has none of this name.
    pub(crate) async fn find(&self, app_id: i64, channel: &str) -> Result<Option<Arc<ChannelConfig>>, ChannelError> {
        let place = (app_id, channel.to_owned());
        let read = self.known.try_get_with(place, self.read(app_id, channel)).await;
        read.map_err(|error: Arc<ChannelError>| ChannelError::clone(&error))
    }

    async fn read(&self, app_id: i64, channel: &str) -> Result<Option<Arc<ChannelConfig>>, ChannelError> {
        let stored = channels::find(&self.database, app_id, channel).await?;
        let found = match stored {
            Some(stored) => Some(self.open(app_id, channel, &stored)?),
            // One that is for development stays what it was when the process is not.
            None => self.sandbox(channel),
        };
        Ok(found.map(Arc::new))
    }

    /// Replaces the configuration of a channel; answers it as it is now.
    pub(crate) async fn put(&self, app_id: i64, channel: &str, json: &str) -> Result<ShownChannel, ChannelError> {
        let shown = self.database.retrying(|| self.put_once(app_id, channel, json)).await?;
        self.known.invalidate(&(app_id, channel.to_owned())).await;
        Ok(shown)
    }

    /// The channels of an app, by name.
    pub(crate) async fn of_app(&self, app_id: i64) -> Result<Vec<ShownChannel>, ChannelError> {
        let stored = channels::of_app(&self.database, app_id).await?;
        let shown = |(channel, stored): (String, SealedChannel)| {
            let config = self.open(app_id, &channel, &stored)?;
            let SealedChannel { version, updated_at, .. } = stored;
            Ok(ShownChannel { channel, version, updated_at, document: config.masked() })
        };
        stored.into_iter().map(shown).collect()
    }

    async fn put_once(&self, app_id: i64, channel: &str, json: &str) -> Result<ShownChannel, ChannelError> {
        let vault = self.vault.as_ref().ok_or(ChannelError::NoMasterKey)?;
        let mut tx = self.database.begin().await?;
        let before = channels::lock(&mut tx, app_id, channel).await?;
        if before.is_none() && channels::count(&mut tx, app_id).await? >= i64::from(self.per_app) {
            return Err(ChannelError::TooMany);
        }
        let version = before.as_ref().map_or(1, |before| before.version + 1);
        // What is there and can't be opened is replaced all the same; only its secrets can't be kept.
        let previous = before.and_then(|before| self.open(app_id, channel, &before).ok());
        let config = ChannelConfig::parse(json, previous.as_ref(), self.development)?;
        let place = associated_data(app_id, channel, version);
        let sealed = vault.seal_for_storage(&place, config.to_json().as_bytes(), self.random.as_ref());
        let updated_at = self.clock.now();
        let written = channels::write(&mut tx, app_id, channel, &SealedChannel { version, sealed, updated_at }).await;
        match written {
            Err(SqlError::UniqueViolation { .. }) => return Err(ChannelError::Raced),
            written => written?,
        }
        tx.commit().await?;
        Ok(ShownChannel { channel: channel.to_owned(), version, updated_at, document: config.masked() })
    }

    fn open(&self, app_id: i64, channel: &str, stored: &SealedChannel) -> Result<ChannelConfig, ChannelError> {
        let vault = self.vault.as_ref().ok_or(ChannelError::NoMasterKey)?;
        let place = associated_data(app_id, channel, stored.version);
        let opened = vault.open_stored(&place, &stored.sealed);
        let json = opened.as_deref().and_then(|bytes| str::from_utf8(bytes).ok());
        let json = json.ok_or_else(|| ChannelError::Sealed { app_id, channel: channel.to_owned() })?;
        Ok(ChannelConfig::parse(json, None, self.development)?)
    }

    fn sandbox(&self, channel: &str) -> Option<ChannelConfig> {
        let (name, config) = SANDBOX;
        let is_sandbox = self.development && channel == name;
        is_sandbox.then(|| ChannelConfig::parse(config, None, true).ok()).flatten()
    }
}

/// Sealed in another place, it does not open.
fn associated_data(app_id: i64, channel: &str, version: i64) -> Vec<u8> {
    [&app_id.to_be_bytes()[..], &version.to_be_bytes(), channel.as_bytes()].concat()
}

impl Contention for ChannelError {
    fn is_contention(&self) -> bool {
        match self {
            Self::Raced => true,
            Self::Sql(error) => error.is_contention(),
            Self::Config(_) | Self::TooMany | Self::NoMasterKey | Self::Sealed { .. } => false,
        }
    }
}

impl fmt::Debug for ChannelBook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelBook").field("known", &self.known.entry_count()).finish_non_exhaustive()
    }
}
