//! Somebody pastes what the README says about roles that run apart, and has them: line by line as it stands there, with
//! servers of the story in place of those that are installed.

use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Child, Command, Stdio},
};

use reqwest::Method;
use tempfile::TempDir;
use xtask::{
    ports::Port,
    services::{MariaDb, Nacos, Redis},
};

use crate::support::{App, Client, GameServer, Player, Shape, eventually, in_a_fleet, in_four_roles};

in_four_roles!(what_the_readme_says_starts_the_roles);
in_a_fleet!(what_the_readme_says_starts_the_roles);

const README: &str = include_str!("../../README.md");
const SECTION: &str = "## Run the roles apart";

/// The roles whose first process has the default listeners.
const FOUR_ROLES: [&str; 4] = ["account", "setting", "pay", "gateway"];

/// The shell that somebody has pasted into. It ends with this value, and everything that it has started with it.
struct Shell {
    child: Child,
    directory: TempDir,
}

impl Shell {
    /// Runs a script, then waits with everything that it has started for the end of this value, or of this process.
    fn run(directory: TempDir, script: &str) -> Self {
        let guarded = format!(
            "set -e\ntrap 'jobs -p >started; kill -9 $(cat started)' EXIT\n{script}\necho 'all is pasted' >&2\ncat\n"
        );
        let file = |name| File::create(directory.path().join(name)).unwrap();
        let mut command = Command::new("/bin/sh");
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PLAYGATE_") {
                command.env_remove(name);
            }
        }
        let path = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{path}", directory.path().join("stubs").display()));
        command.arg("-c").arg(guarded).current_dir(directory.path()).stdin(Stdio::piped());
        let child = command.stdout(file("out")).stderr(file("err")).spawn().unwrap();
        Self { child, directory }
    }

    fn out(&self) -> String {
        fs::read_to_string(self.directory.path().join("out")).unwrap()
    }

    fn err(&self) -> String {
        fs::read_to_string(self.directory.path().join("err")).unwrap()
    }
}

impl Drop for Shell {
    #[expect(clippy::print_stderr, reason = "what it wrote belongs beside the failure")]
    fn drop(&mut self) {
        // The end of its input is the end of its last command.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- what the shell wrote ---\n{}\n{}", self.out(), self.err());
        }
    }
}

/// The blocks of commands in the section.
fn blocks() -> Vec<&'static str> {
    let section = README.split_once(SECTION).expect("the section").1;
    let section = section.split_once("\n## ").expect("another section").0;
    let blocks: Vec<_> = section.split("```sh\n").skip(1).map(|block| block.split_once("```").unwrap().0).collect();
    assert_eq!(blocks.len(), 3, "what all need, four roles, a fleet");
    blocks
}

/// Puts a program where the shell finds it first.
fn stub(directory: &Path, name: &str, script: &str) {
    let file = directory.join(name);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
}

/// The listeners of the processes that use the default ones, and of those that the README gives others.
struct Listeners {
    /// Of [`FOUR_ROLES`]: what it is there for, and the operator's.
    default: Vec<(Port, Port)>,
    /// The address in the README, and what it is here.
    named: Vec<(&'static str, Port)>,
}

impl Listeners {
    fn reserve(block: &'static str) -> Self {
        let port = || Port::reserve().unwrap();
        let named =
            block.split_whitespace().filter_map(|word| word.split_once("__LISTEN=")).map(|(_, at)| (at, port()));
        Self { default: FOUR_ROLES.map(|_| (port(), port())).into(), named: named.collect() }
    }

    /// A program that stands in front of the one under test and moves the default listeners away from where another
    /// platform on this machine may have its own.
    fn program(&self) -> String {
        let case = |(role, (own, operator)): (&str, &(Port, Port))| {
            let (own, operator, key) = (own.address(), operator.address(), role.to_uppercase());
            format!(
                "  'serve {role}')\n    export PLAYGATE__{key}__LISTEN=\"${{PLAYGATE__{key}__LISTEN:-{own}}}\"\n    \
                 export PLAYGATE__OPERATOR__LISTEN=\"${{PLAYGATE__OPERATOR__LISTEN:-{operator}}}\";;"
            )
        };
        let cases: Vec<String> = FOUR_ROLES.into_iter().zip(&self.default).map(case).collect();
        let lists = FOUR_ROLES.into_iter().zip(&self.default).take(3).map(|(role, (own, _))| {
            format!("export PLAYGATE__DISCOVERY__STATIC__{}='[\"{}\"]'", role.to_uppercase(), own.address())
        });
        let program = env!("CARGO_BIN_EXE_playgate");
        let lists: Vec<String> = lists.collect();
        format!("{}\ncase \"$1 $2\" in\n{}\nesac\nexec {program} \"$@\"", lists.join("\n"), cases.join("\n"))
    }

