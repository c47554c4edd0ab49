//! Signed requests: every refusal, and the law that a check which could not be made is never 401.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::future::BoxFuture;
use serde_json::Value;

use super::harness::{Greeting, Limited, TestEdge};
use crate::{
    clock::{Clock, testing::ManualClock},
    error_code::{ErrorCode, PublicError},
    http::{
        AppCredentials, AppSecrets, CLOCK_WINDOW, Envelope, NonceStore, Routes, SignatureChecks, Signed, SignedContent,
        SignedOnce, SigningKey, edge::EdgeConfig,
    },
};

const APP: i64 = 7;
const DISABLED_APP: i64 = 8;
const UNLUCKY_APP: i64 = 9;
const ROTATED_APP: i64 = 10;
const OUT_OF_TOUCH_APP: i64 = 11;

/// App 7 with two live secrets, app 8 disabled, app 9 whose secrets can't be read just now, app 10 that has a newer
/// secret than what is remembered of it, and app 11 of which nobody can say whether it has one.
#[derive(Debug)]
struct KnownApps {
    outage: PublicError,
}

#[derive(Debug, Default)]
struct RememberedNonces {
    used: Mutex<HashSet<(i64, String)>>,
    outage: bool,
}

impl AppSecrets for KnownApps {
    fn secrets(&self, app_id: i64) -> BoxFuture<'_, Result<Option<Arc<AppCredentials>>, PublicError>> {
        let credentials = |enabled| {
            let keys = vec![SigningKey::new(b"old secret"), SigningKey::new(b"new secret")];
            Ok(Some(Arc::new(AppCredentials { enabled, keys })))
        };
        Box::pin(std::future::ready(match app_id {
            APP => credentials(true),
            DISABLED_APP => credentials(false),
            ROTATED_APP | OUT_OF_TOUCH_APP => credentials(true),
            UNLUCKY_APP => Err(self.outage.clone()),
            _ => Ok(None),
        }))
    }

    fn secrets_after_a_mismatch(&self, app_id: i64) -> BoxFuture<'_, Result<Option<Arc<AppCredentials>>, PublicError>> {
        let keys = vec![SigningKey::new(b"newest secret"), SigningKey::new(b"new secret")];
        match app_id {
            ROTATED_APP => Box::pin(std::future::ready(Ok(Some(Arc::new(AppCredentials { enabled: true, keys }))))),
            OUT_OF_TOUCH_APP => Box::pin(std::future::ready(Err(self.outage.clone()))),
            _ => self.secrets(app_id),
        }
    }
}

impl NonceStore for RememberedNonces {
    fn first_use<'a>(
        &'a self,
        app_id: i64,
        nonce: &'a str,
        lifetime: Duration,
    ) -> BoxFuture<'a, Result<bool, PublicError>> {
        assert_eq!(lifetime, CLOCK_WINDOW * 2, "a nonce stamped ahead of time stays fresh for two windows");
        let first = || self.used.lock().unwrap().insert((app_id, nonce.to_owned()));
        let answer = if self.outage { Err(PublicError::new(ErrorCode::INTERNAL)) } else { Ok(first()) };
        Box::pin(std::future::ready(answer))
    }
}

fn start() -> (TestEdge, Arc<ManualClock>) {
    start_with(PublicError::unavailable(Duration::from_secs(2)), RememberedNonces::default())
}

fn start_with(outage: PublicError, nonces: RememberedNonces) -> (TestEdge, Arc<ManualClock>) {
    start_limited(outage, nonces, Limited::by("", false))
}

fn start_limited(outage: PublicError, nonces: RememberedNonces, limited: Limited) -> (TestEdge, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::default());
    let checks = Arc::new(SignatureChecks {
        secrets: Arc::new(KnownApps { outage }),
        nonces: Arc::new(nonces),
        clock: clock.clone(),
        limits: limited.limits.clone(),
    });
    let routes = Routes::new()
        .post("/read", async |signed: Signed<Greeting>| Envelope((signed.app.app_id, signed.body)))
        .get("/read", async |signed: Signed<()>| Envelope(signed.app.app_id))
        .post("/change", async |signed: SignedOnce<Greeting>| Envelope(signed.app.app_id));
    (TestEdge::start_limited(vec![], routes, EdgeConfig::default(), Some(checks), limited), clock)
}

