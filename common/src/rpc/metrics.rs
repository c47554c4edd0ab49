//! Counting calls: the same numbers on the caller's and on the callee's side.
//!
//! Handles are looked up once per method and outcome and kept: on the hot path counting is a few atomic additions.
//! The labels are the methods of the IDL and the codes of its table, so their number is bounded.

use std::{fmt, sync::Arc};

use papaya::HashMap;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};
use tokio::time::Instant;
use volo_thrift::ServerError;

use super::{contract::Contract, contract::Method, error::CallError, outgoing::OutgoingFamilies};
use crate::error_code::{ErrorCode, http_status};

/// From a tenth of a millisecond (an answer from memory) to the time after which every caller has given up.
const DURATION_BUCKETS: &[f64] =
    &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// What the servers of this process count. One for all services: the service is a label.
#[derive(Clone, Debug)]
pub struct ServerMetrics {
    pub(super) calls: CallFamilies,
    /// Panics that were caught, by service and method.
    pub(super) panics: IntCounterVec,
    /// Open connections, by service.
    pub(super) connections: IntGaugeVec,
    /// Connections that could not be accepted, by service.
    pub(super) accept_errors: IntCounterVec,
}

/// What the clients of this process count. One for all services: the service is a label.
#[derive(Clone, Debug)]
pub struct ClientMetrics {
    pub(super) calls: CallFamilies,
    /// What stands around the calls over the wire.
    pub(super) outgoing: OutgoingFamilies,
}

/// The families every call is counted in.
#[derive(Clone, Debug)]
pub(super) struct CallFamilies {
    requests: IntCounterVec,
    duration: HistogramVec,
    in_flight: IntGaugeVec,
}

/// The handles of one service, one entry per method.
#[derive(Clone)]
pub(super) struct ServiceCalls {
    methods: Arc<[MethodCalls]>,
}

/// A call that is being counted. Dropped before its outcome is known it counts as cancelled, or as a fault if it
/// panicked.
pub(super) struct InFlight<'a> {
    method: &'a MethodCalls,
    started: Instant,
    outcome: Option<Outcome>,
}

/// How a call ended, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Outcome {
    Code(ErrorCode),
    UnknownCode,
    NotSent,
    LostAfterSend,
    Rejected,
    NoRoom,
    Cancelled,
}

struct MethodCalls {
    service: &'static str,
    method: &'static str,
    requests: IntCounterVec,
    duration: Histogram,
    in_flight: IntGauge,
    ok: IntCounter,
    others: HashMap<Outcome, IntCounter>,
}

impl ServerMetrics {
    /// Registers the families. Fails when they are registered already.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let calls = CallFamilies::register(registry, "playgate_rpc_server", "answered")?;
        let panics = Opts::new("playgate_rpc_server_panics_total", "Panics caught in RPC handlers.");
        let panics = IntCounterVec::new(panics, &["service", "method"])?;
        let connections = Opts::new("playgate_rpc_server_connections", "Open RPC connections.");
        let connections = IntGaugeVec::new(connections, &["service"])?;
        let accept_errors =
            Opts::new("playgate_rpc_server_accept_errors_total", "RPC connections that could not be accepted.");
        let accept_errors = IntCounterVec::new(accept_errors, &["service"])?;
        registry.register(Box::new(panics.clone()))?;
        registry.register(Box::new(connections.clone()))?;
        registry.register(Box::new(accept_errors.clone()))?;
        Ok(Self { calls, panics, connections, accept_errors })
    }
}

impl ClientMetrics {
    /// Registers the families. Fails when they are registered already.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let calls = CallFamilies::register(registry, "playgate_rpc_client", "made")?;
        Ok(Self { calls, outgoing: OutgoingFamilies::register(registry)? })
    }
}

impl CallFamilies {
    fn register(registry: &Registry, prefix: &str, verb: &str) -> prometheus::Result<Self> {
        let requests = Opts::new(format!("{prefix}_requests_total"), format!("RPC calls {verb}, by how they ended."));
        let requests = IntCounterVec::new(requests, &["service", "method", "code"])?;
        let duration = HistogramOpts::new(format!("{prefix}_duration_seconds"), format!("Time of RPC calls {verb}."))
            .buckets(DURATION_BUCKETS.to_vec());
        let duration = HistogramVec::new(duration, &["service", "method"])?;
        let in_flight = Opts::new(format!("{prefix}_in_flight"), format!("RPC calls being {verb}."));
        let in_flight = IntGaugeVec::new(in_flight, &["service", "method"])?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(duration.clone()))?;
        registry.register(Box::new(in_flight.clone()))?;
        Ok(Self { requests, duration, in_flight })
    }

    /// The handles for one service.
    pub(super) fn of<C: Contract>(&self) -> ServiceCalls {
        let methods = C::METHODS.iter().map(|method| MethodCalls::new(self, C::SERVICE, method.name));
        ServiceCalls { methods: methods.collect() }
    }
}

impl ServiceCalls {
    /// Starts to count a call.
    pub(super) fn begin(&self, method: &'static Method) -> InFlight<'_> {
        let method = &self.methods[method.index];
        method.in_flight.inc();
        InFlight { method, started: Instant::now(), outcome: None }
    }
}

impl fmt::Debug for ServiceCalls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceCalls").field("methods", &self.methods.len()).finish()
    }
}