    /// The public listeners and the operator listeners.
    fn of_gateways(&self) -> Vec<(String, String)> {
        let (own, operator) = &self.default[3];
        let named: Vec<String> = self.named.iter().map(|(_, port)| port.address()).collect();
        // The second gateway is the last line.
        let second = named.last_chunk::<2>().map(|[own, operator]| (own.clone(), operator.clone()));
        [(own.address(), operator.address())].into_iter().chain(second).collect()
    }

    /// The operator listeners.
    fn of_operators(&self) -> Vec<String> {
        let named = self.named.iter().skip(1).step_by(2).map(|(_, port)| port.address());
        self.default.iter().map(|(_, operator)| operator.address()).chain(named).collect()
    }
}

async fn what_the_readme_says_starts_the_roles(shape: Shape) {
    let [needed_by_all, four_roles, fleet] = blocks()[..] else { panic!("three blocks") };
    let (block, gateways) = if shape == Shape::FleetOnNacos { (fleet, 2) } else { (four_roles, 1) };
    let (mariadb, redis, nacos) = (MariaDb::start().unwrap(), Redis::start().unwrap(), Nacos::start().unwrap());
    let listeners = Listeners::reserve(block);
    let directory = tempfile::Builder::new().prefix("playgate-readme-").tempdir().unwrap();
    // What installs or starts a server: the story has its own.
    let port = mariadb.url().trim_end_matches('/').rsplit_once(':').unwrap().1.to_owned();
    let client = format!("mariadb --no-defaults --protocol=tcp --host=127.0.0.1 --port={port} --user=root");
    let sudo = format!("case \"$1\" in\n  apt-get) ;;\n  mariadb) shift; exec {client} \"$@\";;\n  *) exit 1;;\nesac");
    stub(directory.path(), "stubs/sudo", &sudo);
    stub(directory.path(), "stubs/cargo", "");
    stub(directory.path(), "stubs/rnacos", "");
    stub(directory.path(), "target/release/playgate", &listeners.program());
    let (of_redis, of_nacos) = (redis.address(), nacos.address());
    let mut script = format!("{needed_by_all}\n{block}");
    let servers = [("3306", format!("127.0.0.1:{port}")), ("6379", of_redis), ("8848", of_nacos)];
    let servers = servers.into_iter().map(|(port, server)| (format!("127.0.0.1:{port}"), server));
    let named = listeners.named.iter().map(|(written, port)| ((*written).to_owned(), port.address()));
    for (written, here) in servers.chain(named) {
        script = script.replace(&written, &here);
    }

    let mut shell = Shell::run(directory, &script);
    eventually("all is pasted", || {
        let ended = shell.child.try_wait().unwrap();
        assert!(ended.is_none(), "{ended:?}");
        std::future::ready(shell.err().contains("all is pasted").then_some(()))
    })
    .await;
    for address in listeners.of_operators() {
        let operator = Client::operator(address);
        eventually("it is ready", || async {
            let answer = operator.try_send(operator.request(Method::GET, "/readyz")).await.ok()?;
            (answer.status == 200).then_some(())
        })
        .await;
    }
    let app = shell.out();
    let app = app.lines().find(|line| line.contains("app_secret")).expect("it prints the app");
    let app: App = serde_json::from_str(app).unwrap();
    assert_eq!(listeners.of_gateways().len(), gateways);
    let both = "playgate_discovery_instances{service=\"account\"} 2";
    for (number, (public, operator)) in listeners.of_gateways().into_iter().enumerate() {
        // Who has a list knows everybody from the start.
        if shape == Shape::FleetOnNacos {
            let operator = Client::operator(operator);
            eventually("it has found the accounts", || async {
                operator.get("/metrics").await.text.lines().any(|line| line == both).then_some(())
            })
            .await;
        }
        let client = Client::public(vec![public]);
        let player = Player::register(&client, app.app_id, &format!("player_{number}")).await;
        let verdict = GameServer::new(client, app.clone()).verify(&player.tokens.access_token).await;
        assert_eq!(verdict.status, "valid");
    }
}
