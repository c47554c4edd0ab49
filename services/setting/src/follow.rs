//! What runs beside the requests: learning what others publish.
//!
//! Nothing here can fail for good. While the store is away the service answers from what it knows, and the copies say so
//! once, and once when it is back.

use common::lifecycle::BackgroundTask;
use tokio::time::MissedTickBehavior;

use crate::{Setting, hints, store::Look};

impl Setting {
    /// The tasks that the process has to run while the service answers.
    pub fn background(&self) -> Vec<BackgroundTask> {
        let mut tasks = vec![BackgroundTask::new("setting-revisions", follow(self.clone()))];
        if self.parts().hints.is_some() {
            tasks.push(BackgroundTask::new("setting-hints-out", hints::tell(self.clone())));
            tasks.push(BackgroundTask::new("setting-hints-in", hints::listen(self.clone())));
        }
        tasks
    }
}

/// Looks at the revisions of the apps in use, for as long as the service runs.
async fn follow(setting: Setting) {
    let parts = setting.parts();
    let every = parts.config.follow_every;
    // Replicas that start together don't ask together.
    tokio::time::sleep(every.mul_f64(parts.random.fraction())).await;
    let mut ticks = tokio::time::interval(every);
    // After a stall the next look is a whole interval away: catching up would only hammer a store that is slow.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let probe_every = parts.config.follow_probe_every.get();
    for turn in (0..probe_every).cycle() {
        ticks.tick().await;
        let look = if turn + 1 == probe_every { Look::Beyond } else { Look::AtPointer };
        let oldest = parts.settings.follow(look).await;
        parts.metrics.oldest_copy_seconds.set(oldest.as_secs_f64());
    }
}

#[cfg(test)]
mod tests;
