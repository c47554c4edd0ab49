//! The documents of channels, in memory.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;
use common::{clock::Timestamp, sql::Database};
use tokio::sync::Mutex;

use super::{gate::Gate, issuer_keys::IssuerKeys};
use crate::{
    domain::{
        channel::{
            document::{ChannelDocument, LoginRules},
            identity::ChannelName,
            vault::{ChannelVault, DocumentPlace},
        },
        ids::AppId,
    },
    error::AccountError,
    store::channels::{Channels, StoredChannel},
};

type Everything = HashMap<(AppId, ChannelName), Arc<Channel>>;

/// Every channel this instance knows.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) store: Channels,
    pub(super) database: Database,
    pub(super) vault: ChannelVault,
    development: bool,
    everything: ArcSwap<Everything>,
    /// How many reads have begun.
    begun: AtomicU64,
    /// The number of the last read that ended, and how. Held while reading, so that one read runs at a time.
    last_read: Mutex<(u64, Result<(), AccountError>)>,
}

/// A channel, with what is known about it beside its document. A new version begins anew.
#[derive(Debug)]
pub(super) struct Channel {
    version: i64,
    pub(super) login: Option<LoginRules>,
    pub(super) gate: Gate,
    pub(super) keys: IssuerKeys,
}

/// A document that was opened.
#[derive(Debug)]
pub(super) struct OpenedChannel {
    pub(super) channel: ChannelName,
    pub(super) version: i64,
    pub(super) updated_at: Timestamp,
    pub(super) document: ChannelDocument,
}

impl Known {
    pub(super) async fn load(database: Database, vault: ChannelVault, development: bool) -> Result<Self, AccountError> {
        let known = Self {
            store: Channels::new(database.clone()),
            database,
            vault,
            development,
            everything: ArcSwap::default(),
            begun: AtomicU64::new(0),
            last_read: Mutex::new((0, Ok(()))),
        };
        known.refresh().await?;
        Ok(known)
    }

    /// The channel; `None` when there certainly is none.
    pub(super) async fn find(&self, app_id: AppId, name: &ChannelName) -> Result<Option<Arc<Channel>>, AccountError> {
        let key = (app_id, name.clone());
        if let Some(channel) = self.everything.load().get(&key) {
            return Ok(Some(Arc::clone(channel)));
        }
        self.refresh().await?;
        Ok(self.everything.load().get(&key).cloned())
    }

    /// Reads what has changed. Callers that come while a read runs share the next one, whatever its outcome: a storm of
    /// unknown names, or a database that does not answer, costs one read at a time.
    pub(super) async fn refresh(&self) -> Result<(), AccountError> {
        let begun_before = self.begun.load(Ordering::SeqCst);
        let mut last = self.last_read.lock().await;
        if last.0 > begun_before {
            return last.1.clone();
        }
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let outcome = self.read().await.map(|everything| self.everything.store(Arc::new(everything)));
        *last = (number, outcome.clone());
        outcome
    }

    /// Opens what is stored. One that does not open was sealed under another master key, or is damaged.
    pub(super) fn open(&self, app_id: AppId, stored: StoredChannel) -> Result<OpenedChannel, AccountError> {
        let StoredChannel { channel, version, sealed, updated_at } = stored;
        let place = DocumentPlace { app_id, channel: &channel, version };
        let json = self.vault.open(place, &sealed).ok_or(AccountError::Damaged("account_channels.sealed"))?;
        let document = ChannelDocument::parse(&json, None, self.development)?;
        Ok(OpenedChannel { channel, version, updated_at, document })
    }

    async fn read(&self) -> Result<Everything, AccountError> {
        let (versions, known) = (self.store.versions().await?, self.everything.load_full());
        let mut everything = Everything::with_capacity(versions.len());
        for (app_id, name, version) in versions {
            let key = (app_id, name);
            let before = known.get(&key);
            if let Some(unchanged) = before.filter(|channel| channel.version == version) {
                everything.insert(key, Arc::clone(unchanged));
                continue;
            }
            let Some(stored) = self.store.find(key.0, &key.1).await? else { continue };
            match self.open(key.0, stored) {
                Ok(opened) => {
                    everything.insert(key, Arc::new(Channel::new(opened)));
                }
                // One document must not keep the others from being followed.
                Err(error) => {
                    tracing::error!(app_id = key.0.get(), channel = %key.1, %error, "a channel's document can't be used");
                    let login = None;
                    let broken = Channel { version, login, gate: Gate::default(), keys: IssuerKeys::default() };
                    everything.insert(key, before.cloned().unwrap_or_else(|| Arc::new(broken)));
                }
            }
        }
        Ok(everything)
    }
}

impl Channel {
    fn new(opened: OpenedChannel) -> Self {
        let (version, login) = (opened.version, opened.document.login);
        Self { version, login, gate: Gate::default(), keys: IssuerKeys::default() }
    }
}
