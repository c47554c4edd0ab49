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
        read_ring::{ReadRing, Unsure},
    },
};
use zeroize::Zeroizing;

use crate::{
    domain::{
        key_rotation::{Pace, Scheduled, TooManyKeys},
        master_key::Vault,
    },
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
    ) -> Result<Option<Claims<'b>>, Unsure> {
        self.loaded.load().ring.open(token, buffer, now)
    }
}

/// A rotation that was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewTokenKey {
    pub(crate) id: KeyId,
    pub(crate) signs_from: Timestamp,
    /// The keys that were deleted.
    pub(crate) removed: Vec<KeyId>,
}

/// Why no key was added.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RotationError {
    #[error(transparent)]
    TooManyKeys(#[from] TooManyKeys),
    #[error("another rotation made a key at the same moment")]
    AnotherWasFirst,
    #[error(transparent)]
    Store(#[from] AccountError),
}

/// Adds a key that signs from `pace.announce` after now, and deletes the keys whose last token has expired.
pub(crate) async fn rotate(
    store: &TokenKeys,
    vault: &Vault,
    pace: Pace,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<NewTokenKey, RotationError> {
    let now = clock.now();
    let keys = store.all().await?;
    let schedules: Vec<Scheduled> =
        keys.iter().map(|key| Scheduled { number: key.id.get(), signs_from: key.signs_from }).collect();
    let plan = pace.plan(&schedules, now)?;
    let (id, signs_from) = (KeyId::new(plan.next.number), plan.next.signs_from);
    if !add_key(store, vault.token_keys(), id, signs_from, now, random).await.map_err(AccountError::from)? {
        return Err(RotationError::AnotherWasFirst);
    }
    let removed: Vec<KeyId> = plan.over.into_iter().map(KeyId::new).collect();
    for old in &removed {
        store.remove(*old).await.map_err(AccountError::from)?;
    }
    Ok(NewTokenKey { id, signs_from, removed })
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
