//! A private MariaDB: own data, own port, loopback only, durable like a real one.
//!
//! The first start initialises a data directory under `target/` (some seconds); every later one copies it.

use std::{
    fs::{self, File},
    io::Read as _,
    net::TcpStream,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, bail};
use tempfile::TempDir;

use super::Certificates;
use crate::{
    ports::Port,
    process::{OwnedProcess, Signal},
    workspace,
};

/// A server that does not greet by then is broken. Generous: recovery after a kill on a busy machine takes its time.
const START_LIMIT: Duration = Duration::from_secs(60);

/// A server that does not stop by then is killed.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// Between two looks at whether the server greets.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Small enough for several servers side by side. What acknowledges a commit is left as in production:
/// `innodb_flush_log_at_trx_commit` stays 1.
const SETTINGS: &[&str] = &[
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--skip-log-bin",
    "--character-set-server=utf8mb4",
    "--max-connections=400",
    "--performance-schema=OFF",
    "--innodb-buffer-pool-size=64M",
    "--innodb-log-file-size=16M",
    "--key-buffer-size=1M",
    "--aria-pagecache-buffer-size=2M",
];

/// A MariaDB server that ends, with all its data, when this value is dropped.
#[derive(Debug)]
pub struct MariaDb {
    // Dropped before the directory it writes to.
    process: Option<OwnedProcess>,
    port: Port,
    /// Settings that not every server here has.
    further: Vec<String>,
    directory: TempDir,
}

impl MariaDb {
    /// Starts a server and waits until it greets.
    ///
    /// # Errors
    /// When MariaDB is not installed (`cargo xtask setup` installs it) or the server does not come up; the error ends
    /// with the last lines of the server's log.
    pub fn start() -> Result<Self> {
        Self::start_and(Vec::new())
    }

