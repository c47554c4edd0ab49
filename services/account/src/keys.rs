//! The key ring of this instance: loaded at start, followed while running.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use common::{
    clock::{Clock, Random, Timestamp, random_bytes},
    sql::{Database, SqlError},
    token::{
        access_token::{self, Buffer, Claims},
        cipher::KEY_LENGTH,
        key_ring::{KeyId, KeyRing, TokenKey},
        master_key::TokenKeyVault,
        read_ring::ReadRing,
    },
};
use zeroize::Zeroizing;

use crate::{
    domain::master_key::Vault,
    error::AccountError,
    store::token_keys::{SealedKey, TokenKeys},
};

/// Why the keys could not be loaded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// Every key is sealed under a master key, and it is not this one.
    #[error("token key {} was sealed under another master key", .0.get())]
    WrongMasterKey(KeyId),
    #[error(transparent)]
    Store(#[from] AccountError),
}

/// The ring, readable without waiting.
#[derive(Debug)]
pub(crate) struct Keys {
    store: TokenKeys,
    vault: Arc<Vault>,
    loaded: ArcSwap<Loaded>,
    /// How long before its first use a key is stored.
    announce: Duration,
}

/// What one read of the keys found.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The keys, opened.
    pub(crate) ring: ReadRing,
    /// The same keys as they are stored, for roles that keep a copy.
    pub(crate) sealed: Vec<SealedKey>,
}

impl Keys {
    /// Loads the ring. The first instance that ever starts makes the first key; of several at once, one does.
    pub(crate) async fn load(
        database: Database,
        vault: Arc<Vault>,
        announce: Duration,
        clock: &dyn Clock,
        random: &dyn Random,
    ) -> Result<Self, LoadError> {
        let store = TokenKeys::new(database);
        let now = clock.now();
        let mut loaded = read(&store, vault.token_keys(), now + announce).await?;
        if loaded.is_none() {
            add_key(&store, vault.token_keys(), KeyId::FIRST, now, now, random).await.map_err(AccountError::from)?;
            loaded = read(&store, vault.token_keys(), now + announce).await?;
        }
        let loaded = loaded.ok_or(AccountError::Damaged("account_token_keys"))?;
        Ok(Self { store, vault, loaded: ArcSwap::from_pointee(loaded), announce })
    }

    /// Reads the ring again. After a failure the old one stays.
    pub(crate) async fn refresh(&self, clock: &dyn Clock) -> Result<(), LoadError> {
        // The time before the read: a key that is stored while it runs may be missing, and signs an announcement later.
        let complete_until = clock.now() + self.announce;
        if let Some(loaded) = read(&self.store, self.vault.token_keys(), complete_until).await? {
            self.loaded.store(Arc::new(loaded));
        }
        Ok(())
    }

    /// What was read last.
    pub(crate) fn loaded(&self) -> Arc<Loaded> {
        self.loaded.load_full()
    }

    /// Seals a new access token.
    pub(crate) fn seal(&self, claims: &Claims<'_>, random: &dyn Random) -> String {
        let loaded = self.loaded.load();
        access_token::seal(loaded.ring.ring().signing(claims.issued_at), claims, random_bytes(random))
    }

    /// Opens an access token: `Ok(None)` when it certainly is none of ours, an error when that can't be told.
    pub(crate) fn open<'b>(
        &self,
        token: &str,
        buffer: &'b mut Buffer,
        now: Timestamp,
    ) -> Result<Option<Claims<'b>>, AccountError> {
        Ok(self.loaded.load().ring.open(token, buffer, now)?)
    }
}

/// Adds a key that signs from `announce` after now, and deletes the keys whose last token expired, given that none lives
/// longer than `longest_token`. Answers the new key's id.
pub(crate) async fn rotate(
    store: &TokenKeys,
    vault: &Vault,
    announce: Duration,
    longest_token: Duration,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<KeyId, AccountError> {
    let now = clock.now();
    let keys = store.all().await?;
    let next = keys.last().map_or(KeyId::FIRST, |newest| KeyId::new(newest.id.get() + 1));
    add_key(store, vault.token_keys(), next, now + announce, now, random).await?;
    for (old, successor) in keys.iter().zip(keys.iter().skip(1)) {
        // `announce` once more: other instances may take over the successor that much later.
        if successor.signs_from + announce + longest_token <= now {
            store.remove(old.id).await?;
        }
    }
    Ok(next)
}

async fn add_key(
    store: &TokenKeys,
    vault: &TokenKeyVault,
    id: KeyId,
    signs_from: Timestamp,
    now: Timestamp,
    random: &dyn Random,
) -> Result<bool, SqlError> {
    let key: Zeroizing<[u8; KEY_LENGTH]> = Zeroizing::new(random_bytes(random));
    let sealed = vault.seal(id, &key, random);
    store.add(&SealedKey { id, sealed, signs_from }, now).await
}

/// `None`: no key was ever made.
async fn read(
    store: &TokenKeys,
    vault: &TokenKeyVault,
    complete_until: Timestamp,
) -> Result<Option<Loaded>, LoadError> {
    let sealed = store.all().await?;
    let open = |SealedKey { id, sealed, signs_from }: &SealedKey| {
        let key = vault.open(*id, sealed).ok_or(LoadError::WrongMasterKey(*id))?;
        Ok(TokenKey::new(*id, *signs_from, &key))
    };
    let keys = sealed.iter().map(open).collect::<Result<Vec<_>, LoadError>>()?;
    Ok(KeyRing::new(keys).map(|ring| Loaded { ring: ReadRing::new(ring, complete_until), sealed }))
}
