//! A read of the store that goes on whoever waits for it.

use std::sync::Arc;

use tokio::sync::watch;

use super::{Inner, copy::State};
use crate::{
    domain::AppId,
    store::{Look, Source},
};

/// A read that is registered in `reads`; taken out again however it ends.
pub(super) struct UnderWay<S: Source> {
    inner: Arc<Inner<S>>,
    app: AppId,
    sender: watch::Sender<Option<Arc<State>>>,
}

impl<S: Source> UnderWay<S> {
    /// Begins a read that has just been registered.
    pub(super) fn begin(inner: Arc<Inner<S>>, app: AppId, look: Look, sender: watch::Sender<Option<Arc<State>>>) {
        spawn_read(Self { inner, app, sender }.run(look));
    }

    async fn run(self, look: Look) {
        let copy = self.inner.copy_of(self.app).await;
        let loaded = self.inner.load(self.app, copy.state().revision(), look).await;
        let state = self.inner.apply(self.app, copy, loaded).await;
        // Whoever is told and asks for more must not join this read.
        self.inner.reads().remove(&self.app);
        // Waiters get the state from here: the cache is free not to keep it.
        self.sender.send_replace(Some(state));
    }
}

impl<S: Source> Drop for UnderWay<S> {
    fn drop(&mut self) {
        let mut reads = self.inner.reads();
        // Another one may be under way by now, if this one came to its end.
        if self.sender.borrow().is_none() {
            reads.remove(&self.app);
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a read serves every later reader: it belongs to no request's trace or deadline, and a drain need not wait for it"
)]
fn spawn_read(read: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(read);
}
