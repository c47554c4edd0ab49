//! Drops work that nobody waits for any more.
//!
//! What has not begun is refused, if its time is over or its caller has hung up. A read is cut when its caller's time is over; a write that has begun runs to its end.

use std::{future::poll_fn, marker::PhantomData, pin::pin};

use motore::Service;
use tokio::time::Instant;
use volo_thrift::{ServerError, context::ServerContext};

use super::super::{
    contract::{Contract, Effect},
    error::refuse,
};
use crate::{
    context::RequestContext,
    error_code::{ErrorCode, PublicError},
    late_timer::poll_until,
};

/// The layer.
#[derive(Debug)]
pub(in crate::rpc) struct ServerDeadline<C, S> {
    inner: S,
    contract: PhantomData<fn() -> C>,
}

impl<C: Contract, S> ServerDeadline<C, S> {
    pub(in crate::rpc) fn new(inner: S) -> Self {
        Self { inner, contract: PhantomData }
    }
}

impl<C, S> Service<ServerContext, Box<C::RequestRecv>> for ServerDeadline<C, S>
where
    C: Contract,
    S: Service<ServerContext, Box<C::RequestRecv>, Error = ServerError> + Send + Sync,
    S::Response: Send,
{
    type Response = S::Response;
    type Error = ServerError;

    async fn call(&self, cx: &mut ServerContext, request: Box<C::RequestRecv>) -> Result<S::Response, ServerError> {
        let Some(deadline) = RequestContext::current().and_then(|context| context.deadline) else {
            return self.inner.call(cx, request).await;
        };
        if deadline <= Instant::now() {
            return Err(too_late());
        }
        match C::received(&request).effect {
            Effect::Read => {
                let (mut call, mut timer) = (pin!(self.inner.call(cx, request)), pin!(None));
                let in_time = poll_fn(|task| poll_until(deadline, call.as_mut(), timer.as_mut(), task)).await;
                in_time.unwrap_or_else(|| Err(too_late()))
            }
            Effect::Write => self.inner.call(cx, request).await,
        }
    }
}

fn too_late() -> ServerError {
    refuse(&PublicError::new(ErrorCode::DEADLINE_EXCEEDED))
}
