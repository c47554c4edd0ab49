//! How busy the processor is: read four times a second, in small files that the kernel makes up.
//!
//! In a container with a quota, the quota of its cgroup (v2); without one, the machine's. What can't be read counts as
//! idle: then limits are what latency says of them.

use std::{
    io,
    path::{Path, PathBuf},
    str::FromStr,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread::available_parallelism,
    time::Duration,
};

use govern::cpu::{CgroupStat, CpuMax, CpuMean, HostStat};
use tokio::{
    fs,
    time::{Instant, MissedTickBehavior, interval},
};

use crate::governance::Governance;

/// The time that the constants of the mean are made for.
const EVERY: Duration = Duration::from_millis(250);

/// The share of the CPU that is in use: a mean of seconds.
#[derive(Debug, Default)]
pub(super) struct Processor {
    /// The bits of a fraction.
    share: AtomicU64,
}

/// Where the kernel tells of it.
#[derive(Clone, Debug)]
pub(super) struct Sources {
    pub(super) proc: PathBuf,
    pub(super) cgroup: PathBuf,
}

impl Default for Sources {
    fn default() -> Self {
        Self { proc: PathBuf::from("/proc"), cgroup: PathBuf::from("/sys/fs/cgroup") }
    }
}

/// What was read at one time.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reading {
    Cgroup { stat: CgroupStat, cores: f64 },
    Machine(HostStat),
}

impl Processor {
    /// Of all there is: 0 is idle, and what is said before anything was read.
    pub(super) fn share(&self) -> f64 {
        f64::from_bits(self.share.load(Relaxed))
    }

    pub(super) fn is_used(&self, share: f64) {
        self.share.store(share.to_bits(), Relaxed);
    }

    /// Reads for as long as it is polled, and calls `changed` after each time.
    pub(super) async fn watch(&self, governance: &Governance, sources: Sources, changed: impl Fn()) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut mean, mut before, mut has_failed) = (CpuMean::default(), None, false);
        loop {
            ticks.tick().await;
            let at = Instant::now();
            match sources.read().await {
                Ok(reading) => {
                    let share = before.and_then(|(earlier, then)| reading.share_since(earlier, at - then));
                    if let Some(share) = share {
                        let config = governance.current().cpu;
                        self.is_used(mean.observe(&config, governance.now(), share));
                    }
                    before = Some((reading, at));
                }
                Err(error) => {
                    if !has_failed {
                        tracing::warn!(%error, "the CPU in use can't be read: limits are not lowered by it");
                    }
                    (mean, before, has_failed) = (CpuMean::default(), None, true);
                    self.is_used(0.0);
                }
            }
            changed();
        }
    }
}

impl Sources {
    pub(super) async fn read(&self) -> io::Result<Reading> {
        match self.quota().await {
            Some(reading) => Ok(reading),
            None => Ok(Reading::Machine(parsed(&self.proc.join("stat")).await?)),
        }
    }

    /// What was used of a quota, if there is one. Looked for each time: it can be changed while a process runs.
    async fn quota(&self) -> Option<Reading> {
        // In a container the root of what it sees is its own; on a machine the group has a path.
        let groups = fs::read_to_string(self.proc.join("self/cgroup")).await.unwrap_or_default();
        let own = groups.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
        for group in [self.cgroup.join(own), self.cgroup.clone()] {
            let Ok(max @ CpuMax::Cores(_)) = parsed::<CpuMax>(&group.join("cpu.max")).await else { continue };
            if let Ok(stat) = parsed(&group.join("cpu.stat")).await {
                // Beyond the cores there are a quota is none; those that the process may not use are not counted.
                let cores = max.of(available_parallelism().map_or(usize::MAX, |cores| cores.get().max(1)));
                return Some(Reading::Cgroup { stat, cores });
            }
        }
        None
    }
}

impl Reading {
    /// None when the two are not of one kind: the quota came or went in between.
    pub(super) fn share_since(self, earlier: Self, elapsed: Duration) -> Option<f64> {
        match (self, earlier) {
            (Self::Cgroup { stat, cores }, Self::Cgroup { stat: earlier, .. }) => {
                Some(stat.share_since(&earlier, elapsed, cores))
            }
            (Self::Machine(stat), Self::Machine(earlier)) => Some(stat.share_since(&earlier)),
            _ => None,
        }
    }
}

async fn parsed<T: FromStr<Err: std::error::Error + Send + Sync + 'static>>(path: &Path) -> io::Result<T> {
    let in_file = |error: &dyn std::fmt::Display| io::Error::other(format!("{}: {error}", path.display()));
    let text = fs::read_to_string(path).await.map_err(|error| in_file(&error))?;
    text.parse().map_err(|error| in_file(&error))
}
