//! Who is measured under what load. A group is measured together, in the same rounds, beside the same peers.

use std::{path::Path, thread};

use anyhow::{Result, anyhow};
use clap::ValueEnum;
use serde_json::json;

use crate::{
    client::Request,
    peer::{self, Peer},
    platform::{Installation, PASSWORD, Platform},
    rounds::{self, Plan, Series, Target},
    signing::App,
};

/// Players whose tokens are verified in turn: enough that nothing is answered from one warm line of cache.
const PLAYERS: usize = 64;

/// Devices that sign in, in turn.
const DEVICES: usize = 256;

/// What can be asked for on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Group {
    /// Token verification by a game server: in one process and in four.
    Verify,
    /// Logins with a password and with a device, in one process.
    Login,
    /// Memory at rest and time to start.
    Footprint,
    /// The peers alone: what this machine can do at best. Part of the other groups, so only measured when asked for.
    Limits,
}

impl Group {
    /// What is measured when nothing is asked for.
    pub const DEFAULT: [Self; 3] = [Self::Verify, Self::Login, Self::Footprint];
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

/// The series of ours and of the peers.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Our scenarios.
    pub ours: Vec<Series>,
    /// What they are compared with.
    pub peers: Vec<Series>,
}

impl Setup<'_> {
    /// `verify` and `verify_split`.
    pub fn verify(&self, progress: impl Fn(&str)) -> Result<Measured> {
        progress("starting the platform in one process");
        let merged_installation = Installation::new(self.program, self.workers)?;
        let merged = merged_installation.start_merged()?;
        progress("starting the platform in four processes");
        let split_installation = Installation::new(self.program, self.workers)?;
        let split = split_installation.start_split()?;
        progress("registering players");
        let ours = vec![self.verify_target("verify", &merged)?, self.verify_target("verify_split", &split)?];
        self.beside_peers(ours, progress)
    }

    /// `login_password` and `login_device`.
    pub fn login(&self, progress: impl Fn(&str)) -> Result<Measured> {
        progress("starting the platform in one process");
        let installation = Installation::new(self.program, self.workers)?;
        let platform = installation.start_merged()?;
        progress("registering players and devices");
        let ours = vec![self.login_password(&platform)?, self.login_device(&platform)?];
        self.beside_peers(ours, progress)
    }

    /// The peers and nothing else.
    pub fn limits(&self, progress: impl Fn(&str)) -> Result<Measured> {
        self.beside_peers(Vec::new(), progress)
    }

    fn verify_target(&self, name: &'static str, platform: &Platform) -> Result<Target> {
        let tokens = (0..PLAYERS)
            .map(|index| Ok(platform.register(&format!("{name}{index}"))?.access_token))
            .collect::<Result<Vec<_>>>()?;
        let app = platform.app.clone();
        Ok(Target {
            name,
            address: platform.address.clone(),
            processes: platform.process_ids(),
            connections: self.connections,
            requests: Box::new(move || tokens.iter().map(|token| verify_request(&app, token)).collect()),
            expects: r#""status":"valid""#,
        })
    }

    fn login_password(&self, platform: &Platform) -> Result<Target> {
        let app_id = platform.app.app_id;
        let requests = (0..PLAYERS)
            .map(|index| {
                let username = format!("player{index}");
                platform.register(&username)?;
                let body = json!({ "app_id": app_id, "kind": "password", "username": username, "password": PASSWORD });
                Ok(Request::post_json("/v1/sdk/login", &body))
            })
            .collect::<Result<Vec<_>>>()?;
        // Twice the hashing threads keeps them busy; more would only measure the queue in front of them.
        let threads = thread::available_parallelism().map_or(1, usize::from);
        Ok(login_target("login_password", platform, 2 * threads, requests))
    }

    fn login_device(&self, platform: &Platform) -> Result<Target> {
        let app_id = platform.app.app_id;
        let requests = (0..DEVICES)
            .map(|index| {
                let device_id = format!("bench-device-{index}");
                let secret = platform.register_device(&device_id)?.device_secret;
                let secret = secret.ok_or_else(|| anyhow!("a new device has got no secret"))?;
                let body =
                    json!({ "app_id": app_id, "kind": "device", "device_id": device_id, "device_secret": secret });
                Ok(Request::post_json("/v1/sdk/login", &body))
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(login_target("login_device", platform, self.connections, requests))
    }

    fn beside_peers(&self, ours: Vec<Target>, progress: impl Fn(&str)) -> Result<Measured> {
        progress("starting the peers");
        let (route, thrift) =
            (Peer::bare_route(self.peers, self.workers)?, Peer::bare_thrift(self.peers, self.workers)?);
        let count = ours.len();
        let mut targets = ours;
        targets.extend([self.peer_target("bare_route", &route), self.peer_target("bare_thrift", &thrift)]);
        let mut ours = rounds::run(&targets, self.plan, progress)?;
        let peers = ours.split_off(count);
        Ok(Measured { ours, peers })
    }

    fn peer_target(&self, name: &'static str, peer: &Peer) -> Target {
        Target {
            name,
            address: peer.address.clone(),
            processes: peer.process_ids(),
            connections: self.connections,
            requests: Box::new(|| vec![peer::load_request()]),
            expects: r#""status":"valid""#,
        }
    }
}

fn login_target(name: &'static str, platform: &Platform, connections: usize, requests: Vec<Request>) -> Target {
    Target {
        name,
        address: platform.address.clone(),
        processes: platform.process_ids(),
        connections,
        requests: Box::new(move || requests.clone()),
        expects: r#""access_token":"#,
    }
}

fn verify_request(app: &App, token: &str) -> Request {
    app.sign(Request::post_json("/v1/server/tokens/verify", &json!({ "token": token })))
}
