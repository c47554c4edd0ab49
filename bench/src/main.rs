//! `cargo xtask bench [verify|settings|login|orders|callbacks|ingest|ingest_fairness|ingest_overload|login_verify|storm|flood|footprint|limits]...`: our claims, beside their peers, on this machine.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a developer command talks to its terminal")]

use std::{env, fs, path::PathBuf, process::ExitCode, thread, time::Duration};

use anyhow::{Context, Result, ensure};
use bench::{
    contention, flood, footprint, ingest, purchases,
    report::{self, Results},
    rounds::Plan,
    scenario::{Group, Setup},
    storm,
};
use clap::Parser;

#[derive(Parser)]
#[command(name = "bench", about = "Load scenarios beside the peers that bound them", version)]
struct Arguments {
    /// What to measure; verify, settings, login, login_verify and footprint if left out.
    groups: Vec<Group>,

    /// Turns: every target is measured once in each. The storm is played once.
    #[arg(long, default_value_t = 5)]
    rounds: usize,

    /// Seconds of one measurement. The storm takes its own time.
    #[arg(long, default_value_t = 5)]
    seconds: u64,

    /// Connections of the generator.
    #[arg(long, default_value_t = 64)]
    connections: usize,

    /// Players who are online in the storm.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..))]
    players: u32,

    /// Minutes that partners push too much.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    minutes: u32,

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
    // What a storm or an overload breaks is reported after everything else was measured and written.
    let mut broken = 0;
    for group in groups {
        broken += run_group(*group, &setup, arguments, &mut results)?;
    }
    if let Some(path) = &arguments.json {
        let text = serde_json::to_string_pretty(&results)?;
        fs::write(path, text + "\n").with_context(|| format!("{} can't be written", path.display()))?;
    }
    ensure!(broken == 0, "{broken} promises were broken");
    Ok(())
}

/// How many promises were broken.
fn run_group(group: Group, setup: &Setup<'_>, arguments: &Arguments, results: &mut Results) -> Result<usize> {
    let measured = match group {
        Group::Verify => setup.verify(progress)?,
        Group::Settings => setup.settings(progress)?,
        Group::Login => setup.login(progress)?,
        Group::Orders => purchases::orders(setup, progress)?,
        Group::Callbacks => purchases::callbacks(setup, progress)?,
        Group::Ingest => setup.ingest(progress)?,
        Group::Limits => setup.limits(progress)?,
        Group::LoginVerify => {
            let contention = contention::measure(setup, progress)?;
            println!("\n{contention}");
            results.add_login_verify(contention);
            return Ok(0);
        }
        Group::IngestFairness => {
            let fairness = ingest::fairness::measure(setup, progress)?;
            println!("\n{fairness}");
            results.add_ingest_fairness(fairness);
            return Ok(0);
        }
        Group::IngestOverload => {
            let duration = Duration::from_secs(60) * arguments.minutes;
            let overload = ingest::overload::play(setup, duration, progress)?;
            println!("\n{overload}");
            let broken = overload.violations().len();
            results.add_ingest_overload(overload);
            return Ok(broken);
        }
        Group::Footprint => {
            let footprint = footprint::measure(setup.program, setup.workers, progress)?;
            println!("\nidle: {:.1} MB, exec to ready: {:.0} ms", footprint.idle_mb, footprint.exec_to_ready_ms);
            results.add_footprint(footprint);
            return Ok(0);
        }
        Group::Flood => {
            let report = flood::play(setup, progress)?;
            println!("\n{report}");
            results.add_flood(report);
            return Ok(0);
        }
        Group::Storm => {
            let report = storm::play(setup, arguments.players.try_into()?, progress)?;
            println!("\n{report}");
            let broken = report.violations().len();
            results.add_storm(report);
            return Ok(broken);
        }
    };
    println!("\n{}", report::table(&measured));
    results.add(&measured);
    Ok(0)
}

fn progress(text: &str) {
    eprintln!("  {text}");
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Arguments::command().debug_assert();
    }
}
