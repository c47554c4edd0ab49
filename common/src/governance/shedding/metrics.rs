//! What is counted of shedding. Counters are kept as requests come and go; gauges are read off the gates when somebody
//! asks for them.

use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use govern::priority::Class;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry,
    core::{Collector, Desc},
    proto::MetricFamily,
};

use super::{gate::Gate, gates::Shared, refusal::Reason};

/// Seconds. Nobody waits longer than `queue.interval`, 100 ms by default.
const WAITS: &[f64] = &[0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0];

const CLASSES: usize = Class::SHED_ORDER.len();

/// The families of all gates of a process.
#[derive(Clone)]
pub(super) struct SheddingMetrics {
    admitted: IntCounterVec,
    refused: IntCounterVec,
    gone: IntCounterVec,
    waited: HistogramVec,
    gates: KnownGates,
}

/// The gates there are, by name, for as long as they are used.
type KnownGates = Arc<Mutex<Vec<(&'static str, Weak<Gate>)>>>;

/// The counters of one gate, by class.
pub(super) struct Series([OfClass; CLASSES]);

struct OfClass {
    admitted: IntCounter,
    refused: [IntCounter; Reason::ALL.len()],
    gone: IntCounter,
    waited: Histogram,
}

/// What is read off the gates.
struct Gauges {
    in_flight: IntGaugeVec,
    waiting: IntGaugeVec,
    limit: IntGaugeVec,
    slowdown: GaugeVec,
    cpu: Gauge,
    gates: KnownGates,
    shared: Weak<Shared>,
}

impl SheddingMetrics {
    pub(super) fn register(registry: &Registry, shared: &Arc<Shared>) -> prometheus::Result<Self> {
        let counter = |name: &str, help: &str, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels);
        let admitted = counter("playgate_shedding_admitted_total", "Requests that were let in.", &["gate", "class"])?;
        let refused = counter(
            "playgate_shedding_refused_total",
            "Requests that were refused before any work.",
            &["gate", "class", "reason"],
        )?;
        let gone = counter(
            "playgate_shedding_gone_total",
            "Requests whose callers left while they waited.",
            &["gate", "class"],
        )?;
        let waited = HistogramOpts::new(
            "playgate_shedding_wait_seconds",
            "How long requests waited that did not go in at once, let in or refused.",
        );
        let waited = HistogramVec::new(waited.buckets(WAITS.to_vec()), &["gate", "class"])?;
        registry.register(Box::new(admitted.clone()))?;
        registry.register(Box::new(refused.clone()))?;
        registry.register(Box::new(gone.clone()))?;
        registry.register(Box::new(waited.clone()))?;
        let gates = KnownGates::default();
        registry.register(Box::new(Gauges::new(Arc::clone(&gates), Arc::downgrade(shared))?))?;
        Ok(Self { admitted, refused, gone, waited, gates })
    }

    /// The counters of a gate, all of them at zero, so that the first refusal is seen as a change.
    pub(super) fn series(&self, gate: &'static str) -> Series {
        Series(std::array::from_fn(|class| {
            let class = Class::SHED_ORDER[class].name();
            OfClass {
                admitted: self.admitted.with_label_values(&[gate, class]),
                refused: Reason::ALL.map(|reason| self.refused.with_label_values(&[gate, class, reason.name()])),
                gone: self.gone.with_label_values(&[gate, class]),
                waited: self.waited.with_label_values(&[gate, class]),
            }
        }))
    }

    pub(super) fn watch(&self, name: &'static str, gate: &Arc<Gate>) {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        gates.retain(|(_, gate)| gate.strong_count() > 0);
        gates.push((name, Arc::downgrade(gate)));
    }

    /// The processor was looked at.
    pub(super) fn divide_all(&self) {
        for (_, gate) in living(&self.gates) {
            gate.divide();
        }
    }
}

impl Series {
    pub(super) fn admitted(&self, class: Class) {
        self.0[class.index()].admitted.inc();
    }

    /// Counts a refusal. How many of the class were let in and how many were refused so far.
    pub(super) fn refused(&self, class: Class, reason: Reason) -> (u64, u64) {
        let of_class = &self.0[class.index()];
        of_class.refused[reason as usize].inc();
        (of_class.admitted.get(), of_class.refused.iter().map(IntCounter::get).sum())
    }

    pub(super) fn gone(&self, class: Class) {
        self.0[class.index()].gone.inc();
    }

    pub(super) fn waited(&self, class: Class, time: Duration) {
        self.0[class.index()].waited.observe(time.as_secs_f64());
    }
}

impl Gauges {
    fn new(gates: KnownGates, shared: Weak<Shared>) -> prometheus::Result<Self> {
        let gauge = |name: &str, help: &str, labels: &[&str]| IntGaugeVec::new(Opts::new(name, help), labels);
        Ok(Self {
            in_flight: gauge(
                "playgate_shedding_in_flight",
                "Requests that were let in and are not done.",
                &["gate", "room"],
            )?,
            waiting: gauge("playgate_shedding_waiting", "Requests that wait to be let in.", &["gate", "class"])?,
            limit: gauge("playgate_shedding_limit", "How many requests may be in flight.", &["gate"])?,
            slowdown: GaugeVec::new(
                Opts::new("playgate_shedding_slowdown", "How many times slower than usual the least slowed class is."),
                &["gate"],
            )?,
            cpu: Gauge::new("playgate_cpu_share", "The share of the CPU quota, or of the machine, that is in use.")?,
            gates,
            shared,
        })
    }

    fn families(&self) -> [&dyn Collector; 5] {
        [&self.in_flight, &self.waiting, &self.limit, &self.slowdown, &self.cpu]
    }
}

impl Collector for Gauges {
    fn desc(&self) -> Vec<&Desc> {
        self.families().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        for (name, gate) in living(&self.gates) {
            let in_flight = gate.in_flight();
            self.in_flight.with_label_values(&[name, "general"]).set(in_flight.general.into());
            self.in_flight.with_label_values(&[name, "reserved"]).set(in_flight.reserved.into());
            for class in Class::SHED_ORDER {
                let waiting = i64::try_from(gate.waiting(class)).unwrap_or(i64::MAX);
                self.waiting.with_label_values(&[name, class.name()]).set(waiting);
            }
            self.limit.with_label_values(&[name]).set(gate.limit().into());
            self.slowdown.with_label_values(&[name]).set(gate.slowdown());
        }
        if let Some(shared) = self.shared.upgrade() {
            self.cpu.set(shared.processor.share());
        }
        self.families().into_iter().flat_map(Collector::collect).collect()
    }
}

fn living(gates: &KnownGates) -> Vec<(&'static str, Arc<Gate>)> {
    let gates = gates.lock().unwrap_or_else(PoisonError::into_inner);
    gates.iter().filter_map(|(name, gate)| Some((*name, gate.upgrade()?))).collect()
}
