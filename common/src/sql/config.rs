//! The section `sql`: which database, and what one process may ask of it.

use std::{num::NonZeroU32, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};
use sqlx::{
    mysql::{MySqlConnectOptions, MySqlSslMode},
    sqlite::SqliteConnectOptions,
};

use crate::config::{Invalid, Secret, Section};

/// Where rows live.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SqlConfig {
    /// `mysql://user:password@host:3306/database` or `sqlite:///path/to/file.db`. Absent: the embedded default, a
    /// SQLite file `playgate.db` in the data directory.
    ///
    /// A MySQL URL may end with `?ssl-mode=VERIFY_IDENTITY`, which insists on TLS and on a certificate for that host,
    /// of a public authority or of one in the PEM file named with `&ssl-ca=/path`.
    pub url: Option<Secret>,
    /// MySQL connections of this process. Protects the server, whose own limit is shared by all replicas; beyond it
    /// statements wait up to `acquire_timeout`.
    pub max_connections: NonZeroU32,
    /// MySQL statements that may wait for a connection. Protects memory and the callers' patience while the server hangs;
    /// beyond it a caller is told at once to come back later.
    pub max_waiting: NonZeroU32,
    /// SQLite connections that read. Writes always have exactly one connection; each reader costs a thread and about
    /// 2 MiB of page cache.
    pub sqlite_readers: NonZeroU32,
    /// How long a statement waits for a connection before the caller is told to come back later. Short, because a
    /// caller that waits longer than this is better served by another replica.
    #[serde(with = "humantime_serde")]
    pub acquire_timeout: Duration,
    /// How long a statement may run. The server ends it then, so that work nobody waits for any more can't pile up;
    /// half a second later the connection is given up even if the server says nothing.
    #[serde(with = "humantime_serde")]
    pub statement_timeout: Duration,
    /// How long a statement waits for a row lock (MySQL, rounded up to a second) or for another process's write
    /// (SQLite). Must be shorter than `statement_timeout`.
    #[serde(with = "humantime_serde")]
    pub lock_wait_timeout: Duration,
    /// How often a transaction that lost a lock conflict is tried again before its caller is told.
    pub contention_retries: u32,
    /// Statements slower than this are logged, without their values.
    #[serde(with = "humantime_serde")]
    pub slow_statement: Duration,
    /// A connection that was idle for this long is closed.
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
    /// A connection is replaced at this age, so that replicas follow a fail-over or a rebalanced proxy.
    #[serde(with = "humantime_serde")]
    pub max_lifetime: Duration,
    /// How long a migration run waits for the run of another replica.
    #[serde(with = "humantime_serde")]
    pub migrate_lock_timeout: Duration,
    /// What a SQLite commit survives: `full` (power loss, an fsync per commit) or `normal` (a crash of the process
    /// but not a power loss, which may take the last commits with it).
    pub sqlite_synchronous: Synchronous,
}

/// What an acknowledged SQLite commit survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Synchronous {
    /// Power loss: every commit is synced.
    Full,
    /// A crash of the process; only checkpoints are synced.
    Normal,
}

impl Default for SqlConfig {
    fn default() -> Self {
        Self {
            url: None,
            max_connections: NonZeroU32::MIN.saturating_add(31),
            max_waiting: NonZeroU32::MIN.saturating_add(255),
            sqlite_readers: NonZeroU32::MIN.saturating_add(3),
            acquire_timeout: Duration::from_secs(1),
            statement_timeout: Duration::from_secs(3),
            lock_wait_timeout: Duration::from_secs(1),
            contention_retries: 3,
            slow_statement: Duration::from_millis(500),
            idle_timeout: Duration::from_secs(600),
            max_lifetime: Duration::from_secs(1800),
            migrate_lock_timeout: Duration::from_secs(60),
            sqlite_synchronous: Synchronous::Full,
        }
    }
}

impl Section for SqlConfig {
    const NAME: &'static str = "sql";

