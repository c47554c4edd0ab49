//! How busy the processor is: parsers of what Linux tells, and a mean of it.
//!
//! Protects: what latency does not show. A process at its CPU quota is stopped for the rest of each 100 ms; by the time
//! latency tells, requests have been waiting for it.
//!
//! Reading the files is the caller's, four times a second: in a container `/sys/fs/cgroup/cpu.stat`, `cpu.max` and
//! `cpu.pressure` (cgroup v2, Linux `Documentation/admin-guide/cgroup-v2.rst`), otherwise the first line of `/proc/stat`.
//! The mean has β = 0.95 per 250 ms, and above `threshold` (0.9) the limit is multiplied by
//! `clamp((1 − cpu) / (1 − threshold), least, 1)` (go-zero `core/load/adaptiveshedder.go` and `core/stat`). Other than
//! go-zero this counts the quota of the container and not the cores of its host.
//!
//! A processor that is busy is no overload: at 100 % and its usual latency a server does what it was bought for. As
//! go-zero looks at the requests in flight besides, the factor counts only while requests are `slowdown` times slower
//! than usual ([`crate::class_gradient`]).

use std::{str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    moment::Moment,
    problems::{Check, Problems},
};

/// When CPU counts as scarce.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CpuConfig {
    /// The share of the quota above which limits are lowered.
    pub threshold: f64,
    /// The least that is left of a limit, so that latency goes on being measured. go-zero has 0.1; here what waits for
    /// a database counts as well, and a tenth would leave the processor idle.
    pub least: f64,
    /// How much of the mean stays after 250 ms.
    pub beta: f64,
    /// How many times slower than usual requests have to be for scarce CPU to lower limits. 1: always.
    pub slowdown: f64,
}

impl Default for CpuConfig {
    fn default() -> Self {
        Self { threshold: 0.9, least: 0.25, beta: 0.95, slowdown: 1.25 }
    }
}

impl Check for CpuConfig {
    fn check(&self, problems: &mut Problems) {
        problems.number("threshold", self.threshold, 0.1..=0.99);
        problems.number("least", self.least, 0.01..=1.0);
        problems.number("beta", self.beta, 0.0..=0.999);
        problems.number("slowdown", self.slowdown, 1.0..=100.0);
    }
}

/// A text that is not what the kernel writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the text of {0}")]
pub struct Unreadable(&'static str);

/// `cpu.stat` of a cgroup: since its beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CgroupStat {
    /// CPU time that was used.
    pub used: Duration,
    /// Time in which it was ready to run and was not let, because its quota was used up.
    pub throttled: Duration,
}

/// `cpu.max`: how much CPU time a cgroup gets per time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CpuMax {
    /// As much as there is.
    Unlimited,
    /// So many cores' worth.
    Cores(f64),
}

/// `cpu.pressure` (PSI): the share of time in which somebody waited for the CPU, in percent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pressure {
    /// Of the last ten seconds.
    pub avg10: f64,
    /// Of the last minute.
    pub avg60: f64,
    /// All of it.
    pub total: Duration,
}

/// The first line of `/proc/stat`, in ticks since boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostStat {
    busy: u64,
    all: u64,
}

impl FromStr for CgroupStat {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.and_then(|value| value.trim().parse().ok()).map(Duration::from_micros)
        };
        let used = value("usage_usec").ok_or(Unreadable("cpu.stat"))?;
        // Absent where the cpu controller is not enabled.
        Ok(Self { used, throttled: value("throttled_usec").unwrap_or_default() })
    }
}

impl FromStr for CpuMax {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let unreadable = Unreadable("cpu.max");
        let mut parts = text.split_whitespace();
        let quota = parts.next().ok_or(unreadable)?;
        // The period may be missing; then it is the kernel's default.
        let period: u32 = parts.next().map_or(Ok(100_000), str::parse).map_err(|_| unreadable)?;
        if quota == "max" {
            return Ok(Self::Unlimited);
        }
        match (quota.parse::<u32>(), period) {
            (Ok(quota @ 1..), 1..) => Ok(Self::Cores(f64::from(quota) / f64::from(period))),
            _ => Err(unreadable),
        }
    }
}

