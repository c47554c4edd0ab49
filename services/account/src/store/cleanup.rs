//! Deleting what no longer matters, in batches.

use common::{
    clock::Timestamp,
    sql::{Sql, SqlError, Tx},
};

/// Rows that are deleted some time after they stopped to matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expired {
    /// Revocations that concern no living token.
    Revocations,
    /// Sessions that were not used again.
    UnusedSessions,
    /// Sessions that were ended before their time.
    EndedSessions,
    /// Phone codes that are good no more. Where nobody may ask for another one yet that is known from them: the
    /// configuration keeps codes alive for longer than that.
    PhoneCodes,
    /// Imports that nobody went on with.
    Imports,
    /// Bans of accounts that ran out.
    BansThatRanOut,
    /// Bans of accounts that an operator lifted.
    LiftedBans,
    /// The same of devices and networks.
    SubjectBansThatRanOut,
    LiftedSubjectBans,
    /// What happened to accounts.
    History,
}

/// One statement per database. MySQL finds the rows by the index itself: a subquery in a DELETE it would carry out once
/// for each row of the whole table before MySQL 8.0.21 and MariaDB 11.1. SQLite takes no LIMIT in a DELETE.
macro_rules! delete_first {
    ($table:literal, $key:literal, $expiry:literal) => {
        Sql::Each {
            mysql: concat!("DELETE FROM ", $table, " WHERE ", $expiry, " <= ? ORDER BY ", $expiry, " LIMIT ?"),
            sqlite: concat!(
                "DELETE FROM ",
                $table,
                " WHERE (",
                $key,
                ") IN (SELECT ",
                $key,
                " FROM ",
                $table,
                " WHERE ",
                $expiry,
                " <= ? ORDER BY ",
                $expiry,
                " LIMIT ?)"
            ),
        }
    };
}

impl Expired {
    pub(crate) const ALL: [Self; 10] = [
        Self::Revocations,
        Self::UnusedSessions,
        Self::EndedSessions,
        Self::PhoneCodes,
        Self::Imports,
        Self::BansThatRanOut,
        Self::LiftedBans,
        Self::SubjectBansThatRanOut,
        Self::LiftedSubjectBans,
        Self::History,
    ];

    /// Deletes at most `batch` of those that stopped to matter by `before`, the oldest first. Answers how many.
    pub(crate) async fn delete(self, tx: &mut Tx, before: Timestamp, batch: u32) -> Result<u64, SqlError> {
        tx.sql(self.statement()).bind(before.as_millis()).bind(i64::from(batch)).execute().await
    }

    fn statement(self) -> Sql {
        match self {
            Self::Revocations => delete_first!("account_revocations", "sequence", "expires_at"),
            Self::UnusedSessions => delete_first!("account_sessions", "session_id", "refresh_expires_at"),
            Self::EndedSessions => delete_first!("account_sessions", "session_id", "revoked_at"),
            Self::PhoneCodes => delete_first!("account_phone_codes", "phone, app_id, scene", "expires_at"),
            Self::Imports => delete_first!("account_imports", "import_id", "updated_at"),
            Self::BansThatRanOut => delete_first!("account_bans", "account_id", "until_at"),
            Self::LiftedBans => delete_first!("account_bans", "account_id", "lifted_at"),
            Self::SubjectBansThatRanOut => delete_first!("account_subject_bans", "ban_id", "until_at"),
            Self::LiftedSubjectBans => delete_first!("account_subject_bans", "ban_id", "lifted_at"),
            Self::History => delete_first!("account_history", "event_id", "at"),
        }
    }
}

#[cfg(test)]
mod tests {
    use common::sql::{Sql, Text, testing::TestDatabase};

    use super::Expired;
    use crate::testing::migrate_all;

    /// Rows of a table: enough that reading all of them is not the cheaper way, and few of them old.
    const FILL: [&str; 7] = [
        "INSERT INTO account_history (event_id, account_id, at, kind) \
         SELECT UNHEX(LPAD(HEX(seq), 32, '0')), seq, seq, 'x' FROM seq_1_to_2000",
        "INSERT INTO account_revocations (account_id, epoch, created_at, expires_at) SELECT seq, 1, 0, seq FROM seq_1_to_2000",
        "INSERT INTO account_sessions (session_id, account_id, app_id, token_epoch, generation, refresh_digest, created_at, \
         last_seen_at, refresh_expires_at, absolute_expires_at, revoked_at) \
         SELECT UNHEX(LPAD(HEX(seq), 32, '0')), seq, 1, 0, 0, UNHEX(REPEAT('0', 64)), 0, 0, seq, seq, seq FROM seq_1_to_2000",
        "INSERT INTO account_phone_codes (phone, app_id, scene, code_digest, tries_left, resend_at, expires_at) \
         SELECT seq, 1, 'login', UNHEX(REPEAT('0', 64)), 1, 0, seq FROM seq_1_to_2000",
        "INSERT INTO account_imports (import_id, byte_offset, line_count, imported, skipped, rejected, rejects_bytes, \
         updated_at) SELECT UNHEX(LPAD(HEX(seq), 64, '0')), 0, 0, 0, 0, 0, 0, seq FROM seq_1_to_2000",
        "INSERT INTO account_bans (account_id, revision, reason, banned_at, until_at, lifted_at) \
         SELECT seq, 1, 'x', 0, seq, seq FROM seq_1_to_2000",
        "INSERT INTO account_subject_bans (kind, subject, shown, revision, reason, banned_at, until_at, lifted_at) \
         SELECT 'device', seq, 'x', 1, 'x', 0, seq, seq FROM seq_1_to_2000",
    ];

