//! Lets nothing leave a server but results and business errors.
//!
//! volo turns a business error that a layer returns into an exception with the text of the error, unless the context
//! knows of it too; here it is told. And an exception, whose text is for us, becomes an internal fault without one.

use motore::Service;
use volo_thrift::{ServerError, context::ServerContext};

use super::super::error::refuse;
use crate::error_code::PublicError;

/// The layer.
#[derive(Debug)]
pub(in crate::rpc) struct Seal<S> {
    inner: S,
}

impl<S> Seal<S> {
    pub(in crate::rpc) fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S, Request> Service<ServerContext, Request> for Seal<S>
where
    S: Service<ServerContext, Request, Error = ServerError> + Send + Sync,
    Request: Send,
{
    type Response = S::Response;
    type Error = ServerError;

    async fn call(&self, cx: &mut ServerContext, request: Request) -> Result<S::Response, ServerError> {
        let refusal = match self.inner.call(cx, request).await {
            Ok(response) => return Ok(response),
            Err(ServerError::Application(exception)) => {
                tracing::error!(error = %exception, "a handler failed without saying what its caller may know");
                refuse(&PublicError::internal())
            }
            Err(refusal @ ServerError::Biz(_)) => refusal,
        };
        if let ServerError::Biz(refusal) = &refusal {
            cx.common_stats.set_biz_error(refusal.clone());
        }
        Err(refusal)
    }
}
