//! `cargo xtask services`: private servers to run single tests or the program itself against.

use std::thread;

use anyhow::Result;
use xtask::services::{MariaDb, Nacos, Redis};

/// The variable tests look at for a MariaDB server where they may create databases.
pub(crate) const TEST_MYSQL_URL: &str = "PLAYGATE_TEST_MYSQL_URL";

/// The variable tests look at for a Redis server where they may write keys.
pub(crate) const TEST_REDIS_URL: &str = "PLAYGATE_TEST_REDIS_URL";

/// The variable tests look at for a Nacos server where they may register and publish.
pub(crate) const TEST_NACOS: &str = "PLAYGATE_TEST_NACOS";

pub(crate) fn run() -> Result<()> {
    let (mariadb, redis, nacos) = (MariaDb::start()?, Redis::start()?, Nacos::start()?);
    println!("export {TEST_MYSQL_URL}={}", mariadb.url());
    println!("export {TEST_REDIS_URL}={}", redis.url());
    println!("export {TEST_NACOS}={}", nacos.address());
    println!("# Ctrl-C ends the servers and removes their data.");
    // Ctrl-C ends this process at once; each server is on a leash that notices (see `xtask::process`).
    loop {
        thread::park();
    }
}
