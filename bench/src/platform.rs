//! The platform under test, started as an operator would: the real program, a configuration file, a data directory of
//! its own, ports nobody else uses. In one process or in four.

use std::{
    ffi::OsStr,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;
use xtask::{ports::Port, process::OwnedProcess};

use crate::{
    client::{self, Request},
    signing::App,
};

/// The roles that run alone in the split shape, in the order in which they can become ready.
const ROLES: [&str; 4] = ["account", "setting", "pay", "gateway"];

/// The password of every player.
pub const PASSWORD: &str = "correct horse battery staple";

/// A data directory with a migrated database and one app, and what it takes to start the platform on it.
#[derive(Debug)]
pub struct Installation {
    program: PathBuf,
    workers: usize,
    directory: TempDir,
    app: App,
}

/// A running platform. Ends with this value.
#[derive(Debug)]
pub struct Platform {
    /// Where the gateway takes HTTP.
    pub address: String,
    /// The app its players belong to.
    pub app: App,
    /// From the start of the first process until the last was ready.
    pub ready_after: Duration,
    processes: Vec<OwnedProcess>,
    _ports: Ports,
}

/// A signed-in player.
#[derive(Clone, Debug, Deserialize)]
pub struct Player {
    /// The access token.
    pub access_token: String,
    /// Set when a device account was created.
    #[serde(default)]
    pub device_secret: Option<String>,
}

#[derive(Debug)]
struct Ports {
    gateway: Port,
    account: Port,
    setting: Port,
    pay: Port,
    /// Of the single process, or of each role in the order of [`ROLES`].
    operators: Vec<Port>,
}

impl Installation {
    /// Migrates an empty database and makes an app.
    pub fn new(program: &Path, workers: usize) -> Result<Self> {
        let directory = TempDir::with_prefix("playgate-bench-")?;
        let app = App { app_id: 0, app_secret: String::new() };
        let mut installation = Self { program: program.to_owned(), workers, directory, app };
        let config = installation.write_config("setup", &json!({}))?;
        installation.complete(&config, ["migrate"])?;
        let created = installation.complete(&config, ["app", "create", "--name", "bench"])?;
        let created: Value = serde_json::from_str(&created).context("`app create` does not answer JSON")?;
        let (app_id, secret) = (created["app_id"].as_i64(), created["app_secret"].as_str());
        let (Some(app_id), Some(secret)) = (app_id, secret) else { bail!("`app create` answered {created}") };
        installation.app = App { app_id, app_secret: secret.to_owned() };
        Ok(installation)
    }

    /// `playgate serve all`.
    pub fn start_merged(&self) -> Result<Platform> {
        let ports = Ports::reserve(1)?;
        let config = self.write_config("all", &ports.config("all", &ports.operators[0]))?;
        let start = Instant::now();
        let process = self.spawn(&config, "all")?;
        client::wait_until_answered(&ports.operators[0].address(), &Request::get("/readyz"))?;
        Ok(self.running(ports, vec![process], start.elapsed()))
    }

    /// One process per role, on one machine, over loopback.
    pub fn start_split(&self) -> Result<Platform> {
        let ports = Ports::reserve(ROLES.len())?;
        let start = Instant::now();
        let mut processes = Vec::new();
        for (role, operator) in ROLES.iter().zip(&ports.operators) {
            let config = self.write_config(role, &ports.config(role, operator))?;
            processes.push(self.spawn(&config, role)?);
            client::wait_until_answered(&operator.address(), &Request::get("/readyz"))?;
        }
        Ok(self.running(ports, processes, start.elapsed()))
    }

    fn running(&self, ports: Ports, processes: Vec<OwnedProcess>, ready_after: Duration) -> Platform {
        let address = ports.gateway.address();
        Platform { address, app: self.app.clone(), ready_after, processes, _ports: ports }
    }

    fn spawn(&self, config: &Path, role: &str) -> Result<OwnedProcess> {
        let log = File::create(config.with_extension("log"))?;
        let mut command = self.command(config);
        command.args(["serve", role]).stdout(log.try_clone()?).stderr(log);
        OwnedProcess::spawn(&mut command, None).with_context(|| format!("serve {role} does not start"))
    }

    /// Runs a command to its end and answers what it printed.
    fn complete<I: AsRef<OsStr>>(&self, config: &Path, arguments: impl IntoIterator<Item = I>) -> Result<String> {
        let output = self.command(config).args(arguments).output().context("the platform does not start")?;
        let (printed, complaint) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.success(), "the platform refused its set-up ({}): {complaint}{printed}", output.status);
        Ok(printed.into_owned())
    }

    fn command(&self, config: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(self.directory.path()).arg("--config").arg(config).stdin(Stdio::null());
        command.env("TOKIO_WORKER_THREADS", self.workers.to_string());
        command
    }

    fn write_config(&self, name: &str, sections: &Value) -> Result<PathBuf> {
        let path = self.directory.path().join(format!("{name}.toml"));
        let mut text = format!("data_dir = {}\n", json!(self.directory.path().join("data")));
        append_toml(&mut text, sections);
        fs::write(&path, text)?;
        Ok(path)
    }
}

