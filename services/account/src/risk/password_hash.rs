//! The budget of new password hashes of an account.
//!
//! A hash is what costs most here, and an access token is all it takes to ask for one: a guest's, which is free, or a
//! stolen one.

use super::guard::Guard;
use crate::{
    domain::{ids::AccountId, risk::subject::Subject},
    error::AccountError,
};

impl Guard<'_> {
    /// Charges the account that asks for a new hash, or refuses it.
    pub(crate) async fn charge_password_hash(&self, account_id: AccountId) -> Result<(), AccountError> {
        let key = self.risk.keys.of(Subject::Account(account_id));
        match self.charge(&key, &self.risk.rules.password_hashes).await {
            Some(retry_after) => {
                self.risk.metrics.password_hashes.inc();
                Err(AccountError::SubjectLimited { retry_after })
            }
            None => Ok(()),
        }
    }
}
