//! A collector of traces: an OTLP receiver over gRPC that keeps what it is sent.

use std::{
    fmt::Write,
    sync::{Arc, Mutex},
};

use hyper::server::conn::http2;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    service::TowerToHyperService,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue, any_value::Value},
    trace::v1::{span::SpanKind, status::StatusCode},
};
use tokio::{net::TcpListener, task::JoinSet};
use tonic::{Request, Response, Status};

/// A running collector; it ends with this value.
pub(crate) struct Collector {
    address: String,
    received: Received,
    _serving: JoinSet<()>,
}

/// A span as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    /// Who sent it: `service.name`, without the `playgate-` that all of them begin with.
    pub(crate) role: String,
    pub(crate) trace_id: String,
    pub(crate) id: String,
    /// Empty for the first of its trace.
    pub(crate) parent: String,
    pub(crate) name: String,
    pub(crate) kind: SpanKind,
    pub(crate) is_error: bool,
    /// Nanoseconds since 1970.
    pub(crate) start: u64,
    pub(crate) end: u64,
    attributes: Vec<KeyValue>,
}

#[derive(Clone, Default)]
struct Received(Arc<Mutex<Vec<Span>>>);

impl Collector {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let received = Received::default();
        let service = TowerToHyperService::new(TraceServiceServer::new(received.clone()));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                let connection = http2::Builder::new(TokioExecutor::new());
                connections.spawn(connection.serve_connection(TokioIo::new(socket), service.clone()));
            }
        });
        Self { address, received, _serving: serving }
    }

    /// What `otlp.endpoint` has to be.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything that has arrived of a trace.
    pub(crate) fn trace(&self, trace_id: &str) -> Vec<Span> {
        self.received.0.lock().unwrap().iter().filter(|span| span.trace_id == trace_id).cloned().collect()
    }
}

impl Span {
    /// An attribute as text; empty when it is not there.
    pub(crate) fn attribute(&self, key: &str) -> String {
        text(&self.attributes, key)
    }

    /// The trace below the span `parent`, one line per span, children indented below their parent and sorted by name.
    pub(crate) fn tree(spans: &[Self], parent: &str) -> String {
        let mut tree = String::new();
        Self::write_tree(spans, parent, 0, &mut tree);
        tree
    }

    fn write_tree(spans: &[Self], parent: &str, depth: usize, tree: &mut String) {
        let mut children: Vec<&Self> = spans.iter().filter(|span| span.parent == parent).collect();
        children.sort_by_key(|span| (&span.name, span.start));
        for Self { id, role, kind, name, .. } in children {
            let kind = format!("{kind:?}").to_lowercase();
            writeln!(tree, "{:indent$}{role} {kind} {name}", "", indent = 2 * depth).unwrap();
            Self::write_tree(spans, id, depth + 1, tree);
        }
    }
}

#[tonic::async_trait]
impl TraceService for Received {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for group in request.into_inner().resource_spans {
            let service = text(&group.resource.unwrap_or_default().attributes, "service.name");
            let role = service.strip_prefix("playgate-").unwrap_or_else(|| panic!("{service}")).to_owned();
            let spans = group.scope_spans.into_iter().flat_map(|scope| scope.spans).map(|span| Span {
                role: role.clone(),
                trace_id: hex::encode(&span.trace_id),
                id: hex::encode(&span.span_id),
                parent: hex::encode(&span.parent_span_id),
                kind: span.kind(),
                is_error: span.status.is_some_and(|status| status.code() == StatusCode::Error),
                name: span.name,
                start: span.start_time_unix_nano,
                end: span.end_time_unix_nano,
                attributes: span.attributes,
            });
            self.0.lock().unwrap().extend(spans);
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn text(attributes: &[KeyValue], key: &str) -> String {
    let found = attributes.iter().find(|attribute| attribute.key == key);
    match found.and_then(|attribute| attribute.value.as_ref()?.value.clone()) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(other) => format!("{other:?}"),
        None => String::new(),
    }
}