const BODY: &str = r#"{"name":"ann","count":2}"#;

/// A request that is signed right, unless a field is changed.
#[derive(Clone)]
struct Request {
    method: &'static str,
    target: &'static str,
    secret: &'static str,
    app_id: String,
    timestamp: String,
    nonce: String,
    body: &'static str,
    sent_body: &'static str,
    signature: Option<String>,
    content_type: &'static str,
}

impl Request {
    fn at(clock: &ManualClock) -> Self {
        Self {
            method: "POST",
            target: "/read",
            secret: "new secret",
            app_id: APP.to_string(),
            timestamp: clock.now().to_string(),
            nonce: "nonce-0001".to_owned(),
            body: BODY,
            sent_body: BODY,
            signature: None,
            content_type: "application/json",
        }
    }

    fn bytes(&self) -> String {
        let (path, query) = self.target.split_once('?').unwrap_or((self.target, ""));
        let content = SignedContent {
            method: self.method,
            path,
            query,
            timestamp: &self.timestamp,
            nonce: &self.nonce,
            body: self.body.as_bytes(),
        };
        let signature =
            self.signature.clone().unwrap_or_else(|| SigningKey::new(self.secret.as_bytes()).sign(&content));
        let Self { method, target, app_id, timestamp, nonce, sent_body, content_type, .. } = self;
        let length = sent_body.len();
        format!(
            "{method} {target} HTTP/1.1\r\nhost: test\r\nx-app-id: {app_id}\r\nx-timestamp: {timestamp}\r\n\
             x-nonce: {nonce}\r\nx-signature: {signature}\r\ncontent-type: {content_type}\r\n\
             content-length: {length}\r\n\r\n{sent_body}"
        )
    }
}

#[tokio::test]
async fn a_request_signed_with_either_live_secret_is_accepted() {
    let (edge, clock) = start();
    for secret in ["old secret", "new secret"] {
        let answer = edge.ask(Request { secret, ..Request::at(&clock) }.bytes()).await;
        answer.enveloped(200, 2_000_000);
        assert_eq!(answer.json()["data"][0], Value::from(APP));
        assert_eq!(answer.json()["data"][1]["name"], "ann");
    }
}

#[tokio::test]
async fn a_read_without_a_body_signs_the_empty_body_and_its_raw_query() {
    let (edge, clock) = start();
    let read = Request { method: "GET", body: "", sent_body: "", ..Request::at(&clock) };
    edge.ask(read.bytes()).await.enveloped(200, 2_000_000);
    edge.ask(Request { target: "/read?a=%20b&c", ..read.clone() }.bytes()).await.enveloped(200, 2_000_000);
    let signed_without_query = Request { target: "/read", ..read.clone() }.bytes();
    edge.ask(signed_without_query.replace("GET /read ", "GET /read?a=1 ")).await.enveloped(401, 4_010_002);
}

#[tokio::test]
async fn a_read_may_be_repeated_and_a_change_may_not() {
    let (edge, clock) = start();
    let read = Request::at(&clock).bytes();
    edge.ask(&read).await.enveloped(200, 2_000_000);
    edge.ask(&read).await.enveloped(200, 2_000_000);
    let change = Request { target: "/change", ..Request::at(&clock) };
    edge.ask(change.bytes()).await.enveloped(200, 2_000_000);
    edge.ask(change.bytes()).await.enveloped(401, 4_010_004);
    let fresh = Request { nonce: "nonce-0002".to_owned(), ..change };
    edge.ask(fresh.bytes()).await.enveloped(200, 2_000_000);
}

#[tokio::test]
async fn a_forged_request_does_not_use_up_the_nonce() {
    let (edge, clock) = start();
    let change = Request { target: "/change", ..Request::at(&clock) };
    let forged = Request { signature: Some("0".repeat(64)), ..change.clone() };
    edge.ask(forged.bytes()).await.enveloped(401, 4_010_002);
    edge.ask(change.bytes()).await.enveloped(200, 2_000_000);
}

