//! Sends the request's context over the wire, and nothing else that the caller's task knows.
//!
//! The trace travels as the persistent metainfo `traceparent`, the lane as `baggage` (both in the forms of W3C), the time
//! that is left as TTHeader's own timeout field (milliseconds, rounded down), where servers of other languages look for
//! it too. That the request is a repeat travels as `is-repeat`.

use std::cell::RefCell;

use metainfo::{Forward, METAINFO, MetaInfo};
use motore::Service;
use volo::{FastStr, context::Context};
use volo_thrift::{ClientError, context::ClientContext};

use crate::context::RequestContext;

/// The key of the W3C trace context in the metainfo.
pub(super) const TRACEPARENT: &str = "traceparent";
/// The key of the W3C baggage, of which only the lane is sent.
pub(super) const BAGGAGE: &str = "baggage";
/// There if the request is a repeat.
pub(super) const IS_REPEAT: &str = "is-repeat";

/// The layer.
#[derive(Clone, Debug)]
pub(in crate::rpc) struct PropagateContext<S> {
    inner: S,
}

impl<S> PropagateContext<S> {
    pub(in crate::rpc) fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S, Request> Service<ClientContext, Request> for PropagateContext<S>
where
    S: Service<ClientContext, Request, Error = ClientError> + Send + Sync,
    Request: Send,
{
    type Response = S::Response;
    type Error = ClientError;

    async fn call(&self, cx: &mut ClientContext, request: Request) -> Result<S::Response, ClientError> {
        let mut info = MetaInfo::new();
        if let Some(context) = RequestContext::current() {
            let traceparent = FastStr::from_string(context.traceparent());
            info.set_persistent(FastStr::from_static_str(TRACEPARENT), traceparent);
            if let Some(lane) = context.lane {
                let baggage = FastStr::from_string(format!("lane={lane}"));
                info.set_persistent(FastStr::from_static_str(BAGGAGE), baggage);
            }
            if context.is_repeat {
                info.set_persistent(FastStr::from_static_str(IS_REPEAT), FastStr::from_static_str("1"));
            }
            cx.rpc_info_mut().config_mut().set_rpc_timeout(context.remaining());
        }
        METAINFO.scope(RefCell::new(info), self.inner.call(cx, request)).await
    }
}
