//! Bans of devices and of parts of the network: written with their record, read into memory by every instance.

use common::{
    clock::Timestamp,
    sql::{Database, Sql, Text},
};

use super::{at, audit};
use crate::{
    domain::{
        audit::{AuditRecord, Details, Target},
        ban::BanOrder,
        revocation::Ban,
        risk::subject_ban::{BanSubject, NamedSubject},
    },
    error::AccountError,
};

/// Bans in effect that there may be. Every instance has them in memory, and reads them all when one has changed.
const MOST_IN_EFFECT: i64 = 10_000;

/// Bans of devices and networks.
#[derive(Clone, Debug)]
pub(crate) struct SubjectBans {
    database: Database,
}

/// Differs whenever something in the table does: count, sum of the revisions, highest id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Fingerprint {
    bans: i64,
    changes: i64,
    highest: i64,
}

/// A ban that is in effect, as operators see it.
#[derive(Clone, Debug)]
pub(crate) struct ListedBan {
    pub(crate) ban_id: i64,
    pub(crate) kind: String,
    /// Enough to recognise what is banned.
    pub(crate) shown: String,
    pub(crate) ban: Ban,
    pub(crate) note: Option<String>,
    pub(crate) banned_at: Timestamp,
}

impl SubjectBans {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    /// Bans the subject from `now` on, in place of the ban there may be. `record` makes the record from the target and
    /// what there is to say about it. Answers the number of the ban.
    pub(crate) async fn ban(
        &self,
        named: &NamedSubject,
        order: &BanOrder,
        now: Timestamp,
        record: impl Fn(Target, Details) -> AuditRecord,
    ) -> Result<i64, AccountError> {
        let upsert = Sql::Each {
            mysql: "INSERT INTO account_subject_bans (kind, subject, shown, reason, note, banned_at, until_at, revision) \
                    VALUES (?, ?, ?, ?, ?, ?, ?, 1) ON DUPLICATE KEY UPDATE shown = VALUES(shown), \
                    reason = VALUES(reason), note = VALUES(note), banned_at = VALUES(banned_at), \
                    until_at = VALUES(until_at), revision = revision + 1, lifted_at = NULL",
            sqlite: "INSERT INTO account_subject_bans (kind, subject, shown, reason, note, banned_at, until_at, revision) \
                     VALUES (?, ?, ?, ?, ?, ?, ?, 1) ON CONFLICT (kind, subject) DO UPDATE SET shown = excluded.shown, \
                     reason = excluded.reason, note = excluded.note, banned_at = excluded.banned_at, \
                     until_at = excluded.until_at, revision = revision + 1, lifted_at = NULL",
        };
        self.database
            .retrying(|| async {
                let mut tx = self.database.begin().await?;
                let (in_effect,): (i64,) = tx
                    .sql(
                        "SELECT COUNT(*) FROM account_subject_bans \
                         WHERE lifted_at IS NULL AND (until_at IS NULL OR until_at > ?)",
                    )
                    .bind(now.as_millis())
                    .one()
                    .await?;
                if in_effect >= MOST_IN_EFFECT {
                    return Err(AccountError::TooManyBans);
                }
                tx.sql(upsert.clone())
                    .bind(named.subject.kind())
                    .bind(named.subject.to_text())
                    .bind(named.shown.as_str())
                    .bind(order.ban.reason.as_str())
                    .bind(order.note.as_deref())
                    .bind(now.as_millis())
                    .bind(order.ban.until.map(Timestamp::as_millis))
                    .execute()
                    .await?;
                let (ban_id,): (i64,) = tx
                    .sql("SELECT ban_id FROM account_subject_bans WHERE kind = ? AND subject = ?")
                    .bind(named.subject.kind())
                    .bind(named.subject.to_text())
                    .one()
                    .await?;
                let details = described(named.subject.kind(), &named.shown)
                    .with("reason", order.ban.reason.as_str())
                    .with("note", order.note.as_deref())
                    .with("until", order.ban.until.map(Timestamp::as_millis));
                audit::append(&mut tx, &record(Target::ban(ban_id), details), now).await?;
                tx.commit().await?;
                Ok(ban_id)
            })
            .await
    }

