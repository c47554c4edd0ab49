//! Opens the span of a call, if its request was chosen for tracing. Everything else gets no span at all.

use std::marker::PhantomData;

use motore::Service;
use tracing::{Instrument, Span};
use volo_thrift::{ServerError, context::ServerContext};

use super::super::contract::Contract;
use crate::context::RequestContext;

/// The layer.
#[derive(Debug)]
pub(in crate::rpc) struct Trace<C, S> {
    inner: S,
    contract: PhantomData<fn() -> C>,
}

impl<C: Contract, S> Trace<C, S> {
    pub(in crate::rpc) fn new(inner: S) -> Self {
        Self { inner, contract: PhantomData }
    }
}

impl<C, S> Service<ServerContext, C::RequestRecv> for Trace<C, S>
where
    C: Contract,
    S: Service<ServerContext, C::RequestRecv, Error = ServerError> + Send + Sync,
{
    type Response = S::Response;
    type Error = ServerError;

    async fn call(&self, cx: &mut ServerContext, request: C::RequestRecv) -> Result<S::Response, ServerError> {
        // Decided where the request entered: a span costs microseconds even when nobody ever looks at it.
        let span = match RequestContext::current() {
            Some(context) if context.sampled => tracing::info_span!(
                "rpc",
                service = C::SERVICE,
                method = C::received(&request).name,
                trace_id = %context.trace_id,
                parent_span = context.parent_span,
            ),
            Some(_) | None => Span::none(),
        };
        self.inner.call(cx, request).instrument(span).await
    }
}
