//! Takes the request's context over from the wire, and boxes the request for the layers below.
//! In process the context is passed as a value and this layer is not there.

use metainfo::{Forward, METAINFO};
use motore::Service;
use tokio::time::Instant;
use volo::context::Context;
use volo_thrift::{ServerError, context::ServerContext};

use super::propagate_context::TRACEPARENT;
use crate::{clock::SharedRandom, context::RequestContext};

/// The layer.
#[derive(Debug)]
pub(in crate::rpc) struct AdoptContext<S> {
    inner: S,
    random: SharedRandom,
}

impl<S> AdoptContext<S> {
    pub(in crate::rpc) fn new(inner: S, random: SharedRandom) -> Self {
        Self { inner, random }
    }

    /// What the caller sent; a context of its own for a caller that sent none.
    fn context(&self, cx: &ServerContext) -> RequestContext {
        let sent = METAINFO.with(|info| info.borrow().get_persistent(TRACEPARENT));
        let sent = sent.and_then(|header| RequestContext::parse_traceparent(&header));
        let mut context = match sent {
            Some((trace_id, parent_span, sampled)) => RequestContext { trace_id, parent_span, sampled, deadline: None },
            None => RequestContext::root(&*self.random),
        };
        context.deadline = cx.rpc_info().config().rpc_timeout().and_then(|left| Instant::now().checked_add(left));
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
