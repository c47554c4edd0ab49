//! The feed of revocations: written in the transaction that ends a session, read by every instance.

use common::{
    clock::Timestamp,
    sql::{Database, SqlError, Text, Tx},
    token::feed,
};

use super::{account_id, at, counter, session_id};
use crate::{
    domain::revocation::{Ban, Revocation},
    error::AccountError,
};

/// Rows read at once.
const PAGE: usize = 2000;

/// Adds sessions whose ids follow, in one statement however many they are.
pub(super) const INSERT_SESSIONS: &str = "INSERT INTO account_revocations (session_id, created_at, expires_at) \
     SELECT session_id, ?, ? FROM account_sessions WHERE session_id IN (";

/// The feed of revocations.
#[derive(Clone, Debug)]
pub(crate) struct Revocations {
    database: Database,
}

/// Adds a revocation. The last statement before the commit: the shorter from here to there, the less the feed is seen
/// out of order.
pub(super) async fn append(
    tx: &mut Tx,
    revocation: &Revocation,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<(), SqlError> {
    let (session, account, epoch) = match revocation {
        Revocation::Session(id) => (Some(id.as_bytes().to_vec()), None, None),
        Revocation::Account { account_id, epoch } => (None, Some(account_id.get()), Some(i64::from(*epoch))),
        // What became of the account's ban is in the table of bans.
        Revocation::Ban { account_id, .. } => (None, Some(account_id.get()), None),
    };
    tx.sql(
        "INSERT INTO account_revocations (session_id, account_id, epoch, created_at, expires_at) \
         VALUES (?, ?, ?, ?, ?)",
    )
    .bind(session)
    .bind(account)
    .bind(epoch)
    .bind(now.as_millis())
    .bind(expires_at.as_millis())
    .execute()
    .await
    .map(drop)
}

impl Revocations {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    /// Hands every row after `sequence` that still matters at `now` to `take`, in order, however many there are.
    pub(crate) async fn read_after(
        &self,
        mut sequence: i64,
        now: Timestamp,
        mut take: impl FnMut(i64, feed::Row),
    ) -> Result<(), AccountError> {
        loop {
            let rows: Vec<Row> = self
                .database
                .read(
                    "SELECT r.sequence, r.session_id, r.account_id, r.epoch, r.created_at, r.expires_at, \
                     b.revision AS ban_revision, b.reason AS ban_reason, b.until_at AS ban_until, b.lifted_at \
                     FROM account_revocations AS r \
                     LEFT JOIN account_bans AS b ON b.account_id = r.account_id AND r.epoch IS NULL \
                     WHERE r.sequence > ? AND r.expires_at > ? ORDER BY r.sequence LIMIT ?",
                )
                .bind(sequence)
                .bind(now.as_millis())
                .bind(i64::try_from(PAGE).unwrap_or(i64::MAX))
                .all()
                .await?;
            let last_page = rows.len() < PAGE;
            for row in rows {
                sequence = row.sequence;
                take(sequence, row.try_into()?);
            }
            if last_page {
                return Ok(());
            }
        }
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    sequence: i64,
    session_id: Option<Vec<u8>>,
    account_id: Option<i64>,
    epoch: Option<i64>,
    created_at: i64,
    expires_at: i64,
    /// With an account and without an epoch: its ban as it is now, which may be later than the row.
    ban_revision: Option<i64>,
    ban_reason: Option<Text>,
    ban_until: Option<i64>,
    lifted_at: Option<i64>,
}

impl TryFrom<Row> for feed::Row {
    type Error = AccountError;

    fn try_from(row: Row) -> Result<Self, AccountError> {
        let revocation = match (row.session_id, row.account_id, row.epoch, row.ban_revision, row.ban_reason) {
            (Some(id), None, None, ..) => Revocation::Session(session_id(&id)?),
            (None, Some(account), None, Some(revision), Some(reason)) => Revocation::Ban {
                account_id: account_id(account)?,
                revision: counter(revision, "revision")?,
                ban: row
                    .lifted_at
                    .is_none()
                    .then(|| Ban { reason: String::from(reason).into(), until: row.ban_until.map(at) }),
            },
            (None, Some(account), Some(epoch), ..) => {
                Revocation::Account { account_id: account_id(account)?, epoch: counter(epoch, "epoch")? }
            }
            _ => return Err(AccountError::Damaged("account_revocations")),
        };
        Ok(Self { revocation, created_at: at(row.created_at), expires_at: at(row.expires_at) })
    }
}
