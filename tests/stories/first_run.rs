//! Somebody checks the project out and starts it: it makes what it needs, and says what to type next.

use std::{
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
};

use tempfile::TempDir;
use xtask::{
    ports::Port,
    process::{OwnedProcess, Signal},
};

use crate::support::{Client, PATIENCE, Shape, eventually, in_one_process, playgate, run_to_end};

in_one_process!(
    the_commands_of_the_banner_work_as_printed,
    what_the_first_run_printed_still_works_after_a_restart,
    the_commands_work_in_a_directory_of_their_own_and_leave_it_empty,
);

/// `playgate` with nothing but listeners configured, in an empty directory.
struct FirstRun {
    // Dropped in this order.
    process: OwnedProcess,
    gateway: Port,
    operator: Port,
    directory: TempDir,
}

impl FirstRun {
    async fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), Port::reserve().unwrap(), Port::reserve().unwrap()).await
    }

    async fn start_in(directory: TempDir, gateway: Port, operator: Port) -> Self {
        let settings = [("gateway.listen", gateway.address()), ("operator.listen", operator.address())];
        let settings = settings.map(|(key, value)| (key.to_owned(), value)).to_vec();
        let output = |name| File::options().append(true).create(true).open(directory.path().join(name)).unwrap();
        // No sub-command: serving everything is what it does by itself.
        let mut command = playgate(directory.path(), &settings);
        command.stdout(output("stdout")).stderr(output("stderr"));
        let process = OwnedProcess::spawn(&mut command, Some(directory.path())).unwrap();
        let readyz = Client::operator(operator.address());
        eventually("it is ready", || async {
            let answer = readyz.try_send(readyz.request(reqwest::Method::GET, "/readyz")).await;
            answer.ok().filter(|answer| answer.status == 200)
        })
        .await;
        Self { process, gateway, operator, directory }
    }

    /// The commands printed for the one who started it.
    async fn commands(&self) -> Vec<String> {
        eventually("three commands are printed", || async {
            let printed = fs::read_to_string(self.directory.path().join("stdout")).unwrap();
            Some(commands(&printed)).filter(|commands| commands.len() == 3)
        })
        .await
    }
}

/// The commands in what was printed: each stands below a line that begins with `# ` and ends at the next empty line.
fn commands(printed: &str) -> Vec<String> {
    let lines: Vec<&str> = printed.lines().map(str::trim).collect();
    let below_a_comment = |at: usize| lines[at].starts_with("# ");
    (0..lines.len())
        .filter(|at| below_a_comment(*at))
        .map(|at| {
            lines[at + 1..].iter().take_while(|line| !line.is_empty() && !line.starts_with('#')).copied().collect()
        })
        .map(|command: Vec<&str>| command.join("\n"))
        .filter(|command| !command.is_empty())
        .collect()
}

/// Types commands into one shell, one after the other, and answers what each of them printed.
async fn type_into_a_shell(directory: &Path, commands: &[String]) -> Vec<String> {
    const NEXT: &str = "---next---";
    let script = commands.join(&format!("\necho; echo {NEXT}\n"));
    let mut shell = Command::new("sh");
    shell.args(["-e", "-c", &script]).current_dir(directory).stdin(Stdio::null());
    let output = run_to_end(shell).await;
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{script}\n{shown}\n{}", String::from_utf8_lossy(&output.stderr));
    shown.split(NEXT).map(ToOwned::to_owned).collect()
}

/// Login, verify and settings were answered, and the token was good.
fn assert_answered(shown: &[String]) {
    for (shown, part) in shown.iter().zip(["access_token", "\"valid\"", "revision"]) {
        assert!(shown.contains("2000000") && shown.contains(part), "no {part} in {shown}");
    }
}

async fn the_commands_of_the_banner_work_as_printed(_shape: Shape) {
    let run = FirstRun::start().await;
    assert!(run.directory.path().join("data").is_dir(), "./data is made");
    let commands = run.commands().await;
    assert_answered(&type_into_a_shell(run.directory.path(), &commands).await);
    assert_answered(&type_into_a_shell(run.directory.path(), &commands).await);
}

async fn what_the_first_run_printed_still_works_after_a_restart(_shape: Shape) {
    let mut run = FirstRun::start().await;
    let commands = run.commands().await;
    run.process.signal(Signal::Terminate).unwrap();
    assert!(run.process.wait_at_most(PATIENCE).unwrap().is_some_and(|status| status.success()));
    let run = FirstRun::start_in(run.directory, run.gateway, run.operator).await;
    assert_answered(&type_into_a_shell(run.directory.path(), &commands).await);
}

async fn the_commands_work_in_a_directory_of_their_own_and_leave_it_empty(_shape: Shape) {
    let run = FirstRun::start().await;
    let elsewhere = tempfile::tempdir().unwrap();
    assert_answered(&type_into_a_shell(elsewhere.path(), &run.commands().await).await);
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}
