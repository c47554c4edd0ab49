//! What runs beside the requests.
//!
//! Nothing here can fail for good. While the database is away each task says once that it is behind, and once that it has
//! caught up.

use std::{future::Future, sync::PoisonError, time::Duration};

use common::lifecycle::{BackgroundTask, StepOutcome};
use tokio_util::sync::CancellationToken;

use crate::{Pay, google, jobs, store::ledger::check::CheckState};

impl Pay {
    /// The tasks that the process has to run while the service answers.
    pub fn background(&self) -> Vec<BackgroundTask> {
        let every = self.parts().config.jobs.every;
        // The first time after a random part of the interval: replicas that start together don't ask together.
        let first = every.mul_f64(self.parts().random.fraction());
        let config = &self.parts().config;
        let (look_every, acknowledge_every) = (config.queries.look_every, config.google.acknowledge.every);
        let acknowledge_first = acknowledge_every.mul_f64(self.parts().random.fraction());
        let (tidied, read, checked) = (self.clone(), self.clone(), self.clone());
        let (acknowledged, asking) = (self.clone(), self.clone());
        vec![
            BackgroundTask::repeated("pay-ledger-check", first, every, move || check_ledger(checked.clone())),
            BackgroundTask::repeated("pay-tidy-up", first, every, move || tidy_up(tidied.clone())),
            BackgroundTask::repeated("pay-channel-questions", look_every, look_every, move || {
                ask_channels(asking.clone())
            }),
            BackgroundTask::repeated("pay-outbox-gauges", Duration::ZERO, jobs::GAUGES_EVERY, move || {
                read_gauges(read.clone())
            }),
            BackgroundTask::repeated("pay-acknowledge", acknowledge_first, acknowledge_every, move || {
                acknowledge(acknowledged.clone())
            }),
        ]
    }

    /// The worker that tells game servers. It ends once `stopping` is cancelled and what it has under way is finished.
    /// `None` when it was taken before.
    pub fn deliver(&self, stopping: CancellationToken) -> Option<impl Future<Output = ()> + Send + use<>> {
        let (worker, ringing) = self.parts().worker.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some(worker.run(ringing, stopping))
    }
}

async fn tidy_up(pay: Pay) -> StepOutcome {
    Ok(jobs::tidy_up(pay.parts()).await.map(drop)?)
}

async fn check_ledger(pay: Pay) -> StepOutcome {
    Ok(jobs::ledger_check::check_ledger(pay.parts()).await.map(drop)?)
}

async fn ask_channels(pay: Pay) -> StepOutcome {
    Ok(jobs::questions::ask(pay.parts()).await.map(drop)?)
}

async fn read_gauges(pay: Pay) -> StepOutcome {
    let parts = pay.parts();
    parts.metrics.backlog(parts.orders.backlog().await?);
    parts.metrics.refund_backlog(parts.orders.refund_backlog().await?);
    parts.metrics.ledger_checked(&CheckState::read(parts.ledger.database()).await?.found());
    parts.google_metrics.backlog(parts.channel_tasks.backlog().await?);
    parts.questions.metrics().waiting(parts.orders.questions_waiting().await?);
    Ok(())
}

async fn acknowledge(pay: Pay) -> StepOutcome {
    Ok(google::acknowledge_due(pay.parts()).await.map(drop)?)
}
