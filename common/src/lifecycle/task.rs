//! [`BackgroundTask`]: what a service wants run beside its requests, handed to the process that runs it.

use std::{error::Error, fmt, future::Future, pin::Pin, time::Duration};

use tokio::time::{Instant, MissedTickBehavior};

/// How one step of a repeated task went.
pub type StepOutcome = Result<(), Box<dyn Error + Send + Sync>>;

/// A task that runs as long as the service does. It never ends by itself.
pub struct BackgroundTask {
    /// What it is called in logs.
    pub name: &'static str,
    /// The task.
    pub run: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl BackgroundTask {
    /// A task that is one future.
    pub fn new(name: &'static str, run: impl Future<Output = ()> + Send + 'static) -> Self {
        Self { name, run: Box::pin(run) }
    }

    /// A task that takes a step after `first` and then `every` so often. A step may fail: that it is behind is told once,
    /// and once that it has caught up. Replicas that start together should not all have the same `first`.
    pub fn repeated<F>(
        name: &'static str,
        first: Duration,
        every: Duration,
        mut step: impl FnMut() -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = StepOutcome> + Send + 'static,
    {
        Self::new(name, async move {
            let mut ticks = tokio::time::interval_at(Instant::now() + first, every);
            // After a stall the next run is a whole interval away: catching up on missed ticks would only hammer a
            // database that has just come back.
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut behind = false;
            loop {
                ticks.tick().await;
                let outcome = step().await;
                match &outcome {
                    Err(error) if !behind => tracing::warn!(task = name, %error, "is behind and goes on trying"),
                    Ok(()) if behind => tracing::info!(task = name, "has caught up"),
                    Ok(()) | Err(_) => {}
                }
                behind = outcome.is_err();
            }
        })
    }
}

impl fmt::Debug for BackgroundTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackgroundTask").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_step_is_taken_again_whether_it_went_well_or_not() {
        let steps = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&steps);
        let task = BackgroundTask::repeated("test", 3 * SECOND, SECOND, move || {
            let step = counted.fetch_add(1, Ordering::Relaxed);
            async move { if step == 1 { Err("once".into()) } else { Ok(()) } }
        });
        // Ends with the time it is given, not by itself.
        let ended = tokio::time::timeout(SECOND * 11 / 2, task.run).await;
        assert!(ended.is_err());
        assert_eq!(steps.load(Ordering::Relaxed), 3, "at 3, 4 and 5 seconds");
    }
}
