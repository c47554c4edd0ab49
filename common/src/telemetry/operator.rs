//! The operator listener: `GET /metrics`, `/healthz`, `/readyz`, `/version`, `/govern`.
//!
//! For the machines that watch a role, never for the public: its own address, no envelope, nothing that asks another
//! service. `/healthz` says the process lives, whatever is broken around it: a restart cures a hung process, not a
//! database that is down. `/readyz` says whether to send traffic, `/govern` which rules it is governed by. Other routes mount beside these with
//! `others.merge(routes(parts))`: that way round, because `Router::merge` keeps the fallback of its left side only.

use std::{future::ready, net::SocketAddr};

use http::{HeaderValue, StatusCode, header};
use prometheus::Registry;
use serde::{Deserialize, Serialize};
use volo_http::{
    body::Body,
    response::Response,
    server::route::{Router, get},
};

use crate::{
    config::{Invalid, Secret, Section},
    governance::RulesRecord,
    lifecycle::Readiness,
    telemetry::{BuildInfo, metrics},
};

/// Where operators look at a role, and what lets them change it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OperatorConfig {
    /// The operator listener's address. Never make it public: it answers without asking who wants to know. Absent, it
    /// is the loopback address at 9180 for `all` and the gateway, 9181 account, 9182 setting, 9183 pay.
    pub listen: Option<SocketAddr>,
    /// Lets whoever presents it use the admin API, on the gateway's listener and that of `all`. Visible ASCII without
    /// spaces. Absent in development: generated into `admin-token` in the data directory.
    pub admin_token: Option<Secret>,
    /// Bytes of a request's body, declared or chunked. Beyond it: 413 and the connection closes. Has to have room for a
    /// settings document (`setting.document_bytes_max`) and what is around it.
    pub body_limit: usize,
}

impl Default for OperatorConfig {
    fn default() -> Self {
        Self { listen: None, admin_token: None, body_limit: 2 * 1024 * 1024 }
    }
}

impl Section for OperatorConfig {
    const NAME: &'static str = "operator";

    fn validate(&self) -> Result<(), Invalid> {
        if self.body_limit == 0 {
            return Err(Invalid::new("body_limit", "must be at least 1"));
        }
        let usable =
            |token: &Secret| !token.expose().is_empty() && token.expose().bytes().all(|byte| byte.is_ascii_graphic());
        match &self.admin_token {
            Some(token) if !usable(token) => {
                Err(Invalid::new("admin_token", "must be visible ASCII characters without spaces, and not empty"))
            }
            _ => Ok(()),
        }
    }
}

/// What the operator routes show.
#[derive(Clone, Debug)]
pub struct OperatorParts {
    /// Shown by `/metrics`.
    pub registry: Registry,
    /// Shown by `/readyz`.
    pub readiness: Readiness,
    /// Shown by `/version`.
    pub build: BuildInfo,
    /// Shown by `/govern`.
    pub rules: RulesRecord,
}

/// The routes. They set no fallback: whoever merges them has the last word on unknown routes.
pub fn routes(parts: OperatorParts) -> Router {
    let OperatorParts { registry, readiness, build, rules } = parts;
    Router::new()
        .route("/metrics", get(move || show_metrics(registry.clone())))
        .route("/healthz", get(|| ready(show_health())))
        .route("/readyz", get(move || ready(show_readiness(&readiness))))
        .route("/version", get(move || ready(show_version(build))))
        .route("/govern", get(move || ready(show_rules(&rules))))
}

async fn show_metrics(registry: Registry) -> Response {
    // Gathering reads /proc, which is file I/O.
    let text = tokio::task::spawn_blocking(move || metrics::encode(&registry)).await;
    match text {
        Ok(Ok(text)) => answer(StatusCode::OK, prometheus::TEXT_FORMAT, text),
        Ok(Err(error)) => cannot_show_metrics(&error),
        Err(panicked) => cannot_show_metrics(&panicked),
    }
}

fn cannot_show_metrics(error: &dyn std::error::Error) -> Response {
    tracing::error!(%error, "the metrics could not be gathered");
    plain(StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be gathered; the log says why\n")
}

fn show_health() -> Response {
    plain(StatusCode::OK, "ok\n")
}

fn show_readiness(readiness: &Readiness) -> Response {
    let report = readiness.report();
    json(if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, &report)
}

fn show_version(build: BuildInfo) -> Response {
    json(StatusCode::OK, &build)
}

fn show_rules(rules: &RulesRecord) -> Response {
    json(StatusCode::OK, &rules.report())
}

fn plain(status: StatusCode, text: &'static str) -> Response {
    answer(status, "text/plain; charset=utf-8", text.to_owned())
}

fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_string(value) {
        Ok(text) => answer(status, "application/json", text),
        Err(error) => {
            tracing::error!(%error, "an operator answer could not be written");
            plain(StatusCode::INTERNAL_SERVER_ERROR, "the answer could not be written; the log says why\n")
        }
    }
}

