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
use xtask::{
    ports::Port,
    process::{OwnedProcess, Signal},
};

use crate::{
    bare::HashParameters,
    client::{self, Request},
    signing::App,
};

/// The roles that run alone in the split shape, in the order in which they can become ready.
const ROLES: [&str; 4] = ["account", "setting", "pay", "gateway"];

/// The password of every player.
pub const PASSWORD: &str = "correct horse battery staple";

/// The master key of every installation. A gateway that runs alone has it, too, and with it a copy of what it takes to
/// judge tokens: that is how the platform is meant to be run.
const MASTER_KEY: &str = "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a";

/// What operators present. Known, because it is nobody's secret here.
const ADMIN_TOKEN: &str = "bench-admin-token-bench-admin-token";

/// Registrations that an address or a device may ask for: more than any scenario does from this one address.
const REGISTRATIONS: u32 = 1_000_000;

/// What a platform stands on besides its own files.
#[derive(Clone, Debug, Default)]
pub struct Backing {
    /// `mysql://…`; absent: SQLite in the data directory.
    pub database_url: Option<String>,
    /// `redis://…`; absent: state in each process's own memory.
    pub redis_url: Option<String>,
    /// A library that is loaded into every process before all others; absent: none.
    pub preload: Option<PathBuf>,
}

/// A data directory with a migrated database and one app, and what it takes to start the platform on it.
#[derive(Debug)]
pub struct Installation {
    program: PathBuf,
    workers: usize,
    backing: Backing,
    /// Sections of the configuration that a scenario wants otherwise than they are by default.
    sections: Value,
    directory: TempDir,
    app: App,
}

/// A running platform. Ends with this value.
#[derive(Debug)]
pub struct Platform {
    /// Where the gateway takes HTTP.
    pub address: String,
    /// Where the operator listener of its gateway is.
    pub operator: String,
    /// The app its players belong to.
    pub app: App,
    /// From the start of the first process until the last was ready.
    pub ready_after: Duration,
    /// With the role each serves.
    processes: Vec<(&'static str, OwnedProcess)>,
    _ports: Ports,
}

/// A signed-in player.
#[derive(Clone, Debug, Deserialize)]
pub struct Player {
    /// The access token.
    pub access_token: String,
    /// Gets the next access token, once.
    pub refresh_token: String,
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
    /// Migrates an empty database and makes an app, on embedded defaults.
    pub fn new(program: &Path, workers: usize) -> Result<Self> {
        Self::on(Backing::default(), program, workers)
    }

    /// Migrates an empty database and makes an app. The servers have to outlive what is started here.
    pub fn on(backing: Backing, program: &Path, workers: usize) -> Result<Self> {
        let directory = TempDir::with_prefix("playgate-bench-")?;
        let app = App { app_id: 0, app_secret: String::new() };
        let (program, sections) = (program.to_owned(), json!({}));
        let mut installation = Self { program, workers, backing, sections, directory, app };
        let config = installation.write_config("setup", &json!({}))?;
        installation.complete(&config, ["migrate"])?;
        let created = installation.complete(&config, ["app", "create", "--name", "bench"])?;
        let created: Value = serde_json::from_str(&created).context("`app create` does not answer JSON")?;
        let (app_id, secret) = (created["app_id"].as_i64(), created["app_secret"].as_str());
        let (Some(app_id), Some(secret)) = (app_id, secret) else { bail!("`app create` answered {created}") };
        installation.app = App { app_id, app_secret: secret.to_owned() };
        Ok(installation)
    }

    /// The same, governed by the document `rules`, and with room for so many connections from one address.
    pub fn with_rules(mut self, rules: &str, connections: usize) -> Result<Self> {
        let documents = self.directory.path().join("dynamic");
        fs::create_dir_all(&documents)?;
        fs::write(documents.join("playgate-govern.toml"), rules)?;
        self.sections = json!({
            "dynamic": { "kind": "file", "directory": documents },
            "gateway.edge": { "max_connections": connections, "max_connections_per_address": connections },
        });
        Ok(self)
    }

    /// `playgate serve all`.
    pub fn start_merged(&self) -> Result<Platform> {
        let ports = Ports::reserve(1)?;
        let config = self.write_config("all", &ports.config("all", &ports.operators[0]))?;
        let start = Instant::now();
        let process = self.spawn(&config, "all")?;
        client::wait_until_answered(&ports.operators[0].address(), &Request::get("/readyz"))?;
        Ok(self.running(ports, vec![("all", process)], start.elapsed()))
    }

    /// One process per role, on one machine, over loopback.
    pub fn start_split(&self) -> Result<Platform> {
        let ports = Ports::reserve(ROLES.len())?;
        let start = Instant::now();
        let mut processes = Vec::new();
        for (role, operator) in ROLES.iter().zip(&ports.operators) {
            let config = self.write_config(role, &ports.config(role, operator))?;
            processes.push((*role, self.spawn(&config, role)?));
            client::wait_until_answered(&operator.address(), &Request::get("/readyz"))?;
        }
        Ok(self.running(ports, processes, start.elapsed()))
    }

