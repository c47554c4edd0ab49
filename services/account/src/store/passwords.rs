//! The password of an account: at most one, under its username.

use common::{
    clock::Timestamp,
    sql::{Database, Text},
};

use super::{
    accounts::CredentialName,
    at,
    session_batches::{self, Which},
    sessions::{Ended, Ending},
};
use crate::{
    domain::{
        credential::CredentialKind,
        ids::{AccountId, SessionId},
        personal_data::PhoneIndex,
    },
    error::AccountError,
};

/// Passwords of accounts.
#[derive(Clone, Debug)]
pub(crate) struct Passwords {
    database: Database,
}

/// A password as it is stored, under its username.
#[derive(Clone, Debug)]
pub(crate) struct StoredPassword {
    pub(crate) username: String,
    pub(crate) hash: String,
}

impl Passwords {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    /// The username as it is compared, and its hash; `None` when the account has no username.
    pub(crate) async fn of(&self, account: AccountId) -> Result<Option<StoredPassword>, AccountError> {
        let row: Option<(Text, Text)> = self
            .database
            .read("SELECT name, secret FROM account_credentials WHERE account_id = ? AND kind = ?")
            .bind(account.get())
            .bind(CredentialKind::Password.as_str())
            .optional()
            .await?;
        Ok(row.map(|(username, hash)| StoredPassword { username: username.into(), hash: hash.into() }))
    }

    /// Since when the phone belongs to the account; `None` when it does not.
    pub(crate) async fn phone_since(
        &self,
        account: AccountId,
        phone: &PhoneIndex,
    ) -> Result<Option<Timestamp>, AccountError> {
        let name = CredentialName::Phone(phone);
        let row: Option<(i64,)> = self
            .database
            .read(
                "SELECT created_at FROM account_credentials \
                 WHERE kind = ? AND scope = ? AND name = ? AND account_id = ?",
            )
            .bind(name.kind().as_str())
            .bind(name.scope())
            .bind(name.compared())
            .bind(account.get())
            .optional()
            .await?;
        Ok(row.map(|(created_at,)| at(created_at)))
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
                let ended = session_batches::end(&mut tx, account, Which::AllBut(kept), ending).await?;
                tx.commit().await?;
                Ok(Some(ended))
            })
            .await
    }
}
