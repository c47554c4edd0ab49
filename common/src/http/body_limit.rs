//! No body is larger than the limit, whether its length is declared or not.
//!
//! A declared length over the limit is refused before a byte is read. A chunked body has no length, so it is counted
//! while it is read; the byte that goes over the limit ends the reading, and whatever the handler makes of that, the
//! client is told the truth: 413.
//!
//! There is one limit, and a larger one for paths that are made for large bodies.

use std::{
    convert::Infallible,
    error::Error,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderValue, header::CONNECTION};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::{LengthLimitError, Limited};
use motore::Service;
use volo_http::{body::Body, context::ServerContext, request::Request, response::Response, server::IntoResponse};

use super::ApiError;
use crate::error_code::{ErrorCode, PublicError};

/// The layer. Stands inside the front layer, so that a refusal is counted and logged like any other answer.
#[derive(Clone, Debug)]
pub struct BodyLimit<S> {
    inner: S,
    limit: usize,
    larger: Arc<[LargerBodies]>,
}

/// Paths whose bodies may be larger than others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LargerBodies {
    /// What their paths begin with.
    pub path_prefix: &'static str,
    /// Bytes of a body at most.
    pub limit: usize,
}

impl<S> BodyLimit<S> {
    /// Lets bodies of up to `limit` bytes through to `inner`.
    pub fn new(inner: S, limit: usize) -> Self {
        Self { inner, limit, larger: Arc::new([]) }
    }

    /// The same with exceptions. Of two that fit a path the first counts; none makes the limit smaller.
    #[must_use]
    pub fn with_larger(self, larger: &[LargerBodies]) -> Self {
        Self { larger: larger.into(), ..self }
    }

    fn limit_for(&self, path: &str) -> usize {
        let larger = self.larger.iter().find(|larger| path.starts_with(larger.path_prefix));
        larger.map_or(self.limit, |larger| larger.limit.max(self.limit))
    }
}

impl<S> Service<ServerContext, Request> for BodyLimit<S>
where
    S: Service<ServerContext, Request, Response = Response, Error = Infallible> + Send + Sync,
{
    type Response = Response;
    type Error = Infallible;

    async fn call(&self, cx: &mut ServerContext, request: Request) -> Result<Response, Infallible> {
        let size = request.body().size_hint();
        let limit = self.limit_for(request.uri().path());
        if size.lower() > u64::try_from(limit).unwrap_or(u64::MAX) {
            return Ok(too_large());
        }
        let (request, counted) = match size.exact() {
            Some(_) => (request, None),
            None => count(request, limit),
        };
        let response = self.inner.call(cx, request).await?;
        let exceeded = counted.is_some_and(|exceeded| exceeded.load(Ordering::Relaxed));
        Ok(if exceeded { too_large() } else { response })
    }
}

/// Wraps a body of unknown length; the flag is raised when it turns out too long.
fn count(request: Request, limit: usize) -> (Request, Option<Arc<AtomicBool>>) {
    let exceeded = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&exceeded);
    let request = request.map(|body| Body::from_body(CountedBody { inner: Limited::new(body, limit), exceeded: flag }));
    (request, Some(exceeded))
}

fn too_large() -> Response {
    let mut response = ApiError(PublicError::new(ErrorCode::BODY_TOO_LARGE)).into_response();
    // The rest of the body is still under way: the connection can't carry another request.
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

struct CountedBody {
    inner: Limited<Body>,
    exceeded: Arc<AtomicBool>,
}

impl HttpBody for CountedBody {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let frame = Pin::new(&mut self.inner).poll_frame(cx);
        if let Poll::Ready(Some(Err(error))) = &frame
            && error.is::<LengthLimitError>()
        {
            self.exceeded.store(true, Ordering::Relaxed);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_made_for_large_bodies_have_a_limit_of_their_own_and_it_is_never_smaller() {
        let larger = [
            LargerBodies { path_prefix: "/v1/partner/", limit: 100 },
            LargerBodies { path_prefix: "/v1/small/", limit: 1 },
        ];
        let layer = BodyLimit::new((), 10).with_larger(&larger);
        for (path, limit) in [("/v1/partner/ads/events", 100), ("/v1/partner", 10), ("/v1/small/a", 10), ("/", 10)] {
            assert_eq!(layer.limit_for(path), limit, "{path}");
        }
    }
}
