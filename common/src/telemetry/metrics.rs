//! The metrics registry, and what the process measures about itself.
//!
//! Every module registers its own collectors in a small struct of its own. Labels are bounded: a route pattern, a code,
//! a name from an enum; never an id, an address or a text from a request.

use std::sync::{Mutex, PoisonError};

use prometheus::{
    Counter, IntCounter, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
    core::{Collector, Desc},
    proto::MetricFamily,
};
use tokio::runtime::Handle;

use crate::telemetry::BuildInfo;

/// A registry that tells the build and, on Linux, the process's CPU time, memory and file descriptors.
///
/// Fails only when a collector can't be described, which is a mistake in this module.
pub fn new_registry(build: &BuildInfo) -> Result<Registry, prometheus::Error> {
    let registry = Registry::new();
    let info = IntGaugeVec::new(
        Opts::new("playgate_build_info", "Always 1; the labels say which build is running."),
        &["version", "commit"],
    )?;
    info.with_label_values(&[build.version, build.commit.unwrap_or("unknown")]).set(1);
    registry.register(Box::new(info))?;
    #[cfg(target_os = "linux")]
    registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
    Ok(registry)
}

/// Adds the async runtime's own numbers: workers, tasks, the shared queue, busy time.
pub fn observe_runtime(registry: &Registry, runtime: &Handle) -> Result<(), prometheus::Error> {
    registry.register(Box::new(RuntimeCollector::new(runtime.clone())?))
}

/// All metrics in the Prometheus text format 0.0.4 ([`prometheus::TEXT_FORMAT`]). Reads `/proc`: not for async threads.
pub fn encode(registry: &Registry) -> Result<String, prometheus::Error> {
    TextEncoder::new().encode_to_string(&registry.gather())
}

/// The counter of lines that a log lost. `log` is `process` or `access`.
pub(super) fn dropped_lines(registry: &Registry, log: &'static str) -> Result<IntCounter, prometheus::Error> {
    let counter = IntCounter::with_opts(
        Opts::new("playgate_log_lines_dropped_total", "Log lines that found no room or could not be written.")
            .const_label("log", log),
    )?;
    registry.register(Box::new(counter.clone()))?;
    Ok(counter)
}

/// Reads the runtime when it is asked, so that nothing runs between scrapes.
struct RuntimeCollector {
    runtime: Handle,
    /// Held while collecting: two scrapes at once must not both add the same busy time.
    collecting: Mutex<()>,
    workers: IntGauge,
    tasks: IntGauge,
    queued: IntGauge,
    busy: Counter,
}

impl RuntimeCollector {
    fn new(runtime: Handle) -> Result<Self, prometheus::Error> {
        Ok(Self {
            runtime,
            collecting: Mutex::new(()),
            workers: IntGauge::new("playgate_runtime_workers", "Threads that run async tasks.")?,
            tasks: IntGauge::new("playgate_runtime_tasks", "Async tasks that exist.")?,
            queued: IntGauge::new(
                "playgate_runtime_queued_tasks",
                "Async tasks in the queue that all workers share; lasting values mean too few workers or one that is blocked.",
            )?,
            busy: Counter::new(
                "playgate_runtime_busy_seconds_total",
                "Time the workers spent on tasks; as a rate, divided by the workers, it is their load.",
            )?,
        })
    }
}

impl Collector for RuntimeCollector {
    fn desc(&self) -> Vec<&Desc> {
        [self.workers.desc(), self.tasks.desc(), self.queued.desc(), self.busy.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let _alone = self.collecting.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.runtime.metrics();
        let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.workers.set(gauge(now.num_workers()));
        self.tasks.set(gauge(now.num_alive_tasks()));
        self.queued.set(gauge(now.global_queue_depth()));
        let busy: f64 = (0..now.num_workers()).map(|worker| now.worker_total_busy_duration(worker).as_secs_f64()).sum();
        self.busy.inc_by((busy - self.busy.get()).max(0.0));
        [self.workers.collect(), self.tasks.collect(), self.queued.collect(), self.busy.collect()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUILD: BuildInfo = BuildInfo { name: "playgate", version: "1.2.3", commit: None, rustc: "rustc" };

    /// The value of the sample that starts with `name`.
    fn sample(text: &str, name: &str) -> f64 {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name} in {text}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    #[test]
    fn the_build_and_the_process_are_measured() {
        let text = encode(&new_registry(&BUILD).unwrap()).unwrap();
        assert!(text.contains(r#"playgate_build_info{commit="unknown",version="1.2.3"} 1"#), "{text}");
        for name in ["process_resident_memory_bytes", "process_open_fds", "process_max_fds", "process_threads"] {
            assert!(sample(&text, name) > 0.0, "{name}");
        }
        assert!(sample(&text, "process_cpu_seconds_total") >= 0.0);
    }

    #[tokio::test]
    async fn the_runtime_is_measured_and_its_busy_time_is_added_once() {
        let registry = Registry::new();
        observe_runtime(&registry, &Handle::current()).unwrap();
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(std::future::pending::<()>());
        // The runtime counts its busy time when it goes to sleep, which waiting for another thread makes it do.
        let busy = || Handle::current().metrics().worker_total_busy_duration(0).as_secs_f64();
        for _ in 0..1_000 {
            tokio::task::spawn_blocking(|| ()).await.unwrap();
        }
        assert!(busy() > 0.0);
        for _ in 0..2 {
            let text = encode(&registry).unwrap();
            assert_eq!(sample(&text, "playgate_runtime_workers "), 1.0);
            assert!(sample(&text, "playgate_runtime_tasks ") >= 1.0);
            assert!((sample(&text, "playgate_runtime_busy_seconds_total ") - busy()).abs() < 1e-9);
        }
    }

    #[test]
    fn both_logs_count_their_losses_under_one_name() {
        let registry = Registry::new();
        dropped_lines(&registry, "process").unwrap().inc();
        dropped_lines(&registry, "access").unwrap().inc_by(2);
        let text = encode(&registry).unwrap();
        assert_eq!(sample(&text, r#"playgate_log_lines_dropped_total{log="process"}"#), 1.0);
        assert_eq!(sample(&text, r#"playgate_log_lines_dropped_total{log="access"}"#), 2.0);
    }
}
