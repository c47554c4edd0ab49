//! `cargo xtask services`: private servers to run single tests or the program itself against.

use std::thread;

use anyhow::Result;
use xtask::services::MariaDb;

/// The variable tests look at for a MariaDB server where they may create databases.
pub(crate) const TEST_MYSQL_URL: &str = "PLAYGATE_TEST_MYSQL_URL";

pub(crate) fn run() -> Result<()> {
    let mariadb = MariaDb::start()?;
    println!("export {TEST_MYSQL_URL}={}", mariadb.url());
    println!("# Ctrl-C ends the servers and removes their data.");
    // Ctrl-C ends this process at once; each server is on a leash that notices (see `xtask::process`).
    loop {
        thread::park();
    }
}