    /// Starts a server that lets nobody in who does not speak TLS.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub fn start_with_tls(certificates: &Certificates) -> Result<Self> {
        Self::start_and(vec![
            format!("--ssl-cert={}", certificates.certificate().display()),
            format!("--ssl-key={}", certificates.key().display()),
            "--require-secure-transport=ON".to_owned(),
        ])
    }

    fn start_and(further: Vec<String>) -> Result<Self> {
        let template = template()?;
        let directory = tempfile::Builder::new().prefix("playgate-mariadb-").tempdir()?;
        copy(&template, &directory.path().join("data"))?;
        let mut server = Self { process: None, port: Port::reserve()?, further, directory };
        server.restart()?;
        Ok(server)
    }

    /// `mysql://root@127.0.0.1:PORT/`, without a database.
    pub fn url(&self) -> String {
        format!("mysql://root@{}/", self.port.address())
    }

    /// The id of its process.
    ///
    /// # Errors
    /// When it is not running.
    pub fn process_id(&self) -> Result<u32> {
        Ok(self.process.as_ref().context("MariaDB is not running")?.id())
    }

    /// Runs statements and answers what they returned: a line per row, columns separated by tabs.
    ///
    /// # Errors
    /// When the client is not installed (`cargo xtask setup` installs it), or the server refuses a statement.
    pub fn query(&self, statements: &str) -> Result<String> {
        let output = Command::new(installed("mariadb")?)
            .args(["--no-defaults", "--batch", "--skip-column-names", "--protocol=tcp"])
            .args(["--host=127.0.0.1", "--user=root"])
            .arg(format!("--port={}", self.port.number()))
            .arg(format!("--execute={statements}"))
            .stdin(Stdio::null())
            .output()?;
        if !output.status.success() {
            bail!("MariaDB refused `{statements}`: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Kills the server as a power cut would (SIGKILL). Its data stays for [`restart`](Self::restart).
    ///
    /// # Errors
    /// When the process could not be killed.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.kill()?;
        }
        Ok(())
    }

    /// Stops the server in good order. Its data stays for [`restart`](Self::restart).
    ///
    /// # Errors
    /// When the process could not be signalled, or is killed because it does not stop in time.
    pub fn stop(&mut self) -> Result<()> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        process.signal(Signal::Terminate)?;
        if process.wait_at_most(STOP_LIMIT)?.is_none() {
            bail!("MariaDB did not stop in {STOP_LIMIT:?} and was killed");
        }
        Ok(())
    }

    /// Starts the server again on the same data and port, after [`kill`](Self::kill) or [`stop`](Self::stop); a server
    /// that runs is killed first.
    ///
    /// # Errors
    /// When the server does not come up.
    pub fn restart(&mut self) -> Result<()> {
        self.kill()?;
        let process = OwnedProcess::spawn(&mut self.command()?, Some(self.directory.path()))?;
        self.process = Some(process);
        self.await_greeting()
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
        self.process.as_mut().context("MariaDB is not running")?.signal(signal)?;
        Ok(())
    }

    fn command(&self) -> Result<Command> {
        let path = |name: &str| self.directory.path().join(name).display().to_string();
        let mut command = Command::new(installed("mariadbd")?);
        command
            .arg("--no-defaults")
            .args(SETTINGS)
            .args(&self.further)
            .args(run_as())
            .arg(format!("--datadir={}", path("data")))
            .arg(format!("--tmpdir={}", self.directory.path().display()))
            .arg(format!("--socket={}", path("socket")))
            .arg(format!("--pid-file={}", path("pid")))
            .arg(format!("--port={}", self.port.number()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::options().append(true).create(true).open(self.log())?);
        Ok(command)
    }

    /// A listening socket is not enough: a server in recovery accepts and stays silent. One that works speaks first.
    fn await_greeting(&mut self) -> Result<()> {
        let give_up = Instant::now() + START_LIMIT;
        while !greets(&self.port.address()) {
            let process = self.process.as_mut().context("MariaDB is not running")?;
            if let Some(status) = process.ended()? {
                bail!("MariaDB ended with {status}\n{}", self.log_tail());
            }
            if Instant::now() >= give_up {
                bail!("MariaDB does not answer after {START_LIMIT:?}\n{}", self.log_tail());
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

fn greets(address: &str) -> bool {
    let Ok(mut connection) = TcpStream::connect(address) else { return false };
    let mut greeting = [0; 5];
    // Three bytes of length, one of sequence, then the protocol's version, which has been 10 since 1998.
    connection.set_read_timeout(Some(Duration::from_secs(1))).is_ok()
        && connection.read_exact(&mut greeting).is_ok()
        && greeting[4] == 10
}

fn installed(name: &str) -> Result<PathBuf> {
    workspace::program(name).with_context(|| format!("{name} is not installed: run `cargo xtask setup`"))
}

/// MariaDB refuses to run as root unless it is told to.
fn run_as() -> Option<&'static str> {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0).then_some("--user=root")
}

/// An initialised data directory nobody runs on, made once per version of the server.
fn template() -> Result<PathBuf> {
    let version = Command::new(installed("mariadbd")?).arg("--version").output()?;
    let version: String = String::from_utf8_lossy(&version.stdout)
        .split_whitespace()
        .find(|word| word.contains("MariaDB"))
        .context("`mariadbd --version` names no version")?
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' })
        .collect();
    let parent = workspace::target().join("services");
    let template = parent.join(format!("mariadb-{version}"));
    if !template.exists() {
        fs::create_dir_all(&parent)?;
        let unfinished = tempfile::Builder::new().prefix("unfinished-").tempdir_in(&parent)?;
        initialise(unfinished.path())?;
        // Renamed when complete, so that nobody copies half of it. Whoever loses a race uses the winner's.
        if let Err(error) = fs::rename(unfinished.path(), &template)
            && !template.exists()
        {
            return Err(anyhow!(error).context("the initialised data directory could not be put in its place"));
        }
    }
    Ok(template)
}

fn initialise(directory: &Path) -> Result<()> {
    let output = Command::new(installed("mariadb-install-db")?)
        .arg("--no-defaults")
        .args(run_as())
        .arg(format!("--datadir={}", directory.display()))
        .arg("--innodb-log-file-size=16M")
        .args(["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"])
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        bail!(
            "mariadb-install-db ended with {}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    workspace::run(Command::new("cp").args(["-R", "--reflink=auto"]).arg(from).arg(to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_comes_up_comes_back_after_a_kill_and_leaves_nothing_behind() {
        let mut server = MariaDb::start().unwrap();
        let (address, directory) = (server.port.address(), server.directory.path().to_path_buf());
        assert!(greets(&address));
        // As durable as in production, which is what measurements and stories about outages rely on.
        assert_eq!(server.query("SELECT @@innodb_flush_log_at_trx_commit, 'x'").unwrap(), "1\tx\n");

        server.kill().unwrap();
        assert!(!greets(&address));
        server.restart().unwrap();
        assert!(greets(&address));

        server.stop().unwrap();
        assert!(!greets(&address));
        server.restart().unwrap();

        drop(server);
        assert!(!greets(&address));
        assert!(!directory.exists());
    }
}
