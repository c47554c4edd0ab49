//! A private Prometheus that scrapes what it is told to, and `promtool`, which checks rules. Own data, loopback only.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use crate::{ports::Port, process::OwnedProcess, workspace};

/// How long it may take to come up.
const START_LIMIT: Duration = Duration::from_secs(30);

/// Between two looks at whether it has.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Where `cargo xtask setup` puts a program of Debian's package: `prometheus`, `promtool`.
pub fn program(name: &str) -> PathBuf {
    workspace::tools().join("prometheus/usr/bin").join(name)
}

/// A Prometheus that ends, with all its data, when this value is dropped.
#[derive(Debug)]
pub struct Prometheus {
    // Dropped before the directory it writes to.
    _process: OwnedProcess,
    port: Port,
    _directory: TempDir,
}

impl Prometheus {
    /// Starts one that scrapes these addresses every second as the job `playgate`, with the rules of a file.
    ///
    /// # Errors
    /// When it is not there (`cargo xtask setup` unpacks it) or does not come up.
    pub fn start(targets: &[String], rules: &Path) -> Result<Self> {
        let (directory, port) = (TempDir::with_prefix("playgate-prometheus-")?, Port::reserve()?);
        let targets: Vec<String> = targets.iter().map(|target| format!("'{target}'")).collect();
        let config = format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: ['{}']\nscrape_configs:\n  \
             - job_name: playgate\n    static_configs:\n      - targets: [{}]\n",
            rules.display(),
            targets.join(", ")
        );
        let config_file = directory.path().join("prometheus.yml");
        fs::write(&config_file, config)?;
        let mut command = Command::new(program("prometheus"));
        command
            .arg(format!("--config.file={}", config_file.display()))
            .arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()))
            .arg(format!("--web.listen-address={}", port.address()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(directory.path().join("log"))?);
        let process = OwnedProcess::spawn(&mut command, None).context("Prometheus does not start")?;
        let server = Self { _process: process, port, _directory: directory };
        let start = Instant::now();
        while !server.get("/-/ready").is_ok_and(|answer| answer.starts_with("HTTP/1.0 200")) {
            if start.elapsed() > START_LIMIT {
                bail!("Prometheus is not ready after {START_LIMIT:?}");
            }
            thread::sleep(LOOK_AGAIN);
        }
        Ok(server)
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        self.port.address()
    }

    fn get(&self, path: &str) -> Result<String> {
        let mut stream = TcpStream::connect(self.address())?;
        stream.set_read_timeout(Some(START_LIMIT))?;
        // 1.0, so that it hangs up after the answer.
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}

/// Runs `promtool` with these arguments.
///
/// # Errors
/// With what it says, when it is not satisfied.
pub fn promtool(arguments: &[&str], directory: &Path) -> Result<()> {
    let output = Command::new(program("promtool"))
        .args(arguments)
        .current_dir(directory)
        .output()
        .context("promtool is not there: `cargo xtask setup` unpacks it")?;
    if !output.status.success() {
        bail!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alert_rules_are_rules_to_prometheus_and_fire_when_they_should() {
        let directory = workspace::root().join("deploy/prometheus");
        promtool(&["check", "rules", "alerts.yaml"], &directory).unwrap();
        promtool(&["test", "rules", "alerts_test.yaml"], &directory).unwrap();
    }
}
