//! A client for what the platform calls outside itself: webhooks, and whatever else an operator names.
//!
//! Every call has a time limit and a limit on its answer; redirects are answers like any other and are not followed,
//! and no proxy is looked for. Targets that come from elsewhere than the configuration of the process are called through
//! an [`AddressGuard`], which refuses what they resolve to where it is none of their business.

mod address_guard;

use std::{error::Error, fmt, time::Duration};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, Uri, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};

pub use self::address_guard::AddressGuard;
use self::address_guard::GuardedResolver;
use super::{SignedContent, SigningKey};
use crate::{clock::Timestamp, context::RequestContext, tls};

const USER_AGENT: &str = concat!("playgate/", env!("CARGO_PKG_VERSION"));

/// Connections that are kept open to one host without being used. Protects both sides' sockets.
const IDLE_PER_HOST: usize = 8;

/// An idle connection is closed by us before most servers do, so that requests rarely meet one that is closing.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// The longest URL that is called.
const LONGEST_URL: usize = 2048;

/// Speaks HTTP/1.1 with and without TLS. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct HttpClient {
    client: Client<HttpsConnector<HttpConnector<GuardedResolver>>, Full<Bytes>>,
    guard: AddressGuard,
    limits: HttpClientLimits,
}

/// What one call may cost.
#[derive(Clone, Copy, Debug)]
pub struct HttpClientLimits {
    /// From the first attempt to connect to the last byte of the answer. The deadline of the request that is being
    /// worked on counts besides, if it is nearer.
    pub timeout: Duration,
    /// Bytes of an answer's body. A longer one is an error.
    pub longest_answer: usize,
}

/// An absolute `http` or `https` URL without user name and fragment. Never printed whole: its path may be a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Target(Uri);

/// The text names nothing that can be called. Says nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an http or https URL of at most 2048 bytes, without user name and fragment")]
pub struct NotATarget;

/// A JSON document that is posted with a signature (see [`SigningKey`]).
#[derive(Debug)]
pub struct SignedPost<'a> {
    /// Where to.
    pub target: &'a Target,
    /// Sent as `X-App-Id`, to whoever knows which secret it is by that.
    pub app_id: Option<i64>,
    /// What it is signed with.
    pub key: &'a SigningKey,
    /// The time of this attempt.
    pub now: Timestamp,
    /// New for every attempt: 8-64 visible characters.
    pub nonce: &'a str,
    /// The document.
    pub body: Bytes,
}

/// There is no answer, or none that can be used. Names no URL.
#[derive(Debug, thiserror::Error)]
pub enum HttpCallError {
    /// What was to be sent is no HTTP request.
    #[error("the request can't be made: {0}")]
    Request(#[from] http::Error),
    /// The target is an address that may not be called.
    #[error("the address is not one that may be called")]
    Forbidden,
    /// No connection, or one that broke. Whether the request arrived is not known.
    #[error("no answer: {0}")]
    Unreachable(String),
    /// Nothing, or not everything, by the limit.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// More than may be read.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
}

impl HttpClient {
    /// A client that trusts the certificate authorities of the system. Without any it still calls `http` targets, and
    /// says so.
    ///
    /// # Errors
    /// When the TLS library refuses its own defaults.
    pub fn new(limits: HttpClientLimits) -> Result<Self, rustls::Error> {
        Self::guarded(limits, AddressGuard::everything())
    }

    /// A client that opens TLS connections with these settings: for targets that whoever runs the process has chosen,
    /// and has said whom to trust for.
    pub(crate) fn with_tls(limits: HttpClientLimits, tls: rustls::ClientConfig) -> Self {
        Self::build(limits, AddressGuard::everything(), tls)
    }

    /// A client that calls only what `guard` permits, whatever a target resolves to.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn guarded(limits: HttpClientLimits, guard: AddressGuard) -> Result<Self, rustls::Error> {
        Ok(Self::build(limits, guard, tls::client_config(tls::authorities_of_the_system())?))
    }

