//! A private MariaDB with one empty database, as durable as in production: every commit waits until its log is on disk.

use std::rc::Rc;

use anyhow::{Context as _, Result, ensure};
use xtask::services::MariaDb;

use crate::rounds::Counter;

/// The database.
const NAME: &str = "playgate_bench";

/// What a request costs the server, and the server's variables that count it. Statements of background work count too.
///
/// A commit is a write of the log that is synced before the answer, and transactions that commit at the same moment share
/// one. So log writes per second near `bare_fsync` mean that the disk is the limit, and fewer log writes than writing
/// statements mean that commits share them.
const COUNTED: [(&str, &[&str]); 4] = [
    ("statements", &["Questions"]),
    ("writing statements", &["Com_insert", "Com_insert_select", "Com_update", "Com_delete", "Com_replace"]),
    ("log writes", &["Innodb_log_writes"]),
    ("log bytes", &["Innodb_os_log_written"]),
];

/// Ends, with all its data, when the last of its clones is dropped.
#[derive(Clone, Debug)]
pub struct Database {
    server: Rc<MariaDb>,
}

impl Database {
    /// Starts a server and creates the database.
    pub fn start() -> Result<Self> {
        Ok(Self { server: Rc::new(start_server()?) })
    }

    /// Another empty database on the same server; `mysql://…`.
    pub fn another(&self, name: &str) -> Result<String> {
        self.server.query(&format!("CREATE DATABASE {name}"))?;
        Ok(format!("{}{name}", self.server.url()))
    }

    /// `mysql://…`.
    pub fn url(&self) -> String {
        url(&self.server)
    }

    /// Its process, which works for every answer.
    pub fn process_id(&self) -> Result<u32> {
        self.server.process_id()
    }

    /// What the server counts, read when it is called.
    pub fn counters(&self) -> Box<dyn Fn() -> Result<Vec<Counter>>> {
        let server = Rc::clone(&self.server);
        Box::new(move || read(&server))
    }
}

/// The server itself, for a scenario that does things to it.
pub fn start_server() -> Result<MariaDb> {
    let server = MariaDb::start()?;
    let durable = server.query("SELECT @@innodb_flush_log_at_trx_commit")?;
    ensure!(durable.trim() == "1", "this server answers before a commit is on disk: nothing can be measured on it");
    server.query(&format!("CREATE DATABASE {NAME}"))?;
    Ok(server)
}

/// The URL of the database on a server.
pub fn url(server: &MariaDb) -> String {
    format!("{}{NAME}", server.url())
}

fn read(server: &MariaDb) -> Result<Vec<Counter>> {
    let status = server.query("SHOW GLOBAL STATUS")?;
    let value = |variable: &&str| -> Result<u64> {
        let mut lines = status.lines().filter_map(|line| line.split_once('\t'));
        let (_, value) = lines
            .find(|(name, _)| name == variable)
            .with_context(|| format!("this server does not count {variable}"))?;
        Ok(value.parse()?)
    };
    let counted = COUNTED.iter().map(|&(name, variables)| {
        let value = variables.iter().map(value).sum::<Result<u64>>()?;
        Ok(Counter { name, value })
    });
    counted.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mariadb_counts_what_is_asked_of_it() {
        let database = Database::start().unwrap();
        let counters = database.counters();
        let before = counters().unwrap();
        database.server.query(&format!("CREATE TABLE {NAME}.t (a INT); INSERT INTO {NAME}.t VALUES (1)")).unwrap();
        let after = counters().unwrap();
        for (before, after) in before.iter().zip(&after) {
            assert!(after.value > before.value, "{before:?} {after:?}");
        }
    }
}
