//! A private Nacos: rnacos, which speaks Nacos's protocols. Own data, own ports, loopback only, no console.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    net::TcpStream,
    path::PathBuf,
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

/// A server that does not answer by then is started again.
const START_LIMIT: Duration = Duration::from_secs(20);

/// A server sometimes panics while it initialises its data: its parts race, and on a busy machine they lose several times in a
/// row. It is seen within a moment, so trying is cheap. A fresh server then needs a fresh directory; one that has data
/// already finds it the next time.
const STARTS: usize = 20;

/// Between two looks at whether the server answers.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A Nacos server that ends, with all its data, when this value is dropped.
#[derive(Debug)]
pub struct Nacos {
    // Dropped before the directory it writes to.
    process: Option<OwnedProcess>,
    http: Port,
    grpc: Port,
    directory: TempDir,
    login: Option<Login>,
}

/// Who may log in to a server with authentication.
#[derive(Debug)]
struct Login {
    username: String,
    password: String,
}

impl Nacos {
    /// Starts a server that lets everybody in, and waits until it answers.
    ///
    /// # Errors
    /// When rnacos is not installed (`cargo xtask setup` installs it) or does not come up; the error ends with the last
    /// lines of its log.
    pub fn start() -> Result<Self> {
        Self::start_for(None)
    }

    /// Starts a server that lets only this user in.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub fn start_with_login(username: &str, password: &str) -> Result<Self> {
        Self::start_for(Some((username, password)))
    }

    fn start_for(login: Option<(&str, &str)>) -> Result<Self> {
        let (http, grpc) = ports()?;
        let login =
            login.map(|(username, password)| Login { username: username.to_owned(), password: password.to_owned() });
        let mut server = Self { process: None, http, grpc, directory: directory()?, login };
        for attempt in 1.. {
            match server.run() {
                Err(error) if attempt == STARTS => return Err(error),
                Err(_) => server.directory = directory()?,
                Ok(()) => break,
            }
        }
        Ok(server)
    }

    /// `127.0.0.1:PORT`, of the HTTP port. The gRPC port is 1000 higher, where clients expect it.
    pub fn address(&self) -> String {
        self.http.address()
    }

    /// Kills the server as a power cut would (SIGKILL). Published documents stay for [`restart`](Self::restart);
    /// registrations were only in its memory.
    ///
    /// # Errors
    /// When the process could not be killed.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.kill()?;
        }
        Ok(())
    }

    /// Starts the server again on the same data and ports, after [`kill`](Self::kill); one that runs is killed first.
    ///
    /// # Errors
    /// When the server does not come up.
    pub fn restart(&mut self) -> Result<()> {
        for _ in 1..STARTS {
            if self.run().is_ok() {
                return Ok(());
            }
        }
        self.run()
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

    fn run(&mut self) -> Result<()> {
        self.kill()?;
        let process = OwnedProcess::spawn(&mut self.command()?, Some(self.directory.path()))?;
        self.process = Some(process);
        self.await_answer()
    }

    fn signal(&mut self, signal: Signal) -> Result<()> {
        self.process.as_mut().context("Nacos is not running")?.signal(signal)?;
        Ok(())
    }

    fn command(&self) -> Result<Command> {
        let program = workspace::tools().join("bin/rnacos");
        if !program.is_file() {
            bail!("rnacos is not installed: run `cargo xtask setup`");
        }
        let log = File::create(self.log())?;
        let mut command = Command::new(program);
        command
            // It reads settings from the directory it runs in.
            .current_dir(self.directory.path())
            .env("RNACOS_DATA_DIR", self.directory.path().join("data"))
            .env("RNACOS_SDK_HOST", "127.0.0.1")
            .env("RNACOS_HTTP_PORT", self.http.number().to_string())
            .env("RNACOS_GRPC_PORT", self.grpc.number().to_string())
            .env("RNACOS_RAFT_NODE_ADDR", self.grpc.address())
            .env("RNACOS_HTTP_CONSOLE_PORT", "0")
            .env("RNACOS_HTTP_WORKERS", "1")
            .env("RUST_LOG", "warn")
            // A panic is recognised by its line in the log.
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        if let Some(Login { username, password }) = &self.login {
            command
                .env("RNACOS_ENABLE_OPEN_API_AUTH", "true")
                .env("RNACOS_INIT_ADMIN_USERNAME", username)
                .env("RNACOS_INIT_ADMIN_PASSWORD", password);
        }
        Ok(command)
    }

    /// A port that is open is not enough.
    fn await_answer(&mut self) -> Result<()> {
        let give_up = Instant::now() + START_LIMIT;
        while !(self.answers() && TcpStream::connect(self.grpc.address()).is_ok()) {
            let process = self.process.as_mut().context("Nacos is not running")?;
            if let Some(status) = process.ended()? {
                bail!("Nacos ended with {status}\n{}", self.log_tail());
            }
            if self.log_tail().contains("panicked") {
                bail!("a part of Nacos panicked\n{}", self.log_tail());
            }
            if Instant::now() >= give_up {
                bail!("Nacos does not answer after {START_LIMIT:?}\n{}", self.log_tail());
            }
            thread::sleep(LOOK_AGAIN);
        }
        Ok(())
    }

    /// Whether it does what it is there for: keeps a document, or lets its user in, which comes up after that. A server
    /// that panicked half-way still listens, and says that it has kept the document.
    fn answers(&self) -> bool {
        let proof = match &self.login {
            None => {
                let document = "/nacos/v1/cs/configs?dataId=probe&group=probe";
                let published = self.request("POST", document, "content=kept");
                published.and_then(|_| self.request("GET", document, "")).map(|answer| answer.ends_with("kept"))
            }
            Some(Login { username, password }) => {
                let form = format!("username={username}&password={password}");
                self.request("POST", "/nacos/v1/auth/login", &form).map(|answer| answer.contains("accessToken"))
            }
        };
        proof.unwrap_or(false)
    }

    fn request(&self, method: &str, path: &str, form: &str) -> io::Result<String> {
        let mut connection = TcpStream::connect(self.http.address())?;
        connection.set_read_timeout(Some(Duration::from_secs(1)))?;
        write!(
            connection,
            "{method} {path} HTTP/1.1\r\nHost: nacos\r\nConnection: close\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
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

fn directory() -> Result<TempDir> {
    Ok(tempfile::Builder::new().prefix("playgate-nacos-").tempdir()?)
}

/// Two ports that are 1000 apart, as clients expect them to be.
fn ports() -> Result<(Port, Port)> {
    for _ in 0..100 {
        let http = Port::reserve()?;
        if let Some(grpc) = Port::reserve_exactly(http.number() + 1000)? {
            return Ok((http, grpc));
        }
    }
    bail!("no two free loopback ports 1000 apart were found")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_nacos_comes_back_after_a_kill_and_leaves_nothing_behind() {
        let mut server = Nacos::start().unwrap();
        let directory = server.directory.path().to_path_buf();
        assert!(server.answers());
        server.kill().unwrap();
        assert!(!server.answers());
        server.restart().unwrap();
        assert!(server.answers());
        let address = server.address();
        drop(server);
        assert!(TcpStream::connect(address).is_err());
        assert!(!directory.exists());
    }
}
