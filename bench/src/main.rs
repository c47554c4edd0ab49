//! `cargo xtask bench [verify|login|footprint]...`: our claims, beside their peers, on this machine.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a developer command talks to its terminal")]

use std::{env, fs, path::PathBuf, process::ExitCode, thread, time::Duration};

use anyhow::{Context, Result};
use bench::{
    footprint,
    report::{self, Results},
    rounds::Plan,
    scenario::{Group, Setup},
};
use clap::Parser;

#[derive(Parser)]
#[command(name = "bench", about = "Load scenarios beside the peers that bound them", version)]
struct Arguments {
    /// What to measure; verify, login and footprint if left out.
    groups: Vec<Group>,

    /// Turns: every target is measured once in each.
    #[arg(long, default_value_t = 5)]
    rounds: usize,

    /// Seconds of one measurement.
    #[arg(long, default_value_t = 5)]
    seconds: u64,

    /// Connections of the generator.
    #[arg(long, default_value_t = 64)]
    connections: usize,

    /// Threads that serve requests in each server process, ours and the peers'. Half of the cores if left out: the
    /// generator needs the other half.
    #[arg(long)]
    workers: Option<usize>,

    /// Writes the results there, as one JSON object.
    #[arg(long)]
    json: Option<PathBuf>,

    /// The platform's program; the `playgate` beside this one if left out.
    #[arg(long)]
    playgate: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let here = env::current_exe()?;
    let peers = here.parent().context("this program is in no directory")?;
    let program = arguments.playgate.clone().unwrap_or_else(|| peers.join("playgate"));
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let setup = Setup {
        program: &program,
        peers,
        workers: arguments.workers.unwrap_or(cores / 2).max(1),
        connections: arguments.connections,
        plan: Plan {
            rounds: arguments.rounds.max(1),
            duration: Duration::from_secs(arguments.seconds),
            warm_up: Duration::from_secs(2),
        },
    };
    println!(
        "{cores} cores shared by generator and servers, worker threads per server process: {}; {} connections, {} rounds of {} s",
        setup.workers, setup.connections, setup.plan.rounds, arguments.seconds
    );
    let groups = if arguments.groups.is_empty() { &Group::DEFAULT[..] } else { &arguments.groups };
    let mut results = Results::default();
    for group in groups {
        run_group(*group, &setup, &mut results)?;
    }
    if let Some(path) = &arguments.json {
        let text = serde_json::to_string_pretty(&results)?;
        fs::write(path, text + "\n").with_context(|| format!("{} can't be written", path.display()))?;
    }
    Ok(())
}

fn run_group(group: Group, setup: &Setup<'_>, results: &mut Results) -> Result<()> {
    let progress = |text: &str| eprintln!("  {text}");
    let measured = match group {
        Group::Verify => setup.verify(progress)?,
        Group::Login => setup.login(progress)?,
        Group::Limits => setup.limits(progress)?,
        Group::Footprint => {
            let footprint = footprint::measure(setup.program, setup.workers, progress)?;
            println!("\nidle: {:.1} MB, exec to ready: {:.0} ms", footprint.idle_mb, footprint.exec_to_ready_ms);
            results.add_footprint(footprint);
            return Ok(());
        }
    };
    println!("\n{}", report::table(&measured));
    results.add(&measured);
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Arguments::command().debug_assert();
    }
}
