//! Accounts that come to their end: asked for, called off, carried out.

use common::{
    clock::Timestamp,
    events::EventOutbox,
    sql::{Database, SqlError, Tx},
};

use super::{
    account_id, at, audit, counter, history, revocations,
    session_batches::{self, Which},
    sessions::{Ended, Ending},
};
use crate::{
    domain::{
        audit::AuditRecord,
        ids::{AccountId, SessionId},
        revocation::Revocation,
    },
    error::AccountError,
    events,
};

/// Deletions of accounts.
#[derive(Clone, Debug)]
pub(crate) struct Deletions {
    database: Database,
    events: EventOutbox,
}

/// Deletes the account if that is still due: its credentials, its names on other platforms and what its sessions tell
/// of devices. The row stays, in a new epoch, so that its tokens are revoked. `None`: it was called off, or done before.
pub(crate) async fn execute(
    tx: &mut Tx,
    account: AccountId,
    ending: Ending<'_>,
) -> Result<Option<Ended>, AccountError> {
    let due = tx
        .sql(
            "UPDATE account_accounts SET token_epoch = token_epoch + 1, deleted_at = ?, deletion_requested_at = NULL, \
             deletion_executes_at = NULL WHERE account_id = ? AND deletion_executes_at <= ?",
        )
        .bind(ending.now.as_millis())
        .bind(account.get())
        .bind(ending.now.as_millis())
        .execute()
        .await?;
    if due == 0 {
        return Ok(None);
    }
    tx.sql("DELETE FROM account_credentials WHERE account_id = ?").bind(account.get()).execute().await?;
    tx.sql("DELETE FROM account_external_ids WHERE account_id = ?").bind(account.get()).execute().await?;
    let count = session_batches::anonymise(tx, account, ending).await?;
    history::anonymise(tx, account).await?;
    let (epoch,): (i64,) =
        tx.sql("SELECT token_epoch FROM account_accounts WHERE account_id = ?").bind(account.get()).one().await?;
    let revocation = Revocation::Account { account_id: account, epoch: counter(epoch, "token_epoch")? };
    revocations::append(tx, &revocation, ending.now, ending.remembered_until).await?;
    events::deleted(tx, account, count, ending).await?;
    Ok(Some(Ended { count, revocations: vec![revocation] }))
}

/// Makes a deletion that was due, due at `until` only.
pub(crate) async fn put_off(tx: &mut Tx, account: AccountId, until: Timestamp) -> Result<(), SqlError> {
    tx.sql(
        "UPDATE account_accounts SET deletion_executes_at = ? WHERE account_id = ? AND deletion_executes_at < ? \
         AND deleted_at IS NULL",
    )
    .bind(until.as_millis())
    .bind(account.get())
    .bind(until.as_millis())
    .execute()
    .await
    .map(drop)
}

/// Forgets that the account was to be deleted. `false`: it was not.
async fn end_request(tx: &mut Tx, account: AccountId) -> Result<bool, SqlError> {
    let end = tx.sql(
        "UPDATE account_accounts SET deletion_requested_at = NULL, deletion_executes_at = NULL \
         WHERE account_id = ? AND deleted_at IS NULL AND deletion_executes_at IS NOT NULL",
    );
    Ok(end.bind(account.get()).execute().await? == 1)
}

impl Deletions {
    pub(crate) fn new(database: Database, events: EventOutbox) -> Self {
        Self { database, events }
    }

    /// Asks for the account to be deleted at `executes_at` and ends every session of it but `kept`, in all apps. One
    /// that was asked for before stays due when it was. Answers when that is.
    pub(crate) async fn request(
        &self,
        account: AccountId,
        kept: SessionId,
        executes_at: Timestamp,
        ending: Ending<'_>,
    ) -> Result<(Timestamp, Ended), AccountError> {
        self.database
            .retrying(|| async {
                let mut tx = self.database.begin().await?;
                let asked = tx
                    .sql(
                        "UPDATE account_accounts SET deletion_requested_at = ?, deletion_executes_at = ? \
                     WHERE account_id = ? AND deletion_executes_at IS NULL AND deleted_at IS NULL",
                    )
                    .bind(ending.now.as_millis())
                    .bind(executes_at.as_millis())
                    .bind(account.get())
                    .execute()
                    .await?;
                let row: Option<(Option<i64>,)> = tx
                    .sql("SELECT deletion_executes_at FROM account_accounts WHERE account_id = ?")
                    .bind(account.get())
                    .optional()
                    .await?;
                let (due,) = row.ok_or(AccountError::NoSuchAccount)?;
                let due = due.ok_or(AccountError::NoSuchAccount)?;
                if asked == 1 {
                    events::deletion_requested(&mut tx, account, at(due), ending).await?;
                }
                let ended = session_batches::end(&mut tx, account, Which::AllBut(kept), ending).await?;
                tx.commit().await?;
                Ok((at(due), ended))
            })
            .await
    }

    /// Keeps the account, whether or not it was to be deleted. `false`: it has been deleted, or never was.
    pub(crate) async fn cancel(&self, account: AccountId, now: Timestamp) -> Result<bool, AccountError> {
        self.database
            .retrying(|| async {
                let mut tx = self.database.begin().await?;
                if end_request(&mut tx, account).await? {
                    events::deletion_cancelled(&mut tx, account, &self.events, now).await?;
                    tx.commit().await?;
                    return Ok(true);
                }
                let kept: Option<(i64,)> = tx
                    .sql("SELECT account_id FROM account_accounts WHERE account_id = ? AND deleted_at IS NULL")
                    .bind(account.get())
                    .optional()
                    .await?;
                Ok(kept.is_some())
            })
            .await
    }

    /// Calls a pending deletion off and writes that down. `false`: none was pending, and nothing was changed or recorded.
    pub(crate) async fn call_off(
        &self,
        account: AccountId,
        record: &AuditRecord,
        now: Timestamp,
    ) -> Result<bool, AccountError> {
        self.database
            .retrying(|| async {
                let mut tx = self.database.begin().await?;
                if !end_request(&mut tx, account).await? {
                    return Ok(false);
                }
                audit::append(&mut tx, record, now).await?;
                events::deletion_cancelled(&mut tx, account, &self.events, now).await?;
                tx.commit().await?;
                Ok(true)
            })
            .await
    }

    /// When the account will be deleted; `None`: it will not.
    pub(crate) async fn executes_at(&self, account: AccountId) -> Result<Option<Timestamp>, AccountError> {
        let row: Option<(Option<i64>,)> = self
            .database
            .read("SELECT deletion_executes_at FROM account_accounts WHERE account_id = ?")
            .bind(account.get())
            .optional()
            .await?;
        Ok(row.and_then(|(executes_at,)| executes_at).map(at))
    }

    /// The accounts whose deletion is due, the longest overdue first, at most `limit`.
    pub(crate) async fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<AccountId>, AccountError> {
        let rows: Result<Vec<(i64,)>, SqlError> = self
            .database
            .read(
                "SELECT account_id FROM account_accounts WHERE deletion_executes_at <= ? \
                 ORDER BY deletion_executes_at LIMIT ?",
            )
            .bind(now.as_millis())
            .bind(i64::from(limit))
            .all()
            .await;
        rows?.into_iter().map(|(id,)| account_id(id)).collect()
    }
}
