//! One process of the platform.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Output, Stdio},
    thread,
    time::Duration,
};

use tokio::time::{Instant, sleep};
use xtask::{
    ports::Port,
    process::{OwnedProcess, Signal},
};

use super::{Client, PATIENCE, Replica, listener::Listener};

/// A part of the platform that a process can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    All,
    Gateway,
    Account,
    Setting,
    Pay,
}

impl Role {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Gateway => "gateway",
            Self::Account => "account",
            Self::Setting => "setting",
            Self::Pay => "pay",
        }
    }

    /// The key of the listener that it is there for.
    fn listen_key(self) -> &'static str {
        match self {
            Self::All | Self::Gateway => "gateway.listen",
            Self::Account => "account.listen",
            Self::Setting => "setting.listen",
            Self::Pay => "pay.listen",
        }
    }
}

/// Configuration as `("section.key", "value")`.
pub(crate) type Settings = Vec<(String, String)>;

/// The program under test, configured through its environment and through nothing of this machine.
pub(crate) fn playgate(directory: &Path, settings: &Settings) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_playgate"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PLAYGATE_") {
            command.env_remove(name);
        }
    }
    let variable = |key: &str| format!("PLAYGATE__{}", key.to_uppercase().replace('.', "__"));
    command.envs(settings.iter().map(|(key, value)| (variable(key), value)));
    command.current_dir(directory).stdin(Stdio::null());
    command
}

/// Runs a command that ends by itself. The test fails if it does not.
pub(crate) async fn run_to_end(mut command: Command) -> Output {
    let work = thread::spawn(move || {
        let scratch = tempfile::tempdir().unwrap();
        let (out, err) = (scratch.path().join("out"), scratch.path().join("err"));
        command.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
        let mut process = OwnedProcess::spawn(&mut command, None).unwrap();
        let status = process.wait_at_most(PATIENCE * 2).unwrap();
        let (stdout, stderr) = (fs::read(out).unwrap(), fs::read(err).unwrap());
        match status {
            Some(status) => Output { status, stdout, stderr },
            None => panic!("{command:?} does not end:\n{}", String::from_utf8_lossy(&stderr)),
        }
    });
    tokio::task::spawn_blocking(move || work.join()).await.unwrap().expect("a command that ends")
}

/// A role's process, its listeners and what it writes.
pub(crate) struct RoleProcess {
    pub(crate) replica: Replica,
    directory: PathBuf,
    settings: Settings,
    listener: Listener,
    operator: Port,
    process: Option<OwnedProcess>,
}

impl RoleProcess {
    /// Starts the role, which takes requests or calls at `listener`; it is not ready yet.
    pub(crate) fn start(replica: Replica, directory: &Path, mut settings: Settings, listener: Listener) -> Self {
        let operator = Port::reserve().unwrap();
        settings.push((replica.role.listen_key().to_owned(), listener.address()));
        settings.push(("operator.listen".to_owned(), operator.address()));
        let directory = directory.to_owned();
        let mut started = Self { replica, directory, settings, listener, operator, process: None };
        started.spawn(None);
        started
    }

    /// Starts it again, on the same data and the same listeners; it is not ready yet.
    pub(crate) fn restart(&mut self) {
        self.process = None;
        self.spawn(None);
    }

    /// The same, to die of itself where `place` says; see `common/src/crash_point.rs`.
    pub(crate) fn restart_to_die(&mut self, place: &str) {
        self.process = None;
        self.spawn(Some(place));
    }

    /// Where it takes requests or calls: `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> String {
        self.listener.address()
    }

    pub(crate) fn listener(&self) -> &Listener {
        &self.listener
    }

    /// Waits until `/readyz` says it is.
    pub(crate) async fn ready(&mut self) {
        let give_up = Instant::now() + PATIENCE;
        let operator = self.operator();
        loop {
            let request = operator.request(reqwest::Method::GET, "/readyz");
            if request.send().await.is_ok_and(|answer| answer.status() == 200) {
                return;
            }
            let (name, ended) = (self.replica.role.name(), self.process().ended().unwrap());
            assert_eq!(ended, None, "`playgate serve {name}` ended instead of getting ready:\n{}", self.log());
            assert!(Instant::now() < give_up, "`playgate serve {name}` does not get ready:\n{}", self.log());
            sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) fn operator(&self) -> Client {
        Client::operator(self.operator.address())
    }

    pub(crate) fn signal(&mut self, signal: Signal) {
        self.process().signal(signal).unwrap();
    }

    pub(crate) fn kill(&mut self) {
        self.process().kill().unwrap();
    }

    /// Waits until it has ended by itself, at most `limit`.
    pub(crate) async fn ends_within(&mut self, limit: Duration) -> Option<ExitStatus> {
        let give_up = Instant::now() + limit;
        loop {
            if let Some(status) = self.process().ended().unwrap() {
                return Some(status);
            }
            if Instant::now() >= give_up {
                return None;
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// All it has written so far, to both of its outputs.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_file()).unwrap_or_default()).into_owned()
    }

    fn process(&mut self) -> &mut OwnedProcess {
        self.process.as_mut().expect("a process was started")
    }

    fn log_file(&self) -> PathBuf {
        let Replica { role, index } = self.replica;
        self.directory.join(format!("{}-{index}.log", role.name()))
    }

    fn spawn(&mut self, dies_at: Option<&str>) {
        let log = File::options().append(true).create(true).open(self.log_file()).unwrap();
        let mut command = playgate(&self.directory, &self.settings);
        command.args(["serve", self.replica.role.name()]).stdout(log.try_clone().unwrap()).stderr(log);
        command.envs(dies_at.map(|place| ("PLAYGATE_CRASH_AT", place)));
        self.process = Some(OwnedProcess::spawn(&mut command, Some(&self.directory)).unwrap());
    }
}
