//! [`Recorder`]: where requests put what has happened.

use std::future::Future;

use common::{
    clock::{SharedClock, SharedRandom, new_uuid},
    sql::Database,
};
use prometheus::{IntCounter, IntCounterVec, Opts, Registry};
use tokio::sync::{mpsc, oneshot};

use super::{HistoryConfig, writer};
use crate::{
    app_editor::request_id,
    domain::history::{Event, EventId, Happening},
    store::history::Histories,
};

/// Takes what has happened. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    queue: mpsc::Sender<Order>,
    metrics: Metrics,
    clock: SharedClock,
    random: SharedRandom,
}

/// What the writer is asked to do.
#[derive(Debug)]
pub(super) enum Order {
    Write(Event),
    /// Answer once everything before is written or given up.
    Answer(oneshot::Sender<()>),
}

/// How many events were written, and how many were lost.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    pub(super) written: IntCounter,
    /// The queue was full.
    pub(super) dropped: IntCounter,
    /// The database refused them.
    pub(super) refused: IntCounter,
}

/// The recorder, and the task behind it, which ends when every clone of the recorder is gone.
pub(crate) fn recorder(
    config: &HistoryConfig,
    database: Database,
    clock: SharedClock,
    random: SharedRandom,
    registry: &Registry,
) -> Result<(Recorder, impl Future<Output = ()> + Send + use<>), prometheus::Error> {
    let (queue, orders) = mpsc::channel(config.queue.get());
    let metrics = Metrics::register(registry)?;
    let task = writer::run(Histories::new(database), orders, metrics.clone());
    Ok((Recorder { queue, metrics, clock, random }, task))
}

impl Recorder {
    /// Writes it down soon. Never waits.
    pub(crate) fn record(&self, happening: Happening) {
        let event = Event {
            id: EventId::from(new_uuid(&*self.clock, &*self.random)),
            at: self.clock.now(),
            request_id: request_id(),
            happening,
        };
        if self.queue.try_send(Order::Write(event)).is_err() {
            self.metrics.dropped.inc();
        }
    }

    /// Waits until everything that was recorded before is written, or given up.
    pub(crate) async fn written(&self) {
        let (done, answer) = oneshot::channel();
        if self.queue.send(Order::Answer(done)).await.is_ok() {
            // An end of the task answers as well.
            let _ = answer.await;
        }
    }
}

impl Metrics {
    fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let events = Opts::new(
            "playgate_account_history_events_total",
            "Events of accounts' histories: written, dropped because the queue was full, refused by the database.",
        );
        let events = IntCounterVec::new(events, &["outcome"])?;
        registry.register(Box::new(events.clone()))?;
        let of = |outcome| events.with_label_values(&[outcome]);
        Ok(Self { written: of("written"), dropped: of("dropped"), refused: of("refused") })
    }
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroUsize, sync::Arc};

    use common::clock::{SystemRandom, testing::ManualClock};

    use super::*;
    use crate::{
        domain::{history::EventKind, ids::AccountId},
        testing::migrate_all,
    };

    fn happening(account_id: i64) -> Happening {
        Happening::of(AccountId::parse(account_id).expect("valid"), EventKind::SignedIn)
    }

    fn start(database: &Database, queue: usize) -> (Recorder, impl Future<Output = ()> + Send + use<>) {
        let config = HistoryConfig { queue: NonZeroUsize::new(queue).expect("positive"), ..HistoryConfig::default() };
        let (clock, random) = (Arc::new(ManualClock::default()), Arc::new(SystemRandom));
        recorder(&config, database.clone(), clock, random, &Registry::new()).expect("made")
    }

    async fn count(database: &Database) -> i64 {
        let (count,): (i64,) = database.read("SELECT COUNT(*) FROM account_history").one().await.expect("counted");
        count
    }

    common::on_each_database! {
        async fn what_finds_no_room_is_lost_and_counted_and_the_rest_is_written(database: TestDatabase) {
            migrate_all(&database).await;
            let (recorder, task) = start(&database, 2);
            for _ in 0..5 {
                recorder.record(happening(7));
            }
            assert_eq!(recorder.metrics.dropped.get(), 3);
            let metrics = recorder.metrics.clone();
            drop(recorder);
            task.await;
            assert_eq!((metrics.written.get(), count(&database).await), (2, 2));
        }

        async fn an_event_that_is_there_already_keeps_no_other_one_out(database: TestDatabase) {
            migrate_all(&database).await;
            let (recorder, task) = start(&database, 100);
            // The second one is a repeat, as after a commit whose answer was lost.
            for id in [1, 1, 2] {
                let (id, at) = (EventId::from_bytes([id; 16]), recorder.clock.now());
                let event = Event { id, at, request_id: None, happening: happening(7) };
                recorder.queue.send(Order::Write(event)).await.expect("room");
            }
            let metrics = recorder.metrics.clone();
            drop(recorder);
            task.await;
            assert_eq!((count(&database).await, metrics.written.get(), metrics.refused.get()), (2, 3, 0));
        }
    }
}
