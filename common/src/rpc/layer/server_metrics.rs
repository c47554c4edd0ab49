//! Counts the calls a server answers.

use std::marker::PhantomData;

use motore::Service;
use volo_thrift::{ServerError, context::ServerContext};

use super::super::{
    contract::Contract,
    metrics::{CallFamilies, Outcome, ServiceCalls},
};

/// The layer.
#[derive(Debug)]
pub(in crate::rpc) struct ServerCalls<C, S> {
    inner: S,
    calls: ServiceCalls,
    contract: PhantomData<fn() -> C>,
}

impl<C: Contract, S> ServerCalls<C, S> {
    pub(in crate::rpc) fn new(inner: S, families: &CallFamilies) -> Self {
        Self { inner, calls: families.of::<C>(), contract: PhantomData }
    }
}

impl<C, S> Service<ServerContext, Box<C::RequestRecv>> for ServerCalls<C, S>
where
    C: Contract,
    S: Service<ServerContext, Box<C::RequestRecv>, Error = ServerError> + Send + Sync,
{
    type Response = S::Response;
    type Error = ServerError;

    async fn call(&self, cx: &mut ServerContext, request: Box<C::RequestRecv>) -> Result<S::Response, ServerError> {
        let call = self.calls.begin(C::received(&request));
        let result = self.inner.call(cx, request).await;
        call.end(Outcome::of_answer(&result));
        result
    }
}
