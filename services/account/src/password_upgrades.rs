//! A password hash that is not made as they are made now is replaced when its password is next heard: at a sign-in.
//!
//! The sign-in itself never depends on it: what can't be stored is stored at the next one.

use std::{fmt::Display, time::Duration};

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

use crate::store::accounts::{Accounts, CredentialName};

/// The player has signed in and waits for the answer: a database that is slow now is asked again next time.
const PATIENCE: Duration = Duration::from_millis(500);

/// Stores replacements and counts what came of them.
#[derive(Debug)]
pub(crate) struct PasswordUpgrades {
    stored: IntCounter,
    superseded: IntCounter,
    failed: IntCounter,
}

impl PasswordUpgrades {
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let upgrades = Opts::new(
            "playgate_account_password_upgrades_total",
            "Password hashes of other platforms or parameters that a sign-in was to replace.",
        );
        let upgrades = IntCounterVec::new(upgrades, &["outcome"])?;
        registry.register(Box::new(upgrades.clone()))?;
        Ok(Self {
            stored: upgrades.with_label_values(&["stored"]),
            superseded: upgrades.with_label_values(&["superseded"]),
            failed: upgrades.with_label_values(&["failed"]),
        })
    }

    /// Replaces the hash if it is still the one that was `read`: a password that was changed meanwhile stays changed.
    pub(crate) async fn store(&self, accounts: &Accounts, name: CredentialName<'_>, read: &str, replacement: &str) {
        match tokio::time::timeout(PATIENCE, accounts.replace_secret(name, read, replacement)).await {
            Ok(Ok(true)) => self.stored.inc(),
            Ok(Ok(false)) => self.superseded.inc(),
            Ok(Err(error)) => self.not_stored(&error),
            Err(_elapsed) => self.not_stored(&"the database took too long"),
        }
    }

    fn not_stored(&self, reason: &dyn Display) {
        self.failed.inc();
        tracing::warn!(%reason, "a password hash could not be replaced and is kept until the next sign-in");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::username::Username, testing::Service};

    fn outcomes(upgrades: &PasswordUpgrades) -> (u64, u64, u64) {
        (upgrades.stored.get(), upgrades.superseded.get(), upgrades.failed.get())
    }

    common::on_each_database! {
        async fn a_password_that_was_changed_meanwhile_stays_changed(database: TestDatabase) {
            let service = Service::start(database).await;
            service.register("ann").await.expect("registered");
            service.set_password_hash("changed meanwhile").await;
            let parts = service.account.parts();
            let username = Username::parse("ann").expect("valid");
            let name = CredentialName::Password(&username);
            parts.upgrades.store(&parts.accounts, name, "as it was read", "the replacement").await;
            assert_eq!(service.password_hash().await, "changed meanwhile");
            parts.upgrades.store(&parts.accounts, name, "changed meanwhile", "the replacement").await;
            assert_eq!(service.password_hash().await, "the replacement");
            assert_eq!(outcomes(&parts.upgrades), (1, 1, 0));
        }

        async fn what_cannot_be_stored_is_no_error(database: TestDatabase) {
            let service = Service::start(database).await;
            let parts = service.account.parts();
            service.database.close().await;
            let username = Username::parse("ann").expect("valid");
            parts.upgrades.store(&parts.accounts, CredentialName::Password(&username), "read", "replacement").await;
            assert_eq!(outcomes(&parts.upgrades), (0, 0, 1));
        }
    }
}