impl InFlight<'_> {
    /// Counts the call with how it ended.
    pub(super) fn end(mut self, outcome: Outcome) {
        self.outcome = Some(outcome);
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.method.in_flight.dec();
        self.method.duration.observe(self.started.elapsed().as_secs_f64());
        let unfinished = if std::thread::panicking() { Outcome::Code(ErrorCode::INTERNAL) } else { Outcome::Cancelled };
        self.method.count(self.outcome.unwrap_or(unfinished));
    }
}

impl Outcome {
    pub(super) const OK: Self = Self::Code(ErrorCode::OK);

    /// The outcome that an answered code is.
    pub(super) fn answered(code: ErrorCode) -> Self {
        // A peer of another version may know more codes than this one: they share a label.
        ErrorCode::try_from_i32(code.inner()).map_or(Self::UnknownCode, Self::Code)
    }

    /// The outcome that a failed call is.
    pub(super) fn failed(error: &CallError) -> Self {
        match error {
            CallError::Answered(refusal) => Self::answered(refusal.code),
            CallError::NotSent { .. } => Self::NotSent,
            CallError::LostAfterSend { .. } => Self::LostAfterSend,
            CallError::Rejected => Self::Rejected,
            CallError::NoRoom => Self::NoRoom,
            CallError::DeadlineExceeded => Self::Code(ErrorCode::DEADLINE_EXCEEDED),
            CallError::Internal { .. } => Self::Code(ErrorCode::INTERNAL),
        }
    }

    /// The outcome that a server's answer is.
    pub(super) fn of_answer<T>(answer: &Result<T, ServerError>) -> Self {
        match answer {
            Ok(_) => Self::OK,
            Err(ServerError::Biz(refusal)) => Self::answered(ErrorCode::from(refusal.status_code)),
            Err(ServerError::Application(_)) => Self::Code(ErrorCode::INTERNAL),
        }
    }

    /// The code, if there was an answer with one that this version knows.
    pub(super) fn code(self) -> Option<ErrorCode> {
        match self {
            Self::Code(code) => Some(code),
            Self::UnknownCode
            | Self::NotSent
            | Self::LostAfterSend
            | Self::Rejected
            | Self::NoRoom
            | Self::Cancelled => None,
        }
    }

    /// Ours or a dependency's to look into, and not a refusal.
    pub(super) fn is_fault(self) -> bool {
        self.code().is_none_or(|code| http_status(code) >= 500)
    }

    /// As a label: the code, or a word where there was none.
    pub(super) fn label(self) -> String {
        match self {
            Self::Code(code) => code.inner().to_string(),
            Self::UnknownCode => "unknown".to_owned(),
            Self::NotSent => "not_sent".to_owned(),
            Self::LostAfterSend => "lost_after_send".to_owned(),
            Self::Rejected => "rejected".to_owned(),
            Self::NoRoom => "no_room".to_owned(),
            Self::Cancelled => "cancelled".to_owned(),
        }
    }
}

impl MethodCalls {
    fn new(families: &CallFamilies, service: &'static str, method: &'static str) -> Self {
        let ok = families.requests.with_label_values(&[service, method, Outcome::OK.label().as_str()]);
        Self {
            service,
            method,
            requests: families.requests.clone(),
            duration: families.duration.with_label_values(&[service, method]),
            in_flight: families.in_flight.with_label_values(&[service, method]),
            ok,
            others: HashMap::new(),
        }
    }

    fn count(&self, outcome: Outcome) {
        if outcome == Outcome::OK {
            self.ok.inc();
            return;
        }
        let others = self.others.pin();
        let new = || self.requests.with_label_values(&[self.service, self.method, outcome.label().as_str()]);
        others.get_or_insert_with(outcome, new).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::{PayContract, tests::scrape};

    const SAMPLE: &str = r#"playgate_rpc_server_requests_total{code="CODE",method="GetWallet",service="pay"}"#;

    fn counted(registry: &Registry, code: &str) -> bool {
        scrape(registry).contains(&format!("{} 1\n", SAMPLE.replace("CODE", code)))
    }

    #[test]
    fn every_way_a_call_can_end_is_counted_once() {
        let registry = Registry::new();
        let calls = ServerMetrics::register(&registry).expect("a new registry").calls.of::<PayContract>();
        let method = &PayContract::METHODS[0];
        calls.begin(method).end(Outcome::OK);
        calls.begin(method).end(Outcome::answered(ErrorCode::OVERLOADED));
        calls.begin(method).end(Outcome::answered(ErrorCode::from(1_234_567)));
        calls.begin(method).end(Outcome::failed(&CallError::NotSent { cause: String::new() }));
        drop(calls.begin(method));
        for code in ["2000000", "5030001", "unknown", "not_sent", "cancelled"] {
            assert!(counted(&registry, code), "{code}: {}", scrape(&registry));
        }
    }

    #[test]
    fn a_call_is_in_flight_until_it_ends() {
        let registry = Registry::new();
        let calls = ServerMetrics::register(&registry).expect("a new registry").calls.of::<PayContract>();
        let gauge = r#"playgate_rpc_server_in_flight{method="GetWallet",service="pay"}"#;
        let call = calls.begin(&PayContract::METHODS[0]);
        assert!(scrape(&registry).contains(&format!("{gauge} 1\n")));
        call.end(Outcome::OK);
        assert!(scrape(&registry).contains(&format!("{gauge} 0\n")));
    }
}
