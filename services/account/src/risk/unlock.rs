//! Lifting the locks that keep an account's player out, by an operator's hand.
//!
//! Somebody who mistypes on a new device locks two ladders with the same failures: that of the name and that of the
//! device. So both are lifted, and with them those of the devices that the account knows. The ladders of addresses stay:
//! they are about everybody there. So does that of device secrets: it never refuses the right one.

use common::shared::SharedError;
use futures_util::future::try_join_all;

use super::guard::Guard;
use crate::domain::{
    device::DeviceId,
    risk::{judgement::Rule, subject::Subject},
    username::Username,
};

/// What may be locked of an account.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lockable<'a> {
    pub(crate) username: &'a Username,
    /// Devices that the account knows.
    pub(crate) known_devices: &'a [DeviceId],
    /// Devices on which its password was tried of late, known or not.
    pub(crate) tried_devices: &'a [DeviceId],
}

impl Guard<'_> {
    /// Lifts the locks and forgets the failures. Answers the ladders that had a lock, each once.
    pub(crate) async fn unlock(&self, lockable: Lockable<'_>) -> Result<Vec<Rule>, SharedError> {
        let Lockable { username, known_devices, tried_devices } = lockable;
        let name = std::iter::once((Rule::Account, Subject::Name(username)));
        let known = known_devices.iter().map(|device| (Rule::KnownDevice, Subject::KnownDevice(username, device)));
        let tried = tried_devices.iter().map(|device| (Rule::Device, Subject::Device(device)));
        let standings = try_join_all(name.chain(known).chain(tried).map(|(rule, subject)| {
            let key = self.risk.keys.of(subject);
            async move { self.shared.unlock(&key).await.map(|standing| (rule, standing)) }
        }));
        let mut lifted: Vec<Rule> = Vec::new();
        for (rule, standing) in standings.await? {
            if !standing.locked_for.is_zero() && !lifted.contains(&rule) {
                lifted.push(rule);
            }
        }
        Ok(lifted)
    }
}