    fn validate(&self) -> Result<(), Invalid> {
        if let Some(url) = &self.url {
            check_url(url.expose()).map_err(|reason| Invalid::new("url", reason))?;
        }
        let positive = [
            ("acquire_timeout", self.acquire_timeout),
            ("statement_timeout", self.statement_timeout),
            ("lock_wait_timeout", self.lock_wait_timeout),
            ("idle_timeout", self.idle_timeout),
            ("max_lifetime", self.max_lifetime),
            ("migrate_lock_timeout", self.migrate_lock_timeout),
        ];
        for (key, value) in positive {
            if value < Duration::from_millis(1) {
                return Err(Invalid::new(key, "must be at least 1ms"));
            }
        }
        if self.lock_wait_timeout >= self.statement_timeout {
            return Err(Invalid::new("lock_wait_timeout", "must be shorter than statement_timeout"));
        }
        Ok(())
    }
}

/// What can be said of a URL without connecting. The reason never quotes the URL: it may hold a password.
fn check_url(url: &str) -> Result<(), &'static str> {
    const UNREADABLE: &str = "is no readable URL; write special characters of a password percent-encoded";
    if url.starts_with("sqlite:") {
        return SqliteConnectOptions::from_str(url).map(drop).map_err(|_| UNREADABLE);
    }
    if !url.starts_with("mysql://") && !url.starts_with("mariadb://") {
        return Err("must start with mysql:// or sqlite://");
    }
    let options = MySqlConnectOptions::from_str(url).map_err(|_| UNREADABLE)?;
    if options.get_database().is_none_or(str::is_empty) {
        return Err("names no database: end it with /NAME");
    }
    let verifies = matches!(options.get_ssl_mode(), MySqlSslMode::VerifyCa | MySqlSslMode::VerifyIdentity);
    if names_authorities(url) && !verifies {
        return Err("names an ssl-ca that nothing is checked against: add ssl-mode=VERIFY_IDENTITY");
    }
    Ok(())
}

/// Whether the URL says whose certificates to believe.
fn names_authorities(url: &str) -> bool {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    form_urlencoded::parse(query.as_bytes()).any(|(key, _)| key == "ssl-ca" || key == "sslca")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_a_url_of_another_kind_is_refused_without_showing_it() {
        assert_eq!(SqlConfig::default().validate(), Ok(()));
        for url in [
            "postgres://root:hunter2@db/playgate",
            "mysql://root:hunter2@db:port/playgate",
            "mysql://root:hunter2#x@db/playgate",
            "mysql://root:hunter2@db:3306",
            "mysql://root:hunter2@db:3306/",
            "mysql:hunter2",
            "mysql://root:hunter2@db/playgate?ssl-ca=/etc/ca.pem",
            "mysql://root:hunter2@db/playgate?ssl-mode=REQUIRED&sslca=/etc/ca.pem",
            "mysql://root:hunter2@db/playgate?ssl-mode=SOMETIMES",
        ] {
            let config = SqlConfig { url: Some(Secret::new(url)), ..SqlConfig::default() };
            let refusal = config.validate().expect_err(url).to_string();
            assert!(refusal.starts_with("url: "), "{refusal}");
            assert!(!refusal.contains("hunter2"), "{refusal}");
        }
    }

    #[test]
    fn the_urls_of_both_databases_are_accepted() {
        for url in [
            "mysql://root@127.0.0.1:3306/playgate",
            "mysql://root@db/playgate?ssl-mode=VERIFY_IDENTITY&ssl-ca=/etc/ca.pem",
            "mariadb://u:p%23w@db/x",
            "sqlite:///var/lib/playgate.db",
        ] {
            let config = SqlConfig { url: Some(Secret::new(url)), ..SqlConfig::default() };
            assert_eq!(config.validate(), Ok(()), "{url}");
        }
    }

    #[test]
    fn a_lock_wait_that_outlasts_its_statement_is_refused() {
        let config = SqlConfig { lock_wait_timeout: Duration::from_secs(3), ..SqlConfig::default() };
        assert_eq!(config.validate().map_err(|invalid| invalid.key), Err("lock_wait_timeout".to_owned()));
    }
}
