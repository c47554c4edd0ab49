//! Records the span of a call that is answered, if its request is traced.

use std::marker::PhantomData;

use motore::Service;
use tokio::time::Instant;
use volo_thrift::{ServerError, context::ServerContext};

use super::super::{contract::Contract, metrics::Outcome, trace as said};
use crate::telemetry::trace;

/// The layer.
#[derive(Debug)]
pub(in crate::rpc) struct ServerTrace<C, S> {
    inner: S,
    contract: PhantomData<fn() -> C>,
}

impl<C: Contract, S> ServerTrace<C, S> {
    pub(in crate::rpc) fn new(inner: S) -> Self {
        Self { inner, contract: PhantomData }
    }
}

impl<C, S> Service<ServerContext, Box<C::RequestRecv>> for ServerTrace<C, S>
where
    C: Contract,
    S: Service<ServerContext, Box<C::RequestRecv>, Error = ServerError> + Send + Sync,
    S::Response: Send,
{
    type Response = S::Response;
    type Error = ServerError;

    async fn call(&self, cx: &mut ServerContext, request: Box<C::RequestRecv>) -> Result<S::Response, ServerError> {
        // Decided where the request entered: one that is not traced pays for this look and nothing else.
        let Some(context) = trace::sampled() else { return self.inner.call(cx, request).await };
        let method = C::received(&request);
        let (inside, span) = trace::child(context, || said::received::<C>(method));
        let result = inside.scope(self.inner.call(cx, request)).await;
        let outcome = Outcome::of_answer(&result);
        span.end_with(Instant::now(), outcome.is_fault(), |call| said::ended(outcome, call));
        result
    }
}