    #[derive(Debug, sqlx::FromRow)]
    struct Plan {
        #[sqlx(rename = "type")]
        kind: Text,
        key: Option<Text>,
    }

    /// The index that has to lead to the rows.
    fn index(expired: Expired) -> &'static str {
        match expired {
            Expired::Revocations => "ix_account_revocations_expiry",
            Expired::UnusedSessions => "ix_account_sessions_expiry",
            Expired::EndedSessions => "ix_account_sessions_revoked",
            Expired::PhoneCodes => "ix_account_phone_codes_expiry",
            Expired::Imports => "ix_account_imports_updated",
            Expired::BansThatRanOut => "ix_account_bans_until",
            Expired::LiftedBans => "ix_account_bans_lifted",
            Expired::SubjectBansThatRanOut => "ix_account_subject_bans_until",
            Expired::LiftedSubjectBans => "ix_account_subject_bans_lifted",
            Expired::History => "ix_account_history_at",
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn mariadb_goes_straight_to_the_rows_that_it_deletes() {
        let database = TestDatabase::mariadb().await;
        migrate_all(&database).await;
        for fill in FILL {
            database.write(fill).execute().await.expect("filled");
        }
        for expired in Expired::ALL {
            let Sql::Each { mysql, .. } = expired.statement() else { panic!("{expired:?} has one text for both") };
            let explain: &'static str = Box::leak(format!("EXPLAIN {mysql}").into_boxed_str());
            let plan: Vec<Plan> = database.read(explain).bind(10_i64).bind(5_i64).all().await.expect("explained");
            let steps: Vec<(&str, Option<&str>)> = plan.iter().map(|step| (&*step.kind, step.key.as_deref())).collect();
            assert_eq!(steps, [("range", Some(index(expired)))], "{expired:?}");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn sqlite_finds_the_rows_that_it_deletes_by_an_index() {
        let database = TestDatabase::sqlite().await;
        migrate_all(&database).await;
        for expired in Expired::ALL {
            let Sql::Each { sqlite, .. } = expired.statement() else { panic!("{expired:?} has one text for both") };
            let explain: &'static str = Box::leak(format!("EXPLAIN QUERY PLAN {sqlite}").into_boxed_str());
            let plan: Vec<(i64, i64, i64, String)> =
                database.write(explain).bind(10_i64).bind(5_i64).all().await.expect("explained");
            assert!(plan.iter().any(|(.., step)| step.contains(index(expired))), "{expired:?}: {plan:?}");
            assert!(plan.iter().all(|(.., step)| !step.starts_with("SCAN")), "{expired:?}: {plan:?}");
        }
    }

    common::on_each_database! {
        async fn the_oldest_are_deleted_and_no_more_than_a_batch(database: TestDatabase) {
            migrate_all(&database).await;
            for at in [40_i64, 10, 30, 20, 50] {
                let fill = "INSERT INTO account_bans (account_id, revision, reason, banned_at, until_at, lifted_at) \
                     VALUES (?, 1, 'x', 0, ?, NULL)";
                database.write(fill).bind(at).bind(at).execute().await.expect("filled");
            }
            let mut deleted = Vec::new();
            for _ in 0..3 {
                let mut tx = database.begin().await.expect("begun");
                let before = common::clock::Timestamp::from_millis(30);
                deleted.push(Expired::BansThatRanOut.delete(&mut tx, before, 2).await.expect("deleted"));
                assert_eq!(Expired::LiftedBans.delete(&mut tx, before, 2).await, Ok(0), "none was lifted");
                tx.commit().await.expect("committed");
            }
            assert_eq!(deleted, [2, 1, 0]);
            let left: Vec<(i64,)> =
                database.read("SELECT account_id FROM account_bans ORDER BY account_id").all().await.expect("read");
            assert_eq!(left, [(40,), (50,)]);
        }
    }
}
