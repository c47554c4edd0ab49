//! `cargo xtask test`: everything a change must pass, in the order that fails soonest.

use anyhow::Result;
use xtask::{
    services::{MariaDb, Nacos, Redis, S3},
    workspace,
};

use super::{
    deny,
    services::{TEST_MYSQL_URL, TEST_NACOS, TEST_REDIS_URL, TEST_S3},
    setup,
};
use crate::{invariants, step::step};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Leave out every test that needs a server (those have `mariadb`, `redis`, `on_nacos`, `on_s3`, `on_kafka` or
    /// `prometheus` in their path).
    #[arg(long)]
    fast: bool,
    /// Run only the tests whose path contains one of these, and none of the other checks.
    #[arg(value_name = "FILTER")]
    filters: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if options.filters.is_empty() {
        checks(options)?;
    }
    // Last, so that the closing lines on the screen are those of the tests.
    if options.fast {
        step("tests that need no server", || tests(options, None))
    } else {
        let mariadb = step("MariaDB of our own", MariaDb::start)?;
        let redis = step("Redis of our own", Redis::start)?;
        let nacos = step("Nacos of our own", Nacos::start)?;
        let s3 = step("S3 of our own", S3::start)?;
        step("tests", || tests(options, Some((&mariadb, &redis, &nacos, &s3))))
    }
}

/// What needs no program of ours to run.
fn checks(options: &Options) -> Result<()> {
    step("setup", || if options.fast { setup::tools() } else { setup::run() })?;
    step("invariants of the workspace", invariants::check)?;
    step("format", || workspace::run(workspace::cargo().args(["fmt", "--all", "--check"])))?;
    step("lints", || {
        let lint = ["clippy", "--quiet", "--workspace", "--all-targets", "--", "--deny", "warnings"];
        workspace::run(workspace::cargo().args(lint))
    })?;
    step("dependencies", || deny::check(&["bans", "licenses", "sources"]))?;
    step("documentation", || {
        let document = ["doc", "--quiet", "--workspace", "--no-deps", "--document-private-items"];
        workspace::run(workspace::cargo().args(document).env("RUSTDOCFLAGS", "--deny warnings"))
    })
}

fn tests(options: &Options, servers: Option<(&MariaDb, &Redis, &Nacos, &S3)>) -> Result<()> {
    let mut command = workspace::cargo();
    command.args(["test", "--workspace", "--"]).args(&options.filters);
    match servers {
        Some((mariadb, redis, nacos, s3)) => command
            .env(TEST_MYSQL_URL, mariadb.url())
            .env(TEST_REDIS_URL, redis.url())
            .env(TEST_NACOS, nacos.address())
            .env(TEST_S3, s3.endpoint()),
        None => command.args([
            "--skip",
            "mariadb",
            "--skip",
            "redis",
            "--skip",
            "on_nacos",
            "--skip",
            "on_s3",
            "--skip",
            "prometheus",
            "--skip",
            "on_kafka",
        ]),
    };
    workspace::run(&mut command)
}
