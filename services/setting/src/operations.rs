//! How what operators ask for is carried out: on a task of its own, so that what has begun comes to its end whether or not
//! its caller still waits, and only so many at one moment.

use std::{sync::Arc, time::Duration};

use common::context::RequestContext;
use tokio::time::timeout;

use crate::{error::AdminError, service::Parts};

/// For a caller that sets no limit of its own.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Carries out `work`. A caller that stops waiting is told so; the work goes on and keeps its place among those that may be
/// under way.
pub(crate) async fn carry_out<T, F>(parts: &Arc<Parts>, work: impl FnOnce(Arc<Parts>) -> F) -> Result<T, AdminError>
where
    T: Send + 'static,
    F: Future<Output = Result<T, AdminError>> + Send + 'static,
{
    let Ok(place) = Arc::clone(&parts.operations).try_acquire_owned() else { return Err(AdminError::Busy) };
    let work = work(Arc::clone(parts));
    let running = spawn(async move {
        let result = work.await;
        drop(place);
        result
    });
    let patience = RequestContext::current().and_then(|context| context.remaining()).unwrap_or(LONGEST_WAIT);
    match timeout(patience, running).await {
        Ok(Ok(result)) => result,
        Ok(Err(lost)) => Err(AdminError::Lost(lost)),
        Err(_) => Err(AdminError::Slow),
    }
}

/// Does something that nobody waits for.
pub(crate) fn afterwards(work: impl Future<Output = ()> + Send + 'static) {
    drop(spawn(work));
}

#[expect(
    clippy::disallowed_methods,
    reason = "a publish that has begun must not end with its caller: the task belongs to no request's deadline"
)]
fn spawn<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> tokio::task::JoinHandle<T> {
    tokio::spawn(work)
}

/// Runs what keeps a processor busy off the runtime, whose threads answer players.
pub(crate) async fn compute<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, AdminError> {
    tokio::task::spawn_blocking(work).await.map_err(AdminError::Lost)
}