#[tokio::test]
async fn missing_or_malformed_headers_are_4010001() {
    let (edge, clock) = start();
    let good = Request::at(&clock).bytes();
    for header in ["x-app-id", "x-timestamp", "x-nonce", "x-signature"] {
        edge.ask(good.replace(header, "x-other")).await.enveloped(401, 4_010_001);
    }
    let base = Request::at(&clock);
    for malformed in [
        Request { app_id: "seven".to_owned(), ..base.clone() },
        Request { app_id: "-7".to_owned(), ..base.clone() },
        Request { app_id: "9223372036854775808".to_owned(), ..base.clone() },
        Request { app_id: "+7".to_owned(), ..base.clone() },
        Request { app_id: "07".to_owned(), ..base.clone() },
        Request { timestamp: "now".to_owned(), ..base.clone() },
        Request { timestamp: format!("+{}", clock.now()), ..base.clone() },
        Request { timestamp: String::new(), ..base.clone() },
        Request { nonce: "seven77".to_owned(), ..base.clone() },
        Request { nonce: "n".repeat(65), ..base.clone() },
        Request { nonce: "with space".to_owned(), ..base.clone() },
        Request { signature: Some(String::new()), ..base.clone() },
    ] {
        edge.ask(malformed.bytes()).await.enveloped(401, 4_010_001);
    }
    for header in ["x-app-id: 8", "x-timestamp: 1", "x-nonce: another-nonce", "x-signature: 00"] {
        let twice = good.replace("host: test", &format!("host: test\r\n{header}"));
        edge.ask(twice).await.enveloped(401, 4_010_001);
    }
    for length in [8, 64] {
        let edge_of_range = Request { nonce: "n".repeat(length), ..base.clone() };
        edge.ask(edge_of_range.bytes()).await.enveloped(200, 2_000_000);
    }
}

#[tokio::test]
async fn a_timestamp_outside_the_window_is_4010003_even_with_a_bad_signature() {
    let (edge, clock) = start();
    let sent = Request::at(&clock);
    clock.advance(CLOCK_WINDOW);
    edge.ask(sent.bytes()).await.enveloped(200, 2_000_000);
    clock.advance(Duration::from_millis(1));
    edge.ask(sent.bytes()).await.enveloped(401, 4_010_003);
    edge.ask(Request { signature: Some("0".repeat(64)), ..sent }.bytes()).await.enveloped(401, 4_010_003);
    let ahead = Request {
        timestamp: (clock.now() + CLOCK_WINDOW + Duration::from_millis(1)).to_string(),
        ..Request::at(&clock)
    };
    edge.ask(ahead.bytes()).await.enveloped(401, 4_010_003);
}

