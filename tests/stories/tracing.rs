//! A request can be followed through every hop, and following it never costs anybody an answer.

use reqwest::Method;
use serde_json::json;
use tokio::net::TcpListener;

use crate::support::{
    Answer, Builder, Collector, PATIENCE, Platform, Player, Role, Shape, Span, eventually, in_a_fleet, in_four_roles,
    in_one_process,
};

in_one_process!(
    a_login_is_one_trace_from_the_header_to_the_statement,
    a_collector_that_is_gone_or_hangs_costs_requests_nothing,
    what_was_recorded_is_sent_before_the_process_ends,
);
in_four_roles!(
    a_login_is_one_trace_from_the_header_to_the_statement,
    a_request_that_failed_is_kept_although_it_was_not_chosen,
);
in_a_fleet!(a_login_is_one_trace_from_the_header_to_the_statement);

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLERS_SPAN: &str = "00f067aa0ba902b7";

/// The trace of a login in a channel whose settings this gateway was never asked for; the setting service has read its app's
/// document before. A line is role, kind and name;
/// siblings are sorted by name. What begins with a plus is there where replicas share in Redis.
const LOGIN: &str = "\
|gateway server POST /v1/sdk/login
|  gateway client account/Login
|    account server account/Login
+      account client FORGIVE
|      account client INSERT account_sessions
|      account client SELECT account_bans
|      account client SELECT account_credentials
|      account client SELECT account_credentials
+      account client STANDING
|      account internal hash pool
|  gateway client pay/GetWallet
|    pay server pay/GetWallet
|      pay client SELECT pay_ledger_accounts
|  gateway client setting/GetSettings
|    setting server setting/GetSettings";

/// A platform that believes what loopback says about traces, and chooses none by itself.
fn watched(shape: Shape, endpoint: &str) -> Builder {
    Platform::build(shape)
        .set("otlp.endpoint", endpoint)
        .set("otlp.sample_ratio", "0")
        .set("otlp.batch_delay", "50ms")
        // Every so many sign-ins look for sessions that are too many; these are not about that.
        .set("account.sessions_per_account", "1000000000")
        .set("gateway.edge.trusted_proxies", "[\"127.0.0.0/8\"]")
}

async fn traced_login(platform: &Platform, player: &Player) -> Answer {
    let body = json!({
        "app_id": platform.app().app_id, "channel": "web", "kind": "password",
        "username": player.username, "password": player.password,
    });
    let request = platform.client().request(Method::POST, "/v1/sdk/login");
    let traceparent = format!("00-{TRACE}-{CALLERS_SPAN}-01");
    platform.client().send(request.header("traceparent", traceparent).json(&body)).await
}

async fn a_login_is_one_trace_from_the_header_to_the_statement(shape: Shape) {
    let collector = Collector::start().await;
    let platform = watched(shape, &collector.endpoint()).start().await;
    let player = platform.register("quetzalcoatl").await;
    let answer = traced_login(&platform, &player).await;
    answer.ok();
    assert_eq!(answer.header("x-request-id"), TRACE, "the trace id is the request id");

    let is_there = |line: &&str| line.starts_with('|') || shape == Shape::FleetOnNacos;
    let expected: String = LOGIN.lines().filter(is_there).map(|line| in_shape(shape, &line[1..])).collect();
    // Each process sends what it has in its own time.
    let spans = eventually("the whole trace has arrived", async || {
        let spans = collector.trace(TRACE);
        (spans.len() >= expected.lines().count()).then_some(spans)
    });
    let spans = spans.await;
    assert_eq!(Span::tree(&spans, CALLERS_SPAN), expected);
    for span in &spans {
        assert!(span.start <= span.end, "{span:?}");
        assert!(
            !format!("{span:?}").contains(&player.password) && !format!("{span:?}").contains(&player.username),
            "{span:?}"
        );
    }
}

/// A line of the tree as it is in `shape`: in one process every role is `all`.
fn in_shape(shape: Shape, line: &str) -> String {
    let said = line.trim_start();
    let (indent, (role, rest)) = (&line[..line.len() - said.len()], said.split_once(' ').unwrap());
    match shape {
        Shape::AllInOne => format!("{indent}all {rest}\n"),
        Shape::FourRolesMariadb | Shape::FleetOnNacos => format!("{indent}{role} {rest}\n"),
    }
}

async fn a_request_that_failed_is_kept_although_it_was_not_chosen(shape: Shape) {
    let collector = Collector::start().await;
    let mut platform = watched(shape, &collector.endpoint()).start().await;
    let ann = platform.register("ann").await;
    platform.kill(Role::Account);
    let answer = ann.try_login().await;
    answer.not_now();
    let trace_id = answer.header("x-request-id");
    let spans = eventually("the span has arrived", async || {
        let spans = collector.trace(trace_id);
        (!spans.is_empty()).then_some(spans)
    });
    let spans = spans.await;
    let [span] = &spans[..] else { panic!("one span: {spans:?}") };
    assert_eq!((span.name.as_str(), span.is_error), ("POST /v1/sdk/login", true));
    assert_eq!(span.attribute("playgate.code"), answer.code().to_string());
    assert_eq!(span.attribute("http.response.status_code"), answer.status.to_string());
}

async fn a_collector_that_is_gone_or_hangs_costs_requests_nothing(shape: Shape) {
    let hanging = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for address in [hanging.local_addr().unwrap(), gone] {
        let builder = watched(shape, &format!("http://{address}")).set("otlp.sample_ratio", "1");
        let platform = builder.set("otlp.queue_size", "4").set("otlp.batch_size", "4").start().await;
        let ann = platform.register("ann").await;
        for _ in 0..20 {
            assert_eq!(platform.verify(&ann.tokens.access_token).await.status, "valid");
        }
        eventually("what finds no room is dropped and counted", async || {
            let metrics = platform.metrics(platform.front()).await;
            let dropped = metrics
                .lines()
                .find_map(|line| line.strip_prefix("playgate_trace_spans_dropped_total{reason=\"queue_full\"} "));
            dropped.is_some_and(|count| count != "0").then_some(())
        })
        .await;
    }
}

async fn what_was_recorded_is_sent_before_the_process_ends(shape: Shape) {
    let collector = Collector::start().await;
    let builder = watched(shape, &collector.endpoint()).set("otlp.batch_delay", "1h");
    let mut platform = builder.start().await;
    let ann = platform.register("ann").await;
    traced_login(&platform, &ann).await.ok();
    assert_eq!(collector.trace(TRACE).len(), 0, "it waits for others to be sent with");
    let front = platform.front();
    platform.terminate(front);
    let ended = platform.ends_within(front, PATIENCE).await;
    assert!(ended.is_some_and(|status| status.success()), "{ended:?}");
    assert!(!collector.trace(TRACE).is_empty());
}
