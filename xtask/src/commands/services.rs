//! `cargo xtask services`: private servers to run single tests or the program itself against.

use std::thread;

use anyhow::Result;
use xtask::services::{MariaDb, Nacos, Redis, S3};

/// The variable tests look at for a MariaDB server where they may create databases.
pub(crate) const TEST_MYSQL_URL: &str = "PLAYGATE_TEST_MYSQL_URL";

/// The variable tests look at for a Redis server where they may write keys.
pub(crate) const TEST_REDIS_URL: &str = "PLAYGATE_TEST_REDIS_URL";

/// The variable tests look at for a Nacos server where they may register and publish.
pub(crate) const TEST_NACOS: &str = "PLAYGATE_TEST_NACOS";

/// The variable tests look at for an S3 server where they may write objects into the bucket `playgate-settings`.
pub(crate) const TEST_S3: &str = "PLAYGATE_TEST_S3";

pub(crate) fn run() -> Result<()> {
    let (mariadb, redis, nacos, s3) = (MariaDb::start()?, Redis::start()?, Nacos::start()?, S3::start()?);
    println!("export {TEST_MYSQL_URL}={}", mariadb.url());
    println!("export {TEST_REDIS_URL}={}", redis.url());
    println!("export {TEST_NACOS}={}", nacos.address());
    println!("export {TEST_S3}={}", s3.endpoint());
    println!("# Ctrl-C ends the servers and removes their data.");
    // Ctrl-C ends this process at once; each server is on a leash that notices (see `xtask::process`).
    loop {
        thread::park();
    }
}
