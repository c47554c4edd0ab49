//! One call for all that want the same.
//!
//! A call runs in a task of its own, so that it goes on when the request that began it is given up: others wait for it.
//! There are never more than requests in progress, which the edge limits.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use common::{error_code::PublicError, lifecycle::RequestTasks};
use tokio::sync::watch;

use super::{answer::Answer, caller::Key};

/// What a call brought.
pub(super) type Outcome = Result<Arc<Answer>, PublicError>;

/// What a call is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Destination {
    /// To learn what the answers of an app depend on.
    App(i64),
    /// One answer.
    Answer(Key),
}

/// The calls that are on their way.
#[derive(Clone, Debug, Default)]
pub(super) struct Flights(Arc<Mutex<HashMap<Destination, watch::Receiver<Option<Outcome>>>>>);

/// An outcome, and whether it is that of the caller's own question.
pub(super) struct Landed {
    pub(super) outcome: Outcome,
    pub(super) own: bool,
}

impl Flights {
    /// Waits for the call that is on its way to `destination`; if there is none, `begin` makes it.
    pub(super) async fn join<F>(
        &self,
        destination: Destination,
        tasks: &RequestTasks,
        begin: impl FnOnce() -> F,
    ) -> Landed
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let (mut receiver, own) = self.board(destination, tasks, begin);
        let outcome = match receiver.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone(),
            Err(_) => None,
        };
        // Without an outcome the task has panicked, which its panic hook has told.
        Landed { outcome: outcome.unwrap_or_else(|| Err(PublicError::internal())), own }
    }

    fn board<F>(
        &self,
        destination: Destination,
        tasks: &RequestTasks,
        begin: impl FnOnce() -> F,
    ) -> (watch::Receiver<Option<Outcome>>, bool)
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let mut under_way = self.under_way();
        if let Some(receiver) = under_way.get(&destination) {
            return (receiver.clone(), false);
        }
        let (sender, receiver) = watch::channel(None);
        under_way.insert(destination.clone(), receiver.clone());
        let call = begin();
        let landing = Landing { flights: self.clone(), destination };
        tasks.spawn_in_context(async move {
            let outcome = call.await;
            drop(landing);
            sender.send_replace(Some(outcome));
        });
        (receiver, true)
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<Destination, watch::Receiver<Option<Outcome>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whatever becomes of a call, the next question after it begins another one.
struct Landing {
    flights: Flights,
    destination: Destination,
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.flights.under_way().remove(&self.destination);
    }
}
