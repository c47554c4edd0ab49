//! A sign-in with a password, from before the hash to after it.
//!
//! Looking before the hash is not enough: of a thousand attempts at once all would look before the first has failed. So
//! the verdict itself goes through the ladder. A failure that finds it locked is not counted and is told of the lock;
//! and so is a success, or the one right guess in such a burst would stand out.

use common::shared::Standing;
use tokio::join;

use super::guard::Guard;
use crate::{
    domain::{
        client::Client,
        device::DeviceId,
        ids::AccountId,
        risk::{
            judgement::{Judgement, Lock, Rule, Standings},
            subject::Subject,
        },
        username::Username,
    },
    error::AccountError,
    store::sessions::Sessions,
};

/// An attempt that may be judged.
#[must_use = "how it ended has to be told"]
#[derive(Debug)]
pub(crate) struct PasswordAttempt<'a> {
    guard: Guard<'a>,
    sessions: &'a Sessions,
    account_id: Option<AccountId>,
    device_id: Option<&'a DeviceId>,
    keys: Keys,
    /// Failures of the device before this attempt.
    device: Standing,
    /// Whether the account knows the device, once that was asked.
    is_known: Option<bool>,
}

/// Who tries what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trying<'a> {
    pub(crate) username: &'a Username,
    /// Of the account that has the name, if there is one.
    pub(crate) account_id: Option<AccountId>,
    pub(crate) client: &'a Client,
}

#[derive(Debug)]
struct Keys {
    account: String,
    known_device: Option<String>,
    device: Option<String>,
    network: Option<String>,
    stuffing: Option<Stuffing>,
}

/// Keys of the count of different names at an address.
#[derive(Debug)]
struct Stuffing {
    names: String,
    this_name: String,
}

impl<'a> Guard<'a> {
    /// Refuses an attempt that must not be judged now. Costs one round trip to the shared state, and a read of
    /// `sessions` if something is locked.
    pub(crate) async fn password_attempt(
        self,
        sessions: &'a Sessions,
        trying: Trying<'a>,
    ) -> Result<PasswordAttempt<'a>, AccountError> {
        let keys = Keys::new(self, trying);
        let standings = keys.standings(self).await;
        let mut attempt = PasswordAttempt {
            guard: self,
            sessions,
            account_id: trying.account_id,
            device_id: trying.client.device_id.as_ref(),
            keys,
            device: standings.device,
            is_known: None,
        };
        match standings.judge() {
            Judgement::Anybody => Ok(attempt),
            Judgement::Nobody(lock) => Err(self.refuse(lock)),
            Judgement::KnownDevices(_) if attempt.is_known().await? => {
                self.risk.metrics.known_devices.inc();
                Ok(attempt)
            }
            Judgement::KnownDevices(lock) => Err(self.refuse(lock)),
        }
    }
}

impl PasswordAttempt<'_> {
    /// The password was right. An error all the same if others failed too often while it was checked.
    pub(crate) async fn succeeded(mut self) -> Result<(), AccountError> {
        let Self { guard, keys, .. } = &self;
        // Past a lock the account's ladder stays as it is: the lock is for the others.
        let account = self.is_known.is_none().then_some(keys.account.as_str());
        let device = keys.device.as_deref().filter(|_| self.device.failures > 0);
        let (account, known_device, _) =
            join!(guard.forgive(account), guard.forgive(keys.known_device.as_deref()), guard.forgive(device));
        if let Some(left) = known_device {
            return Err(self.guard.refuse(Lock { rule: Rule::KnownDevice, left }));
        }
        match account {
            Some(left) if !self.is_known().await? => Err(self.guard.refuse(Lock { rule: Rule::Account, left })),
            _ => Ok(()),
        }
    }

    /// The password was wrong, or there is no such account: what the caller is told.
    pub(crate) async fn failed(mut self) -> AccountError {
        let is_known = match self.is_known().await {
            Ok(is_known) => is_known,
            Err(error) => return error,
        };
        let Self { guard, keys, account_id, .. } = self;
        let rules = &guard.risk.rules;
        let lock = if is_known {
            guard.climb(Rule::KnownDevice, &rules.account, keys.known_device.as_deref(), account_id).await
        } else {
            let (lock, _, _, ()) = join!(
                guard.climb(Rule::Account, &rules.account, Some(&keys.account), account_id),
                guard.climb(Rule::Device, &rules.device, keys.device.as_deref(), None),
                guard.climb(Rule::Address, &rules.address, keys.network.as_deref(), None),
                guard.count_name(keys.stuffing.as_ref()),
            );
            lock
        };
        match lock {
            Some(lock) => guard.refuse(lock),
            None => AccountError::WrongCredentials,
        }
    }

    async fn is_known(&mut self) -> Result<bool, AccountError> {
        let is_known = match (self.is_known, self.device_id) {
            (Some(is_known), _) => is_known,
            (None, None) => false,
            (None, Some(device_id)) => self.sessions.knows_device(self.account_id, device_id).await?,
        };
        self.is_known = Some(is_known);
        Ok(is_known)
    }
}

impl Guard<'_> {
    /// Counts a name that failed at an address, once.
    async fn count_name(&self, keys: Option<&Stuffing>) {
        let Some(Stuffing { names, this_name }) = keys else { return };
        let ladder = &self.risk.rules.stuffing;
        // A counter and not a once-only key: of those there is no room for what everybody can make.
        if self.answered(self.shared.increment(this_name, 1, ladder.window).await) == Some(1) {
            self.climb(Rule::Stuffing, ladder, Some(names), None).await;
        }
    }
}

impl Keys {
    fn new(guard: Guard<'_>, Trying { username, client, .. }: Trying<'_>) -> Self {
        let key = |subject| guard.risk.keys.of(subject);
        let (device, network) = (client.device_id.as_ref(), guard.network_of(client));
        Self {
            account: key(Subject::Name(username)),
            known_device: device.map(|device| key(Subject::KnownDevice(username, device))),
            device: device.map(|device| key(Subject::Device(device))),
            network: network.map(|network| key(Subject::Network(network))),
            stuffing: network.map(|network| Stuffing {
                names: key(Subject::NamesAtNetwork(network)),
                this_name: key(Subject::NameAtNetwork(username, network)),
            }),
        }
    }

    async fn standings(&self, guard: Guard<'_>) -> Standings {
        let (known_device, account, device, address, stuffing) = join!(
            guard.standing(self.known_device.as_deref()),
            guard.standing(Some(&self.account)),
            guard.standing(self.device.as_deref()),
            guard.standing(self.network.as_deref()),
            guard.standing(self.stuffing.as_ref().map(|keys| keys.names.as_str())),
        );
        Standings { known_device, account, device, address, stuffing }
    }
}
