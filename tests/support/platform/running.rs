//! A running platform, and what a story does with it.

use std::{
    path::{Path, PathBuf},
    process::{ExitStatus, Output},
    thread,
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;
use xtask::{process::Signal, services::MariaDb};

use super::{
    Builder, Shape, operator,
    settings::{Blueprint, behind_a_name, found_by_a_list},
};
use crate::support::{
    Admin, Answer, App, Client, GameServer, PATIENCE, Player, Registry, Replica, Verdict, Which,
    database::Database,
    eventually,
    listener::Listener,
    role::{Role, RoleProcess, Settings},
};

/// A running platform with one app. Everything ends with this value; if the test is failing, the logs are printed.
pub(crate) struct Platform {
    pub(super) shape: Shape,
    pub(super) app: App,
    pub(super) client: Client,
    // Dropped in this order: the processes, what they use, where it lies.
    pub(super) processes: Vec<RoleProcess>,
    pub(super) blueprint: Blueprint,
    pub(super) database: Option<Database>,
    pub(super) directory: TempDir,
}

/// What players, game servers and operators do.
impl Platform {
    /// Starts a platform as most stories need it.
    pub(crate) async fn start(shape: Shape) -> Self {
        Self::build(shape).start().await
    }

    /// Starts a platform with something about it changed.
    pub(crate) fn build(shape: Shape) -> Builder {
        Builder::new(shape)
    }

    /// The public listener; of several gateways each in turn.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The public listener of one process.
    pub(crate) fn client_of(&self, front: Replica) -> Client {
        assert_eq!(front.role, self.front(), "it has no public listener");
        Client::public(vec![self.process(front).address()])
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

    /// The game server of [`app`](Self::app), asking one process only.
    pub(crate) fn game_server_at(&self, front: Replica) -> GameServer {
        GameServer::new(self.client_of(front), self.app.clone())
    }

    /// Creates another app, as an operator does.
    pub(crate) async fn create_app(&self, name: &str) -> App {
        operator::create_app(self.directory.path(), &self.blueprint.for_commands(), name).await
    }

    /// Gives the app a new secret, as an operator does.
    pub(crate) async fn rotate_secret(&self) -> App {
        let (directory, settings) = (self.directory.path(), self.blueprint.for_commands());
        operator::rotate_secret(directory, &settings, self.app.app_id).await
    }

    /// Does something to accounts, as an operator does: `playgate account ARGUMENTS`, in [`directory`](Self::directory).
    pub(crate) fn run_account(&self, arguments: &[&str]) -> impl Future<Output = Output> + Send + use<> {
        operator::run_account(self.directory.path(), &self.blueprint.for_commands(), arguments)
    }

    /// Sees to orders, as an operator does: `playgate pay ARGUMENTS`, in [`directory`](Self::directory).
    pub(crate) fn run_pay(&self, arguments: &[&str]) -> impl Future<Output = Output> + Send + use<> {
        operator::run_pay(self.directory.path(), &self.blueprint.for_commands(), arguments)
    }

    /// Runs `playgate ARGUMENTS`, as an operator does, and reads the JSON it prints.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Value {
        operator::run(self.directory.path(), &self.blueprint.for_commands(), arguments).await
    }

    /// Where an operator works.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Adds a key for tokens of a kind, `access` or `id`, as an operator does; what the command prints.
    pub(crate) async fn rotate_key(&self, kind: &str) -> Value {
        let settings = [self.blueprint.for_commands(), self.blueprint.extra.clone()].concat();
        operator::run(self.directory.path(), &settings, &["key", "rotate", "--kind", kind]).await
    }

    /// Seals everything under the master key in a file of [`directory`](Self::directory), as an operator does; what the
    /// command prints.
    pub(crate) async fn reseal(&self, new_key_file: &str) -> Value {
        let settings = [self.blueprint.for_commands(), self.blueprint.extra.clone()].concat();
        operator::run(self.directory.path(), &settings, &["key", "reseal", "--new-key-file", new_key_file]).await
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

    /// Expects that a token is revoked: at once, or where several accounts are asked in turn, once they all have heard
    /// of it.
    pub(crate) async fn is_revoked(&self, token: &str) {
        /// So many answers in a row come from every account, through every gateway.
        const ENOUGH: usize = 8;
        if self.shape != Shape::FleetOnNacos {
            assert_eq!(self.verify(token).await.status, "revoked");
            return;
        }
        eventually("every account has heard of it", || async {
            for _ in 0..ENOUGH {
                if self.verify(token).await.status != "revoked" {
                    return None;
                }
            }
            Some(())
        })
        .await;
    }

    /// Everything the processes wrote.
    pub(crate) fn logs(&self) -> String {
        self.processes.iter().map(RoleProcess::log).collect()
    }

    /// Everything one process wrote.
    pub(crate) fn log_of(&self, replica: Replica) -> String {
        self.process(replica).log()
    }

    /// Where a process takes requests or calls: `127.0.0.1:PORT`.
    pub(crate) fn address_of(&self, replica: Replica) -> String {
        self.process(replica).address()
    }

    /// Where a process keeps its data.
    pub(crate) fn data_dir_of(&self, replica: Replica) -> PathBuf {
        self.directory.path().join(Blueprint::data_dir(replica))
    }

    /// The Nacos that the processes find each other through.
    pub(crate) fn registry(&self) -> Registry {
        let set = |key: &str| {
            let settings = [self.blueprint.common.clone(), self.blueprint.extra.clone()].concat();
            settings.into_iter().rfind(|(set, _)| set == key).expect("a platform on Nacos").1
        };
        Registry::new(&set("nacos.server"), &set("nacos.group"))
    }
}

/// Its processes. What is done to a [`Role`] is done to every replica of it.
impl Platform {
    /// The role that has the public listener.
    pub(crate) fn front(&self) -> Role {
        self.shape.front()
    }

    /// Every role that is a process here.
    pub(crate) fn roles(&self) -> Vec<Role> {
        let mut roles: Vec<Role> = self.processes.iter().map(|process| process.replica.role).collect();
        roles.dedup();
        roles
    }

    /// Every process.
    pub(crate) fn replicas(&self) -> Vec<Replica> {
        self.processes.iter().map(|process| process.replica).collect()
    }

    /// The operator listener of a process; of a role with several, the first one's.
    pub(crate) fn operator(&self, which: impl Into<Which>) -> Client {
        self.process(which).operator()
    }

    /// The admin API, on the operator listener of the process that has it; of several gateways, the first one's.
    pub(crate) fn admin(&self) -> Admin {
        let front = self.front();
        let data_dir = match self.shape {
            Shape::AllInOne => self.directory.path().join("data"),
            Shape::FourRolesMariadb | Shape::FleetOnNacos => self.data_dir_of(front.replica(0)),
        };
        Admin::with_token_of(self.operator(front), &data_dir)
    }

    /// The operator listeners of every process that is meant.
    pub(crate) fn operators(&self, which: impl Into<Which>) -> Vec<Client> {
        let which = which.into();
        let meant = self.processes.iter().filter(|process| which.includes(process.replica));
        meant.map(RoleProcess::operator).collect()
    }

    /// The metrics of every process that is meant, one after the other.
    pub(crate) async fn metrics(&self, which: impl Into<Which>) -> String {
        let mut metrics = String::new();
        for operator in self.operators(which) {
            metrics.push_str(&operator.get("/metrics").await.text);
        }
        metrics
    }

    /// SIGKILL: the process is gone, nothing flushed, nobody told.
    pub(crate) fn kill(&mut self, which: impl Into<Which>) {
        self.each(which).for_each(RoleProcess::kill);
    }

    /// The process is there, its connections are open, and it does nothing.
    pub(crate) fn freeze(&mut self, which: impl Into<Which>) {
        self.each(which).for_each(|process| process.signal(Signal::Freeze));
    }

    pub(crate) fn thaw(&mut self, which: impl Into<Which>) {
        self.each(which).for_each(|process| process.signal(Signal::Thaw));
    }

    /// Asks a process to stop, as an orchestrator does.
    pub(crate) fn terminate(&mut self, which: impl Into<Which>) {
        self.each(which).for_each(|process| process.signal(Signal::Terminate));
    }

    /// Waits until it has ended, at most `limit`. Of several: the status of the first that did not end well.
    pub(crate) async fn ends_within(&mut self, which: impl Into<Which>, limit: Duration) -> Option<ExitStatus> {
        let mut statuses = Vec::new();
        for process in self.each(which) {
            statuses.push(process.ends_within(limit).await?);
        }
        let bad = statuses.iter().find(|status| !status.success());
        bad.or(statuses.last()).copied()
    }

    /// Starts a process again, on its data and its listeners, and waits until it is ready.
    pub(crate) async fn restart(&mut self, which: impl Into<Which>) {
        let which = which.into();
        self.each(which).for_each(RoleProcess::restart);
        self.is_ready(which).await;
    }

    /// Kills a process if it runs, and starts it again to die of itself where `place` says, as if it were killed there. It
    /// is not ready yet.
    pub(crate) fn restart_to_die(&mut self, which: impl Into<Which>, place: &str) {
        self.each(which).for_each(|process| process.restart_to_die(place));
    }

    /// Stops every process in good order, then starts them all again.
    pub(crate) async fn restart_all(&mut self) {
        for replica in self.replicas() {
            self.terminate(replica);
        }
        for replica in self.replicas() {
            let ended = self.ends_within(replica, PATIENCE).await;
            assert!(ended.is_some_and(|status| status.success()), "{replica:?} ended with {ended:?}");
        }
        for role in self.roles() {
            self.restart(role).await;
        }
    }

    /// Starts one more process of a role and waits until it is ready. [`client`](Self::client) does not ask it.
    pub(crate) async fn add(&mut self, role: Role) -> Replica {
        let added = self.begin(role);
        self.is_ready(added).await;
        added
    }

    /// Starts one more process of a role, and leaves it to the story when it has to be ready.
    pub(crate) fn begin(&mut self, role: Role) -> Replica {
        self.begin_with(role, &Settings::new())
    }

    /// Starts one more process of a role as an instance of a lane, and waits until it is ready. For a platform on Nacos.
    pub(crate) async fn add_in_lane(&mut self, role: Role, lane: &str) -> Replica {
        let added = self.begin_with(role, &vec![("nacos.lane".to_owned(), lane.to_owned())]);
        self.is_ready(added).await;
        added
    }

    /// Starts a gateway that asks this account and no other.
    pub(crate) async fn add_gateway_to(&mut self, account: Replica) -> Replica {
        let services = [account, Role::Setting.replica(0), Role::Pay.replica(0)];
        let instances = services.map(|replica| (replica.role, self.process(replica).address()));
        let gateway = self.begin_with(Role::Gateway, &found_by_a_list(&instances));
        self.is_ready(gateway).await;
        gateway
    }

    /// Waits until a process is ready.
    pub(crate) async fn is_ready(&mut self, which: impl Into<Which>) {
        for process in self.each(which) {
            process.ready().await;
        }
    }

    /// Where the database is, for who looks at what lies there.
    pub(crate) fn database_url(&self) -> String {
        self.database.as_ref().expect("a platform on MariaDB").url()
    }

    /// The MariaDB server, if the platform was built with one of its own.
    pub(crate) fn mariadb(&mut self) -> &mut MariaDb {
        self.database.as_mut().expect("a platform on MariaDB").server()
    }

    /// Waits until everybody has found every instance of every service that it asks in the registry.
    pub(crate) async fn has_found_everybody(&self) {
        for caller in self.replicas() {
            let asked: &[Role] = match caller.role {
                Role::Gateway => &[Role::Account, Role::Setting, Role::Pay],
                Role::Pay => &[Role::Account],
                _ => &[],
            };
            for service in asked.iter().copied() {
                let instances = self.replicas().iter().filter(|replica| replica.role == service).count();
                let sample = format!("playgate_discovery_instances{{service=\"{}\"}} {instances}", service.name());
                eventually("the service is found", || async {
                    self.metrics(caller).await.lines().any(|line| line == sample).then_some(())
                })
                .await;
            }
        }
    }

    fn begin_with(&mut self, role: Role, settings: &Settings) -> Replica {
        let replica = role.replica(self.replicas().iter().filter(|replica| replica.role == role).count());
        let settings = [self.blueprint.of(replica), settings.clone()].concat();
        let listener = match (role, self.blueprint.is_found_by_dns) {
            (Role::Account, true) => self.process(role).listener().on(behind_a_name(replica)),
            _ => Listener::reserve(),
        };
        self.processes.push(RoleProcess::start(replica, self.directory.path(), settings, listener));
        replica
    }

    fn process(&self, which: impl Into<Which>) -> &RoleProcess {
        let which = which.into();
        self.processes.iter().find(|process| which.includes(process.replica)).expect("it is a process here")
    }

    /// The processes that are meant; there is at least one.
    fn each(&mut self, which: impl Into<Which>) -> impl Iterator<Item = &mut RoleProcess> {
        let which = which.into();
        assert!(self.replicas().into_iter().any(|replica| which.includes(replica)), "{which:?} is no process here");
        self.processes.iter_mut().filter(move |process| which.includes(process.replica))
    }
}

impl Drop for Platform {
    #[expect(clippy::print_stderr, reason = "the logs belong beside the failure")]
    fn drop(&mut self) {
        if thread::panicking() {
            for process in &self.processes {
                let Replica { role, index } = process.replica;
                eprintln!("--- log of `playgate serve {}`, replica {index} ---\n{}", role.name(), process.log());
            }
        }
    }
}
