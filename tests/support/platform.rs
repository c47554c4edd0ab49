//! A whole platform: one process on embedded defaults, or four that share a MariaDB server.

use std::{
    fs,
    path::Path,
    process::{ExitStatus, Output},
    thread,
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;
use xtask::{ports::Port, process::Signal, services::MariaDb};

use super::{
    Answer, App, Client, GameServer, PATIENCE, Player, Verdict,
    database::Database,
    role::{Role, RoleProcess, Settings, playgate, run_to_end},
};

/// What the platform is made of. The same stories hold for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `playgate serve all` on SQLite.
    AllInOne,
    /// Gateway, account, setting and pay as processes of their own, found by a static list, on MariaDB.
    FourRolesMariadb,
}

/// How a platform is to be started.
pub(crate) struct Builder {
    shape: Shape,
    extra: Settings,
    own_mariadb: bool,
}

/// A running platform with one app. Everything ends with this value; if the test is failing, the logs are printed.
pub(crate) struct Platform {
    shape: Shape,
    app: App,
    client: Client,
    // Dropped in this order: the processes, what they use, where it lies.
    roles: Vec<RoleProcess>,
    database: Option<Database>,
    _ports: Vec<Port>,
    directory: TempDir,
}

impl Platform {
    /// Starts a platform as most stories need it.
    pub(crate) async fn start(shape: Shape) -> Self {
        Self::build(shape).start().await
    }

    /// Starts a platform with something about it changed.
    pub(crate) fn build(shape: Shape) -> Builder {
        Builder { shape, extra: Vec::new(), own_mariadb: false }
    }

    /// The public listener.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The app players sign in to.
    pub(crate) fn app(&self) -> &App {
        &self.app
    }

    /// The game server of [`app`](Self::app).
    pub(crate) fn game_server(&self) -> GameServer {
        self.game_server_of(self.app.clone())
    }

    pub(crate) fn game_server_of(&self, app: App) -> GameServer {
        GameServer::new(self.client.clone(), app)
    }

    /// Creates another app, as an operator does.
    pub(crate) async fn create_app(&self, name: &str) -> App {
        create_app(&self.directory, self.settings_of_account(), name).await
    }

    /// Gives the app a new secret, as an operator does.
    pub(crate) async fn rotate_secret(&self) -> App {
        let app_id = self.app.app_id.to_string();
        run_for_app(&self.directory, self.settings_of_account(), &["rotate-secret", "--app-id", &app_id]).await
    }

    /// Runs `playgate account ARGUMENTS`, as an operator does, where the platform's data lies.
    pub(crate) async fn run_account(&self, arguments: &[&str]) -> Output {
        let mut command = playgate(self.directory.path(), &self.settings_of_account());
        command.arg("account").args(arguments);
        run_to_end(command).await
    }

    /// Where the platform's data lies.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A new player, signed in.
    pub(crate) async fn register(&self, username: &str) -> Player {
        Player::register(&self.client, self.app.app_id, username).await
    }

    pub(crate) async fn try_register(&self, username: &str) -> Answer {
        Player::try_register(&self.client, self.app.app_id, username).await
    }

    /// What the game server is told about a token.
    pub(crate) async fn verify(&self, token: &str) -> Verdict {
        self.game_server().verify(token).await
    }

    /// Writes a setting document, as an operator puts it into the store: `app.json` or `channels/NAME.json`.
    pub(crate) fn write_setting(&self, document: &str, content: &Value) {
        let file = self.directory.path().join(format!("settings/apps/{}/{document}", self.app.app_id));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content.to_string()).unwrap();
    }

    /// The role that has the public listener.
    pub(crate) fn front(&self) -> Role {
        match self.shape {
            Shape::AllInOne => Role::All,
            Shape::FourRolesMariadb => Role::Gateway,
        }
    }

    /// Every role that is a process here.
    pub(crate) fn roles(&self) -> Vec<Role> {
        self.roles.iter().map(|process| process.role).collect()
    }

    /// The operator listener of a role.
    pub(crate) fn operator(&self, role: Role) -> Client {
        self.roles.iter().find(|process| process.role == role).expect("the role is a process here").operator()
    }

    /// SIGKILL: the process is gone, nothing flushed, nobody told.
    pub(crate) fn kill(&mut self, role: Role) {
        self.process(role).kill();
    }

    /// The process is there, its connections are open, and it does nothing.
    pub(crate) fn freeze(&mut self, role: Role) {
        self.process(role).signal(Signal::Freeze);
    }

    pub(crate) fn thaw(&mut self, role: Role) {
        self.process(role).signal(Signal::Thaw);
    }

    /// Asks a role to stop, as an orchestrator does.
    pub(crate) fn terminate(&mut self, role: Role) {
        self.process(role).signal(Signal::Terminate);
    }

    /// Waits until a role has ended, at most `limit`.
    pub(crate) async fn ends_within(&mut self, role: Role, limit: Duration) -> Option<ExitStatus> {
        self.process(role).ends_within(limit).await
    }

    /// Starts a role again, on its data and its listeners, and waits until it is ready.
    pub(crate) async fn restart(&mut self, role: Role) {
        self.process(role).restart().await;
    }

    /// Stops every process in good order, then starts them all again.
    pub(crate) async fn restart_all(&mut self) {
        for role in self.roles() {
            self.terminate(role);
        }
        for role in self.roles() {
            let ended = self.ends_within(role, PATIENCE).await;
            assert!(ended.is_some_and(|status| status.success()), "{role:?} ended with {ended:?}");
        }
        for process in &mut self.roles {
            process.restart().await;
        }
    }

    /// The MariaDB server, if the platform was built with one of its own.
    pub(crate) fn mariadb(&mut self) -> &mut MariaDb {
        self.database.as_mut().expect("a platform on MariaDB").server()
    }

    /// Everything the processes wrote.
    pub(crate) fn logs(&self) -> String {
        self.roles.iter().map(RoleProcess::log).collect()
    }

    fn process(&mut self, role: Role) -> &mut RoleProcess {
        self.roles.iter_mut().find(|process| process.role == role).expect("the role is a process here")
    }

    fn settings_of_account(&self) -> Settings {
        match &self.database {
            None => embedded_settings(),
            Some(database) => account_settings(&database.url()),
        }
    }
}

