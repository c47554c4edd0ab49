//! The outermost layer of a request: identity, deadline, lane, panic, span, metrics, access log.
//!
//! One future, polled by hand. As five layers this would be five futures inside each other, each as large as all that
//! is inside it, on the path of every request.

use std::{
    any::Any,
    convert::Infallible,
    future::{Future, poll_fn},
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use govern::lane::LaneName;
use http::{HeaderName, HeaderValue, Method, Uri, header::CONNECTION};
use http_body::Body as _;
use motore::Service;
use tokio::time::Instant;
use volo::{FastStr, context::Context};
use volo_http::{
    context::ServerContext, request::Request, response::Response, server::IntoResponse, server::route::MatchedPath,
};

use super::{
    AccessLog, AccessRecord, ApiError, ClientAddress, HttpParts, TrustedNetworks,
    caller_budget::callers_budget,
    client_address::Origin,
    edge::EdgeConfig,
    envelope::AnsweredCode,
    lanes::Lanes,
    request_metrics::{InFlight, RequestMetrics},
    request_span::{self, Answered},
    trace_ids::TraceIds,
};
use crate::{
    clock::{SharedClock, Timestamp},
    context::RequestContext,
    error_code::{ErrorCode, PublicError},
    late_timer::poll_until,
    telemetry::trace::{self, Description, Entry, Span},
};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The route of requests that no route took.
const UNMATCHED: FastStr = FastStr::from_static_str("unmatched");

/// The layer, see [`http_stack`](super::http_stack).
#[derive(Debug)]
pub struct Front<S> {
    inner: S,
    request_timeout: Duration,
    trusted: TrustedNetworks,
    lanes: Lanes,
    clock: SharedClock,
    trace_ids: TraceIds,
    metrics: RequestMetrics,
    access_log: Arc<dyn AccessLog>,
}

/// What is known about a request when its head has been read.
struct Arrival {
    at: Timestamp,
    started: Instant,
    /// When this process gives it up, or its caller does if that is earlier.
    deadline: Instant,
    lane: Option<LaneName>,
    entry: Entry,
    client: ClientAddress,
    method: Method,
    uri: Uri,
}

/// Why there is no answer from inside.
enum Failure {
    TimedOut,
    Panicked(Box<dyn Any + Send>),
}

impl<S> Front<S> {
    /// Puts the layer around `inner`.
    ///
    /// # Errors
    /// When the registry already has the metrics of a listener of that name.
    pub fn new(inner: S, config: &EdgeConfig, parts: &HttpParts) -> Result<Self, prometheus::Error> {
        Ok(Self {
            inner,
            request_timeout: config.request_timeout,
            trusted: TrustedNetworks::new(&config.trusted_proxies),
            lanes: Lanes::new(&parts.governance, parts.accounts.clone()),
            clock: Arc::clone(&parts.clock),
            trace_ids: TraceIds::new(&*parts.random),
            metrics: RequestMetrics::register(&parts.registry, parts.listener)?,
            access_log: Arc::clone(&parts.access_log),
        })
    }

    fn arrive(&self, cx: &ServerContext, request: &Request) -> Arrival {
        let started = Instant::now();
        let peer = cx.rpc_info().caller().address().and_then(|peer| peer.ip_addr().map(SocketAddr::ip));
        let origin = Origin::of(peer, request.headers(), &self.trusted);
        // A stranger must not choose its request id, nor make us record its traces, nor cut its requests short: that would
        // be a cheap way to have work begun and thrown away.
        let budget = if origin.inside { callers_budget(request.headers()) } else { None };
        let callers = request.headers().get(TRACEPARENT).filter(|_| origin.inside);
        let callers = callers.and_then(|header| RequestContext::parse_traceparent(header.to_str().ok()?));
        Arrival {
            at: self.clock.now(),
            started,
            deadline: started + budget.map_or(self.request_timeout, |budget| budget.min(self.request_timeout)),
            lane: self.lanes.of(request.headers(), origin.inside),
            entry: trace::enter(callers, || self.trace_ids.next()),
            client: ClientAddress(origin.address),
            method: request.method().clone(),
            uri: request.uri().clone(),
        }
    }

    fn finish<D: FnOnce() -> Description>(
        &self,
        arrival: &Arrival,
        (in_flight, span): (InFlight<'_>, Span<D>),
        cx: &ServerContext,
        response: &mut Response,
    ) {
        let status = response.status().as_u16();
        let answered = response.extensions().get::<AnsweredCode>();
        let code = answered.map_or(i32::from(status) * 10_000, |AnsweredCode(code)| code.inner());
        let matched = cx.extensions().get::<MatchedPath>().map(|matched| matched.clone().into_inner());
        let ended = Instant::now();
        let answered = Answered { route: matched.as_deref(), status, code };
        span.end_with(ended, answered.is_fault(), |asked| answered.describe(&arrival.method, asked));
        let route = matched.unwrap_or(UNMATCHED);
        let duration = ended.duration_since(arrival.started);
        let trace_id = arrival.entry.context.trace_id;
        let digits = trace_id.hex_digits();
        if let Ok(request_id) = HeaderValue::from_bytes(&digits) {
            response.headers_mut().insert(X_REQUEST_ID, request_id);
        }
        self.access_log.record(&AccessRecord {
            at: arrival.at,
            method: arrival.method.as_str(),
            route: &route,
            path: arrival.uri.path(),
            status,
            code,
            duration,
            bytes_out: response.body().size_hint().exact().unwrap_or(0),
            client: Some(arrival.client.0),
            trace_id,
        });
        in_flight.answered(route, &arrival.method, code, duration);
    }
}

impl<S> Service<ServerContext, Request> for Front<S>
where
    S: Service<ServerContext, Request, Response = Response, Error = Infallible> + Send + Sync,
{
    type Response = Response;
    type Error = Infallible;

    async fn call(&self, cx: &mut ServerContext, request: Request) -> Result<Response, Infallible> {
        let arrival = self.arrive(cx, &request);
        let in_flight = self.metrics.begin();
        cx.extensions_mut().insert(arrival.client);
        let context = arrival.context();
        let describe = || request_span::asked(&arrival.method, arrival.uri.path());
        let span = trace::request(&arrival.entry, arrival.started, describe);
        let outcome = {
            let mut inner = pin!(self.inner.call(cx, request));
            let mut guarded = pin!(poll_fn(|task| {
                let polled = context.sync_scope(|| catch_unwind(AssertUnwindSafe(|| inner.as_mut().poll(task))));
                match polled {
                    Ok(polled) => polled.map(Ok),
                    Err(panic) => Poll::Ready(Err(Failure::Panicked(panic))),
                }
            }));
            let mut timer = pin!(None);
            let outcome = poll_fn(|task| poll_until(arrival.deadline, guarded.as_mut(), timer.as_mut(), task)).await;
            outcome.unwrap_or(Err(Failure::TimedOut))
        };
        let mut response = match outcome {
            Ok(Ok(response)) => response,
            Err(failure) => context.sync_scope(|| failure.into_answer(&arrival)),
        };
        self.finish(&arrival, (in_flight, span), cx, &mut response);
        Ok(response)
    }
}

impl Arrival {
    fn context(&self) -> RequestContext {
        RequestContext { deadline: Some(self.deadline), lane: self.lane, ..self.entry.context }
    }
}

impl Failure {
    fn into_answer(self, arrival: &Arrival) -> Response {
        let code = match self {
            Failure::TimedOut => ErrorCode::DEADLINE_EXCEEDED,
            Failure::Panicked(panic) => {
                tracing::error!(
                    trace_id = %arrival.entry.context.trace_id,
                    panic = panic_text(&*panic),
                    "a handler panicked"
                );
                ErrorCode::INTERNAL
            }
        };
        let mut response = ApiError(PublicError::new(code)).into_response();
        if code == ErrorCode::DEADLINE_EXCEEDED {
            // The client may still be sending the body that was waited for.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&'static str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("(not a text)")
}
