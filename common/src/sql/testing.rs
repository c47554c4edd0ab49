//! Databases for tests: fresh ones that disappear, and one test body run on both kinds.
//!
//! A test that needs MariaDB has `mariadb` in its path, so that `cargo test -- --skip mariadb` is the run without
//! servers.

#![expect(clippy::expect_used, reason = "a test without its database has failed")]

use std::{ops::Deref, path::PathBuf};

use sqlx::{ConnectOptions, Connection, Executor, mysql::MySqlConnectOptions};

use super::{Database, SqlConfig};
use crate::{
    clock::{SystemClock, SystemRandom, new_uuid},
    config::Secret,
};

/// Where the MariaDB for tests listens: `mysql://root@127.0.0.1:3306/`.
pub const MYSQL_URL_VARIABLE: &str = "PLAYGATE_TEST_MYSQL_URL";

/// A fresh, empty database. It is removed when this is dropped.
#[derive(Debug)]
pub struct TestDatabase {
    database: Database,
    config: SqlConfig,
    trace: Trace,
}

/// What has to be removed.
#[derive(Debug)]
enum Trace {
    Directory(PathBuf),
    Schema(Box<MySqlConnectOptions>, String),
}

impl TestDatabase {
    /// A SQLite file in a directory of its own.
    pub async fn sqlite() -> Self {
        Self::sqlite_with(SqlConfig::default()).await
    }

    /// The same with other limits.
    pub async fn sqlite_with(config: SqlConfig) -> Self {
        let directory = std::env::temp_dir().join(unique_name());
        let file = directory.join("test.db");
        let config = SqlConfig { url: Some(Secret::new(format!("sqlite://{}", file.display()))), ..config };
        let database = Database::open(&config, &directory).await.expect("a fresh SQLite file opens");
        Self { database, config, trace: Trace::Directory(directory) }
    }

    /// A schema of its own on the server that [`MYSQL_URL_VARIABLE`] names.
    pub async fn mariadb() -> Self {
        Self::mariadb_with(SqlConfig::default()).await
    }

    /// The same with other limits.
    pub async fn mariadb_with(config: SqlConfig) -> Self {
        let Ok(url) = std::env::var(MYSQL_URL_VARIABLE) else {
            panic!(
                "{MYSQL_URL_VARIABLE} is not set: run `cargo xtask test`, or `cargo xtask services` and set what it \
                 prints, or skip these tests with `cargo test -- --skip mariadb`"
            );
        };
        let server: MySqlConnectOptions = url.parse().expect("the URL of the test server can be read");
        let schema = unique_name();
        on_server(&server, &format!("CREATE DATABASE {schema} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")).await;
        let own_url = server.clone().database(&schema).to_url_lossy();
        let config = SqlConfig { url: Some(Secret::new(own_url.as_str())), ..config };
        let database =
            Database::open(&config, &std::env::temp_dir()).await.expect("a fresh schema on the test server opens");
        Self { database, config, trace: Trace::Schema(Box::new(server), schema) }
    }

    /// The configuration with this database's URL: for another replica on the same database.
    pub fn config(&self) -> &SqlConfig {
        &self.config
    }

    /// The same database, opened a second time with its own pools: another replica.
    pub async fn replica(&self) -> Database {
        Database::open(&self.config, &std::env::temp_dir()).await.expect("a second replica opens the database")
    }
}

impl Deref for TestDatabase {
    type Target = Database;

    fn deref(&self) -> &Database {
        &self.database
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        match &self.trace {
            Trace::Directory(directory) => {
                // A file that is still open stays readable; a leftover in the temporary directory does no harm.
                let _ = std::fs::remove_dir_all(directory);
            }
            Trace::Schema(server, schema) => {
                let (server, statement) = (server.clone(), format!("DROP DATABASE IF EXISTS {schema}"));
                // The test's own runtime may be ending, so the last statement gets one to itself.
                let cleaner = std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                    runtime.expect("a runtime starts").block_on(on_server(&server, &statement));
                });
                // A failed clean-up is printed by its thread and fails no test.
                let _ = cleaner.join();
            }
        }
    }
}

async fn on_server(server: &MySqlConnectOptions, statement: &str) {
    let mut connection = server.connect().await.expect("the test server answers");
    connection.execute(statement).await.expect("the test user may create and drop databases");
    connection.close().await.expect("the connection closes");
}

fn unique_name() -> String {
    format!("playgate_test_{}", new_uuid(&SystemClock, &SystemRandom).simple())
}

/// Writes each test once and runs it on both databases, as `sqlite::name` and `mariadb::name`. Once per module.
///
/// ```text
/// common::on_each_database! {
///     async fn an_account_is_found_by_its_name(database: TestDatabase) {
///         migrate(&database, &crate::migrations()).await.unwrap();
///         ..
///     }
/// }
/// ```
#[macro_export]
macro_rules! on_each_database {
    ($($(#[$attribute:meta])* async fn $name:ident($database:ident: TestDatabase) $body:block)+) => {
        $($(#[$attribute])* async fn $name($database: $crate::sql::testing::TestDatabase) $body)+

        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::sql::testing::TestDatabase::sqlite().await).await;
            })+
        }

        mod mariadb {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::sql::testing::TestDatabase::mariadb().await).await;
            })+
        }
    };
}
