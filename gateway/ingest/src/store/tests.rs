//! The store on a disk that fails, stalls and loses power on command.

mod behaviour;
mod disk;
mod faults;
mod limits;

use std::{
    collections::BTreeMap,
    fs,
    future::{Future, poll_fn},
    num::NonZeroU64,
    path::Path,
    pin::Pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use common::clock::testing::{ManualClock, SeededRandom};
use prometheus::Registry;

use self::disk::TestDisk;
use super::{Ingest, Parts, Push, Receipt};
use crate::{
    DeadConfig, Family, IngestConfig, IngestError, Line, OpenError, PartnerLimits, PartnerName, Share, parse,
    read::{Follow, Stop},
};

/// A store, its disk and its clock.
struct Store {
    data_dir: tempfile::TempDir,
    disk: Arc<TestDisk>,
    clock: Arc<ManualClock>,
    registry: Registry,
    config: IngestConfig,
    ingest: Ingest,
}

/// Nothing waits for company, so that tests are quick.
fn config() -> IngestConfig {
    let instance = Some("test".to_owned());
    IngestConfig { linger: Duration::ZERO, instance, ack_timeout: Duration::from_secs(60), ..IngestConfig::default() }
}

impl Store {
    fn open() -> Self {
        Self::with(config())
    }

    fn with(config: IngestConfig) -> Self {
        let data_dir = tempfile::tempdir().unwrap();
        let (disk, clock) = (Arc::new(TestDisk::default()), Arc::new(ManualClock::default()));
        let (ingest, registry) = opened(data_dir.path(), &disk, &clock, &config).unwrap();
        Self { data_dir, disk, clock, registry, config, ingest }
    }

    /// Opens the same directory again, after `close` or after the writer has ended.
    fn reopened(self) -> Self {
        let Self { data_dir, disk, clock, config, .. } = self;
        let (ingest, registry) = opened(data_dir.path(), &disk, &clock, &config).unwrap();
        Self { data_dir, disk, clock, registry, config, ingest }
    }

    async fn closed_and_reopened(self) -> Self {
        self.ingest.close().await;
        self.reopened()
    }

    fn accept(&self, partner: &str, body: &str) -> Accept {
        let ingest = self.ingest.clone();
        let push = push(partner, body);
        Box::pin(async move { ingest.accept(push).await })
    }

    /// All lines of complete segments and of the open one: place, partner, identifier.
    fn lines(&self) -> Vec<(u64, String, String)> {
        lines(self.data_dir.path())
    }

    fn ids(&self) -> Vec<String> {
        self.lines().into_iter().map(|(_, _, id)| id).collect()
    }

    /// How many files end so.
    fn files(&self, directory: &str, suffix: &str) -> usize {
        let entries = fs::read_dir(self.data_dir.path().join(directory)).unwrap();
        entries.filter(|entry| entry.as_ref().unwrap().file_name().to_str().unwrap().ends_with(suffix)).count()
    }

    /// A metric's value; of all its labels together.
    fn metric(&self, name: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name).expect("a metric of this name");
        let values = family.get_metric().iter();
        values.map(|metric| metric.get_counter().get_value() + metric.get_gauge().get_value()).sum()
    }
}

type Accept = Pin<Box<dyn Future<Output = Result<Receipt, IngestError>> + Send>>;

fn opened(
    data_dir: &Path,
    disk: &Arc<TestDisk>,
    clock: &Arc<ManualClock>,
    config: &IngestConfig,
) -> Result<(Ingest, Registry), OpenError> {
    let registry = Registry::new();
    let parts = Parts {
        data_dir: data_dir.to_owned(),
        clock: clock.clone(),
        random: Arc::new(SeededRandom::new(7)),
        registry: registry.clone(),
    };
    Ok((Ingest::open_on(disk.clone(), config.clone(), parts)?, registry))
}

fn push(partner: &str, body: &str) -> Push {
    let events = parse::json_or_ndjson(body.as_bytes(), &IngestConfig::default().limits, &DeadConfig::default());
    Push {
        partner: PartnerName::parse(partner).unwrap(),
        limits: PartnerLimits { share: Share::percent(50).unwrap(), ..PartnerLimits::default() },
        request_id: "r-1".to_owned(),
        events: events.unwrap(),
    }
}

/// A body of named events.
fn named(ids: impl IntoIterator<Item = impl std::fmt::Display>) -> String {
    ids.into_iter().map(|id| format!("{{\"event_id\":\"{id}\"}}\n")).collect()
}

#[expect(clippy::unnecessary_wraps, reason = "as `accept` answers")]
fn receipt(accepted: usize, duplicates: usize) -> Result<Receipt, IngestError> {
    Ok(Receipt { accepted, duplicates, refused: Vec::new() })
}

fn label(outcome: &Result<Receipt, IngestError>) -> &'static str {
    outcome.as_ref().err().map_or("ok", IngestError::label)
}

fn lines(data_dir: &Path) -> Vec<(u64, String, String)> {
    let mut follow = Follow::new(data_dir, Family::Events, None, Stop::Newest);
    let lines = std::iter::from_fn(|| follow.next_line().unwrap());
    let lines = lines
        .map(|line| {
            let line = Line::read(&line).unwrap();
            (line.seq, line.partner.into_owned(), line.event_id.into_owned())
        })
        .collect();
    assert_eq!(follow.skipped(), 0);
    lines
}

/// Runs a future until it waits for the disk.
async fn waits(future: &mut Accept) {
    let polled = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await;
    assert!(polled.is_pending(), "{polled:?}");
}

fn bytes(count: u64) -> NonZeroU64 {
    NonZeroU64::new(count).unwrap()
}

/// How often each thing is there.
fn counted<T: Ord>(things: impl IntoIterator<Item = T>) -> BTreeMap<T, usize> {
    things.into_iter().fold(BTreeMap::new(), |mut counts, thing| {
        *counts.entry(thing).or_default() += 1;
        counts
    })
}
