//! Counts the calls a client makes, and boxes their requests for the layers below.

use std::marker::PhantomData;

use motore::Service;
use volo_thrift::{ClientError, context::ClientContext};

use super::super::{
    contract::Contract,
    error::CallError,
    metrics::{CallFamilies, Outcome, ServiceCalls},
};

/// The layer.
#[derive(Debug)]
pub(in crate::rpc) struct ClientCalls<C, S> {
    inner: S,
    calls: ServiceCalls,
    contract: PhantomData<fn() -> C>,
}

impl<C: Contract, S> ClientCalls<C, S> {
    pub(in crate::rpc) fn new(inner: S, families: &CallFamilies) -> Self {
        Self { inner, calls: families.of::<C>(), contract: PhantomData }
    }
}

impl<C, S: Clone> Clone for ClientCalls<C, S> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), calls: self.calls.clone(), contract: PhantomData }
    }
}

impl<C, S> Service<ClientContext, C::RequestSend> for ClientCalls<C, S>
where
    C: Contract,
    S: Service<ClientContext, Box<C::RequestSend>, Error = ClientError> + Send + Sync,
    S::Response: Send,
{
    type Response = S::Response;
    type Error = ClientError;

    async fn call(&self, cx: &mut ClientContext, request: C::RequestSend) -> Result<S::Response, ClientError> {
        let call = self.calls.begin(C::sent(&request));
        match self.inner.call(cx, Box::new(request)).await {
            Ok(response) => {
                call.end(Outcome::OK);
                Ok(response)
            }
            Err(error) => {
                // From here on an error is one of ours, whatever it came as.
                let error = CallError::from(error);
                call.end(Outcome::failed(&error));
                Err(error.into())
            }
        }
    }
}
