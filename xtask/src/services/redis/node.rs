//! [`Redis`]: one server.

use std::{
    fs::{self, File},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use super::{super::Certificates, command};
use crate::{
    ports::Port,
    process::{OwnedProcess, Signal},
    workspace,
};

/// A server that does not answer by then is broken.
const START_LIMIT: Duration = Duration::from_secs(30);

/// Between two looks at whether the server answers.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// What every server here has in common: nothing is written to disk, and tests can't fill the memory.
const SETTINGS: &[&str] = &[
    "--bind",
    "127.0.0.1",
    "--save",
    "",
    "--appendonly",
    "no",
    "--maxmemory",
    "128mb",
    "--repl-diskless-load",
    "on-empty-db",
];

/// A Redis server that ends, with all its data, when this value is dropped.
#[derive(Debug)]
pub struct Redis {
    // Dropped before the directory it works in.
    process: Option<OwnedProcess>,
    port: Port,
    /// Where it speaks TLS; beside `port`, on which it is set up and looked at.
    tls: Option<Port>,
    /// What makes it more than a plain server.
    arguments: Vec<String>,
    directory: TempDir,
}

impl Redis {
    /// Starts a server and waits until it answers.
    ///
    /// # Errors
    /// When Redis is not installed (`cargo xtask setup` installs it) or the server does not come up; the error ends
    /// with the last lines of the server's log.
    pub fn start() -> Result<Self> {
        Self::start_and(&[], None)
    }

    /// Starts a server that speaks TLS as well, at [`tls_url`](Self::tls_url).
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub fn start_with_tls(certificates: &Certificates) -> Result<Self> {
        Self::start_and(&[], Some(certificates))
    }

    /// Starts a server with further settings.
    pub(super) fn start_and(further: &[String], tls: Option<&Certificates>) -> Result<Self> {
        let common = SETTINGS.iter().map(|&setting| setting.to_owned());
        Self::start_with(tls, |_| Ok(common.chain(further.iter().cloned()).collect()))
    }

    /// Starts a server with the arguments that are made for its directory.
    pub(super) fn start_with(
        tls: Option<&Certificates>,
        arguments: impl FnOnce(&Path) -> Result<Vec<String>>,
    ) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("playgate-redis-").tempdir()?;
        let mut arguments = arguments(directory.path())?;
        let tls_port = tls.map(|_| Port::reserve()).transpose()?;
        if let (Some(certificates), Some(port)) = (tls, &tls_port) {
            arguments.extend(tls_settings(certificates, port));
        }
        let mut server = Self { process: None, port: Port::reserve()?, tls: tls_port, arguments, directory };
        server.restart()?;
        Ok(server)
    }

    /// `redis://127.0.0.1:PORT/`.
    pub fn url(&self) -> String {
        format!("redis://{}/", self.address())
    }

    /// `rediss://127.0.0.1:PORT/`, of a server that was started [with TLS](Self::start_with_tls).
    pub fn tls_url(&self) -> String {
        format!("rediss://127.0.0.1:{}/", self.tls_port())
    }

    /// The port on which it speaks TLS; 0 if it does not.
    pub fn tls_port(&self) -> u16 {
        self.tls.as_ref().map_or(0, Port::number)
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        self.port.address()
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Sends one command, written as in a terminal, and answers the reply.
    ///
    /// # Errors
    /// When the server does not answer, or answers with an error.
    pub fn ask(&self, command: &str) -> Result<String> {
        command::ask(&self.address(), command)
    }

    /// Kills the server as a power cut would (SIGKILL). It forgets everything.
    ///
    /// # Errors
    /// When the process could not be killed.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.kill()?;
        }
        Ok(())
    }

    /// Starts the server again on the same port, empty; a server that runs is killed first.
    ///
    /// # Errors
    /// When the server does not come up.
    pub fn restart(&mut self) -> Result<()> {
        self.kill()?;
        let process = OwnedProcess::spawn(&mut self.command()?, Some(self.directory.path()))?;
        self.process = Some(process);
        self.await_pong()
    }

    /// Stops the server in its tracks (SIGSTOP): connections stay open, nothing is answered.
    ///
    /// # Errors
    /// When the process could not be signalled.
    pub fn freeze(&mut self) -> Result<()> {
        self.signal(Signal::Freeze)
    }

    /// Lets a frozen server go on.
    ///
    /// # Errors
    /// When the process could not be signalled.
    pub fn thaw(&mut self) -> Result<()> {
        self.signal(Signal::Thaw)
    }

    fn signal(&mut self, signal: Signal) -> Result<()> {
        self.process.as_mut().context("Redis is not running")?.signal(signal)?;
        Ok(())
    }

    fn command(&self) -> Result<Command> {
        let log = File::options().append(true).create(true).open(self.log())?;
        let mut command = server_program()?;
        command
            .args(&self.arguments)
            .arg("--port")
            .arg(self.port.number().to_string())
            .arg("--dir")
            .arg(self.directory.path())
            .stdin(Stdio::null())
            .stderr(log.try_clone()?)
            .stdout(log);
        Ok(command)
    }

    fn await_pong(&mut self) -> Result<()> {
        let give_up = Instant::now() + START_LIMIT;
        while !self.ask("PING").is_ok_and(|reply| reply == "PONG") {
            let process = self.process.as_mut().context("Redis is not running")?;
            if let Some(status) = process.ended()? {
                bail!("Redis ended with {status}\n{}", self.log_tail());
            }
            if Instant::now() >= give_up {
                bail!("Redis does not answer after {START_LIMIT:?}\n{}", self.log_tail());
            }
            thread::sleep(LOOK_AGAIN);
        }
        Ok(())
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    fn log_tail(&self) -> String {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

/// Whoever trusts the authority may come: clients have no certificates of their own.
fn tls_settings(certificates: &Certificates, port: &Port) -> Vec<String> {
    let file = |path: PathBuf| path.display().to_string();
    let settings = [
        ("--tls-port", port.number().to_string()),
        ("--tls-cert-file", file(certificates.certificate())),
        ("--tls-key-file", file(certificates.key())),
        ("--tls-ca-cert-file", file(certificates.authority())),
        ("--tls-auth-clients", "no".to_owned()),
    ];
    settings.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect()
}

/// The server is one program with several names. Debian's package `redis-server` adds the name of the server, and with
/// it a service for the whole machine; `redis-tools` has the same program under the name of its checker, which turns
/// into the server when it is called so.
fn server_program() -> Result<Command> {
    let program = workspace::program("redis-server")
        .or_else(|| workspace::program("redis-check-rdb"))
        .context("redis-server is not installed: run `cargo xtask setup`")?;
    let mut command = Command::new(program);
    command.arg0("redis-server");
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_comes_up_forgets_everything_when_killed_and_leaves_nothing_behind() {
        let mut server = Redis::start().unwrap();
        let directory = server.directory.path().to_path_buf();
        server.ask("SET key value").unwrap();
        assert_eq!(server.ask("GET key").unwrap(), "value");

        server.kill().unwrap();
        assert!(server.ask("PING").is_err());
        server.restart().unwrap();
        assert_eq!(server.ask("DBSIZE").unwrap(), "0");

        let address = server.address();
        drop(server);
        assert!(command::ask(&address, "PING").is_err());
        assert!(!directory.exists());
    }
}