fn answer(status: StatusCode, content_type: &'static str, text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    // A probe answered from a cache would be about another moment.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, sync::Arc};

    use http_body_util::BodyExt;
    use motore::Service;
    use prometheus::IntCounter;
    use serde_json::{Value, json};
    use volo_http::context::ServerContext;

    use super::*;
    use crate::{
        clock::testing::ManualClock,
        config::Environment,
        governance::Governance,
        lifecycle::{Lifecycle, LifecycleConfig},
    };

    const BUILD: BuildInfo = BuildInfo { name: "playgate", version: "1.2.3", commit: Some("abc"), rustc: "rustc 1" };

    /// The routes of a process at the beginning of its life, and that life.
    fn operator() -> (Router, Registry, Lifecycle) {
        let lifecycle = Lifecycle::new(LifecycleConfig::default().timing(Environment::Development));
        let registry = Registry::new();
        let readiness = lifecycle.readiness().clone();
        let clock = Arc::new(ManualClock::default());
        let rules = RulesRecord::new(Governance::default(), clock, &registry).unwrap();
        (routes(OperatorParts { registry: registry.clone(), readiness, build: BUILD, rules }), registry, lifecycle)
    }

    async fn get_from(router: &Router, path: &str) -> (StatusCode, String, String) {
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1)).into();
        let request = http::Request::get(path).body(Body::empty()).unwrap();
        let response = router.call(&mut ServerContext::new(peer), request).await.unwrap();
        let (head, body) = response.into_parts();
        let content_type = head.headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap().to_owned());
        let body = body.collect().await.unwrap().to_bytes();
        (head.status, content_type.unwrap_or_default(), String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn metrics_are_prometheus_text() {
        let (router, registry, _) = operator();
        let counter = IntCounter::new("playgate_things_total", "Things.").unwrap();
        registry.register(Box::new(counter.clone())).unwrap();
        counter.inc_by(7);
        let (status, content_type, text) = get_from(&router, "/metrics").await;
        assert_eq!((status, content_type.as_str()), (StatusCode::OK, "text/plain; version=0.0.4"));
        assert!(text.contains("# TYPE playgate_things_total counter\nplaygate_things_total 7\n"), "{text}");
    }

    #[tokio::test]
    async fn readiness_is_503_with_its_reasons_until_everything_is_there_and_again_while_draining() {
        let (router, _, lifecycle) = operator();
        let check = async |status: u16, body: Value| {
            let (answered, content_type, text) = get_from(&router, "/readyz").await;
            assert_eq!((answered.as_u16(), content_type.as_str()), (status, "application/json"));
            assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), body);
        };
        let gates = [lifecycle.readiness().gate("sql"), lifecycle.readiness().gate("keys")];
        check(503, json!({"ready": false, "draining": false, "waiting_for": ["sql", "keys"]})).await;
        gates[0].open();
        check(503, json!({"ready": false, "draining": false, "waiting_for": ["keys"]})).await;
        gates[1].open();
        check(200, json!({"ready": true, "draining": false, "waiting_for": []})).await;
        lifecycle.signals().draining.cancel();
        check(503, json!({"ready": false, "draining": true, "waiting_for": []})).await;
    }

    #[tokio::test]
    async fn the_process_is_healthy_while_it_is_not_ready() {
        let (router, _, lifecycle) = operator();
        let _closed = lifecycle.readiness().gate("sql");
        assert_eq!(get_from(&router, "/readyz").await.0, StatusCode::SERVICE_UNAVAILABLE);
        let (status, _, text) = get_from(&router, "/healthz").await;
        assert_eq!((status, text.as_str()), (StatusCode::OK, "ok\n"));
    }

    #[tokio::test]
    async fn the_version_names_the_build() {
        let (status, _, text) = get_from(&operator().0, "/version").await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(
            serde_json::from_str::<Value>(&text).unwrap(),
            json!({"name": "playgate", "version": "1.2.3", "commit": "abc", "rustc": "rustc 1"})
        );
        assert!(BuildInfo::current().rustc.starts_with("rustc "), "{:?}", BuildInfo::current());
    }

    #[tokio::test]
    async fn the_rules_in_force_are_shown_with_their_digest_and_where_they_are_from() {
        let (router, registry, _) = operator();
        let (status, content_type, text) = get_from(&router, "/govern").await;
        assert_eq!((status, content_type.as_str()), (StatusCode::OK, "application/json"));
        let shown: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&shown["origin"], &shown["document"]["state"]), (&json!("defaults"), &json!("not-followed")));
        assert_eq!(shown["rules"]["callee"]["in_flight"], 1024);
        let info = format!("playgate_govern_rules_info{{digest={},origin=\"defaults\"}} 1", shown["digest"]);
        assert!(metrics::encode(&registry).unwrap().contains(&info), "{info}");
    }

    #[tokio::test]
    async fn other_routes_mount_beside_these_and_the_rest_is_not_found() {
        assert_eq!(get_from(&operator().0, "/nowhere").await.0, StatusCode::NOT_FOUND);
        let admin: Router =
            Router::new().route("/admin/v1/apps", get(|| async { "apps" })).fallback(|| async { "else" });
        let router = admin.merge(operator().0);
        assert_eq!(get_from(&router, "/admin/v1/apps").await.2, "apps");
        assert_eq!(get_from(&router, "/healthz").await.2, "ok\n");
        assert_eq!(get_from(&router, "/nowhere").await.2, "else");
    }

    #[test]
    fn an_admin_token_that_no_header_can_carry_is_refused() {
        for (token, usable) in [("s3cret", true), ("", false), ("two words", false), ("sécret", false), ("a\n", false)]
        {
            let config = OperatorConfig { admin_token: Some(Secret::new(token)), ..OperatorConfig::default() };
            assert_eq!(config.validate().is_ok(), usable, "{token:?}");
        }
        assert_eq!(OperatorConfig::default().validate(), Ok(()));
    }
}
