//! What happens, in order: a day as any other; MariaDB and Redis hang; a day as any other; account hangs; and again a
//! day as any other.

use anyhow::{Context as _, Result};
use tokio::runtime;
use xtask::services::{MariaDb, Redis};

use super::{
    crowd::Crowd,
    logins::{Logins, Returning},
    report::{Phase, Report},
};
use crate::{
    caller::Caller,
    database,
    platform::{Backing, Installation, Platform},
    scenario::Setup,
};

/// The role that hangs.
const ACCOUNT: &str = "account";

/// Everything the storm is played on.
struct Stage {
    platform: Platform,
    mariadb: MariaDb,
    redis: Redis,
}

/// Plays it with so many players. An error: it could not be played. What it shows is in the report.
pub fn play(setup: &Setup<'_>, players: usize, progress: impl Fn(&str)) -> Result<Report> {
    progress("starting MariaDB and Redis");
    let (mariadb, redis) = (database::start_server()?, Redis::start()?);
    let backing =
        Backing { database_url: Some(database::url(&mariadb)), redis_url: Some(redis.url()), ..Backing::default() };
    progress("starting the platform in four processes");
    let installation = Installation::on(backing, setup.program, setup.workers)?;
    let mut stage = Stage { platform: installation.start_split()?, mariadb, redis };
    let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(stage.play(players, progress))
}

impl Stage {
    async fn play(&mut self, players: usize, progress: impl Fn(&str)) -> Result<Report> {
        let caller = Caller::new(&self.platform.address)?;
        progress(&format!("signing in {players} players"));
        let crowd = Crowd::signs_in(&caller, &self.platform.app, players).await?;
        let returning = Returning::new(&self.platform, &crowd)?;
        let logins = Logins::start(caller, returning);
        // What is not well again is a finding, not an end.
        let (mut phases, mut stuck) = (Vec::new(), Vec::new());

        progress("a day as any other");
        logins.are_well().await.context("before anything is broken")?;
        phases.push(Phase::well("baseline", logins.now(), crowd.is_asked_about_once().await?));

        progress("MariaDB and Redis hang");
        let broken = logins.now();
        self.mariadb.freeze()?;
        self.redis.freeze()?;
        phases.push(Phase::broken("MariaDB, Redis hang", broken, crowd.is_asked_about_while_broken().await?));
        self.redis.thaw()?;
        self.mariadb.thaw()?;
        let mended = logins.now();
        progress("MariaDB and Redis are back");
        let asked = crowd.is_asked_about_once().await?;
        stuck.extend(logins.are_well().await.context("after MariaDB and Redis came back").err());
        phases.push(Phase::well("they are back", mended, asked));

        progress("account hangs");
        let broken = logins.now();
        self.platform.freeze(ACCOUNT)?;
        phases.push(Phase::broken("account hangs", broken, crowd.is_asked_about_while_broken().await?));
        self.platform.thaw(ACCOUNT)?;
        let mended = logins.now();
        progress("account is back");
        let asked = crowd.is_asked_about_once().await?;
        stuck.extend(logins.are_well().await.context("after account came back").err());
        phases.push(Phase::well("account is back", mended, asked));

        let report = Report::new(players, phases, &logins.stop().await);
        Ok(report.with_violations(stuck.iter().map(|error| format!("{error:#}"))))
    }
}
