//! A request exactly as it came: for whoever signs in a way of their own, and is answered in a form of their own.

use bytes::Bytes;
use http::{HeaderMap, Method, request::Parts};
use volo_http::{body::Body, context::ServerContext, server::extract::FromRequest};

use super::body::read_body;
use crate::http::ApiError;

/// Everything a signature may cover. Nothing in it is decoded.
#[derive(Clone, Debug)]
pub struct RawRequest {
    /// The method.
    pub method: Method,
    /// The path as sent, percent-encoding untouched.
    pub path: String,
    /// The query as sent, without its question mark; empty when there is none.
    pub query: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The raw body.
    pub body: Bytes,
}

impl FromRequest for RawRequest {
    type Rejection = ApiError;

    async fn from_request(_: &mut ServerContext, parts: Parts, body: Body) -> Result<Self, ApiError> {
        let body = read_body(&parts.headers, body).await?;
        let (path, query) = (parts.uri.path().to_owned(), parts.uri.query().unwrap_or_default().to_owned());
        Ok(Self { method: parts.method, path, query, headers: parts.headers, body })
    }
}
