//! Records the span of a call that is made, if its request is traced, and makes it the parent of what happens there.

use std::marker::PhantomData;

use motore::Service;
use tokio::time::Instant;
use volo_thrift::{ClientError, context::ClientContext};

use super::super::{contract::Contract, error::CallError, metrics::Outcome, trace as said};
use crate::telemetry::trace;

/// The layer.
#[derive(Debug)]
pub(in crate::rpc) struct ClientTrace<C, S> {
    inner: S,
    contract: PhantomData<fn() -> C>,
}

impl<C: Contract, S> ClientTrace<C, S> {
    pub(in crate::rpc) fn new(inner: S) -> Self {
        Self { inner, contract: PhantomData }
    }
}

impl<C, S: Clone> Clone for ClientTrace<C, S> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), contract: PhantomData }
    }
}

impl<C, S> Service<ClientContext, Box<C::RequestSend>> for ClientTrace<C, S>
where
    C: Contract,
    S: Service<ClientContext, Box<C::RequestSend>, Error = ClientError> + Send + Sync,
    S::Response: Send,
{
    type Response = S::Response;
    type Error = ClientError;

    async fn call(&self, cx: &mut ClientContext, request: Box<C::RequestSend>) -> Result<S::Response, ClientError> {
        // Decided where the request entered: one that is not traced pays for this look and nothing else.
        let Some(context) = trace::sampled() else { return self.inner.call(cx, request).await };
        let method = C::sent(&request);
        let (inside, span) = trace::child(context, || said::made::<C>(method));
        let result = inside.scope(self.inner.call(cx, request)).await.map_err(CallError::from);
        let outcome = result.as_ref().map_or_else(Outcome::failed, |_| Outcome::OK);
        span.end_with(Instant::now(), outcome.is_fault(), |call| said::ended(outcome, call));
        Ok(result?)
    }
}