#[tokio::test]
async fn a_wrong_secret_a_changed_body_and_an_unknown_app_look_the_same() {
    let (edge, clock) = start();
    let base = Request::at(&clock);
    for bad in [
        Request { secret: "guessed", ..base.clone() },
        Request { sent_body: r#"{"name":"bob","count":2}"#, ..base.clone() },
        Request { app_id: "4711".to_owned(), ..base.clone() },
        Request { signature: Some("not hex".to_owned()), ..base.clone() },
    ] {
        edge.ask(bad.bytes()).await.enveloped(401, 4_010_002);
    }
}

#[tokio::test]
async fn a_secret_that_was_rotated_a_moment_ago_is_accepted_and_a_guess_is_not() {
    let (edge, clock) = start();
    let rotated = Request { app_id: ROTATED_APP.to_string(), ..Request::at(&clock) };
    edge.ask(Request { secret: "newest secret", ..rotated.clone() }.bytes()).await.enveloped(200, 2_000_000);
    edge.ask(Request { secret: "guessed", ..rotated }.bytes()).await.enveloped(401, 4_010_002);
}

#[tokio::test]
async fn a_signature_that_may_be_of_a_newer_secret_is_not_called_bad_while_nobody_can_tell() {
    let (edge, clock) = start();
    let unsure = Request { app_id: OUT_OF_TOUCH_APP.to_string(), ..Request::at(&clock) };
    edge.ask(Request { secret: "newest secret", ..unsure.clone() }.bytes()).await.enveloped(503, 5_030_002);
    edge.ask(unsure.bytes()).await.enveloped(200, 2_000_000);
}

#[tokio::test]
async fn a_disabled_app_is_403() {
    let (edge, clock) = start();
    let disabled = Request { app_id: DISABLED_APP.to_string(), ..Request::at(&clock) };
    edge.ask(disabled.bytes()).await.enveloped(403, 4_030_104);
    // A stranger is not told that there is such an app.
    edge.ask(Request { secret: "guessed", ..disabled }.bytes()).await.enveloped(401, 4_010_002);
}

#[tokio::test]
async fn the_signature_is_checked_before_the_body_is_read_as_json() {
    let (edge, clock) = start();
    let not_json = Request { body: "not json", sent_body: "not json", ..Request::at(&clock) };
    edge.ask(Request { secret: "guessed", ..not_json.clone() }.bytes()).await.enveloped(401, 4_010_002);
    edge.ask(not_json.bytes()).await.enveloped(400, 4_000_002);
    let empty = Request { body: "", sent_body: "", ..Request::at(&clock) };
    edge.ask(empty.bytes()).await.enveloped(400, 4_000_002);
    edge.ask(Request { content_type: "text/plain", ..Request::at(&clock) }.bytes()).await.enveloped(415, 4_150_001);
    let gzip = "application/json\r\ncontent-encoding: gzip";
    edge.ask(Request { content_type: gzip, ..Request::at(&clock) }.bytes()).await.enveloped(415, 4_150_001);
}

#[tokio::test]
async fn when_the_secrets_can_not_be_read_the_answer_is_503_whatever_the_reason() {
    for outage in [
        PublicError::unavailable(Duration::from_secs(2)),
        PublicError::internal(),
        PublicError::new(ErrorCode::DEADLINE_EXCEEDED),
        PublicError::new(ErrorCode::TOKEN_INVALID),
    ] {
        let (edge, clock) = start_with(outage, RememberedNonces::default());
        let request = Request { app_id: UNLUCKY_APP.to_string(), ..Request::at(&clock) };
        edge.ask(request.bytes()).await.enveloped(503, 5_030_002);
    }
    let (edge, clock) = start_with(PublicError::new(ErrorCode::RATE_LIMITED_APP), RememberedNonces::default());
    let request = Request { app_id: UNLUCKY_APP.to_string(), ..Request::at(&clock) };
    edge.ask(request.bytes()).await.enveloped(429, 4_290_003);
}

#[tokio::test]
async fn when_the_nonces_can_not_be_looked_up_a_change_is_503_and_a_read_is_served() {
    let nonces = RememberedNonces { outage: true, ..RememberedNonces::default() };
    let (edge, clock) = start_with(PublicError::internal(), nonces);
    edge.ask(Request { target: "/change", ..Request::at(&clock) }.bytes()).await.enveloped(503, 5_030_002);
    edge.ask(Request::at(&clock).bytes()).await.enveloped(200, 2_000_000);
}

#[tokio::test]
async fn an_app_that_has_used_its_quota_up_is_refused_before_its_nonce_is_used() {
    let rules = r#"keys.app.rate = { limit = 3, per = "1m" }"#;
    let outage = PublicError::unavailable(Duration::from_secs(2));
    let (edge, clock) = start_limited(outage, RememberedNonces::default(), Limited::by(rules, false));
    let forged = Request { secret: "a guess", ..Request::at(&clock) };
    for _ in 0..20 {
        edge.ask(forged.bytes()).await.enveloped(401, 4_010_002);
    }
    let good = Request::at(&clock);
    for _ in 0..3 {
        edge.ask(good.bytes()).await.enveloped(200, 2_000_000);
    }
    let change = Request { target: "/change", ..Request::at(&clock) };
    let refused = edge.ask(change.bytes()).await;
    refused.enveloped(429, 4_290_003);
    assert_eq!(refused.headers["ratelimit-policy"], r#""app";q=3;w=60"#);
    assert!(refused.headers["ratelimit"].starts_with(r#""app";r=0;t="#), "{:?}", refused.headers);
    edge.governance.put_in_force(govern::rules::Rules::default());
    edge.ask(change.bytes()).await.enveloped(200, 2_000_000);
    edge.ask(change.bytes()).await.enveloped(401, 4_010_004);
}
