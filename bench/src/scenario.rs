//! Who is measured under what load. A group is measured together, in the same rounds, beside the same peers.

use std::{cell::Cell, path::Path, rc::Rc};

use anyhow::{Result, anyhow};
use clap::ValueEnum;

use crate::{
    bare,
    client::Request,
    database::Database,
    ingest,
    load::Order,
    peer::{self, Peer},
    platform::{Backing, Installation, Platform},
    rounds::{self, Expected, Plan, Series, Served, Target, Work},
    settings,
};

/// Players whose tokens are verified in turn: enough that nothing is answered from one warm line of cache.
pub(crate) const PLAYERS: usize = 64;

/// Devices that sign in, in turn.
const DEVICES: usize = 256;

/// What can be asked for on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Group {
    /// Token verification by a game server: in one process and in four.
    Verify,
    /// Reading settings, whole and unchanged, in one process and in four.
    Settings,
    /// Logins with a password and with a device, and refreshes, in one process: on SQLite and on a durable MariaDB.
    Login,
    /// Making orders, in one process on a durable MariaDB, beside the same statements by a driver alone.
    Orders,
    /// From a payment channel's callback to the game server, likewise.
    Callbacks,
    /// Events that partners push, one at a time and in batches, each acknowledged when it is durable.
    Ingest,
    /// One partner that pushes twenty times as much as it may, and what another one has of it.
    #[value(name = "ingest_fairness")]
    IngestFairness,
    /// Partners that push several times what a slow disk takes, for minutes. Fails if an acknowledged event is lost, if
    /// somebody is refused and not told when to come again, or if memory grows.
    #[value(name = "ingest_overload")]
    IngestOverload,
    /// Verifications at an even pace, alone and beside as many password logins as the platform takes.
    #[value(name = "login_verify")]
    LoginVerify,
    /// The worst patch day on four processes, MariaDB and Redis: everybody is verified while what they stand on hangs.
    /// Fails if a good token is ever called anything else.
    Storm,
    /// Five times as much as it can take, with everything that keeps it standing and with nothing of it.
    Flood,
    /// Memory at rest and time to start.
    Footprint,
    /// The peers alone: what this machine can do at best. Part of the other groups, so only measured when asked for.
    Limits,
}

impl Group {
    /// What is measured when nothing is asked for.
    pub const DEFAULT: [Self; 5] = [Self::Verify, Self::Settings, Self::Login, Self::LoginVerify, Self::Footprint];
}

/// What holds for a whole run.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// The `playgate` program.
    pub program: &'a Path,
    /// The directory with the programs of the peers.
    pub peers: &'a Path,
    /// Threads that serve requests, in every server process.
    pub workers: usize,
    /// Connections of the generator, unless a scenario needs fewer.
    pub connections: usize,
    /// How long, how often.
    pub plan: Plan,
}

