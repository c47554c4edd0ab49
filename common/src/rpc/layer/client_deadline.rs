//! Gives a call its time: the client's own timeout or what is left of the caller's, whichever is shorter.

use std::{future::poll_fn, pin::pin, time::Duration};

use motore::Service;
use tokio::time::Instant;
use volo_thrift::{ClientError, context::ClientContext};

use super::super::error::CallError;
use crate::{clock::SharedRandom, context::RequestContext, late_timer::poll_until};

/// The layer.
#[derive(Clone, Debug)]
pub(in crate::rpc) struct ClientDeadline<S> {
    inner: S,
    timeout: Duration,
    random: SharedRandom,
}

impl<S> ClientDeadline<S> {
    pub(in crate::rpc) fn new(inner: S, timeout: Duration, random: SharedRandom) -> Self {
        Self { inner, timeout, random }
    }
}

impl<S, Request> Service<ClientContext, Request> for ClientDeadline<S>
where
    S: Service<ClientContext, Request, Error = ClientError> + Send + Sync,
    S::Response: Send,
    Request: Send,
{
    type Response = S::Response;
    type Error = ClientError;

    async fn call(&self, cx: &mut ClientContext, request: Request) -> Result<S::Response, ClientError> {
        let mut context = RequestContext::current().unwrap_or_else(|| RequestContext::root(&*self.random));
        let now = Instant::now();
        let own = now + self.timeout;
        let deadline = context.deadline.map_or(own, |callers| callers.min(own));
        if deadline <= now {
            return Err(CallError::DeadlineExceeded.into());
        }
        context.deadline = Some(deadline);
        let (mut call, mut timer) = (pin!(context.scope(self.inner.call(cx, request))), pin!(None));
        let in_time = poll_fn(|task| poll_until(deadline, call.as_mut(), timer.as_mut(), task)).await;
        in_time.unwrap_or_else(|| Err(CallError::DeadlineExceeded.into()))
    }
}
