//! Bans of devices and of parts of the network, in memory: no sign-in and no verification asks the database for them.
//!
//! They are read again every second when something has changed, and at once by the instance that changed it. That a ban
//! is over is seen by the clock. While the database is away the last known ones go on.

use std::net::IpAddr;

use arc_swap::ArcSwap;
use common::{clock::Timestamp, sql::Database};
use tokio::sync::Mutex;

use crate::{
    domain::{
        revocation::Ban,
        risk::{
            block_list::Blocked,
            subject::SubjectKeys,
            subject_ban::{NamedSubject, SubjectBans},
        },
    },
    error::AccountError,
    store::{self, subject_bans::Fingerprint},
};

/// Every such ban that this instance knows.
pub(crate) struct BannedSubjects {
    pub(crate) store: store::subject_bans::SubjectBans,
    keys: SubjectKeys,
    known: ArcSwap<SubjectBans>,
    /// Of what is known. Held while reading, so that what was read first is never put over what was read later.
    fingerprint: Mutex<Option<Fingerprint>>,
}

impl BannedSubjects {
    pub(crate) async fn load(database: Database, keys: SubjectKeys, now: Timestamp) -> Result<Self, AccountError> {
        let store = store::subject_bans::SubjectBans::new(database);
        let banned = Self { store, keys, known: ArcSwap::default(), fingerprint: Mutex::new(None) };
        banned.refresh(now).await?;
        Ok(banned)
    }

    /// Reads what has changed.
    pub(crate) async fn refresh(&self, now: Timestamp) -> Result<(), AccountError> {
        let mut known = self.fingerprint.lock().await;
        // First the fingerprint: what changes between the two is read once more, and not missed.
        let fingerprint = self.store.fingerprint().await?;
        if *known != Some(fingerprint) {
            self.known.store(SubjectBans::new(self.store.in_effect(now).await?).into());
            *known = Some(fingerprint);
        }
        Ok(())
    }

    /// A device as an operator names it.
    pub(crate) fn name_device(&self, raw: &str) -> Result<NamedSubject, AccountError> {
        Ok(NamedSubject::device(raw, &self.keys)?)
    }

    /// The ban that keeps out somebody at `address` on `device`.
    pub(super) fn of(&self, address: Option<IpAddr>, device: Option<&str>, now: Timestamp) -> Option<(Blocked, Ban)> {
        let of_device = device.and_then(|device| self.of_device(device, now));
        of_device.map(|ban| (Blocked::Device, ban)).or_else(|| {
            let ban = self.known.load().of_address(address?, now)?.clone();
            Some((Blocked::Address, ban))
        })
    }

    /// The ban of a device.
    pub(crate) fn of_device(&self, device: &str, now: Timestamp) -> Option<Ban> {
        self.known.load().of_device(|| self.keys.device_digest(device), now).cloned()
    }
}

impl std::fmt::Debug for BannedSubjects {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BannedSubjects").finish_non_exhaustive()
    }
}
