//! What the peers are asked and what they answer: the size and shape of a token verification, without the work.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use xtask::{ports::Port, process::OwnedProcess, workspace};

use crate::client;

/// The one route of every peer.
pub const PATH: &str = "/verify";

/// What a verify asks. As long as a real access token.
#[derive(Debug, Deserialize)]
pub struct Question {
    /// The token.
    pub token: pilota::FastStr,
}

/// The envelope of every answer of the platform.
#[derive(Debug, Serialize)]
pub struct Envelope<T> {
    code: i64,
    message: &'static str,
    request_id: &'static str,
    data: T,
}

/// What a verify answers.
#[derive(Debug, Serialize)]
pub struct Verdict {
    status: &'static str,
    account_id: i64,
    session_id: pilota::FastStr,
    app_id: i64,
    issued_at: i64,
    expires_at: i64,
    channel: &'static str,
    degraded: bool,
}

/// An answer that depends on the question as little as the platform's depends on the token's text.
pub fn verdict(account_id: i64, session_id: pilota::FastStr) -> Envelope<Verdict> {
    Envelope {
        code: 2_000_000,
        message: "ok",
        request_id: "4bf92f3577b34da6a3ce929d0e0e4736",
        data: Verdict {
            status: "valid",
            account_id,
            session_id,
            app_id: 100_001,
            issued_at: 1_750_000_000_000,
            expires_at: 1_750_007_200_000,
            channel: "official",
            degraded: false,
        },
    }
}

/// A running peer.
#[derive(Debug)]
pub struct Peer {
    /// Where it takes HTTP.
    pub address: String,
    processes: Vec<OwnedProcess>,
    _ports: Vec<Port>,
    /// Where it writes, if it does.
    _directory: Option<TempDir>,
}

impl Peer {
    /// One process: a volo-http route with the stock server, JSON in and JSON out. The programs of the peers are in the
    /// directory `programs`.
    pub fn bare_route(programs: &Path, workers: usize) -> Result<Self> {
        let http = Port::reserve()?;
        let route = start(&programs.join("bare_route"), &[&http.address()], workers)?;
        Self::ready(http.address(), vec![route], vec![http])
    }

    /// Two processes: the same route in front of a stock Thrift server that echoes.
    pub fn bare_thrift(programs: &Path, workers: usize) -> Result<Self> {
        let (http, rpc) = (Port::reserve()?, Port::reserve()?);
        let echo = start(&programs.join("bare_thrift"), &["echo", &rpc.address()], workers)?;
        let gateway = start(&programs.join("bare_thrift"), &["gateway", &http.address(), &rpc.address()], workers)?;
        Self::ready(http.address(), vec![echo, gateway], vec![http, rpc])
    }

    /// One process: the step that partners' ingest replaces, in Go. Built here, from `bench/peers/go_ingest`, into the
    /// directory `programs`; `None` when there is no Go.
    pub fn go_ingest(programs: &Path, workers: usize) -> Result<Option<Self>> {
        let Some(go) = workspace::program("go") else { return Ok(None) };
        let (program, sources) = (programs.join("go_ingest"), workspace::root().join("bench/peers/go_ingest"));
        let mut build = Command::new(go);
        build.args(["build", "-trimpath", "-o"]).arg(&program).arg(".").current_dir(sources);
        // It needs nothing but Go's own library.
        build.env("CGO_ENABLED", "0").env("GOPROXY", "off").env("GOFLAGS", "");
        let output = build.output().context("go does not start")?;
        ensure!(output.status.success(), "the peer in Go is not built: {}", String::from_utf8_lossy(&output.stderr));
        let (http, directory) = (Port::reserve()?, TempDir::with_prefix("go-ingest-")?);
        let mut command = Command::new(&program);
        command.arg(http.address()).arg(directory.path().join("events.ndjson"));
        command.env("GOMAXPROCS", workers.to_string()).stdin(Stdio::null());
        let process = OwnedProcess::spawn(&mut command, None).context("the peer in Go does not start")?;
        client::wait_until_answered(&http.address(), &client::Request::get("/healthz"))?;
        let (address, processes) = (http.address(), vec![process]);
        Ok(Some(Self { address, processes, _ports: vec![http], _directory: Some(directory) }))
    }

    /// The ids of its processes.
    pub fn process_ids(&self) -> Vec<u32> {
        self.processes.iter().map(OwnedProcess::id).collect()
    }

    fn ready(address: String, processes: Vec<OwnedProcess>, ports: Vec<Port>) -> Result<Self> {
        client::wait_until_answered(&address, &load_request())?;
        Ok(Self { address, processes, _ports: ports, _directory: None })
    }
}

/// What a peer is loaded with: a body of the size of a verify.
pub fn load_request() -> client::Request {
    let token = format!("pg1.{}", "x".repeat(126));
    client::Request::post_json(PATH, &serde_json::json!({ "token": token }))
}

fn start(program: &Path, arguments: &[&str], workers: usize) -> Result<OwnedProcess> {
    let mut command = Command::new(program);
    command.args(arguments).env("TOKIO_WORKER_THREADS", workers.to_string()).stdin(Stdio::null());
    OwnedProcess::spawn(&mut command, None).with_context(|| format!("{} does not start", program.display()))
}
