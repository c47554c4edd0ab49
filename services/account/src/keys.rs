//! The key ring of this instance: loaded at start, followed while running.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use common::{
    clock::{Clock, Random, Timestamp, random_bytes},
    sql::{Database, SqlError},
};
use zeroize::Zeroizing;

use crate::{
    domain::{
        access_token::{self, Buffer, Claims, Unopened},
        cipher::KEY_LENGTH,
        key_ring::{KeyId, KeyRing, TokenKey},
        key_rotation::{Pace, Scheduled, TooManyKeys},
        master_key::{Secret, Vault},
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
    ring: ArcSwap<KeyRing>,
    /// Unix ms of the last complete read.
    read_at: AtomicI64,
    /// How long before its first use a key is stored.
    announce: Duration,
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
        let mut ring = read_ring(&store, &vault).await?;
        if ring.is_none() {
            add_key(&store, &vault, KeyId::FIRST, now, now, random).await.map_err(AccountError::from)?;
            ring = read_ring(&store, &vault).await?;
        }
        let ring = ring.ok_or(AccountError::Damaged("account_token_keys"))?;
        let (ring, read_at) = (ArcSwap::from_pointee(ring), AtomicI64::new(now.as_millis()));
        Ok(Self { store, vault, ring, read_at, announce })
    }

    /// Reads the ring again. After a failure the old one stays.
    pub(crate) async fn refresh(&self, clock: &dyn Clock) -> Result<(), LoadError> {
        let now = clock.now();
        if let Some(ring) = read_ring(&self.store, &self.vault).await? {
            self.ring.store(Arc::new(ring));
            self.read_at.store(now.as_millis(), Ordering::Release);
        }
        Ok(())
    }

    /// Seals a new access token.
    pub(crate) fn seal(&self, claims: &Claims<'_>, random: &dyn Random) -> String {
        let ring = self.ring.load();
        access_token::seal(ring.signing(claims.issued_at), claims, random_bytes(random))
    }

    /// Opens an access token: `Ok(None)` when it certainly is none of ours, an error when that can't be told.
    pub(crate) fn open<'b>(
        &self,
        token: &str,
        buffer: &'b mut Buffer,
        now: Timestamp,
    ) -> Result<Option<Claims<'b>>, AccountError> {
        let ring = self.ring.load();
        match access_token::open(&ring, token, buffer) {
            Ok(claims) => Ok(Some(claims)),
            Err(Unopened::Forged) => Ok(None),
            Err(Unopened::UnknownKey(id)) if self.may_exist(id, &ring, now) => Err(AccountError::KeyRingBehind),
            Err(Unopened::UnknownKey(_)) => Ok(None),
        }
    }

    /// Could a key of this id have begun to sign without this instance knowing it? Keys are stored a while before they
    /// sign, so a ring that was read within that while has every key that signs. Ids count up.
    fn may_exist(&self, id: KeyId, ring: &KeyRing, now: Timestamp) -> bool {
        let read_at = Timestamp::from_millis(self.read_at.load(Ordering::Acquire));
        id > ring.newest() && now.since(read_at) >= self.announce
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
    if !add_key(store, vault, id, signs_from, now, random).await.map_err(AccountError::from)? {
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
    vault: &Vault,
    id: KeyId,
    signs_from: Timestamp,
    now: Timestamp,
    random: &dyn Random,
) -> Result<bool, SqlError> {
    let key: Zeroizing<[u8; KEY_LENGTH]> = Zeroizing::new(random_bytes(random));
    let sealed = vault.seal(Secret::TokenKey(id), key.as_slice(), random);
    store.add(&SealedKey { id, sealed, signs_from }, now).await
}

/// `None`: no key was ever made.
async fn read_ring(store: &TokenKeys, vault: &Vault) -> Result<Option<KeyRing>, LoadError> {
    let mut keys = Vec::new();
    for SealedKey { id, sealed, signs_from } in store.all().await? {
        let key = vault.open(Secret::TokenKey(id), &sealed).ok_or(LoadError::WrongMasterKey(id))?;
        let key = key.as_slice().try_into().map_err(|_| AccountError::Damaged("a token key"))?;
        keys.push(TokenKey::new(id, signs_from, key));
    }
    Ok(KeyRing::new(keys))
}
