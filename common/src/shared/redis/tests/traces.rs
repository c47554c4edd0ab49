//! What a trace shows of a question to Redis.

use std::time::Duration;

use xtask::services::Redis as Server;

use super::{super::testing, answered};
use crate::{
    clock::testing::SeededRandom,
    context::RequestContext,
    shared::SharedState,
    telemetry::trace::testing::{install, spans_of},
};

#[tokio::test(flavor = "multi_thread")]
async fn questions_of_a_traced_request_are_its_children_and_never_show_a_key() {
    install();
    let mut server = Server::start().unwrap();
    let redis = testing::opened(&testing::config_for(&server.url())).await;
    let state = redis.state();
    let request = RequestContext { sampled: true, ..RequestContext::root(&SeededRandom::new(4_002)) };
    request.scope(state.set_if_absent("of-ann", Duration::from_secs(5))).await.expect("taken");
    server.kill().unwrap();
    answered(redis.is_up(false)).await;
    request.scope(state.increment("of-ann", 1, Duration::from_secs(5))).await.expect_err("Redis is away");

    let spans = spans_of(request.trace_id);
    let seen: Vec<_> = spans.iter().map(|span| (span.name(), span.attribute("error.type"))).collect();
    assert_eq!(seen, [("SET", String::new()), ("INCREMENT", "no_connection".to_owned())]);
    for span in &spans {
        assert_eq!(span.parent, request.parent_span);
        assert_eq!(span.attribute("db.system.name"), "redis");
        assert!(!format!("{span:?}").contains("of-ann"));
    }
}