impl CpuMax {
    /// How many cores' worth there is on a host of `cores`.
    pub fn of(self, cores: usize) -> f64 {
        match self {
            Self::Unlimited => cores.max(1) as f64,
            Self::Cores(quota) => quota.min(cores.max(1) as f64),
        }
    }
}

impl FromStr for Pressure {
    type Err = Unreadable;

    /// Takes the line `some`: the other, `full`, says nothing about CPU.
    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let some = text.lines().find_map(|line| line.strip_prefix("some ")).ok_or(Unreadable("cpu.pressure"))?;
        let value = |name: &str| {
            let value = some.split_whitespace().find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
            value.ok_or(Unreadable("cpu.pressure"))
        };
        let percent = |name| match value(name)?.parse::<f64>() {
            Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent),
            _ => Err(Unreadable("cpu.pressure")),
        };
        let total = value("total")?.parse().map_err(|_| Unreadable("cpu.pressure"))?;
        Ok(Self { avg10: percent("avg10")?, avg60: percent("avg60")?, total: Duration::from_micros(total) })
    }
}

impl FromStr for HostStat {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let unreadable = Unreadable("/proc/stat");
        let line = text.lines().next().and_then(|line| line.strip_prefix("cpu ")).ok_or(unreadable)?;
        let ticks: Vec<u64> =
            line.split_whitespace().take(8).map(str::parse).collect::<Result<_, _>>().map_err(|_| unreadable)?;
        // user nice system idle iowait irq softirq steal; what follows is counted in these already.
        let [_, _, _, idle, iowait, ..] = ticks[..] else { return Err(unreadable) };
        let all = ticks.iter().fold(0_u64, |sum, ticks| sum.saturating_add(*ticks));
        Ok(Self { busy: all.saturating_sub(idle).saturating_sub(iowait), all })
    }
}

impl CgroupStat {
    /// The share of its CPU time that was used since `earlier`, `elapsed` ago, with `cores` worth of it. A time of being
    /// throttled counts as one in which all was used.
    pub fn share_since(&self, earlier: &Self, elapsed: Duration, cores: f64) -> f64 {
        let of = |part: Duration, whole: f64| if whole > 0.0 { part.as_secs_f64() / whole } else { 0.0 };
        let used = of(self.used.saturating_sub(earlier.used), elapsed.as_secs_f64() * cores);
        let throttled = of(self.throttled.saturating_sub(earlier.throttled), elapsed.as_secs_f64());
        used.max(throttled).clamp(0.0, 1.0)
    }
}

impl HostStat {
    /// The share of the host's CPU time that was used since `earlier`.
    pub fn share_since(&self, earlier: &Self) -> f64 {
        match self.all.saturating_sub(earlier.all) {
            0 => 0.0,
            all => (self.busy.saturating_sub(earlier.busy) as f64 / all as f64).clamp(0.0, 1.0),
        }
    }
}

/// The mean of shares, and what it does to a limit.
#[derive(Clone, Copy, Debug, Default)]
pub struct CpuMean {
    mean: Option<f64>,
    at: Moment,
}

impl CpuMean {
    /// Learns the share of the time since the last call, however long that was.
    pub fn observe(&mut self, config: &CpuConfig, now: Moment, share: f64) -> f64 {
        let quarters = now.since(self.at).as_secs_f64() / 0.25;
        let stays = config.beta.powf(quarters);
        let mean = self.mean.map_or(share, |mean| mean * stays + share * (1.0 - stays));
        (self.mean, self.at) = (Some(mean), now);
        mean
    }

    /// The mean; 0 before anything was observed.
    pub fn share(&self) -> f64 {
        self.mean.unwrap_or(0.0)
    }
}

/// What is left of a limit at a CPU share, of requests so many times slower than usual: all of it up to the threshold,
/// then ever less.
pub fn factor_when(config: &CpuConfig, share: f64, slowdown: f64) -> f64 {
    if slowdown < config.slowdown { 1.0 } else { factor(config, share) }
}

