//! Migration runs: concurrent, repeated, changed, broken.

use std::{borrow::Cow, sync::LazyLock};

use sqlx::migrate::MigrationType;

use super::*;
use crate::sql::{Dialect, Sql};

fn migrator(statements: &[(&'static str, &'static str)]) -> Migrator {
    let mut migrator = Migrator::DEFAULT;
    let migrations = (1..).zip(statements).map(|(version, (description, sql))| {
        Migration::new(version, Cow::Borrowed(description), MigrationType::Simple, Cow::Borrowed(sql), false)
    });
    migrator.migrations = migrations.collect();
    migrator
}

const FIRST: (&str, &str) = (
    "shelves",
    "CREATE TABLE library_shelves (id INT PRIMARY KEY); -- a comment; with a semicolon\nINSERT INTO library_shelves VALUES (1)",
);
const SECOND: (&str, &str) = ("books", "CREATE TABLE library_books (id INT PRIMARY KEY)");
const BROKEN: (&str, &str) =
    ("broken", "CREATE TABLE library_half (id INT PRIMARY KEY); CREATE TABEL library_rest (id INT)");

static OLD: LazyLock<Migrator> = LazyLock::new(|| migrator(&[FIRST]));
static NEW: LazyLock<Migrator> = LazyLock::new(|| migrator(&[FIRST, SECOND]));
static WITH_BROKEN: LazyLock<Migrator> = LazyLock::new(|| migrator(&[FIRST, SECOND, BROKEN]));
static CHANGED: LazyLock<Migrator> = LazyLock::new(|| migrator(&[("shelves", "SELECT 1"), SECOND]));

fn set(migrator: &'static LazyLock<Migrator>) -> MigrationSet {
    MigrationSet { name: "library", mysql: migrator, sqlite: migrator }
}

fn versions(applied: &[Applied]) -> Vec<i64> {
    applied.iter().map(|applied| applied.version).collect()
}

async fn tables_named(database: &Database, name: &str) -> i64 {
    let sql = Sql::Each {
        mysql: "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?",
        sqlite: "SELECT COUNT(*) FROM sqlite_master WHERE name = ?",
    };
    database.read(sql).bind(name.to_owned()).one::<(i64,)>().await.expect("counted").0
}

crate::on_each_database! {
    async fn four_replicas_that_start_at_once_all_succeed_and_one_does_the_work(database: TestDatabase) {
        let mut runs = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let replica = database.replica().await;
            runs.spawn(async move { migrate(&replica, &set(&NEW)).await.expect("every run succeeds") });
        }
        let reports = runs.join_all().await;
        let mut applied: Vec<i64> = reports.iter().flat_map(|report| versions(&report.applied)).collect();
        applied.sort_unstable();
        assert_eq!(applied, [1, 2]);
    }

    async fn a_newer_release_applies_only_what_is_new_and_an_older_one_runs_on(database: TestDatabase) {
        let status = schema_status(&database, &set(&NEW)).await.expect("status of nothing");
        assert_eq!((status.applied.len(), versions(&status.pending)), (0, vec![1, 2]));
        migrate(&database, &set(&OLD)).await.expect("the first release");
        let report = migrate(&database, &set(&NEW)).await.expect("the second release");
        assert_eq!((versions(&report.applied), report.already_there), (vec![2], 1));
        let report = migrate(&database, &set(&OLD)).await.expect("the first release, restarted");
        assert_eq!(report.applied, []);
        let status = schema_status(&database, &set(&NEW)).await.expect("status");
        assert_eq!((versions(&status.applied), status.pending.len()), (vec![1, 2], 0));
    }

    async fn two_sets_keep_separate_histories_in_one_database(database: TestDatabase) {
        migrate(&database, &set(&NEW)).await.expect("the library");
        let other = MigrationSet { name: "cinema", mysql: &CINEMA, sqlite: &CINEMA };
        let report = migrate(&database, &other).await.expect("the cinema");
        assert_eq!((versions(&report.applied), report.already_there), (vec![1], 0));
    }

    async fn a_migration_that_was_changed_after_it_ran_is_refused_by_name(database: TestDatabase) {
        migrate(&database, &set(&NEW)).await.expect("as released");
        for outcome in [migrate(&database, &set(&CHANGED)).await.err(), schema_status(&database, &set(&CHANGED)).await.err()] {
            let refused = outcome.expect("refused").to_string();
            assert!(refused.starts_with("migration library/1 (shelves) was changed"), "{refused}");
        }
    }

    async fn a_broken_migration_says_what_is_left_behind(database: TestDatabase) {
        let failed = migrate(&database, &set(&WITH_BROKEN)).await.expect_err("it can't be applied").to_string();
        assert!(failed.starts_with("migration library/3 (broken) failed: "), "{failed}");
        match database.dialect() {
            Dialect::Sqlite => {
                assert!(failed.ends_with("nothing of this run has taken effect"), "{failed}");
                assert_eq!(tables_named(&database, "library_shelves").await, 0);
                assert!(migrate(&database, &set(&NEW)).await.is_ok());
            }
            Dialect::MySql => {
                assert_eq!(tables_named(&database, "library_half").await, 1);
                let stuck = migrate(&database, &set(&WITH_BROKEN)).await.expect_err("it is not guessed at");
                assert!(matches!(stuck, MigrateError::Unfinished(_)), "{stuck}");
                database.write("UPDATE library_migrations SET finished = 1 WHERE version = 3").execute().await.expect("by hand");
                assert!(migrate(&database, &set(&WITH_BROKEN)).await.is_ok());
            }
        }
    }
}

static CINEMA: LazyLock<Migrator> =
    LazyLock::new(|| migrator(&[("seats", "CREATE TABLE cinema_seats (id INT PRIMARY KEY)")]));
