//! What the ladders that an attempt stands on come to.
//!
//! One rule decides between safety and mischief: a stranger must not be able to lock players out of their own devices.
//! So a device that has signed in to the account before answers for its own failures only; every other lock is for the
//! devices that have not.

use std::time::Duration;

use common::shared::Standing;

/// What can lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Failures on a device that the account knows.
    KnownDevice,
    /// Failures with a name on devices that its account does not know.
    Account,
    /// Failures of a device with whatever names.
    Device,
    /// Failures at an address with whatever names.
    Address,
    /// Different names that failed at an address.
    Stuffing,
    /// Wrong secrets of a device.
    DeviceSecret,
}

/// Where an attempt to sign in with a password stands, by rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standings {
    pub(crate) known_device: Standing,
    pub(crate) account: Standing,
    pub(crate) device: Standing,
    pub(crate) address: Standing,
    pub(crate) stuffing: Standing,
}

/// A lock, and for how long it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lock {
    pub(crate) rule: Rule,
    pub(crate) left: Duration,
}

/// Who may try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// Everybody.
    Anybody,
    /// Only a device that the account knows; for others the lock holds.
    KnownDevices(Lock),
    /// This device has failed too often with this account.
    Nobody(Lock),
}

impl Rule {
    /// As metrics and the log name it.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::KnownDevice => "known_device",
            Self::Account => "account",
            Self::Device => "device",
            Self::Address => "address",
            Self::Stuffing => "stuffing",
            Self::DeviceSecret => "device_secret",
        }
    }
}

impl Standings {
    /// Who may try. Of several locks the one that holds longest is told: before that nothing would come of trying.
    pub(crate) fn judge(&self) -> Judgement {
        if let Some(lock) = lock(Rule::KnownDevice, self.known_device) {
            return Judgement::Nobody(lock);
        }
        let strangers = [
            lock(Rule::Account, self.account),
            lock(Rule::Device, self.device),
            lock(Rule::Address, self.address),
            lock(Rule::Stuffing, self.stuffing),
        ];
        match strangers.into_iter().flatten().max_by_key(|lock| lock.left) {
            Some(lock) => Judgement::KnownDevices(lock),
            None => Judgement::Anybody,
        }
    }
}

fn lock(rule: Rule, standing: Standing) -> Option<Lock> {
    (!standing.locked_for.is_zero()).then_some(Lock { rule, left: standing.locked_for })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn standing() -> impl Strategy<Value = Standing> {
        (0_u32..30, prop_oneof![Just(0), 1_u64..86_400_000])
            .prop_map(|(failures, millis)| Standing { failures, locked_for: Duration::from_millis(millis) })
    }

    prop_compose! {
        fn standings()(
            known_device in standing(), account in standing(), device in standing(), address in standing(),
            stuffing in standing(),
        ) -> Standings {
            Standings { known_device, account, device, address, stuffing }
        }
    }

    proptest! {
        /// Whatever strangers did, to the account, at the address or in the name of a device.
        #[test]
        fn nothing_but_its_own_failures_locks_a_known_device(standings in standings()) {
            let own = Standing::default();
            let judgement = Standings { known_device: own, ..standings }.judge();
            prop_assert!(!matches!(judgement, Judgement::Nobody(_)), "{judgement:?}");
        }

        #[test]
        fn a_stranger_waits_for_the_longest_lock_and_for_nothing_else(standings in standings()) {
            let Standings { known_device, account, device, address, stuffing } = standings;
            let longest = [account, device, address, stuffing].map(|standing| standing.locked_for).into_iter().max();
            let told = match standings.judge() {
                Judgement::Nobody(lock) => {
                    prop_assert_eq!(lock, Lock { rule: Rule::KnownDevice, left: known_device.locked_for });
                    return Ok(());
                }
                Judgement::KnownDevices(lock) => Some(lock.left),
                Judgement::Anybody => Some(Duration::ZERO),
            };
            prop_assert_eq!(told, longest);
        }
    }
}
