//! What runs beside the requests.
//!
//! Nothing here can fail for good. While the database is away each task says once that it is behind, and once that it has
//! caught up.

use std::{error::Error, fmt, future::Future, pin::Pin, sync::PoisonError, time::Duration};

use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::{Pay, jobs};

/// A task that runs as long as the service does. It never ends by itself.
pub struct Background {
    /// What it is called in logs.
    pub name: &'static str,
    /// The task.
    pub run: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl fmt::Debug for Background {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Background").field("name", &self.name).finish_non_exhaustive()
    }
}

type StepOutcome = Result<(), Box<dyn Error + Send + Sync>>;

impl Pay {
    /// The tasks that the process has to run while the service answers.
    pub fn background(&self) -> Vec<Background> {
        let every = self.parts().config.jobs.every;
        // The first time after a random part of the interval: replicas that start together don't ask together.
        let first = every.mul_f64(self.parts().random.fraction());
        vec![
            self.repeat("pay-tidy-up", first, every, tidy_up),
            self.repeat("pay-outbox-gauges", Duration::ZERO, jobs::GAUGES_EVERY, read_gauges),
        ]
    }

    /// The worker that tells game servers. It ends once `stopping` is cancelled and what it has under way is finished.
    /// `None` when it was taken before.
    pub fn deliver(&self, stopping: CancellationToken) -> Option<impl Future<Output = ()> + Send + use<>> {
        let (worker, ringing) = self.parts().worker.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some(worker.run(ringing, stopping))
    }

    fn repeat<F>(&self, name: &'static str, first: Duration, every: Duration, step: fn(Pay) -> F) -> Background
    where
        F: Future<Output = StepOutcome> + Send + 'static,
    {
        let pay = self.clone();
        let run = async move {
            let mut ticks = tokio::time::interval_at(Instant::now() + first, every);
            // After a stall the next run is a whole interval away: catching up on missed ticks would only hammer a
            // database that has just come back.
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut behind = false;
            loop {
                ticks.tick().await;
                let outcome = step(pay.clone()).await;
                match &outcome {
                    Err(error) if !behind => tracing::warn!(task = name, %error, "is behind and goes on trying"),
                    Ok(()) if behind => tracing::info!(task = name, "has caught up"),
                    Ok(()) | Err(_) => {}
                }
                behind = outcome.is_err();
            }
        };
        Background { name, run: Box::pin(run) }
    }
}

async fn tidy_up(pay: Pay) -> StepOutcome {
    Ok(jobs::tidy_up(pay.parts()).await.map(drop)?)
}

async fn read_gauges(pay: Pay) -> StepOutcome {
    let parts = pay.parts();
    parts.metrics.backlog(parts.orders.backlog().await?);
    Ok(())
}
