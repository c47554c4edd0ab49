//! The budgets of new accounts, guests included.
//!
//! Asked for before anything is spent on the account, its name being taken included: otherwise names could be tried for
//! nothing.

use std::time::Duration;

use common::shared::{Decision, Rate};

use super::guard::Guard;
use crate::{
    domain::{client::Client, risk::subject::Subject},
    error::AccountError,
};

impl Guard<'_> {
    /// Charges the address and the device that ask for a new account, or refuses them.
    pub(crate) async fn charge_registration(&self, client: &Client) -> Result<(), AccountError> {
        if let Some(network) = self.network_of(client) {
            let key = self.risk.keys.of(Subject::Network(network));
            if let Some(retry_after) = self.charge(&key, &self.risk.rules.registrations_of_address).await {
                self.risk.metrics.registrations_of_address.inc();
                return Err(AccountError::AddressLimited { retry_after });
            }
        }
        if let Some(device_id) = &client.device_id {
            let key = self.risk.keys.of(Subject::Device(device_id));
            if let Some(retry_after) = self.charge(&key, &self.risk.rules.registrations_of_device).await {
                self.risk.metrics.registrations_of_device.inc();
                return Err(AccountError::DeviceLimited { retry_after });
            }
        }
        Ok(())
    }

    /// When to come back if the budget is used up.
    pub(super) async fn charge(&self, key: &str, rate: &Rate) -> Option<Duration> {
        match self.answered(self.shared.gcra(key, rate, 1).await)? {
            Decision::Allowed { .. } => None,
            Decision::Refused { retry_after } => Some(retry_after),
        }
    }
}