impl Platform {
    /// The ids of its processes.
    pub fn process_ids(&self) -> Vec<u32> {
        self.processes.iter().map(OwnedProcess::id).collect()
    }

    /// Makes a player and signs it in.
    pub fn register(&self, username: &str) -> Result<Player> {
        let body = json!({ "app_id": self.app.app_id, "username": username, "password": PASSWORD });
        self.sign_in(&Request::post_json("/v1/sdk/register", &body))
    }

    /// Signs a device in for the first time.
    pub fn register_device(&self, device_id: &str) -> Result<Player> {
        let body = json!({ "app_id": self.app.app_id, "kind": "device", "device_id": device_id });
        self.sign_in(&Request::post_json("/v1/sdk/login", &body))
    }

    fn sign_in(&self, request: &Request) -> Result<Player> {
        Ok(serde_json::from_value(request.data(&self.address)?)?)
    }
}

impl Ports {
    fn reserve(operators: usize) -> Result<Self> {
        Ok(Self {
            gateway: Port::reserve()?,
            account: Port::reserve()?,
            setting: Port::reserve()?,
            pay: Port::reserve()?,
            operators: (0..operators).map(|_| Port::reserve()).collect::<Result<_, _>>()?,
        })
    }

    /// The sections that differ from the defaults.
    fn config(&self, role: &str, operator: &Port) -> Value {
        let mut sections = json!({
            "gateway": { "listen": self.gateway.address() },
            "operator": { "listen": operator.address() },
            "account": { "listen": self.account.address() },
            "setting": { "listen": self.setting.address() },
            "pay": { "listen": self.pay.address() },
        });
        if role != "all" {
            sections["discovery"] = json!({ "kind": "static" });
            sections["discovery.static"] = json!({
                "account": [self.account.address()],
                "setting": [self.setting.address()],
                "pay": [self.pay.address()],
            });
        }
        sections
    }
}

/// Tables of plain values. Strings and lists of strings are written alike in JSON and TOML.
fn append_toml(text: &mut String, sections: &Value) {
    for (section, keys) in sections.as_object().into_iter().flatten() {
        text.push_str(&format!("\n[{section}]\n"));
        for (key, value) in keys.as_object().into_iter().flatten() {
            text.push_str(&format!("{key} = {value}\n"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_of_a_role_is_toml() {
        let ports = Ports::reserve(1).expect("ports are free");
        let mut text = String::new();
        append_toml(&mut text, &ports.config("account", &ports.operators[0]));
        assert!(text.contains(&format!("[account]\nlisten = \"{}\"\n", ports.account.address())), "{text}");
        assert!(text.contains(&format!("[discovery.static]\naccount = [\"{}\"]\n", ports.account.address())), "{text}");
    }
}
