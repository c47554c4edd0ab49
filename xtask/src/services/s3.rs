//! A private S3: moto, which speaks S3's protocol with its conditional writes. Own port, loopback only, everything in memory.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use crate::{
    ports::Port,
    process::{OwnedProcess, Signal},
    workspace,
};

/// What a Python needs to run the server, every version pinned.
pub const REQUIREMENTS: &str = include_str!("s3/requirements.txt");

const SERVER: &str = include_str!("s3/serve.py");

/// The bucket that is there from the start.
pub const BUCKET: &str = "playgate-settings";

/// A server that does not answer by then is broken. It reads a lot of Python before it listens.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Between two looks at whether the server answers.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// An S3 server that ends, with all its objects, when this value is dropped. It takes any credentials.
#[derive(Debug)]
pub struct S3 {
    // Dropped before the directory it writes to.
    process: Option<OwnedProcess>,
    port: Port,
    directory: TempDir,
}

/// Where the Python lies that `cargo xtask setup` has made for the server.
pub fn python_directory() -> PathBuf {
    workspace::tools().join("moto")
}

/// The list of what was installed there: it is written last.
pub fn installed_requirements(directory: &Path) -> PathBuf {
    directory.join("requirements.txt")
}

impl S3 {
    /// Starts a server, waits until it answers and makes [`BUCKET`].
    ///
    /// # Errors
    /// When moto is not installed (`cargo xtask setup` installs it) or does not come up; the error ends with the last
    /// lines of its log.
    pub fn start() -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("playgate-s3-").tempdir()?;
        let mut server = Self { process: None, port: Port::reserve()?, directory };
        server.restart()?;
        Ok(server)
    }

    /// `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.port.address())
    }

    /// Kills the server (SIGKILL). It forgets everything.
    ///
    /// # Errors
    /// When the process could not be killed.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.kill()?;
        }
        Ok(())
    }

    /// Starts the server again on the same port, with nothing in it but the empty bucket; a server that runs is killed
    /// first.
    ///
    /// # Errors
    /// When the server does not come up.
    pub fn restart(&mut self) -> Result<()> {
        self.kill()?;
        let process = OwnedProcess::spawn(&mut self.command()?, Some(self.directory.path()))?;
        self.process = Some(process);
        self.await_bucket()
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
        self.process.as_mut().context("the S3 server is not running")?.signal(signal)?;
        Ok(())
    }

    fn command(&self) -> Result<Command> {
        let python = python_directory();
        if !installed_requirements(&python).is_file() {
            bail!("moto is not installed: run `cargo xtask setup`");
        }
        let log = File::create(self.log())?;
        let mut command = Command::new(python.join("bin/python"));
        command
            .current_dir(self.directory.path())
            .args(["-c", SERVER, &self.port.number().to_string()])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        Ok(command)
    }

    fn await_bucket(&mut self) -> Result<()> {
        let give_up = Instant::now() + START_LIMIT;
        while !self.make_bucket().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200")) {
            let process = self.process.as_mut().context("the S3 server is not running")?;
            if let Some(status) = process.ended()? {
                bail!("the S3 server ended with {status}\n{}", self.log_tail());
            }
            if Instant::now() >= give_up {
                bail!("the S3 server does not answer after {START_LIMIT:?}\n{}", self.log_tail());
            }
            thread::sleep(LOOK_AGAIN);
        }
        Ok(())
    }

    fn make_bucket(&self) -> io::Result<String> {
        let address = self.port.address();
        let mut connection = TcpStream::connect(&address)?;
        // The first answer takes long: that is when the server makes what answers it.
        connection.set_read_timeout(Some(START_LIMIT))?;
        write!(
            connection,
            "PUT /{BUCKET} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        )?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer)?;
        Ok(answer)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_s3_answers_until_it_is_dropped() {
        let server = S3::start().unwrap();
        let directory = server.directory.path().to_path_buf();
        let address = server.port.address();
        assert!(TcpStream::connect(&address).is_ok());
        drop(server);
        assert!(TcpStream::connect(&address).is_err());
        assert!(!directory.exists());
    }
}