/// What is left of a limit at a CPU share: all of it up to the threshold, then ever less.
pub fn factor(config: &CpuConfig, share: f64) -> f64 {
    ((1.0 - share) / (1.0 - config.threshold)).clamp(config.least, 1.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_the_kernel_writes_is_read() {
        let stat: CgroupStat =
            "usage_usec 5000000\nuser_usec 4000000\nsystem_usec 1000000\nnr_periods 10\nnr_throttled 3\nthrottled_usec 250000\n"
                .parse()
                .expect("cpu.stat");
        assert_eq!(stat, CgroupStat { used: Duration::from_secs(5), throttled: Duration::from_millis(250) });
        assert_eq!("max 100000\n".parse(), Ok(CpuMax::Unlimited));
        assert_eq!("150000 100000\n".parse(), Ok(CpuMax::Cores(1.5)));
        let pressure: Pressure =
            "some avg10=12.50 avg60=3.00 avg300=0.10 total=1234567\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
                .parse()
                .expect("cpu.pressure");
        assert_eq!((pressure.avg10, pressure.avg60, pressure.total), (12.5, 3.0, Duration::from_micros(1_234_567)));
        let host: HostStat = "cpu  100 0 50 800 40 5 5 0 0 0\ncpu0 1 2 3\n".parse().expect("/proc/stat");
        assert_eq!(host, HostStat { busy: 160, all: 1000 });
    }

    #[test]
    fn a_quota_counts_and_not_the_cores_of_the_host() {
        let before = CgroupStat::default();
        let after = CgroupStat { used: Duration::from_millis(450), throttled: Duration::ZERO };
        let half = CpuMax::Cores(0.5).of(64);
        assert!((after.share_since(&before, Duration::from_secs(1), half) - 0.9).abs() < 1e-9);
        assert!((CpuMax::Cores(8.0).of(2) - 2.0).abs() < 1e-9);
        assert!((CpuMax::Unlimited.of(4) - 4.0).abs() < 1e-9);
    }

    #[test]
    fn being_throttled_is_being_busy() {
        let after = CgroupStat { used: Duration::from_millis(200), throttled: Duration::from_millis(950) };
        assert!(after.share_since(&CgroupStat::default(), Duration::from_secs(1), 2.0) > 0.94);
    }

    #[test]
    fn the_mean_keeps_beta_of_itself_per_quarter_of_a_second() {
        let (config, mut mean) = (CpuConfig::default(), CpuMean::default());
        mean.observe(&config, Moment::START, 0.0);
        let quarter = Moment::START + Duration::from_millis(250);
        assert!((mean.observe(&config, quarter, 1.0) - 0.05).abs() < 1e-9);
        let mut later = mean;
        let half = quarter + Duration::from_millis(500);
        assert!((later.observe(&config, half, 1.0) - (1.0 - 0.95 * 0.95 * 0.95)).abs() < 1e-9, "in one step or in two");
    }

    #[test]
    fn above_the_threshold_limits_shrink_and_never_to_nothing() {
        let config = CpuConfig::default();
        for (share, expected) in [(0.0, 1.0), (0.9, 1.0), (0.95, 0.5), (0.99, 0.25), (1.0, 0.25)] {
            assert!((factor(&config, share) - expected).abs() < 1e-6, "{share}");
        }
    }

    #[test]
    fn a_busy_processor_at_its_usual_latency_lowers_nothing() {
        let config = CpuConfig::default();
        let factors = [1.0, 1.2, 1.3].map(|slowdown| factor_when(&config, 1.0, slowdown));
        assert!(factors.iter().zip([1.0, 1.0, 0.25]).all(|(factor, expected)| (factor - expected).abs() < 1e-9));
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in "(cpu|some|usage_usec|max|avg10=|total=|[0-9.e -]|\n){0,40}") {
            let _ = text.parse::<CgroupStat>();
            let _ = text.parse::<CpuMax>();
            let _ = text.parse::<Pressure>();
            let _ = text.parse::<HostStat>();
        }

        #[test]
        fn a_share_is_a_share_whatever_the_counters_do(
            before in any::<[u64; 2]>(), after in any::<[u64; 2]>(), elapsed in any::<u64>(), cores in 0.0_f64..1e3,
        ) {
            let stat = |[used, throttled]: [u64; 2]| {
                CgroupStat { used: Duration::from_nanos(used), throttled: Duration::from_nanos(throttled) }
            };
            let share = stat(after).share_since(&stat(before), Duration::from_nanos(elapsed), cores);
            prop_assert!((0.0..=1.0).contains(&share));
        }
    }
}
