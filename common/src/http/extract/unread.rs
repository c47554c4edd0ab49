//! A request whose body is still to come: for whoever looks at the head first, or takes bodies that others refuse.

use bytes::Bytes;
use http::request::Parts;
use http_body_util::BodyExt;
use volo_http::{body::Body, context::ServerContext, server::extract::FromRequest};

use crate::{
    error_code::{ErrorCode, PublicError},
    http::ApiError,
};

/// A head and the body that follows it.
#[derive(Debug)]
pub struct UnreadRequest {
    /// Method, path, query and headers as they came.
    pub head: Parts,
    /// What follows.
    pub body: UnreadBody,
}

/// A body that nobody has read.
#[derive(Debug)]
pub struct UnreadBody(Body);

impl UnreadBody {
    /// Reads the whole body as it is on the wire: an encoded one stays encoded. One that breaks off or is framed wrongly
    /// is malformed; one over the limit is answered by the [body limit](crate::http::BodyLimit), whatever is made of it.
    pub async fn read_as_sent(self) -> Result<Bytes, PublicError> {
        match self.0.collect().await {
            Ok(collected) => Ok(collected.to_bytes()),
            Err(_) => Err(PublicError::new(ErrorCode::MALFORMED_BODY)),
        }
    }
}

impl FromRequest for UnreadRequest {
    type Rejection = ApiError;

    async fn from_request(_: &mut ServerContext, head: Parts, body: Body) -> Result<Self, ApiError> {
        Ok(Self { head, body: UnreadBody(body) })
    }
}
