//! What happens, in order, on a platform with all its protections and on one with none: how much it can take, a quiet
//! day, the flood, and a quiet day again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};

use super::{
    generator::{Generator, Pace, Sent},
    mix::Mix,
    probe,
    report::{Played, Report},
};
use crate::{
    database,
    load::resident_bytes,
    platform::{Backing, Installation, Platform},
    scenario::Setup,
};

/// How many times as much as it can take is asked of it.
pub(super) const TIMES_CAPACITY: f64 = 5.0;

/// A quiet day: such a part of what it can take.
const QUIET: f64 = 0.1;

/// How long it is asked in turn, for how much it can take.
const CAPACITY_FOR: Duration = Duration::from_secs(5);

/// How long a quiet day is.
const QUIET_FOR: Duration = Duration::from_secs(5);

/// How long the flood lasts.
pub(super) const FLOOD_FOR: Duration = Duration::from_secs(10);

/// Connections of the flood: many more than the platform can serve at a time, as a flood has.
const FLOOD_CONNECTIONS: usize = 2_000;

/// What the platform is allowed to have: the edge's own caps are not what is tried here.
const CONNECTIONS_MAX: usize = 3_000;

/// Between two looks at the memory.
const LOOK: Duration = Duration::from_millis(100);

/// None of the protections.
const OFF: &str = "[switches]
limits = false
shedding = false
cpu = false
breaker = false
ejection = false
retry = false
backup = false
bulkhead = false
lanes = false
";

/// Plays it. An error: it could not be played.
pub fn play(setup: &Setup<'_>, progress: impl Fn(&str)) -> Result<Report> {
    progress("starting one platform with everything on, and one with everything off");
    let databases = [database::start_server()?, database::start_server()?];
    let [of_on, of_off] = databases.each_ref().map(database::url);
    let installations = [installation(setup, of_on, "")?, installation(setup, of_off, OFF)?];
    let stages = installations.iter().map(Stage::new).collect::<Result<Vec<_>>>()?;
    let [on, off] = &stages[..] else { return Err(anyhow!("there are two platforms")) };
    let mut capacity: f64 = 0.0;
    for (name, stage) in [("on", on), ("off", off)] {
        progress(&format!("how much it can take, everything {name}"));
        stage.in_turn(setup, setup.plan.warm_up)?;
        capacity = capacity.max(stage.in_turn(setup, CAPACITY_FOR)?);
    }
    progress(&format!("it can take {capacity:.0} a second"));
    let mut played = Vec::new();
    for (name, stage) in [("on", on), ("off", off)] {
        progress(&format!("a quiet day, the flood, and a quiet day again, everything {name}"));
        played.push(stage.play(capacity)?);
    }
    let off = played.pop().context("both were played")?;
    let on = played.pop().context("both were played")?;
    Ok(Report::new(capacity, &on, &off))
}

fn installation(setup: &Setup<'_>, database_url: String, rules: &str) -> Result<Installation> {
    let backing = Backing { database_url: Some(database_url), ..Backing::default() };
    Installation::on(backing, setup.program, setup.workers)?.with_rules(rules, CONNECTIONS_MAX)
}

struct Stage {
    platform: Platform,
    mix: Arc<Mix>,
}

impl Stage {
    fn new(installation: &Installation) -> Result<Self> {
        let platform = installation.start_merged()?;
        let mix = Arc::new(Mix::new(&platform)?);
        Ok(Self { platform, mix })
    }

    fn generator(&self, connections: usize) -> Generator {
        Generator { address: self.platform.address.clone(), mix: Arc::clone(&self.mix), connections }
    }

    /// Good answers per second.
    fn in_turn(&self, setup: &Setup<'_>, duration: Duration) -> Result<f64> {
        let sent = self.generator(setup.connections).run(Pace::InTurn, duration)?;
        Ok(Played::good_per_second(&sent, duration))
    }

    fn play(&self, capacity: f64) -> Result<Played> {
        let quiet = Pace::Even(capacity * QUIET);
        let (_, before) = self.probed(|| self.generator(FLOOD_CONNECTIONS).run(quiet, QUIET_FOR))?;
        let resident_before = self.resident()?;
        let ((flood, probed), resident_most) = self.watched(|| {
            self.probed(|| self.generator(FLOOD_CONNECTIONS).run(Pace::Even(capacity * TIMES_CAPACITY), FLOOD_FOR))
        })?;
        let after = self.generator(FLOOD_CONNECTIONS).run(quiet, QUIET_FOR)?;
        let grown = resident_most.max(self.resident()?).saturating_sub(resident_before);
        Ok(Played { before, flood, probed, after, grown })
    }

    /// With what one saw who asked meanwhile.
    fn probed<T>(&self, load: impl FnOnce() -> Result<T>) -> Result<(T, Vec<Sent>)> {
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let asking = scope.spawn(|| probe::ask(&self.platform.address, &self.mix, &is_over));
            let loaded = load();
            is_over.store(true, Ordering::Relaxed);
            let seen = asking.join().map_err(|_| anyhow!("whoever asked beside the load panicked"))?;
            Ok((loaded?, seen))
        })
    }

    /// With the most memory that the platform had meanwhile.
    fn watched<T>(&self, load: impl FnOnce() -> Result<T>) -> Result<(T, u64)> {
        let is_over = AtomicBool::new(false);
        let processes = self.platform.process_ids();
        thread::scope(|scope| {
            let watching = scope.spawn(|| {
                let mut most = 0;
                while !is_over.load(Ordering::Relaxed) {
                    let bytes = processes.iter().map(|process| resident_bytes(*process)).sum::<Result<u64>>()?;
                    most = bytes.max(most);
                    thread::sleep(LOOK);
                }
                Ok::<_, anyhow::Error>(most)
            });
            let loaded = load();
            is_over.store(true, Ordering::Relaxed);
            let most = watching.join().map_err(|_| anyhow!("whoever watched the memory panicked"))??;
            Ok((loaded?, most))
        })
    }

    fn resident(&self) -> Result<u64> {
        self.platform.process_ids().into_iter().map(resident_bytes).sum()
    }
}
