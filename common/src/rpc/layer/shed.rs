//! Lets calls in by the class of their method, or refuses them with a time to ask again.

use std::{marker::PhantomData, sync::Arc};

use motore::Service;
use volo_thrift::{ServerError, context::ServerContext};

use super::super::{contract::Contract, error::refuse};
use crate::{
    error_code::ErrorCode,
    governance::shedding::{Gate, ending_of},
};

/// The layer. Without a gate it lets everything through: what is called in process was let in by the edge.
#[derive(Debug)]
pub(in crate::rpc) struct Shed<C, S> {
    inner: S,
    gate: Option<Arc<Gate>>,
    contract: PhantomData<fn() -> C>,
}

impl<C: Contract, S> Shed<C, S> {
    pub(in crate::rpc) fn new(inner: S, gate: Option<Arc<Gate>>) -> Self {
        Self { inner, gate, contract: PhantomData }
    }
}

impl<C, S> Service<ServerContext, Box<C::RequestRecv>> for Shed<C, S>
where
    C: Contract,
    S: Service<ServerContext, Box<C::RequestRecv>, Error = ServerError> + Send + Sync,
    S::Response: Send,
{
    type Response = S::Response;
    type Error = ServerError;

    async fn call(&self, cx: &mut ServerContext, request: Box<C::RequestRecv>) -> Result<S::Response, ServerError> {
        let admission = match self.gate.as_ref().zip(C::received(&request).class) {
            None => None,
            Some((gate, class)) => match gate.enter(class).await {
                Ok(admission) => Some(admission),
                Err(refused) => return Err(refuse(&refused.into())),
            },
        };
        let result = self.inner.call(cx, request).await;
        if let Some(admission) = admission {
            admission.ended(ending_of(match &result {
                Ok(_) => ErrorCode::OK,
                Err(ServerError::Biz(refusal)) => ErrorCode::from(refusal.status_code),
                Err(ServerError::Application(_)) => ErrorCode::INTERNAL,
            }));
        }
        result
    }
}
