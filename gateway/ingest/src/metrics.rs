//! What the store counts.
//!
//! Partners are labels: they are configured by operators and therefore few. The handles of a partner are looked up once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry, core::Collector};

use crate::{IngestError, parse::Refusal, partner::PartnerName};

/// Seconds. A disk with a battery syncs in 50 µs, one that turns in 10 ms, one in trouble in seconds.
const SYNC_BUCKETS: &[f64] =
    &[0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5];

/// Bytes, from a single event to the largest push.
const COMMIT_BUCKETS: &[f64] = &[512.0, 2048.0, 8192.0, 32_768.0, 131_072.0, 262_144.0, 1_048_576.0, 8_388_608.0];

/// The collectors of a store.
#[derive(Debug)]
pub(crate) struct Metrics {
    accepted: IntCounterVec,
    duplicates: IntCounterVec,
    refused_events: IntCounterVec,
    refused_pushes: IntCounterVec,
    partners: Mutex<HashMap<PartnerName, Arc<OfPartner>>>,
    pub(crate) queue_bytes: IntGauge,
    pub(crate) commit_seconds: Histogram,
    pub(crate) commit_bytes: Histogram,
    pub(crate) commit_failures: IntCounter,
    pub(crate) dead_lost: IntCounter,
    pub(crate) open_segment_age_seconds: IntGauge,
    pub(crate) free_bytes: IntGauge,
    pub(crate) dedupe_entries: IntGauge,
    pub(crate) segments_deleted: IntCounter,
    pub(crate) cut_bytes: IntCounter,
}

/// What is counted of one partner.
#[derive(Debug)]
pub(crate) struct OfPartner {
    pub(crate) accepted: IntCounter,
    pub(crate) duplicates: IntCounter,
    refused_events: [IntCounter; Refusal::ALL.len()],
}

impl OfPartner {
    pub(crate) fn refused(&self, reason: Refusal) -> &IntCounter {
        let [malformed, not_an_object, too_large, too_deep, event_id] = &self.refused_events;
        match reason {
            Refusal::Malformed => malformed,
            Refusal::NotAnObject => not_an_object,
            Refusal::TooLarge => too_large,
            Refusal::TooDeep => too_deep,
            Refusal::EventId => event_id,
        }
    }
}

impl Metrics {
    /// Makes and registers them; fails when one of the names is taken.
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let accepted = counters(
            registry,
            "playgate_ingest_accepted_total",
            "Events that were stored and acknowledged.",
            &["partner"],
        )?;
        let duplicates = counters(
            registry,
            "playgate_ingest_duplicates_total",
            "Events that were acknowledged because they are stored already.",
            &["partner"],
        )?;
        let refused_events = counters(
            registry,
            "playgate_ingest_refused_events_total",
            "Events that can't be taken, by reason; they are among the dead letters.",
            &["partner", "reason"],
        )?;
        let refused_pushes = counters(
            registry,
            "playgate_ingest_refused_pushes_total",
            "Pushes that were not acknowledged, by reason.",
            &["partner", "reason"],
        )?;
        let seconds =
            HistogramOpts::new("playgate_ingest_commit_seconds", "Time to write what waited and to make it durable.");
        let bytes = HistogramOpts::new("playgate_ingest_commit_bytes", "Bytes that were made durable together.");
        Ok(Self {
            accepted,
            duplicates,
            refused_events,
            refused_pushes,
            partners: Mutex::default(),
            queue_bytes: gauge(
                registry,
                "playgate_ingest_queue_bytes",
                "Bytes of events that wait for the disk or are being written.",
            )?,
            commit_seconds: registered(registry, Histogram::with_opts(seconds.buckets(SYNC_BUCKETS.to_vec()))?)?,
            commit_bytes: registered(registry, Histogram::with_opts(bytes.buckets(COMMIT_BUCKETS.to_vec()))?)?,
            commit_failures: counter(
                registry,
                "playgate_ingest_commit_failures_total",
                "Writes that the disk did not take; nothing of them was acknowledged.",
            )?,
            dead_lost: counter(
                registry,
                "playgate_ingest_dead_lost_total",
                "Events that could not be taken and could not be kept among the dead letters either.",
            )?,
            open_segment_age_seconds: gauge(
                registry,
                "playgate_ingest_open_segment_age_seconds",
                "Age of the segment that is being written; 0 when there is none.",
            )?,
            free_bytes: gauge(registry, "playgate_ingest_free_bytes", "Free bytes on the disk of the segments.")?,
            dedupe_entries: gauge(
                registry,
                "playgate_ingest_dedupe_entries",
                "Events that are remembered so that they are not stored twice.",
            )?,
            segments_deleted: counter(
                registry,
                "playgate_ingest_segments_deleted_total",
                "Complete segments that were deleted by age or for space.",
            )?,
            cut_bytes: counter(
                registry,
                "playgate_ingest_cut_bytes_total",
                "Bytes behind the last complete push that were cut off at the start.",
            )?,
        })
    }

    pub(crate) fn of(&self, partner: &PartnerName) -> Arc<OfPartner> {
        let mut partners = self.partners.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = partners.get(partner) {
            return Arc::clone(known);
        }
        let name = partner.as_str();
        let new = Arc::new(OfPartner {
            accepted: self.accepted.with_label_values(&[name]),
            duplicates: self.duplicates.with_label_values(&[name]),
            refused_events: Refusal::ALL.map(|reason| self.refused_events.with_label_values(&[name, reason.label()])),
        });
        partners.insert(partner.clone(), Arc::clone(&new));
        new
    }

    pub(crate) fn refused_push(&self, partner: &PartnerName, error: IngestError) {
        self.refused_pushes.with_label_values(&[partner.as_str(), error.label()]).inc();
    }
}

fn registered<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> Result<C, prometheus::Error> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

fn counters(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
    registered(registry, IntCounterVec::new(Opts::new(name, help), labels)?)
}

fn counter(registry: &Registry, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
    registered(registry, IntCounter::new(name, help)?)
}

fn gauge(registry: &Registry, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
    registered(registry, IntGauge::new(name, help)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_a_counter_of_its_own() {
        let registry = Registry::new();
        let metrics = Metrics::register(&registry).unwrap();
        let of_partner = metrics.of(&PartnerName::parse("ads").unwrap());
        for (count, reason) in (1..).zip(Refusal::ALL) {
            of_partner.refused(reason).inc_by(count);
            let counted = metrics.refused_events.with_label_values(&["ads", reason.label()]).get();
            assert_eq!(counted, count, "{reason:?}");
        }
        assert!(Metrics::register(&registry).is_err(), "one store per registry");
    }
}
