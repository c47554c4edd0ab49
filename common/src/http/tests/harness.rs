//! An edge on a loopback port, and a client that speaks plain bytes, so that it can also say what a well-behaved client
//! never would.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    num::NonZeroU32,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use govern::rules::Rules;
use prometheus::Registry;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::{TcpStream, UnixStream},
    task::JoinSet,
};
use volo_http::{server::param::PathParams, utils::Extension};

use crate::{
    clock::testing::{ManualClock, SeededRandom},
    context::RequestContext,
    governance::{
        Governance,
        limits::{Limits, LimitsParts},
    },
    http::{
        AccessLog, AccessRecord, ApiError, Bearer, ClientAddress, Envelope, HttpParts, Json, Query, RouteClasses,
        Routes, SignatureChecks,
        edge::{EdgeConfig, EdgeMetrics, Listener, serve},
        http_stack,
    },
    lifecycle::{RequestTasks, Signals},
    shared::{MemoryState, SharedConfig},
};

/// A test that is not over by then hangs, which is a failure.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running edge; it ends with the test.
pub(super) struct TestEdge {
    pub(super) address: SocketAddr,
    pub(super) signals: Signals,
    pub(super) registry: Registry,
    pub(super) access: Arc<RecordedAccess>,
    pub(super) governance: Governance,
    running: JoinSet<()>,
}

/// Limits, and what they follow.
pub(super) struct Limited {
    pub(super) governance: Governance,
    pub(super) registry: Registry,
    pub(super) limits: Option<Limits>,
}

impl Limited {
    /// The limits of a document, as a process has them that is the only one.
    pub(super) fn by(document: &str, spares_loopback: bool) -> Self {
        let governance = Governance::new(Rules::parse(document).expect("valid rules"));
        let (registry, clock) = (Registry::new(), Arc::new(ManualClock::default()));
        let parts = LimitsParts {
            governance: governance.clone(),
            shared: Arc::new(MemoryState::new(SharedConfig::default(), clock)),
            replicas: NonZeroU32::MIN,
            tasks: RequestTasks::default(),
            random: Arc::new(SeededRandom::new(3)),
            spares_loopback,
        };
        let limits = Some(Limits::new(parts, &registry).expect("a new registry"));
        Self { governance, registry, limits }
    }
}

/// An access log that remembers.
#[derive(Debug, Default)]
pub(super) struct RecordedAccess(pub(super) Mutex<Vec<Recorded>>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Recorded {
    pub(super) method: String,
    pub(super) route: String,
    pub(super) path: String,
    pub(super) status: u16,
    pub(super) code: i32,
    pub(super) client: Option<IpAddr>,
    pub(super) trace_id: String,
}

/// One connection.
pub(super) struct Client<S> {
    stream: BufReader<S>,
}

/// One answer, read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HashMap<String, String>,
    pub(super) text: String,
}

impl TestEdge {
    pub(super) fn start(routes: Routes) -> Self {
        Self::start_with(routes, EdgeConfig::default())
    }

    pub(super) fn start_with(routes: Routes, config: EdgeConfig) -> Self {
        Self::start_on(vec![], routes, config, None)
    }

    /// Starts on a free port and on `more` listeners.
    pub(super) fn start_on(
        more: Vec<Listener>,
        routes: Routes,
        config: EdgeConfig,
        checks: Option<Arc<SignatureChecks>>,
    ) -> Self {
        let (governance, registry) = (Governance::default(), Registry::new());
        let without = Limited { governance, registry, limits: None };
        Self::start_limited(more, routes, config, checks, without)
    }

    /// The same, governed by rules that the test changes.
    pub(super) fn start_governed(
        more: Vec<Listener>,
        routes: Routes,
        config: EdgeConfig,
        checks: Option<Arc<SignatureChecks>>,
        governance: Governance,
    ) -> Self {
        let without = Limited { governance, registry: Registry::new(), limits: None };
        Self::start_limited(more, routes, config, checks, without)
    }

    /// Starts with limits.
    pub(super) fn start_limited(
        more: Vec<Listener>,
        routes: Routes,
        config: EdgeConfig,
        checks: Option<Arc<SignatureChecks>>,
        limited: Limited,
    ) -> Self {
        let Limited { governance, registry, limits } = limited;
        let listener = Listener::bind_tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_address().unwrap();
        let listeners = more.into_iter().chain([listener]).collect();
        let access = Arc::new(RecordedAccess::default());
        let parts = HttpParts {
            larger_bodies: Vec::new(),
            clock: Arc::new(ManualClock::default()),
            random: Arc::new(SeededRandom::new(1)),
            registry: registry.clone(),
            access_log: access.clone(),
            listener: "public",
            governance: governance.clone(),
            accounts: None,
            limits,
            classes: RouteClasses::of(&routes),
        };
        let metrics = EdgeMetrics::register(&registry, "public").unwrap();
        let signals = Signals::default();
        let mut running = JoinSet::new();
        let router = routes.into_router();
        match checks {
            Some(checks) => {
                let router = motore::layer::Layer::layer(Extension(checks), router);
                let stack = http_stack(router, &config, &parts).unwrap();
                running.spawn(serve(listeners, stack, config, signals.clone(), metrics));
            }
            None => {
                let stack = http_stack(router, &config, &parts).unwrap();
                running.spawn(serve(listeners, stack, config, signals.clone(), metrics));
            }
        }
        Self { address, signals, registry, access, governance, running }
    }

    pub(super) async fn connect(&self) -> Client<TcpStream> {
        Client::new(TcpStream::connect(self.address).await.unwrap())
    }

    /// One request on a connection of its own.
    pub(super) async fn ask(&self, request: impl AsRef<[u8]>) -> Answer {
        self.connect().await.ask(request).await
    }

