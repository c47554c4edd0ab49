//! Bans of accounts: written with their record and their place in the feed, read at every sign-in and refresh.

use common::{
    clock::Timestamp,
    sql::{Database, Sql, Text, Tx},
};

use super::{at, audit, counter, revocations, sessions::Ending};
use crate::{
    domain::{
        audit::AuditRecord,
        ban::BanOrder,
        ids::AccountId,
        revocation::{Ban, Revocation},
    },
    error::AccountError,
    events,
};

/// Bans of accounts.
#[derive(Clone, Debug)]
pub(crate) struct Bans {
    database: Database,
}

/// A ban that is in effect, as operators see it.
#[derive(Clone, Debug)]
pub(crate) struct BanInEffect {
    pub(crate) ban: Ban,
    pub(crate) note: Option<String>,
    pub(crate) banned_at: Timestamp,
}

impl Bans {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    /// Bans the account from `ending.now` on, in place of the ban there may be. Answers what is to be told to the others.
    pub(crate) async fn ban(
        &self,
        account: AccountId,
        order: &BanOrder,
        ending: Ending<'_>,
        record: &AuditRecord,
    ) -> Result<Revocation, AccountError> {
        self.database
            .retrying(|| async {
                let mut tx = self.database.begin().await?;
                let revision = lock(&mut tx, account).await?.saturating_add(1);
                tx.sql("DELETE FROM account_bans WHERE account_id = ?").bind(account.get()).execute().await?;
                tx.sql(
                    "INSERT INTO account_bans (account_id, revision, reason, note, banned_at, until_at, lifted_at) \
                     VALUES (?, ?, ?, ?, ?, ?, NULL)",
                )
                .bind(account.get())
                .bind(i64::from(revision))
                .bind(order.ban.reason.as_str())
                .bind(order.note.as_deref())
                .bind(ending.now.as_millis())
                .bind(order.ban.until.map(Timestamp::as_millis))
                .execute()
                .await?;
                let change = Revocation::Ban { account_id: account, revision, ban: Some(order.ban.clone()) };
                told(tx, change, ending, record).await
            })
            .await
    }

    /// Lifts the ban of the account. `None`: there was none in effect, and nothing was changed or recorded.
    pub(crate) async fn lift(
        &self,
        account: AccountId,
        ending: Ending<'_>,
        record: &AuditRecord,
    ) -> Result<Option<Revocation>, AccountError> {
        self.database
            .retrying(|| async {
                let mut tx = self.database.begin().await?;
                let revision = lock(&mut tx, account).await?.saturating_add(1);
                let lifted = tx
                    .sql(
                        "UPDATE account_bans SET revision = ?, lifted_at = ? \
                         WHERE account_id = ? AND lifted_at IS NULL AND (until_at IS NULL OR until_at > ?)",
                    )
                    .bind(i64::from(revision))
                    .bind(ending.now.as_millis())
                    .bind(account.get())
                    .bind(ending.now.as_millis())
                    .execute()
                    .await?;
                if lifted == 0 {
                    return Ok(None);
                }
                let change = Revocation::Ban { account_id: account, revision, ban: None };
                told(tx, change, ending, record).await.map(Some)
            })
            .await
    }

    /// The ban of the account that is in effect at `now`.
    pub(crate) async fn in_effect(
        &self,
        account: AccountId,
        now: Timestamp,
    ) -> Result<Option<BanInEffect>, AccountError> {
        let row: Option<Row> = self
            .database
            .read(
                "SELECT reason, note, banned_at, until_at FROM account_bans \
                 WHERE account_id = ? AND lifted_at IS NULL AND (until_at IS NULL OR until_at > ?)",
            )
            .bind(account.get())
            .bind(now.as_millis())
            .optional()
            .await?;
        Ok(row.map(BanInEffect::from))
    }

    /// Refuses an account that is banned at `now`.
    pub(crate) async fn refuse_banned(&self, account: AccountId, now: Timestamp) -> Result<(), AccountError> {
        match self.in_effect(account, now).await? {
            Some(BanInEffect { ban, .. }) => Err(AccountError::Banned(ban)),
            None => Ok(()),
        }
    }
}

/// The revision of the account's ban, 0 when it never had one. To the end of the transaction nobody else changes it.
async fn lock(tx: &mut Tx, account: AccountId) -> Result<u32, AccountError> {
    let lock = Sql::Each {
        mysql: "SELECT account_id FROM account_accounts WHERE account_id = ? FOR UPDATE",
        sqlite: "SELECT account_id FROM account_accounts WHERE account_id = ?",
    };
    let locked: Option<(i64,)> = tx.sql(lock).bind(account.get()).optional().await?;
    locked.ok_or(AccountError::NoSuchAccount)?;
    let known: Option<(i64,)> =
        tx.sql("SELECT revision FROM account_bans WHERE account_id = ?").bind(account.get()).optional().await?;
    known.map_or(Ok(0), |(revision,)| counter(revision, "revision"))
}

/// Writes a change down and into the feed, and commits it.
async fn told(
    mut tx: Tx,
    change: Revocation,
    ending: Ending<'_>,
    record: &AuditRecord,
) -> Result<Revocation, AccountError> {
    audit::append(&mut tx, record, ending.now).await?;
    if let Revocation::Ban { account_id, ban, .. } = &change {
        events::ban_changed(&mut tx, *account_id, ban.as_ref(), ending).await?;
    }
    revocations::append(&mut tx, &change, ending.now, ending.remembered_until).await?;
    tx.commit().await?;
    Ok(change)
}

#[derive(sqlx::FromRow)]
struct Row {
    reason: Text,
    note: Option<Text>,
    banned_at: i64,
    until_at: Option<i64>,
}

impl From<Row> for BanInEffect {
    fn from(row: Row) -> Self {
        Self {
            ban: Ban { reason: String::from(row.reason).into(), until: row.until_at.map(at) },
            note: row.note.map(String::from),
            banned_at: at(row.banned_at),
        }
    }
}
