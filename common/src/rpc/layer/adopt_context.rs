//! Takes the request's context over from the wire, and boxes the request for the layers below. In process the context is
//! passed as a value and this layer is not there.
//!
//! The time that is left counts from the arrival, so that the clocks of two machines need not agree. What lay in the
//! kernel while this process hung arrives late and does not know it; but whoever sent it has hung up, and then its time
//! is over.

use govern::baggage::Baggage;
use metainfo::{Forward, METAINFO};
use motore::Service;
use tokio::time::Instant;
use volo::context::Context;
use volo_thrift::{ServerError, context::ServerContext};

use super::{
    super::caller::Caller,
    propagate_context::{BAGGAGE, IS_REPEAT, TRACEPARENT},
};
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
        let (sent, lane, is_repeat) = METAINFO.with(|info| {
            let info = info.borrow();
            let lane = info.get_persistent(BAGGAGE).and_then(|baggage| Baggage::parse([&*baggage]).lane());
            (info.get_persistent(TRACEPARENT), lane, info.get_persistent(IS_REPEAT).is_some())
        });
        let sent = sent.and_then(|header| RequestContext::parse_traceparent(&header));
        let mut context = match sent {
            Some((trace_id, parent_span, sampled)) => RequestContext::of_trace(trace_id, parent_span, sampled),
            None => RequestContext::root(&*self.random),
        };
        (context.lane, context.is_repeat) = (lane, is_repeat);
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
