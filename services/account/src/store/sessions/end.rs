//! Sessions that end, and how that is told.

use common::sql::{SqlError, Tx};

use super::{Ended, Ending, Sessions};
use crate::{
    domain::{
        audit::AuditRecord,
        ids::{AccountId, AppId, SessionId},
        revocation::Revocation,
    },
    error::AccountError,
    events::{self, EndedSessions},
    store::{
        account_id, audit, counter, revocations, session_batches,
        session_batches::{BATCH, Which, is_live},
        session_id,
    },
};

/// So far the sessions that a new epoch ends are counted. Bounds what the number may cost.
const MOST_COUNTED: i64 = 10_000;

impl Sessions {
    /// Ends one session of an app. One that has ended already, or never was, counts as none.
    pub(crate) async fn end_one(&self, id: SessionId, app: AppId, ending: Ending<'_>) -> Result<Ended, AccountError> {
        self.database
            .retrying(|| async {
                let mut tx = self.database.begin().await?;
                let count = mark_ended(&mut tx, id, app, ending).await?;
                if count == 0 {
                    return Ok(Ended::default());
                }
                let revocation = Revocation::Session(id);
                revocations::append(&mut tx, &revocation, ending.now, ending.remembered_until).await?;
                if ending.events.is_on()
                    && let Some(account) = owner_in(&mut tx, id).await?
                {
                    let told = EndedSessions { account, app: Some(app), session: Some(id), count };
                    events::sessions_ended(&mut tx, told, ending).await?;
                }
                tx.commit().await?;
                Ok(Ended { count, revocations: vec![revocation] })
            })
            .await
    }

    /// Ends one session of an account in an app. One that has ended already, never was or is another's counts as none.
    pub(crate) async fn end_own(
        &self,
        id: SessionId,
        account: AccountId,
        app: AppId,
        ending: Ending<'_>,
    ) -> Result<Ended, AccountError> {
        // A session never changes hands, so what is read here still holds below.
        if self.owner(id).await? == Some(account) { self.end_one(id, app, ending).await } else { Ok(Ended::default()) }
    }

    /// Ends one session of an account, in whichever app, and writes that down. One that has ended already, never was or is
    /// another's counts as none, and nothing is recorded.
    pub(crate) async fn end_one_of(
        &self,
        account: AccountId,
        id: SessionId,
        record: &AuditRecord,
        ending: Ending<'_>,
    ) -> Result<Ended, AccountError> {
        self.database
            .retrying(|| async {
                let mut tx = self.database.begin().await?;
                let count = tx
                    .sql(
                        "UPDATE account_sessions SET revoked_at = ?, revoke_reason = ? \
                         WHERE session_id = ? AND account_id = ? AND revoked_at IS NULL",
                    )
                    .bind(ending.now.as_millis())
                    .bind(ending.reason)
                    .bind(id.as_bytes().as_slice())
                    .bind(account.get())
                    .execute()
                    .await?;
                if count == 0 {
                    return Ok(Ended::default());
                }
                audit::append(&mut tx, record, ending.now).await?;
                let revocation = Revocation::Session(id);
                revocations::append(&mut tx, &revocation, ending.now, ending.remembered_until).await?;
                let told = EndedSessions { account, app: None, session: Some(id), count };
                events::sessions_ended(&mut tx, told, ending).await?;
                tx.commit().await?;
                Ok(Ended { count, revocations: vec![revocation] })
            })
            .await
    }

    /// Ends every live session of an account but one, in all apps.
    pub(crate) async fn end_others(
        &self,
        account: AccountId,
        kept: SessionId,
        ending: Ending<'_>,
    ) -> Result<Ended, AccountError> {
        self.database
            .retrying(|| async {
                let mut tx = self.database.begin().await?;
                let ended = session_batches::end(&mut tx, account, Which::AllBut(kept), ending).await?;
                tx.commit().await?;
                Ok(ended)
            })
            .await
    }

    /// Ends every live session of an account in one app.
    pub(crate) async fn end_all_of_app(
        &self,
        account: AccountId,
        app: AppId,
        ending: Ending<'_>,
    ) -> Result<Ended, AccountError> {
        self.database
            .retrying(|| async {
                let mut tx = self.database.begin().await?;
                let ended = session_batches::end(&mut tx, account, Which::OfApp(app), ending).await?;
                tx.commit().await?;
                Ok(ended)
            })
            .await
    }

    /// Ends live sessions of an account in an app beyond the `most` that were used last: at most one batch, the next look
    /// goes on.
    pub(crate) async fn end_beyond(
        &self,
        account: AccountId,
        app: AppId,
        most: u32,
        ending: Ending<'_>,
    ) -> Result<Ended, AccountError> {
        let beyond: Vec<(Vec<u8>,)> = self
            .database
            .read(concat!(
                "SELECT session_id FROM account_sessions WHERE account_id = ? AND app_id = ? AND ",
                is_live!(),
                " ORDER BY last_seen_at DESC, session_id DESC LIMIT ? OFFSET ?"
            ))
            .bind(account.get())
            .bind(app.get())
            .bind(ending.now.as_millis())
            .bind(i64::try_from(BATCH).unwrap_or(i64::MAX))
            .bind(i64::from(most))
            .all()
            .await?;
        if beyond.is_empty() {
            return Ok(Ended::default());
        }
        let beyond = beyond.iter().map(|(id,)| session_id(id)).collect::<Result<Vec<_>, _>>()?;
        self.database
            .retrying(|| async {
                let mut tx = self.database.begin().await?;
                let ended = session_batches::end_these(&mut tx, beyond.clone(), ending).await?;
                let told = EndedSessions { account, app: Some(app), session: None, count: ended.count };
                events::sessions_ended(&mut tx, told, ending).await?;
                tx.commit().await?;
                Ok(ended)
            })
            .await
    }