impl Drop for Platform {
    #[expect(clippy::print_stderr, reason = "the logs belong beside the failure")]
    fn drop(&mut self) {
        if thread::panicking() {
            for process in &self.roles {
                eprintln!("--- log of `playgate serve {}` ---\n{}", process.role.name(), process.log());
            }
        }
    }
}

impl Builder {
    /// Sets a configuration key of every role.
    pub(crate) fn set(mut self, key: &str, value: &str) -> Self {
        self.extra.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Gives the platform a MariaDB server nobody else uses, so that it can be killed.
    pub(crate) fn with_own_mariadb(mut self) -> Self {
        self.own_mariadb = true;
        self
    }

    pub(crate) async fn start(self) -> Platform {
        let directory = tempfile::Builder::new().prefix("playgate-story-").tempdir().unwrap();
        match self.shape {
            Shape::AllInOne => self.start_in_one_process(directory).await,
            Shape::FourRolesMariadb => self.start_in_four_roles(directory).await,
        }
    }

    async fn start_in_one_process(self, directory: TempDir) -> Platform {
        let public = Port::reserve().unwrap();
        let mut settings = embedded_settings();
        settings.push(("gateway.listen".to_owned(), public.address()));
        settings.extend(self.extra);
        let mut all = RoleProcess::start(Role::All, directory.path(), settings);
        all.ready().await;
        let app = create_app(&directory, embedded_settings(), "story").await;
        Platform {
            shape: self.shape,
            app,
            client: Client::public(public.address()),
            roles: vec![all],
            database: None,
            _ports: vec![public],
            directory,
        }
    }

    async fn start_in_four_roles(self, directory: TempDir) -> Platform {
        let name = database_name(&directory);
        let database = if self.own_mariadb { Database::private(name).await } else { Database::shared(name).await };
        let account = account_settings(&database.url());
        let migrated = run_to_end({
            let mut command = playgate(directory.path(), &account);
            command.arg("migrate");
            command
        });
        let migrated = migrated.await;
        assert!(migrated.status.success(), "playgate migrate: {}", String::from_utf8_lossy(&migrated.stderr));
        let app = create_app(&directory, account.clone(), "story").await;

        let [public, account_rpc, setting_rpc, pay_rpc] = [(); 4].map(|()| Port::reserve().unwrap());
        let listen = |role: &str, port: &Port| vec![(format!("{role}.listen"), port.address())];
        let instance =
            |role: &str, port: &Port| (format!("discovery.static.{role}"), format!("[\"{}\"]", port.address()));
        let roles = [
            (Role::Account, [account, listen("account", &account_rpc)].concat()),
            (Role::Setting, [settings_store(), listen("setting", &setting_rpc)].concat()),
            (Role::Pay, [sql_settings(&database.url()), listen("pay", &pay_rpc)].concat()),
            (Role::Gateway, listen("gateway", &public)),
        ];
        let common = [
            ("discovery.kind".to_owned(), "static".to_owned()),
            instance("account", &account_rpc),
            instance("setting", &setting_rpc),
            instance("pay", &pay_rpc),
            ("log.format".to_owned(), "json".to_owned()),
        ];
        let mut processes: Vec<RoleProcess> = roles
            .into_iter()
            .map(|(role, own)| {
                // Roles share a directory here for their logs only: each has data of its own, as on a machine of its own.
                let data = ("data_dir".to_owned(), format!("./data-{}", role.name()));
                let settings = [vec![data], common.to_vec(), own, self.extra.clone()].concat();
                RoleProcess::start(role, directory.path(), settings)
            })
            .collect();
        for process in &mut processes {
            process.ready().await;
        }
        Platform {
            shape: self.shape,
            app,
            client: Client::public(public.address()),
            roles: processes,
            database: Some(database),
            _ports: vec![public, account_rpc, setting_rpc, pay_rpc],
            directory,
        }
    }
}

fn embedded_settings() -> Settings {
    let own = [("data_dir", "./data"), ("log.format", "json")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    [own.to_vec(), settings_store()].concat()
}

fn account_settings(url: &str) -> Settings {
    let master_key = ("account.master_key".to_owned(), "5a".repeat(32));
    [sql_settings(url), vec![master_key]].concat()
}

fn sql_settings(url: &str) -> Settings {
    vec![("sql.url".to_owned(), url.to_owned())]
}

fn settings_store() -> Settings {
    vec![("setting.root".to_owned(), "./settings".to_owned())]
}

async fn create_app(directory: &TempDir, settings: Settings, name: &str) -> App {
    run_for_app(directory, settings, &["create", "--name", name]).await
}

async fn run_for_app(directory: &TempDir, settings: Settings, arguments: &[&str]) -> App {
    let mut command = playgate(directory.path(), &settings);
    command.arg("app").args(arguments);
    let output = run_to_end(command).await;
    assert!(output.status.success(), "playgate app {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stdout)))
}

/// The directory's name is random and this platform's alone, and so is the database's.
fn database_name(directory: &TempDir) -> String {
    let name = directory.path().file_name().unwrap().to_string_lossy().replace('-', "_");
    format!("{name}_{}", std::process::id())
}
