//! Takes the request's context over from the wire, and boxes the request for the layers below. In process the context is
//! passed as a value and this layer is not there.
//!
//! The time that is left counts from the arrival, so that the clocks of two machines need not agree. What lay in the
//! kernel while this process hung arrives late and does not know it; but whoever sent it has hung up, and then its time
//! is over.

use metainfo::{Forward, METAINFO};
use motore::Service;
use tokio::time::Instant;
use volo::context::Context;
use volo_thrift::{ServerError, context::ServerContext};

use super::{super::caller::Caller, propagate_context::TRACEPARENT};
use crate::{clock::SharedRandom, context::RequestContext};

/// The layer.
#[derive(Debug)]
pub(in crate::rpc) struct AdoptContext<S> {
    inner: S,
    random: SharedRandom,
    caller: Caller,
}

impl<S> AdoptContext<S> {
    pub(in crate::rpc) fn new(inner: S, random: SharedRandom, caller: Caller) -> Self {
        Self { inner, random, caller }
    }

    /// What the caller sent; a context of its own for a caller that sent none.
    fn context(&self, cx: &ServerContext) -> RequestContext {
        let sent = METAINFO.with(|info| info.borrow().get_persistent(TRACEPARENT));
        let sent = sent.and_then(|header| RequestContext::parse_traceparent(&header));
        let mut context = match sent {
            Some((trace_id, parent_span, sampled)) => RequestContext { trace_id, parent_span, sampled, deadline: None },
            None => RequestContext::root(&*self.random),
        };
        let now = Instant::now();
        let sent = cx.rpc_info().config().rpc_timeout().and_then(|left| now.checked_add(left));
        context.deadline = if self.caller.has_left() { Some(now) } else { sent };
        context
    }
}

impl<S, Request> Service<ServerContext, Request> for AdoptContext<S>
where
    S: Service<ServerContext, Box<Request>, Error = ServerError> + Send + Sync,
    Request: Send,
{
    type Response = S::Response;
    type Error = ServerError;

    async fn call(&self, cx: &mut ServerContext, request: Request) -> Result<S::Response, ServerError> {
        let context = self.context(cx);
        context.scope(self.inner.call(cx, Box::new(request))).await
    }
}
