//! The keys that sign ID tokens, in memory: loaded at start, followed while running.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use arc_swap::{ArcSwap, Guard};
use common::{
    clock::{Clock, Random, Timestamp, random_bytes},
    sql::Database,
};
use zeroize::Zeroizing;

use crate::{
    domain::{
        key_rotation::{Pace, Plan, Scheduled},
        signing_key::{SEED_LENGTH, SigningKey, SigningKeys},
        signing_key_vault::SigningKeyVault,
    },
    error::AccountError,
    keys::RotationError,
    store::signing_keys::{SealedSigningKey, SigningKeyStore},
};

/// What this instance knows of the keys, readable without waiting.
#[derive(Debug)]
pub(crate) struct SigningKeyRing {
    store: SigningKeyStore,
    vault: SigningKeyVault,
    keys: ArcSwap<SigningKeys>,
    /// Unix ms of the last complete read.
    read_at: AtomicI64,
}

/// A rotation that was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewSigningKey {
    /// Its thumbprint.
    pub(crate) key_id: String,
    pub(crate) signs_from: Timestamp,
    /// The thumbprints of the keys that were deleted.
    pub(crate) removed: Vec<String>,
}

impl SigningKeyRing {
    /// Loads the keys. The first instance that ever starts makes the first one, which signs at once: nobody can have
    /// fetched the published keys before there were any. Of several instances at once, one makes it.
    pub(crate) async fn load(
        database: Database,
        vault: SigningKeyVault,
        clock: &dyn Clock,
        random: &dyn Random,
    ) -> Result<Self, AccountError> {
        let store = SigningKeyStore::new(database);
        let now = clock.now();
        let mut keys = read(&store, &vault).await?;
        if keys.is_empty() {
            let first = Plan { next: Scheduled { number: 1, signs_from: now }, over: Vec::new() };
            let seed = new_seed(random);
            store.carry_out(&first, &vault.seal(first.next.number, &seed, random), now).await?;
            keys = read(&store, &vault).await?;
        }
        let keys = SigningKeys::new(keys).ok_or(AccountError::Damaged("account_signing_keys"))?;
        let (keys, read_at) = (ArcSwap::from_pointee(keys), AtomicI64::new(now.as_millis()));
        Ok(Self { store, vault, keys, read_at })
    }

    /// Reads the keys again. After a failure the old ones stay.
    pub(crate) async fn refresh(&self, clock: &dyn Clock) -> Result<(), AccountError> {
        let now = clock.now();
        if let Some(keys) = SigningKeys::new(read(&self.store, &self.vault).await?) {
            self.keys.store(Arc::new(keys));
            self.read_at.store(now.as_millis(), Ordering::Release);
        }
        Ok(())
    }

    /// The keys as they are known now.
    pub(crate) fn known(&self) -> Guard<Arc<SigningKeys>> {
        self.keys.load()
    }

    /// When the database was last read completely.
    pub(crate) fn read_at(&self) -> Timestamp {
        Timestamp::from_millis(self.read_at.load(Ordering::Acquire))
    }
}

/// Adds a key that signs from `pace.announce` after now, and deletes the keys whose last token has expired.
pub(crate) async fn rotate(
    database: Database,
    vault: &SigningKeyVault,
    pace: Pace,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<NewSigningKey, RotationError> {
    let (store, now) = (SigningKeyStore::new(database), clock.now());
    let stored = store.all().await?;
    let schedules: Vec<Scheduled> = stored.iter().map(|key| key.schedule).collect();
    let plan = pace.plan(&schedules, now)?;
    let over = stored.iter().filter(|key| plan.over.contains(&key.schedule.number));
    let removed = over.map(|key| Ok(unseal(vault, key)?.key_id().to_owned())).collect::<Result<_, AccountError>>()?;
    let seed = new_seed(random);
    let sealed = vault.seal(plan.next.number, &seed, random);
    if !store.carry_out(&plan, &sealed, now).await? {
        return Err(RotationError::AnotherWasFirst);
    }
    let key_id = SigningKey::new(plan.next, &seed).key_id().to_owned();
    Ok(NewSigningKey { key_id, signs_from: plan.next.signs_from, removed })
}

fn new_seed(random: &dyn Random) -> Zeroizing<[u8; SEED_LENGTH]> {
    Zeroizing::new(random_bytes(random))
}

async fn read(store: &SigningKeyStore, vault: &SigningKeyVault) -> Result<Vec<SigningKey>, AccountError> {
    store.all().await?.iter().map(|stored| unseal(vault, stored)).collect()
}

fn unseal(vault: &SigningKeyVault, stored: &SealedSigningKey) -> Result<SigningKey, AccountError> {
    let seed = vault.open(stored.schedule.number, &stored.sealed);
    let seed = seed.ok_or(AccountError::Damaged("a signing key, or it was sealed under another master key"))?;
    Ok(SigningKey::new(stored.schedule, &seed))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use common::clock::Clock;

    use crate::{
        admin::AdminError,
        testing::{Service, config},
    };

    common::on_each_database! {
        async fn a_replica_signs_with_the_key_that_is_there(database: TestDatabase) {
            let service = Service::start(database).await;
            let replica = service.replica().await;
            let key_of = |account: &crate::Account| {
                account.parts().signing_keys.known().signing(service.clock.now()).key_id().to_owned()
            };
            assert_eq!(key_of(&replica), key_of(&service.account));
            assert_eq!(service.count("SELECT COUNT(*) FROM account_signing_keys").await, 1);
        }

        async fn an_old_key_is_deleted_by_the_rotation_that_finds_it_over(database: TestDatabase) {
            let service = Service::start(database).await;
            let config = config();
            let pace = config.id_token_pace();
            let first = service.account.parts().signing_keys.known().signing(service.clock.now()).key_id().to_owned();
            let second = service.admin().rotate_signing_key(&config).await.expect("rotated");
            assert_eq!(second.removed, Vec::<String>::new());
            assert_eq!(second.signs_from, (service.clock.now() + pace.announce).as_millis());
            service.clock.advance(pace.announce + pace.announce + pace.longest_token);
            let third = service.admin().rotate_signing_key(&config).await.expect("rotated");
            assert_eq!(third.removed, [first]);
            assert_eq!(service.count("SELECT COUNT(*) FROM account_signing_keys").await, 2);
        }

        async fn rotations_without_end_are_refused(database: TestDatabase) {
            let service = Service::start(database).await;
            let config = config();
            for _ in 1..16 {
                service.admin().rotate_signing_key(&config).await.expect("rotated");
            }
            let refused = service.admin().rotate_signing_key(&config).await;
            assert!(matches!(refused, Err(AdminError::TooManyKeys(_))), "{refused:?}");
        }

        async fn while_the_database_is_away_the_known_keys_stay(database: TestDatabase) {
            let service = Service::start(database).await;
            let parts = service.account.parts();
            let (read_at, known) = (parts.signing_keys.read_at(), parts.signing_keys.known().clone());
            service.clock.advance(Duration::from_secs(60));
            service.database.close().await;
            assert!(parts.signing_keys.refresh(&*parts.clock).await.is_err());
            assert_eq!(parts.signing_keys.read_at(), read_at);
            assert!(std::sync::Arc::ptr_eq(&*parts.signing_keys.known(), &known));
        }
    }
}
