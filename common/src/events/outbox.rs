//! [`EventOutbox`]: where a service writes its events.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use prometheus::Registry;
use serde::Serialize;

use super::{EventTable, EventsConfig, NewEvent, metrics::Metrics};
use crate::{
    clock::{SharedClock, SharedRandom, Timestamp, new_uuid},
    sql::{Database, JobLeases, JobTable, SqlError, Tx},
};

/// The events of a service that wait to be carried on; one that is off takes none. Cheap to clone.
#[derive(Clone)]
pub struct EventOutbox(pub(super) Option<Arc<Open>>);

/// What an outbox is made of.
#[derive(Debug)]
pub struct EventOutboxParts<'a> {
    /// Whose events they are: a label of metrics.
    pub service: &'static str,
    /// Where the facts lie, and their events beside them.
    pub database: Database,
    /// The table of events.
    pub table: &'static EventTable,
    /// The table of leases, for the one replica that carries them on.
    pub jobs: &'static JobTable,
    /// Tells the age of events, and when a lease is over.
    pub clock: SharedClock,
    /// Makes their ids.
    pub random: SharedRandom,
    /// Where the metrics go.
    pub registry: &'a Registry,
}

/// An outbox that is on.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) service: &'static str,
    pub(super) database: Database,
    pub(super) table: &'static EventTable,
    pub(super) leases: JobLeases,
    pub(super) config: EventsConfig,
    pub(super) clock: SharedClock,
    pub(super) metrics: Metrics,
    random: SharedRandom,
    /// Events that this instance may write before somebody has looked again.
    room: AtomicI64,
}

impl EventOutbox {
    /// One that takes no events.
    pub fn off() -> Self {
        Self(None)
    }

    /// The outbox as it is configured. `config` must be valid.
    ///
    /// # Errors
    /// When the service has an outbox in this registry already.
    pub fn new(config: &EventsConfig, parts: EventOutboxParts<'_>) -> Result<Self, prometheus::Error> {
        if !config.publish {
            return Ok(Self::off());
        }
        let EventOutboxParts { service, database, table, jobs, clock, random, registry } = parts;
        Ok(Self(Some(Arc::new(Open {
            service,
            leases: JobLeases::new(database.clone(), jobs),
            database,
            table,
            config: config.clone(),
            metrics: Metrics::register(registry, service)?,
            clock,
            random,
            room: AtomicI64::new(i64::from(config.rows_max.get())),
        }))))
    }

    /// Whether it takes events.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// An event of something that happens at `at`, to be written with it. `facts` are an object with the fields of this
    /// `kind`, made only if it is wanted. `None`: no event is to be written, because the outbox is off or full.
    pub fn event<F: Serialize>(
        &self,
        kind: &'static str,
        at: Timestamp,
        facts: impl FnOnce() -> F,
    ) -> Option<NewEvent> {
        let open = self.0.as_deref()?;
        let event = (open.room.fetch_sub(1, Ordering::Relaxed) > 0)
            .then(|| NewEvent::new(new_uuid(&*open.clock, &*open.random), kind, at, facts()))
            .flatten();
        if event.is_none() {
            open.metrics.dropped.inc();
        }
        event
    }

    /// Makes an event and writes it: it is there if and only if what the transaction changes is.
    pub async fn tell<F: Serialize>(
        &self,
        tx: &mut Tx,
        kind: &'static str,
        at: Timestamp,
        facts: impl FnOnce() -> F,
    ) -> Result<(), SqlError> {
        match (self.event(kind, at, facts), self.0.as_deref()) {
            (Some(event), Some(open)) => event.insert(tx, open.table).await,
            (None, _) | (_, None) => Ok(()),
        }
    }
}

impl Open {
    /// Looks how many events wait and for how long, and makes room for as many as there may be more. Answers how many wait:
    /// an upper bound, because ids that were given to what did not come to be count as well.
    pub(super) async fn look(&self) -> Result<i64, SqlError> {
        let (waiting, oldest): (i64, Option<i64>) = self.database.read(self.table.look).one().await?;
        let age = oldest.map(|at| self.clock.now().since(Timestamp::from_millis(at))).unwrap_or_default();
        self.metrics.waiting.set(waiting);
        self.metrics.oldest_age_seconds.set(i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
        self.room.store(i64::from(self.config.rows_max.get()) - waiting, Ordering::Relaxed);
        Ok(waiting)
    }
}

impl fmt::Debug for EventOutbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventOutbox").field("service", &self.0.as_deref().map(|open| open.service)).finish()
    }
}
