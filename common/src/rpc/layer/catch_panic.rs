//! Turns a panic below into an internal fault for this caller; the connection and everybody else go on.

use std::{
    any::Any,
    future::{Future, poll_fn},
    marker::PhantomData,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
};

use motore::Service;
use prometheus::IntCounterVec;
use volo_thrift::{ServerError, context::ServerContext};

use super::super::{contract::Contract, error::refuse};
use crate::error_code::PublicError;

/// The layer.
#[derive(Debug)]
pub(in crate::rpc) struct CatchPanic<C, S> {
    inner: S,
    panics: IntCounterVec,
    contract: PhantomData<fn() -> C>,
}

impl<C: Contract, S> CatchPanic<C, S> {
    pub(in crate::rpc) fn new(inner: S, panics: IntCounterVec) -> Self {
        Self { inner, panics, contract: PhantomData }
    }
}

impl<C, S> Service<ServerContext, Box<C::RequestRecv>> for CatchPanic<C, S>
where
    C: Contract,
    S: Service<ServerContext, Box<C::RequestRecv>, Error = ServerError> + Send + Sync,
    S::Response: Send,
{
    type Response = S::Response;
    type Error = ServerError;

    async fn call(&self, cx: &mut ServerContext, request: Box<C::RequestRecv>) -> Result<S::Response, ServerError> {
        let method = C::received(&request);
        let mut call = pin!(self.inner.call(cx, request));
        // Nothing of the call is used after it has panicked: it is dropped with this future.
        let caught = poll_fn(|task| match catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(task))) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => std::task::Poll::Ready(Err(panic)),
        });
        caught.await.unwrap_or_else(|panic| {
            self.panics.with_label_values(&[C::SERVICE, method.name]).inc();
            let text = text_of(&*panic);
            tracing::error!(service = C::SERVICE, method = method.name, panic = text, "a handler panicked");
            Err(refuse(&PublicError::internal()))
        })
    }
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}
