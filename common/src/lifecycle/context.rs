//! Work of a request that runs in a task of its own, and what it must take along.
//!
//! A bare `tokio::spawn` loses all of it: the span and its trace, the metainfo that RPC calls forward, the request's
//! context with its deadline; and an end of the process would not wait for it.

use std::{cell::RefCell, future::Future};

use metainfo::{METAINFO, MetaInfo};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::context::RequestContext;

/// The requests' tasks of a process. A drain waits for them.
#[derive(Clone, Debug, Default)]
pub struct RequestTasks(TaskTracker);

impl RequestTasks {
    /// Runs `future` in a task with the span, metainfo and request context of the caller. Dropping the handle does not
    /// stop it: that is what it is for.
    pub fn spawn_in_context<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        spawn_in_context(&self.0, future)
    }

    /// The tracker, for code that spawns through [`spawn_in_context`] itself.
    pub fn tracker(&self) -> &TaskTracker {
        &self.0
    }
}

/// As [`RequestTasks::spawn_in_context`], for a tracker that is not the process's own.
pub fn spawn_in_context<F>(tracker: &TaskTracker, future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let with_metainfo = METAINFO.scope(RefCell::new(derive_metainfo()), future.in_current_span());
    match RequestContext::current() {
        Some(context) => tracker.spawn(context.scope(with_metainfo)),
        None => tracker.spawn(with_metainfo),
    }
}

/// What the caller's metainfo hands down. The caller keeps an equal one; later changes of either are its own.
fn derive_metainfo() -> MetaInfo {
    let derived = METAINFO.try_with(|current| {
        let (kept, handed_down) = current.take().derive();
        current.replace(kept);
        handed_down
    });
    derived.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use metainfo::Forward;
    use tracing::Span;

    use super::*;
    use crate::clock::testing::SeededRandom;

    fn persistent(key: &str) -> Option<String> {
        METAINFO.with(|metainfo| metainfo.borrow().get_persistent(key).map(|value| value.to_string()))
    }

    #[tokio::test]
    async fn a_task_of_a_request_keeps_its_context_metainfo_and_span() {
        let subscriber = tracing_subscriber::registry();
        let _guard = tracing::subscriber::set_default(subscriber);
        let tasks = RequestTasks::default();
        let context = RequestContext::root(&SeededRandom::new(7));
        let mut metainfo = MetaInfo::new();
        metainfo.set_persistent("lane", "blue");

        let request = async {
            let caller_span = Span::current().id();
            assert!(caller_span.is_some());
            let task =
                tasks.spawn_in_context(async { (RequestContext::current(), persistent("lane"), Span::current().id()) });
            assert_eq!(task.await.expect("no panic"), (Some(context), Some("blue".to_owned()), caller_span));
            assert_eq!(persistent("lane").as_deref(), Some("blue"), "the caller keeps its own");
        };
        let request = request.instrument(tracing::info_span!("request"));
        context.scope(METAINFO.scope(RefCell::new(metainfo), request)).await;
    }

    #[tokio::test]
    async fn what_a_task_adds_to_its_metainfo_stays_with_it() {
        let tasks = RequestTasks::default();
        let request = async {
            let task = tasks.spawn_in_context(async {
                METAINFO.with(|metainfo| metainfo.borrow_mut().set_persistent("lane", "green"));
                persistent("lane")
            });
            assert_eq!(task.await.expect("no panic").as_deref(), Some("green"));
            assert_eq!(persistent("lane"), None);
        };
        METAINFO.scope(RefCell::new(MetaInfo::new()), request).await;
    }

    #[tokio::test]
    async fn a_task_outlives_the_handle_and_is_counted_until_it_ends() {
        let tasks = RequestTasks::default();
        let (release, released) = tokio::sync::oneshot::channel::<()>();
        drop(tasks.spawn_in_context(released));
        assert_eq!(tasks.tracker().len(), 1);
        release.send(()).expect("the task still waits");
        tasks.tracker().close();
        tasks.tracker().wait().await;
    }
}
