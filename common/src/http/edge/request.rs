//! One request between hyper and the service.

use std::{
    cell::RefCell,
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
};

use http::{HeaderValue, StatusCode, header::CONNECTION};
use hyper::body::Incoming;
use metainfo::{METAINFO, MetaInfo};
use motore::Service;
use volo::net::Address;
use volo_http::{body::Body, context::ServerContext, request::Request, response::Response, server::IntoResponse};

use super::{server::Edge, stream::ConnectionState};

/// The service as one connection sees it.
pub(super) struct RequestService<S> {
    edge: Arc<Edge<S>>,
    peer: Address,
    state: Arc<ConnectionState>,
}

impl<S> RequestService<S> {
    pub(super) fn new(edge: Arc<Edge<S>>, peer: Address, state: Arc<ConnectionState>) -> Self {
        Self { edge, peer, state }
    }
}

impl<S> hyper::service::Service<Request<Incoming>> for RequestService<S>
where
    S: Service<ServerContext, Request, Error = Infallible> + Send + Sync + 'static,
    S::Response: IntoResponse,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let (edge, peer, state) = (Arc::clone(&self.edge), self.peer.clone(), Arc::clone(&self.state));
        state.requests.fetch_add(1, Ordering::Relaxed);
        state.handling.store(true, Ordering::Relaxed);
        // A scope of its own, so that nothing one request tells its RPC calls reaches the next one.
        Box::pin(METAINFO.scope(RefCell::new(MetaInfo::default()), async move {
            let mut cx = ServerContext::new(peer);
            let answer = edge.service.call(&mut cx, request.map(Body::from_incoming)).await?;
            let mut response = answer.into_response();
            if edge.draining.load(Ordering::Relaxed) {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            // Both are given while the client may still be sending.
            if matches!(response.status(), StatusCode::PAYLOAD_TOO_LARGE | StatusCode::GATEWAY_TIMEOUT) {
                state.body_abandoned.store(true, Ordering::Relaxed);
            }
            state.handling.store(false, Ordering::Relaxed);
            Ok(response)
        }))
    }
}