    /// Lifts a ban. `false`: it was not in effect, and nothing was changed or recorded.
    pub(crate) async fn lift(
        &self,
        ban_id: i64,
        now: Timestamp,
        record: impl Fn(Target, Details) -> AuditRecord,
    ) -> Result<bool, AccountError> {
        self.database
            .retrying(|| async {
                let mut tx = self.database.begin().await?;
                let lifted = tx
                    .sql(
                        "UPDATE account_subject_bans SET revision = revision + 1, lifted_at = ? \
                         WHERE ban_id = ? AND lifted_at IS NULL AND (until_at IS NULL OR until_at > ?)",
                    )
                    .bind(now.as_millis())
                    .bind(ban_id)
                    .bind(now.as_millis())
                    .execute()
                    .await?;
                if lifted == 0 {
                    return Ok(false);
                }
                let (kind, shown): (Text, Text) =
                    tx.sql("SELECT kind, shown FROM account_subject_bans WHERE ban_id = ?").bind(ban_id).one().await?;
                audit::append(&mut tx, &record(Target::ban(ban_id), described(&kind, &shown)), now).await?;
                tx.commit().await?;
                Ok(true)
            })
            .await
    }

    /// The bans in effect at `now` with a higher number than `after`, by number, at most `limit`.
    pub(crate) async fn list(&self, after: i64, now: Timestamp, limit: u32) -> Result<Vec<ListedBan>, AccountError> {
        let rows: Vec<ListedRow> = self
            .database
            .read(
                "SELECT ban_id, kind, shown, reason, note, banned_at, until_at FROM account_subject_bans \
                 WHERE ban_id > ? AND lifted_at IS NULL AND (until_at IS NULL OR until_at > ?) ORDER BY ban_id LIMIT ?",
            )
            .bind(after)
            .bind(now.as_millis())
            .bind(i64::from(limit))
            .all()
            .await?;
        Ok(rows.into_iter().map(ListedBan::from).collect())
    }

    /// What tells whether something has changed.
    pub(crate) async fn fingerprint(&self) -> Result<Fingerprint, AccountError> {
        let fingerprint = self.database.read(
            "SELECT COUNT(*) AS bans, CAST(COALESCE(SUM(revision), 0) AS SIGNED) AS changes, \
             COALESCE(MAX(ban_id), 0) AS highest FROM account_subject_bans",
        );
        Ok(fingerprint.one().await?)
    }

    /// Every ban in effect at `now` that this version understands.
    pub(crate) async fn in_effect(&self, now: Timestamp) -> Result<Vec<(BanSubject, Ban)>, AccountError> {
        let rows: Vec<(Text, Text, Text, Option<i64>)> = self
            .database
            .read(
                "SELECT kind, subject, reason, until_at FROM account_subject_bans \
                 WHERE lifted_at IS NULL AND (until_at IS NULL OR until_at > ?) LIMIT ?",
            )
            .bind(now.as_millis())
            .bind(MOST_IN_EFFECT * 2)
            .all()
            .await?;
        let understood = rows.into_iter().filter_map(|(kind, subject, reason, until)| {
            let subject = BanSubject::from_text(&kind, &subject)?;
            Some((subject, Ban { reason: String::from(reason).into(), until: until.map(at) }))
        });
        Ok(understood.collect())
    }
}

fn described(kind: &str, shown: &str) -> Details {
    Details::default().with("kind", kind).with("subject", shown)
}

#[derive(sqlx::FromRow)]
struct ListedRow {
    ban_id: i64,
    kind: Text,
    shown: Text,
    reason: Text,
    note: Option<Text>,
    banned_at: i64,
    until_at: Option<i64>,
}

impl From<ListedRow> for ListedBan {
    fn from(row: ListedRow) -> Self {
        Self {
            ban_id: row.ban_id,
            kind: row.kind.into(),
            shown: row.shown.into(),
            ban: Ban { reason: String::from(row.reason).into(), until: row.until_at.map(at) },
            note: row.note.map(String::from),
            banned_at: at(row.banned_at),
        }
    }
}
