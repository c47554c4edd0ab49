//! The task that writes events: as many at once as are waiting.

use std::time::Duration;

use common::sql::SqlError;
use tokio::{sync::mpsc, time::sleep};

use super::recorder::{Metrics, Order};
use crate::{domain::history::Event, store::history::Histories};

/// Events in one insert. Each size is a statement text of its own, so this also bounds the statement cache.
const BATCH: usize = 64;

/// While the database is away, the pause before it is asked again.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) async fn run(histories: Histories, mut orders: mpsc::Receiver<Order>, metrics: Metrics) {
    let mut received = Vec::with_capacity(BATCH);
    while orders.recv_many(&mut received, BATCH).await > 0 {
        let (mut events, mut answers) = (Vec::with_capacity(received.len()), Vec::new());
        for order in received.drain(..) {
            match order {
                Order::Write(event) => events.push(event),
                Order::Answer(done) => answers.push(done),
            }
        }
        if !events.is_empty() {
            write(&histories, &events, &metrics).await;
        }
        for done in answers {
            // Who asked may have gone away.
            let _ = done.send(());
        }
    }
}

/// Writes the events together, or one by one if one of them is to blame. Goes on trying while the database is away.
async fn write(histories: &Histories, events: &[Event], metrics: &Metrics) {
    let together: Vec<&Event> = events.iter().collect();
    let outcome = patiently(histories, &together).await;
    if outcome.is_ok() || events.len() == 1 {
        count(outcome, events.len(), metrics);
        return;
    }
    for event in together {
        count(patiently(histories, &[event]).await, 1, metrics);
    }
}

fn count(outcome: Result<(), SqlError>, events: usize, metrics: &Metrics) {
    match outcome {
        // It was written before, by a commit whose answer was lost.
        Ok(()) | Err(SqlError::UniqueViolation { .. }) => metrics.written.inc_by(events as u64),
        Err(error) => {
            metrics.refused.inc_by(events as u64);
            tracing::error!(%error, events, "events of accounts' histories can't be written and are lost");
        }
    }
}

async fn patiently(histories: &Histories, events: &[&Event]) -> Result<(), SqlError> {
    let mut behind = false;
    loop {
        match histories.append(events).await {
            Err(error) if error.is_temporary() => {
                if !behind {
                    tracing::warn!(%error, "accounts' histories can't be written now and wait");
                }
                behind = true;
                sleep(PAUSE).await;
            }
            outcome => return outcome,
        }
    }
}
