//! What is counted of an outbox. The service is a label: in one process there may be several outboxes.

use prometheus::{IntCounter, IntGauge, Opts, Registry, core::Collector};

/// The collectors of one outbox.
#[derive(Debug)]
pub(super) struct Metrics {
    pub(super) relayed: IntCounter,
    pub(super) refused: IntCounter,
    pub(super) dropped: IntCounter,
    pub(super) waiting: IntGauge,
    pub(super) oldest_age_seconds: IntGauge,
}

impl Metrics {
    /// Makes and registers them; fails when the service has an outbox there already.
    pub(super) fn register(registry: &Registry, service: &'static str) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| {
            registered(registry, IntCounter::with_opts(Opts::new(name, help).const_label("service", service))?)
        };
        let gauge = |name: &str, help: &str| {
            registered(registry, IntGauge::with_opts(Opts::new(name, help).const_label("service", service))?)
        };
        Ok(Self {
            relayed: counter(
                "playgate_events_relayed_total",
                "Events of the platform that this instance has put into its segments.",
            )?,
            refused: counter(
                "playgate_events_refused_total",
                "Events of the platform that the segments did not take as events; they are among the dead letters.",
            )?,
            dropped: counter("playgate_events_dropped_total", "Facts without an event, because too many events wait.")?,
            waiting: gauge(
                "playgate_events_waiting",
                "Events of the platform that wait to be put into segments, on whichever instance.",
            )?,
            oldest_age_seconds: gauge(
                "playgate_events_oldest_age_seconds",
                "Age of the event that has waited longest; 0 when none waits.",
            )?,
        })
    }
}

fn registered<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> Result<C, prometheus::Error> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}