    /// Where its processes keep their files.
    pub fn data_dir(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn running(&self, ports: Ports, processes: Vec<(&'static str, OwnedProcess)>, ready_after: Duration) -> Platform {
        let address = ports.gateway.address();
        // The gateway is the last of the roles, and the one process has one.
        let operator = ports.operators.last().map(Port::address).unwrap_or_default();
        Platform { address, operator, app: self.app.clone(), ready_after, processes, _ports: ports }
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
        if let Some(library) = &self.backing.preload {
            command.env("LD_PRELOAD", library);
        }
        command
    }

    fn write_config(&self, name: &str, sections: &Value) -> Result<PathBuf> {
        let path = self.directory.path().join(format!("{name}.toml"));
        let mut text = format!("data_dir = {}\n", json!(self.data_dir()));
        let mut all = self.backing.config();
        merge(&mut all, &self.sections);
        merge(&mut all, sections);
        append_toml(&mut text, &all);
        fs::write(&path, text)?;
        Ok(path)
    }
}

impl Platform {
    /// The ids of its processes.
    pub fn process_ids(&self) -> Vec<u32> {
        self.processes.iter().map(|(_, process)| process.id()).collect()
    }

    /// Stops a role in its tracks: its connections stay open, nothing is answered.
    pub fn freeze(&mut self, role: &str) -> Result<()> {
        self.signal(role, Signal::Freeze)
    }

    /// Lets a frozen role go on.
    pub fn thaw(&mut self, role: &str) -> Result<()> {
        self.signal(role, Signal::Thaw)
    }

    /// Makes a player and signs it in.
    pub fn register(&self, username: &str) -> Result<Player> {
        let body = json!({ "app_id": self.app.app_id, "username": username, "password": PASSWORD });
        self.sign_in(&Request::post_json("/v1/sdk/register", &body))
    }

    /// Asks the admin API, and answers the envelope's `data`.
    pub fn administer(&self, path: &str, body: &Value) -> Result<Value> {
        self.administer_with("POST", path, body)
    }

    /// The same with another method.
    pub fn administer_with(&self, method: &'static str, path: &str, body: &Value) -> Result<Value> {
        let mut request = Request { method, ..Request::post_json(path, body) };
        request.headers.push(("Authorization", format!("Bearer {ADMIN_TOKEN}")));
        request.data(&self.operator)
    }

    /// Signs a device in for the first time.
    pub fn register_device(&self, device_id: &str) -> Result<Player> {
        self.sign_in(&self.app.device_login(device_id, None))
    }

    fn sign_in(&self, request: &Request) -> Result<Player> {
        Ok(serde_json::from_value(request.data(&self.address)?)?)
    }

    fn signal(&mut self, role: &str, signal: Signal) -> Result<()> {
        let process = self.processes.iter_mut().find(|(served, _)| *served == role);
        let (_, process) = process.with_context(|| format!("{role} is no process here"))?;
        Ok(process.signal(signal)?)
    }
}

/// What players and game servers of an app ask for.
impl App {
    /// A device signs in; the first time without a secret.
    pub fn device_login(&self, device_id: &str, device_secret: Option<&str>) -> Request {
        let mut body = json!({ "app_id": self.app_id, "kind": "device", "device_id": device_id });
        if let Some(secret) = device_secret {
            body["device_secret"] = json!(secret);
        }
        Request::post_json("/v1/sdk/login", &body)
    }

    /// A player made by [`Platform::register`] signs in.
    pub fn password_login(&self, username: &str) -> Request {
        let body = json!({ "app_id": self.app_id, "kind": "password", "username": username, "password": PASSWORD });
        Request::post_json("/v1/sdk/login", &body)
    }

    /// The next pair of tokens.
    pub fn refresh(&self, refresh_token: &str) -> Request {
        let body = json!({ "app_id": self.app_id, "refresh_token": refresh_token });
        Request::post_json("/v1/sdk/refresh", &body)
    }

    /// A game server asks about a token.
    pub fn verify(&self, access_token: &str) -> Request {
        self.sign(Request::post_json("/v1/server/tokens/verify", &json!({ "token": access_token })))
    }
}

impl Backing {
    /// The sections that differ from the defaults whatever role is served.
    fn config(&self) -> Value {
        let HashParameters { memory_kib, iterations, parallelism } = HashParameters::PLATFORM;
        let mut sections = json!({
            "account": { "master_key": MASTER_KEY },
            // The defaults, spelled out: `bare_argon2` is measured with the same.
            "account.hash_pool": {
                "memory_kib": memory_kib, "iterations": iterations, "parallelism": parallelism,
            },
            "account.risk": {
                "registrations_per_address": REGISTRATIONS, "registrations_per_device": REGISTRATIONS,
            },
        });
        if let Some(url) = &self.database_url {
            sections["sql"] = json!({ "url": url });
        }
        if let Some(url) = &self.redis_url {
            sections["redis"] = json!({ "url": url });
        }
        sections
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
            "operator": { "listen": operator.address(), "admin_token": ADMIN_TOKEN },
            "account": { "listen": self.account.address() },
            "setting": { "listen": self.setting.address() },
            "pay": { "listen": self.pay.address() },
        });
        if role != "all" {
            sections["gateway.fallback"] = json!({ "master_key": MASTER_KEY });
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

/// Adds the keys of `further` to the sections of `all`.
fn merge(all: &mut Value, further: &Value) {
    for (section, keys) in further.as_object().into_iter().flatten() {
        for (key, value) in keys.as_object().into_iter().flatten() {
            all[section][key] = value.clone();
        }
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
        let mut sections = Backing::default().config();
        merge(&mut sections, &ports.config("account", &ports.operators[0]));
        append_toml(&mut text, &sections);
        let account = format!("[account]\nlisten = \"{}\"\nmaster_key = \"5a5a", ports.account.address());
        assert!(text.contains(&account), "{text}");
        assert!(text.contains(&format!("[discovery.static]\naccount = [\"{}\"]\n", ports.account.address())), "{text}");
    }
}
