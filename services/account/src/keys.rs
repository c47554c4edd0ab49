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
    add_key(store, vault, next, now + announce, now, random).await?;
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