impl Setup<'_> {
    /// `verify` and `verify_split`, beside a bare route and a bare hop.
    pub fn verify(&self, progress: impl Fn(&str)) -> Result<Vec<Series>> {
        progress("starting the platform in one process");
        let merged_installation = Installation::new(self.program, self.workers)?;
        let merged = merged_installation.start_merged()?;
        progress("starting the platform in four processes");
        let split_installation = Installation::new(self.program, self.workers)?;
        let split = split_installation.start_split()?;
        progress("registering players, starting the peers");
        let (route, thrift) = self.bare_servers()?;
        let targets = [
            self.verify_target("verify", &merged)?,
            self.verify_target("verify_split", &split)?,
            self.peer_target("bare_route", &route),
            self.peer_target("bare_thrift", &thrift),
        ];
        rounds::run(&targets, self.plan, progress)
    }

    /// `settings_get` and `settings_304`, in one process and in four, beside a bare route.
    pub fn settings(&self, progress: impl Fn(&str)) -> Result<Vec<Series>> {
        progress("starting the platform in one process");
        let merged_installation = Installation::new(self.program, self.workers)?;
        let merged = merged_installation.start_merged()?;
        progress("starting the platform in four processes");
        let split_installation = Installation::new(self.program, self.workers)?;
        let split = split_installation.start_split()?;
        progress("publishing settings, starting the peer");
        let route = Peer::bare_route(self.peers, self.workers)?;
        let mut targets = Vec::new();
        for (platform, get, unchanged) in
            [(&merged, "settings_get", "settings_304"), (&split, "settings_get_split", "settings_304_split")]
        {
            settings::publish(platform)?;
            let processes = || platform.process_ids();
            let whole = Work::Served(settings::get(platform, self.connections));
            targets.push(target(get, &["bare_route"], processes(), whole));
            let unchanged_work = Work::Served(settings::get_unchanged(platform, self.connections)?);
            targets.push(target(unchanged, &["bare_route"], processes(), unchanged_work));
        }
        targets.push(self.peer_target("bare_route", &route));
        rounds::run(&targets, self.plan, progress)
    }

    /// `login_password`, `login_device` and `refresh`, beside what bounds them.
    pub fn login(&self, progress: impl Fn(&str)) -> Result<Vec<Series>> {
        progress("starting the platform in one process on SQLite");
        let embedded_installation = Installation::new(self.program, self.workers)?;
        let embedded = embedded_installation.start_merged()?;
        progress("starting the platform in one process on MariaDB");
        let database = Database::start()?;
        let backing = Backing { database_url: Some(database.url()), ..Backing::default() };
        let installation = Installation::on(backing, self.program, self.workers)?;
        let on_mariadb = installation.start_merged()?;
        progress("registering players and devices");
        let server = database.process_id()?;
        let durable = |mut target: Target| {
            target.processes.push(server);
            Target { counters: Some(database.counters()), ..target }
        };
        let targets = [
            login_password(&embedded)?,
            self.login_device("login_device", &["bare_fsync"], &embedded)?,
            durable(self.login_device("login_device_mariadb", &["login_device", "bare_fsync"], &on_mariadb)?),
            self.refresh("refresh", &["bare_fsync"], &embedded),
            durable(self.refresh("refresh_mariadb", &["refresh", "bare_fsync"], &on_mariadb)),
            bare_argon2(),
            bare_fsync(),
        ];
        rounds::run(&targets, self.plan, progress)
    }

    /// `ingest_single`, `ingest_batch`, beside a bare route, the step in Go that they replace, and a bare disk.
    pub fn ingest(&self, progress: impl Fn(&str)) -> Result<Vec<Series>> {
        progress("starting the platform in one process");
        let installation = Installation::new(self.program, self.workers)?;
        let platform = installation.start_merged()?;
        let partner = ingest::unlimited(&platform)?;
        progress("starting the peers");
        let route = Peer::bare_route(self.peers, self.workers)?;
        let go = Peer::go_ingest(self.peers, self.workers)?;
        if go.is_none() {
            progress("NOT MEASURED: go_net_http, because there is no `go` here; `cargo xtask setup` installs it");
        }
        let work = |events, accepted| ingest::served(&platform, &partner, self.connections, events, accepted);
        let mut targets = vec![
            target(
                "ingest_single",
                &["bare_route", "go_net_http", "bare_fsync"],
                platform.process_ids(),
                Work::Served(work(1, r#""accepted":1,"#)),
            ),
            target(
                "ingest_batch",
                &["ingest_single"],
                platform.process_ids(),
                Work::Served(work(ingest::BATCH, r#""accepted":500,"#)),
            ),
            self.peer_target("bare_route", &route),
            bare_fsync(),
        ];
        if let Some(go) = &go {
            let work = Work::Served(ingest::served_by_go(go, self.connections));
            targets.push(target("go_net_http", &[], go.process_ids(), work));
        }
        rounds::run(&targets, self.plan, progress)
    }

    /// The peers and nothing else.
    pub fn limits(&self, progress: impl Fn(&str)) -> Result<Vec<Series>> {
        progress("starting the peers");
        let (route, thrift) = self.bare_servers()?;
        let targets = [
            self.peer_target("bare_route", &route),
            self.peer_target("bare_thrift", &thrift),
            bare_argon2(),
            bare_fsync(),
        ];
        rounds::run(&targets, self.plan, progress)
    }

    fn bare_servers(&self) -> Result<(Peer, Peer)> {
        Ok((Peer::bare_route(self.peers, self.workers)?, Peer::bare_thrift(self.peers, self.workers)?))
    }

    fn verify_target(&self, name: &'static str, platform: &Platform) -> Result<Target> {
        let tokens = tokens_of_players(platform)?;
        let app = platform.app.clone();
        let served = Served {
            address: platform.address.clone(),
            connections: self.connections,
            requests: Box::new(move || Ok(tokens.iter().map(|token| app.verify(token)).collect())),
            order: Order::InTurn,
            expects: Expected::ok(r#""status":"valid""#),
        };
        Ok(target(name, &["bare_route", "bare_thrift"], platform.process_ids(), Work::Served(served)))
    }

    fn login_device(
        &self,
        name: &'static str,
        compared_with: &'static [&'static str],
        platform: &Platform,
    ) -> Result<Target> {
        let requests = (0..DEVICES)
            .map(|index| {
                let device_id = format!("bench-device-{index}");
                let secret = platform.register_device(&device_id)?.device_secret;
                let secret = secret.ok_or_else(|| anyhow!("a new device has got no secret"))?;
                Ok(platform.app.device_login(&device_id, Some(&secret)))
            })
            .collect::<Result<Vec<_>>>()?;
        let work = login_work(platform, self.connections, requests);
        Ok(target(name, compared_with, platform.process_ids(), work))
    }

    /// Every session is refreshed again and again, each time with the token it got the last time.
    fn refresh(&self, name: &'static str, compared_with: &'static [&'static str], platform: &Platform) -> Target {
        // A token that was on its way when a round ended is lost, so every round has sessions of its own. There are
        // twice as many as connections, so that there is always one to go on with, and two for the looks before and
        // after.
        let sessions = 2 * self.connections + 2;
        let (app, round) = (platform.app.clone(), Cell::new(0));
        let address = platform.address.clone();
        let requests = move || {
            round.set(round.get() + 1);
            (0..sessions)
                .map(|index| {
                    let device = app.device_login(&format!("bench-session-{}-{index}", round.get()), None);
                    let token = device.data(&address)?["refresh_token"].as_str().map(|token| app.refresh(token));
                    token.ok_or_else(|| anyhow!("a login has brought no refresh token"))
                })
                .collect()
        };
        let served = Served {
            address: platform.address.clone(),
            connections: self.connections,
            requests: Box::new(requests),
            order: Order::Chained("refresh_token"),
            expects: Expected::ok(r#""access_token":"#),
        };
        target(name, compared_with, platform.process_ids(), Work::Served(served))
    }

    fn peer_target(&self, name: &'static str, peer: &Peer) -> Target {
        let served = Served {
            address: peer.address.clone(),
            connections: self.connections,
            requests: Box::new(|| Ok(vec![peer::load_request()])),
            order: Order::InTurn,
            expects: Expected::ok(r#""status":"valid""#),
        };
        target(name, &[], peer.process_ids(), Work::Served(served))
    }
}

/// The access tokens of new players.
pub(crate) fn tokens_of_players(platform: &Platform) -> Result<Vec<String>> {
    (0..PLAYERS).map(|index| Ok(platform.register(&format!("verified{index}"))?.access_token)).collect()
}

/// The logins of new players, and on how many connections they keep the hash threads busy.
pub(crate) fn password_logins(platform: &Platform) -> Result<(Rc<[Request]>, usize)> {
    let requests = (0..PLAYERS).map(|index| {
        let username = format!("player{index}");
        platform.register(&username)?;
        Ok(platform.app.password_login(&username))
    });
    // Twice the hashing threads keeps them busy; more would only measure the queue in front of them.
    Ok((requests.collect::<Result<_>>()?, 2 * bare::hash_threads()))
}

fn login_password(platform: &Platform) -> Result<Target> {
    let (requests, connections) = password_logins(platform)?;
    let work = login_work(platform, connections, requests.to_vec());
    Ok(target("login_password", &["bare_argon2"], platform.process_ids(), work))
}

fn login_work(platform: &Platform, connections: usize, requests: Vec<Request>) -> Work {
    Work::Served(Served {
        address: platform.address.clone(),
        connections,
        requests: Box::new(move || Ok(requests.clone())),
        order: Order::InTurn,
        expects: Expected::ok(r#""access_token":"#),
    })
}

fn bare_argon2() -> Target {
    target("bare_argon2", &[], vec![std::process::id()], Work::Done(bare::argon2))
}

/// Waits for a disk: there is no CPU time to compare.
pub(crate) fn bare_fsync() -> Target {
    target("bare_fsync", &[], Vec::new(), Work::Done(bare::fsync))
}

pub(crate) fn target(
    name: &'static str,
    compared_with: &'static [&'static str],
    processes: Vec<u32>,
    work: Work,
) -> Target {
    Target { name, compared_with, processes, work, counters: None }
}