    fn build(limits: HttpClientLimits, guard: AddressGuard, tls: rustls::ClientConfig) -> Self {
        let mut connector = HttpConnector::new_with_resolver(GuardedResolver::new(guard.clone()));
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(limits.timeout));
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_PER_HOST)
            .build(connector);
        Self { client, guard, limits }
    }

    /// Sends a request and reads the whole answer, whatever its status.
    ///
    /// # Errors
    /// When there is no answer within the limits.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpCallError> {
        let HttpClientLimits { timeout, longest_answer } = self.limits;
        // What is an address already is not resolved, so the resolver does not see it.
        if request.uri().host().is_some_and(|host| !self.guard.permits_host(host)) {
            return Err(HttpCallError::Forbidden);
        }
        let left = RequestContext::current().and_then(|context| context.remaining());
        let timeout = left.map_or(timeout, |left| left.min(timeout));
        let exchange = async {
            let sent = self.client.request(request.map(Full::new)).await;
            let (head, body) = sent.map_err(|error| HttpCallError::Unreachable(innermost(&error)))?.into_parts();
            match Limited::new(body, longest_answer).collect().await {
                Ok(body) => Ok(Response::from_parts(head, body.to_bytes())),
                Err(error) if error.is::<LengthLimitError>() => Err(HttpCallError::TooLong(longest_answer)),
                Err(error) => Err(HttpCallError::Unreachable(innermost(&*error))),
            }
        };
        tokio::time::timeout(timeout, exchange).await.unwrap_or(Err(HttpCallError::TimedOut(timeout)))
    }

    /// Posts a signed JSON document and reads the whole answer, whatever its status.
    ///
    /// # Errors
    /// When there is no answer within the limits.
    pub async fn post_signed(&self, post: SignedPost<'_>) -> Result<Response<Bytes>, HttpCallError> {
        self.send(post.into_request()?).await
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Target {
    /// Reads a URL.
    ///
    /// # Errors
    /// When it is not absolute, of another scheme, or carries what has no place in it.
    pub fn parse(text: &str) -> Result<Self, NotATarget> {
        let uri: Uri = text.parse().map_err(|_| NotATarget)?;
        let schemed = matches!(uri.scheme_str(), Some("http" | "https"));
        let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
        let hosted = uri.host().is_some_and(|host| !host.is_empty()) && !authority.contains('@');
        let fits = text.len() <= LONGEST_URL && !text.contains('#');
        if schemed && hosted && fits { Ok(Self(uri)) } else { Err(NotATarget) }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}/…", self.0.scheme_str().unwrap_or_default(), self.0.host().unwrap_or_default())
    }
}

impl SignedPost<'_> {
    fn into_request(self) -> Result<Request<Bytes>, http::Error> {
        const APP_ID: HeaderName = HeaderName::from_static("x-app-id");
        const TIMESTAMP: HeaderName = HeaderName::from_static("x-timestamp");
        const NONCE: HeaderName = HeaderName::from_static("x-nonce");
        const SIGNATURE: HeaderName = HeaderName::from_static("x-signature");
        let uri = &self.target.0;
        let timestamp = self.now.to_string();
        let signature = self.key.sign(&SignedContent {
            method: Method::POST.as_str(),
            path: uri.path(),
            query: uri.query().unwrap_or_default(),
            timestamp: &timestamp,
            nonce: self.nonce,
            body: &self.body,
        });
        let mut request = Request::post(uri.clone());
        if let Some(app_id) = self.app_id {
            request = request.header(APP_ID, app_id);
        }
        request
            .header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header(header::USER_AGENT, HeaderValue::from_static(USER_AGENT))
            .header(TIMESTAMP, timestamp)
            .header(NONCE, self.nonce)
            .header(SIGNATURE, signature)
            .body(self.body)
    }
}

