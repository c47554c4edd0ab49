//! The password of an account: at most one, under its username.

use common::sql::{Database, Text};

use super::sessions::{self, Ended, Ending};
use crate::{
    domain::{
        credential::CredentialKind,
        ids::{AccountId, SessionId},
    },
    error::AccountError,
};

/// Passwords of accounts.
#[derive(Clone, Debug)]
pub(crate) struct Passwords {
    database: Database,
}

impl Passwords {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    /// The stored hash; `None` when the account has no username.
    pub(crate) async fn of(&self, account: AccountId) -> Result<Option<String>, AccountError> {
        let row: Option<(Text,)> = self
            .database
            .read("SELECT secret FROM account_credentials WHERE account_id = ? AND kind = ?")
            .bind(account.get())
            .bind(CredentialKind::Password.as_str())
            .optional()
            .await?;
        Ok(row.map(|(secret,)| secret.into()))
    }

    /// Replaces the hash if it still is the one that was `read`, and ends every session of the account but `kept`, in
    /// all apps; all or nothing. `None`: it was replaced meanwhile, and nothing was changed.
    pub(crate) async fn replace(
        &self,
        account: AccountId,
        read: &str,
        new: &str,
        kept: SessionId,
        ending: Ending<'_>,
    ) -> Result<Option<Ended>, AccountError> {
        self.database
            .retrying(|| async {
                let mut tx = self.database.begin().await?;
                let replaced = tx
                    .sql("UPDATE account_credentials SET secret = ? WHERE account_id = ? AND kind = ? AND secret = ?")
                    .bind(new)
                    .bind(account.get())
                    .bind(CredentialKind::Password.as_str())
                    .bind(read)
                    .execute()
                    .await?;
                if replaced == 0 {
                    return Ok(None);
                }
                let ended = sessions::end_others(&mut tx, account, kept, ending).await?;
                tx.commit().await?;
                Ok(Some(ended))
            })
            .await
    }
}