    /// Ends every session of an account, in all apps, by starting a new epoch. Nothing is ended of an account that does
    /// not exist. A `record` is written down with the number of sessions beside it, which is exact up to
    /// [`MOST_COUNTED`].
    ///
    /// The epoch is what ends them. Their rows are marked afterwards, which may fail, and then changes only what their
    /// owner is told.
    pub(crate) async fn end_all(
        &self,
        account: AccountId,
        ending: Ending<'_>,
        record: Option<&AuditRecord>,
    ) -> Result<Ended, AccountError> {
        let ended = self.database.retrying(|| self.begin_epoch(account, ending, record)).await?;
        if ended.count > 0
            && let Err(error) = self.mark_earlier_epochs(account, ending).await
        {
            tracing::warn!(account_id = account.get(), %error, "sessions that have ended could not all be marked so");
        }
        Ok(ended)
    }

    async fn begin_epoch(
        &self,
        account: AccountId,
        ending: Ending<'_>,
        record: Option<&AuditRecord>,
    ) -> Result<Ended, AccountError> {
        let mut tx = self.database.begin().await?;
        tx.sql("UPDATE account_accounts SET token_epoch = token_epoch + 1 WHERE account_id = ?")
            .bind(account.get())
            .execute()
            .await?;
        let epoch: Option<(i64,)> = tx
            .sql("SELECT token_epoch FROM account_accounts WHERE account_id = ?")
            .bind(account.get())
            .optional()
            .await?;
        let Some((epoch,)) = epoch else { return Ok(Ended::default()) };
        let (count,): (i64,) = tx
            .sql(
                "SELECT COUNT(*) FROM (SELECT session_id FROM account_sessions WHERE account_id = ? \
                 AND token_epoch = ? AND revoked_at IS NULL AND refresh_expires_at > ? LIMIT ?) AS live",
            )
            .bind(account.get())
            .bind(epoch - 1)
            .bind(ending.now.as_millis())
            .bind(MOST_COUNTED)
            .one()
            .await?;
        let count = count.cast_unsigned();
        if let Some(record) = record {
            let details = record.details.clone().with("revoked", count);
            audit::append(&mut tx, &AuditRecord { details, ..record.clone() }, ending.now).await?;
        }
        let revocation = Revocation::Account { account_id: account, epoch: counter(epoch, "token_epoch")? };
        revocations::append(&mut tx, &revocation, ending.now, ending.remembered_until).await?;
        events::sessions_ended(&mut tx, EndedSessions { account, app: None, session: None, count }, ending).await?;
        tx.commit().await?;
        Ok(Ended { count, revocations: vec![revocation] })
    }

    /// Marks the sessions that a new epoch has ended, batch by batch, each by itself.
    async fn mark_earlier_epochs(&self, account: AccountId, ending: Ending<'_>) -> Result<(), AccountError> {
        loop {
            let ids: Vec<(Vec<u8>,)> = self
                .database
                .read(
                    "SELECT session_id FROM account_sessions WHERE account_id = ? AND revoked_at IS NULL \
                     AND refresh_expires_at > ? AND token_epoch < \
                     (SELECT a.token_epoch FROM account_accounts AS a WHERE a.account_id = account_sessions.account_id) \
                     LIMIT ?",
                )
                .bind(account.get())
                .bind(ending.now.as_millis())
                .bind(i64::try_from(BATCH).unwrap_or(i64::MAX))
                .all()
                .await?;
            let ids = ids.iter().map(|(id,)| session_id(id)).collect::<Result<Vec<_>, _>>()?;
            self.database
                .retrying(|| async {
                    let mut tx = self.database.begin().await?;
                    session_batches::mark(&mut tx, &ids, ending).await?;
                    tx.commit().await
                })
                .await?;
            if ids.len() < BATCH {
                return Ok(());
            }
        }
    }
}

/// Marks a session as ended; answers 0 for one that has ended already, or never was.
pub(super) async fn mark_ended(tx: &mut Tx, id: SessionId, app: AppId, ending: Ending<'_>) -> Result<u64, SqlError> {
    tx.sql(
        "UPDATE account_sessions SET revoked_at = ?, revoke_reason = ? \
         WHERE session_id = ? AND app_id = ? AND revoked_at IS NULL",
    )
    .bind(ending.now.as_millis())
    .bind(ending.reason)
    .bind(id.as_bytes().as_slice())
    .bind(app.get())
    .execute()
    .await
}

/// Whose session it is.
async fn owner_in(tx: &mut Tx, id: SessionId) -> Result<Option<AccountId>, AccountError> {
    let find = tx.sql("SELECT account_id FROM account_sessions WHERE session_id = ?");
    let row: Option<(i64,)> = find.bind(id.as_bytes().as_slice()).optional().await?;
    row.map(|(id,)| account_id(id)).transpose()
}
