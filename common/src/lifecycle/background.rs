//! Tasks that live as long as the process, and the notice when one of them does not.

use std::future::Future;

use tokio::{sync::watch, task::JoinError};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;

/// A part of the process that ended although nobody asked for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} {how}")]
pub struct BackgroundFailure {
    /// The name it was spawned with.
    pub name: &'static str,
    /// Ended or panicked.
    pub how: &'static str,
}

/// The long-lived tasks of a process.
#[derive(Debug)]
pub(super) struct Background {
    /// Tasks that end by themselves once `stopping` is cancelled: an end waits for them.
    pub(super) servers: TaskTracker,
    /// Everything else. Nobody waits for these.
    endless: TaskTracker,
    stopping: CancellationToken,
    /// Cancelled at the very end: takes down the tasks that have no end of their own.
    ended: CancellationToken,
    failure: watch::Sender<Option<BackgroundFailure>>,
}

impl Background {
    pub(super) fn new(stopping: CancellationToken) -> Self {
        Self {
            servers: TaskTracker::new(),
            endless: TaskTracker::new(),
            stopping,
            ended: CancellationToken::new(),
            failure: watch::Sender::new(None),
        }
    }

    pub(super) fn spawn_server(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.servers.spawn(self.watched(name, task));
    }

    pub(super) fn spawn_endless(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.endless.spawn(self.watched(name, task));
    }

    pub(super) fn failure(&self) -> Option<BackgroundFailure> {
        self.failure.borrow().clone()
    }

    /// Waits for the first failure.
    pub(super) async fn failed(&self) {
        // The sender lives in `self`: the wait can't end without an answer.
        let _ = self.failure.subscribe().wait_for(Option::is_some).await;
    }

    pub(super) fn end(&self) {
        self.ended.cancel();
    }

    /// The future that runs `task` and tells when it should not have ended.
    fn watched<F>(&self, name: &'static str, task: F) -> impl Future<Output = ()> + Send + 'static
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (stopping, ended) = (self.stopping.clone(), self.ended.clone());
        let (failure, tasks) = (self.failure.clone(), self.endless.clone());
        async move {
            // A task of its own, so that its panic comes back as a value.
            let span = tracing::info_span!(parent: None, "background", task = name);
            let mut task = tasks.spawn(task.instrument(span));
            let outcome = tokio::select! {
                outcome = &mut task => outcome,
                () = ended.cancelled() => {
                    task.abort();
                    return;
                }
            };
            if let Some(found) = judge(name, outcome, stopping.is_cancelled()) {
                tracing::error!(task = name, "{found}: the process can't go on without it");
                failure.send_if_modified(|first| first.is_none() && first.replace(found).is_none());
            }
        }
    }
}

/// An end is fine once the process stops; a panic never is.
fn judge(name: &'static str, outcome: Result<(), JoinError>, stopping: bool) -> Option<BackgroundFailure> {
    match outcome {
        Ok(()) if stopping => None,
        Ok(()) => Some(BackgroundFailure { name, how: "ended" }),
        Err(error) if error.is_panic() => Some(BackgroundFailure { name, how: "panicked" }),
        // Cancelled: the runtime itself is being taken down.
        Err(_) => None,
    }
}