    /// Waits for the edge to end by itself.
    pub(super) async fn ended(&mut self) {
        within(self.running.join_next()).await.expect("it was running").unwrap();
    }

    /// The value of one series, such as `playgate_http_connections_open`.
    pub(super) fn metric(&self, name: &str, label: Option<(&str, &str)>) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name).unwrap_or_else(|| panic!("no {name}"));
        let wanted = family.get_metric().iter().find(|metric| {
            label.is_none_or(|(key, value)| {
                metric.get_label().iter().any(|pair| pair.name() == key && pair.value() == value)
            })
        });
        wanted.map_or(0.0, |metric| metric.get_counter().get_value() + metric.get_gauge().get_value())
    }
}

impl Client<UnixStream> {
    pub(super) async fn connect_unix(path: &Path) -> Self {
        Self::new(UnixStream::connect(path).await.unwrap())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream: BufReader::new(stream) }
    }

    pub(super) async fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes.as_ref()).await
    }

    /// Sends a request and reads its answer.
    pub(super) async fn ask(&mut self, request: impl AsRef<[u8]>) -> Answer {
        self.try_ask(request).await.expect("an answer")
    }

    pub(super) async fn try_ask(&mut self, request: impl AsRef<[u8]>) -> io::Result<Answer> {
        self.send(&request).await?;
        let is_head = request.as_ref().starts_with(b"HEAD ");
        within(self.read_answer(is_head)).await
    }

    pub(super) async fn answer(&mut self) -> io::Result<Answer> {
        within(self.read_answer(false)).await
    }

    /// Whether an answer has begun to arrive.
    pub(super) async fn has_answer(&mut self) -> bool {
        tokio::time::timeout(Duration::ZERO, self.stream.fill_buf()).await.is_ok()
    }

    /// Waits until the other side closes; what it still sends is thrown away. A reset is an end as well.
    pub(super) async fn closed(&mut self) {
        let mut rest = Vec::new();
        let _ = within(self.stream.read_to_end(&mut rest)).await;
    }

    async fn read_answer(&mut self, is_head: bool) -> io::Result<Answer> {
        let status_line = self.read_line().await?;
        let status = status_line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let mut headers = HashMap::new();
        loop {
            let line = self.read_line().await?;
            let Some((name, value)) = line.split_once(": ") else { break };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        let length = headers.get("content-length").map_or(0, |length: &String| length.parse().unwrap());
        let mut body = vec![0; if is_head { 0 } else { length }];
        self.stream.read_exact(&mut body).await?;
        Ok(Answer { status: status.expect(&status_line), headers, text: String::from_utf8(body).unwrap() })
    }

    async fn read_line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line.trim_end().to_owned()),
        }
    }
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {:?}", self.text))
    }

    /// Checks what every answer in the envelope has, and gives its code.
    #[track_caller]
    pub(super) fn enveloped(&self, status: u16, code: i64) {
        let body = self.json();
        assert_eq!((self.status, body["code"].as_i64()), (status, Some(code)), "{body}");
        assert_eq!(self.headers["content-type"], "application/json");
        let request_id = body["request_id"].as_str().expect("a request id");
        assert_eq!(request_id.len(), 32, "{request_id}");
        assert_eq!(self.headers["x-request-id"], request_id);
        assert!(body["message"].is_string(), "{body}");
        assert_eq!(body.get("data").is_some(), code == 2_000_000, "{body}");
        let refused_for_now = matches!(status, 429 | 503);
        assert!(!refused_for_now || self.headers.contains_key("retry-after"), "{body}");
        assert!(!refused_for_now || body["retry_after_ms"].is_u64(), "{body}");
    }

    pub(super) fn says_close(&self) -> bool {
        self.headers.get("connection").is_some_and(|connection| connection == "close")
    }
}

impl AccessLog for RecordedAccess {
    fn record(&self, record: &AccessRecord<'_>) {
        self.0.lock().unwrap().push(Recorded {
            method: record.method.to_owned(),
            route: record.route.to_owned(),
            path: record.path.to_owned(),
            status: record.status,
            code: record.code,
            client: record.client,
            trace_id: record.trace_id.to_string(),
        });
    }
}

/// Fails the test instead of letting it hang.
pub(super) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("the test hangs")
}

pub(super) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n")
}

pub(super) fn post(path: &str, content_type: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nhost: test\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

pub(super) fn post_json(path: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    post(path, "application/json", body)
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Greeting {
    pub(super) name: String,
    pub(super) count: i64,
}

/// One route per kind of handler.
pub(super) fn routes() -> Routes {
    Routes::new()
        .post("/echo", async |Json(greeting): Json<Greeting>| Envelope(greeting))
        .put("/echo", async || Envelope(()))
        .get("/query", async |Query(greeting): Query<Greeting>| Envelope(greeting))
        .get("/me", async |_: Bearer| Envelope("me"))
        .get("/orders/{id}", async |PathParams(id): PathParams<i64>| Envelope(id))
        .get("/unwired", async |Extension(missing): Extension<Arc<u8>>| Envelope(*missing))
        .get("/address", async |ClientAddress(address): ClientAddress| Envelope(address))
        .get("/context", context)
        .get("/panic", panics)
        .get("/hang", async || std::future::pending::<Envelope<()>>().await)
}

async fn context() -> Envelope<Value> {
    let context = RequestContext::current().expect("a context");
    Envelope(serde_json::json!({
        "trace_id": context.trace_id.to_string(),
        "sampled": context.sampled,
        "has_deadline": context.remaining().is_some(),
    }))
}

async fn panics() -> Result<Envelope<()>, ApiError> {
    panic!("internal detail");
}
