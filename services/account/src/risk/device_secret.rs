//! A wrong device secret.
//!
//! A secret of 256 bits can't be guessed, so nothing is gained by locking its device, and a stranger who knows a device's
//! id could lock its player out. The right secret is therefore never refused. The ladder is for clients that have lost
//! their secret and ask in a loop: it tells them to slow down.

use super::guard::Guard;
use crate::{
    domain::{
        client::Client,
        device::DeviceId,
        ids::AppId,
        risk::{judgement::Rule, subject::Subject},
    },
    error::AccountError,
};

impl Guard<'_> {
    /// Notes that a device came with a wrong secret or without one: what the caller is told.
    pub(crate) async fn wrong_device_secret(
        &self,
        app_id: AppId,
        device_id: &DeviceId,
        client: &Client,
    ) -> AccountError {
        let key = self.risk.keys.of(Subject::DeviceSecret(app_id, device_id));
        if let Some(lock) = self.climb(Rule::DeviceSecret, &self.risk.rules.device, Some(&key), None).await {
            return self.refuse(lock);
        }
        let network = self.network_of(client).map(|network| self.risk.keys.of(Subject::Network(network)));
        match self.climb(Rule::Address, &self.risk.rules.address, network.as_deref(), None).await {
            Some(lock) => self.refuse(lock),
            None => AccountError::WrongCredentials,
        }
    }
}
