//! Further credentials of an account that exists.

use common::{
    clock::Timestamp,
    sql::{Database, SqlError, Tx},
};

use super::accounts::CredentialName;
use crate::{domain::ids::AccountId, error::AccountError};

/// Adds credentials to accounts.
#[derive(Clone, Debug)]
pub(crate) struct Links {
    database: Database,
}

/// What became of a credential that was to be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Linking {
    Linked,
    /// The account has it already; nothing was changed.
    Ours,
    /// Another account has it; nothing was changed.
    Anothers,
    /// The account has as many of this kind as it may; nothing was changed.
    NoRoom,
}

impl Links {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    /// Adds a credential unless the account has `most` of its kind and scope already. Of two accounts that want one
    /// name at once, one gets it; two calls for one account come one after the other.
    pub(crate) async fn add(
        &self,
        account: AccountId,
        name: CredentialName<'_>,
        secret: &str,
        most: u32,
        now: Timestamp,
    ) -> Result<Linking, AccountError> {
        self.database.retrying(|| self.try_add(account, name, secret, most, now)).await
    }

    async fn try_add(
        &self,
        account: AccountId,
        name: CredentialName<'_>,
        secret: &str,
        most: u32,
        now: Timestamp,
    ) -> Result<Linking, AccountError> {
        let mut tx = self.database.begin().await?;
        // Changes nothing; holds the account until the end, so that two calls can't both find the last free place.
        let known = tx
            .sql("UPDATE account_accounts SET token_epoch = token_epoch WHERE account_id = ?")
            .bind(account.get())
            .execute()
            .await?;
        if known == 0 {
            return Err(AccountError::NoSuchAccount);
        }
        if let Some(owner) = owner(&mut tx, name).await? {
            return Ok(if owner == account.get() { Linking::Ours } else { Linking::Anothers });
        }
        let (count,): (i64,) = tx
            .sql("SELECT COUNT(*) FROM account_credentials WHERE account_id = ? AND kind = ? AND scope = ?")
            .bind(account.get())
            .bind(name.kind().as_str())
            .bind(name.scope())
            .one()
            .await?;
        if count >= i64::from(most) {
            return Ok(Linking::NoRoom);
        }
        match name.insert(&mut tx, secret, account, now).await {
            // Somebody else was faster: between the look above and here.
            Err(SqlError::UniqueViolation { .. }) => Ok(Linking::Anothers),
            Err(error) => Err(error.into()),
            Ok(()) => {
                tx.commit().await?;
                Ok(Linking::Linked)
            }
        }
    }
}

async fn owner(tx: &mut Tx, name: CredentialName<'_>) -> Result<Option<i64>, SqlError> {
    let row: Option<(i64,)> = tx
        .sql("SELECT account_id FROM account_credentials WHERE kind = ? AND scope = ? AND name = ?")
        .bind(name.kind().as_str())
        .bind(name.scope())
        .bind(name.compared())
        .optional()
        .await?;
    Ok(row.map(|(account_id,)| account_id))
}
