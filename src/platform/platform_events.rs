//! The platform's own events: from the outboxes of this process's services into segments, for a data warehouse.
//!
//! They lie as partners' events do, in a store of their own, `data_dir/platform-events`: what ships the one ships the other.
//! Here the two meet that don't know of each other: services, which write events into their databases, and the store,
//! which knows no SQL. Nothing is decided here about what an event says.

use std::{
    error::Error,
    num::{NonZeroU32, NonZeroU64},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, anyhow};
use common::events::{EventOutbox, EventSink};
use ingest::{
    DeadConfig, DedupeConfig, Durability, Ingest, IngestConfig, LimitsConfig, OpenError, PartnerLimits, PartnerName,
    Parts, Push, Share, parse,
};
use prometheus::{
    Registry,
    core::{Collector, Desc},
    proto::MetricFamily,
};

use super::{
    Process, data_dir,
    shipping::{self, Shipping},
};
use crate::{config::Configuration, role::Role};

/// Where the store lies in the data directory.
const DIRECTORY: &str = "platform-events";

/// What repeats after the end of a process are told by, where the same instance goes on: a few batches' worth.
const REMEMBERED: u32 = 65_536;

/// The directory of the store.
pub(crate) fn directory(data_dir: &Path) -> PathBuf {
    data_dir.join(DIRECTORY)
}

/// Where the events of this process's services go.
#[derive(Clone, Debug)]
pub(super) struct PlatformEvents(Option<Ingest>);

/// The events of one service on their way into segments.
#[derive(Clone, Debug)]
struct ToSegments {
    store: Ingest,
    /// Stands for the service where a partner's name stands. With a dot, which no partner's name has.
    source: PartnerName,
}

impl PlatformEvents {
    /// Opens the store, if a service of this process publishes events, and ships what is in it, if that is configured. It
    /// ends after the last request; should it end by itself, so does the process.
    pub(super) async fn open(
        role: Role,
        configuration: &Configuration,
        shipping: Option<&Shipping>,
        process: &Process,
    ) -> anyhow::Result<Self> {
        let Configuration { account, pay, ingest, shipper, data_dir, .. } = configuration;
        let publishes = |service: Role, publish: bool| publish && (role == Role::All || role == service);
        if !publishes(Role::Account, account.events.publish) && !publishes(Role::Pay, pay.events.publish) {
            return Ok(Self(None));
        }
        let directory = directory(data_dir);
        data_dir::make(&directory)?;
        shipping::tell_of_deserted(&directory, shipping.is_some())?;
        let prepare = |shipping: &Shipping| shipping.prepare("platform", &directory, &shipper.platform_topic, process);
        let shipper = shipping.map(prepare).transpose()?;
        // So that its metrics stand beside those of partners' events, told apart by a label.
        let labels = [("store".to_owned(), "platform".to_owned())].into();
        let registry = Registry::new_custom(None, Some(labels))?;
        process.registry.register(Box::new(Nested(registry.clone())))?;
        let parts =
            Parts { data_dir: directory, clock: process.clock.clone(), random: process.random.clone(), registry };
        let config = config(ingest);
        let opened = tokio::task::spawn_blocking(move || Ingest::open(config, parts)).await;
        let store = opened.context("the store of the platform's events could not be opened")?.map_err(explained)?;
        if let Some(shipper) = shipper {
            shipping::start(shipper, process);
        }
        let (watched, closed) = (store.clone(), store.clone());
        process.lifecycle.spawn_background("platform-events", async move { watched.ended().await });
        process.lifecycle.on_flush("platform-events", async move { closed.close().await });
        Ok(Self(Some(store)))
    }

    /// Carries on what `outbox` has, as long as the process lives. `name` is that of the task.
    pub(super) fn carry_on(
        &self,
        name: &'static str,
        service: Role,
        outbox: &EventOutbox,
        process: &Process,
    ) -> anyhow::Result<()> {
        let Some(store) = self.0.clone() else { return Ok(()) };
        let sink = ToSegments { store, source: PartnerName::parse(&format!("playgate.{}", service.name()))? };
        if let Some(task) = outbox.relaying(name, sink) {
            process.lifecycle.spawn_background(task.name, task.run);
        }
        Ok(())
    }
}

/// As partners' events are kept, but for what is there because of partners.
fn config(ingest: &IngestConfig) -> IngestConfig {
    IngestConfig {
        // What is kept is deleted from the database.
        durability: Durability::Fsync,
        limits: LimitsConfig::default(),
        dedupe: DedupeConfig { entries: REMEMBERED, ..DedupeConfig::default() },
        queue_bytes: IngestConfig::default().queue_bytes,
        linger: Duration::ZERO,
        ..ingest.clone()
    }
}

/// What a service may put in: its outbox has limits of its own.
fn unlimited() -> PartnerLimits {
    PartnerLimits {
        events_per_second: NonZeroU32::MAX,
        burst_events: NonZeroU32::MAX,
        bytes_per_second: NonZeroU64::MAX,
        burst_bytes: NonZeroU64::MAX,
        share: Share::percent(100).unwrap_or_default(),
    }
}

impl EventSink for ToSegments {
    async fn keep(&self, events: Vec<String>) -> Result<usize, Box<dyn Error + Send + Sync>> {
        // A batch is more than an async thread should read at once.
        let parsed = tokio::task::spawn_blocking(move || {
            parse::json_or_ndjson(events.join("\n").as_bytes(), &LimitsConfig::default(), &DeadConfig::default())
        });
        let events = parsed.await??;
        let push = Push { partner: self.source.clone(), limits: unlimited(), request_id: String::new(), events };
        Ok(self.store.accept(push).await?.refused.len())
    }
}

/// A registry in another one.
struct Nested(Registry);

impl Collector for Nested {
    fn desc(&self) -> Vec<&Desc> {
        // It has checked its own.
        Vec::new()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.0.gather()
    }
}

/// What can be done about it.
fn explained(error: OpenError) -> anyhow::Error {
    match error {
        OpenError::InUse { .. } => anyhow!(
            "{error}, which keeps the platform's events there: give this one a `data_dir` of its own, or switch off \
             `account.events.publish` or `pay.events.publish` in one of them"
        ),
        OpenError::Io { .. } | OpenError::Instance { .. } | OpenError::Metrics(_) => {
            anyhow::Error::new(error).context("the store of the platform's events can't be opened in `data_dir`")
        }
    }
}