/// What it came to in the end, such as "connection refused". The texts around it only say where it was noticed.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
        task::JoinHandle,
    };

    use super::*;

    const KEY: &[u8] = b"secret";

    fn client() -> HttpClient {
        let limits = HttpClientLimits { timeout: Duration::from_secs(5), longest_answer: 16 };
        HttpClient::new(limits).expect("a client")
    }

    /// Takes one request, gives one answer and hands over what it was sent. Without an answer it only listens.
    async fn server(answer: Option<&'static str>) -> (Target, JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let serving = tokio::task::spawn_local(async move {
            let (mut socket, _) = listener.accept().await.expect("a connection");
            let mut seen = Vec::new();
            while !seen.ends_with(b"}") {
                socket.read_buf(&mut seen).await.expect("readable");
            }
            match answer {
                Some(answer) => socket.write_all(answer.as_bytes()).await.expect("writable"),
                None => std::future::pending().await,
            }
            String::from_utf8(seen).expect("text")
        });
        (Target::parse(&format!("http://{address}/codes?x=1")).expect("a target"), serving)
    }

    async fn post(target: &Target) -> Result<Response<Bytes>, HttpCallError> {
        let (key, body) = (SigningKey::new(KEY), Bytes::from_static(b"{}"));
        let now = Timestamp::from_millis(1_750_000_000_000);
        client().post_signed(SignedPost { target, app_id: None, key: &key, now, nonce: "n-0123456789", body }).await
    }

    #[test]
    fn a_target_is_an_absolute_url_that_carries_no_credentials_and_does_not_print() {
        for good in ["https://sms.example/hook?x=1", "http://127.0.0.1:9000", "https://[::1]:8443/a"] {
            assert!(Target::parse(good).is_ok(), "{good}");
        }
        let long = format!("https://sms.example/{}", "x".repeat(LONGEST_URL));
        for bad in ["", "sms.example", "/hook", "ftp://sms.example", "https://", "https://a:b@sms.example", &long] {
            assert_eq!(Target::parse(bad), Err(NotATarget), "{bad}");
        }
        assert_eq!(Target::parse("https://sms.example/#a"), Err(NotATarget));
        let shown = format!("{:?}", Target::parse("https://sms.example/s3cret?t=s3cret").expect("a target"));
        assert_eq!(shown, "https://sms.example/…");
    }

    #[tokio::test]
    async fn a_post_is_signed_as_it_is_on_the_wire() {
        tokio::task::LocalSet::new()
            .run_until(async {
                let (target, serving) = server(Some("HTTP/1.1 204 No Content\r\n\r\n")).await;
                assert_eq!(post(&target).await.expect("an answer").status(), 204);
                let request = serving.await.expect("served");
                assert!(request.starts_with("POST /codes?x=1 HTTP/1.1\r\n"), "{request}");
                let header = |name: &str| {
                    let line = request.lines().find_map(|line| line.strip_prefix(name)).expect("the header");
                    line.trim_start_matches(": ").to_owned()
                };
                let content = SignedContent {
                    method: "POST",
                    path: "/codes",
                    query: "x=1",
                    timestamp: &header("x-timestamp"),
                    nonce: &header("x-nonce"),
                    body: b"{}",
                };
                assert!(content.is_signed_by(&[SigningKey::new(KEY)], header("x-signature").as_bytes()));
            })
            .await;
    }

    #[tokio::test]
    async fn a_redirect_is_an_answer_and_a_long_one_is_not_read() {
        tokio::task::LocalSet::new()
            .run_until(async {
                let redirect = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
                let (target, _serving) = server(Some(redirect)).await;
                assert_eq!(post(&target).await.expect("an answer").status(), 302);
                let long = "HTTP/1.1 200 OK\r\ncontent-length: 17\r\n\r\n12345678901234567";
                let (target, _serving) = server(Some(long)).await;
                assert!(matches!(post(&target).await, Err(HttpCallError::TooLong(16))));
            })
            .await;
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_with_the_limit_or_the_callers_deadline_whichever_is_nearer() {
        tokio::task::LocalSet::new()
            .run_until(async {
                let (target, _serving) = server(None).await;
                assert!(matches!(post(&target).await, Err(HttpCallError::TimedOut(limit)) if limit.as_secs() == 5));
                let (target, _serving) = server(None).await;
                let context = RequestContext::root(&crate::clock::testing::SeededRandom::new(1));
                let hurried = context.within(Duration::from_secs(2)).scope(post(&target)).await;
                assert!(matches!(hurried, Err(HttpCallError::TimedOut(limit)) if limit.as_secs() == 2));
            })
            .await;
    }

    #[tokio::test]
    async fn a_closed_door_is_named_without_its_url() {
        let target = Target::parse("http://127.0.0.1:1/s3cret").expect("a target");
        let error = post(&target).await.expect_err("nobody listens").to_string();
        assert!(error.starts_with("no answer: ") && !error.contains("s3cret"), "{error}");
    }
}
