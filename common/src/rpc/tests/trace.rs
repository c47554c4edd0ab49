//! The spans of calls, on both transports.

use std::time::Duration;

use super::harness::{Over, Platform, Script, on_both_transports, valid};
use crate::{
    clock::testing::SeededRandom,
    context::RequestContext,
    error_code::{ErrorCode, PublicError},
    rpc::{ClientConfig, error::refuse},
    telemetry::trace::{
        Description, leaf,
        testing::{self, spans_of},
    },
};

/// A request of a trace that no other test has: `story` tells them apart.
fn request(over: Over, story: u64, sampled: bool) -> RequestContext {
    testing::install();
    let seed = match over {
        Over::InProcess => 2_000 + story,
        Over::Wire => 3_000 + story,
    };
    RequestContext { parent_span: 42, sampled, ..RequestContext::root(&SeededRandom::new(seed)) }
}

on_both_transports! {
    async fn the_spans_of_a_call_hang_on_each_other_from_the_caller_to_the_handler(over: Over) {
        let script = Script::new().on_read(|_| async {
            leaf(|| Description::internal("inside the handler")).end(false);
            valid().await
        });
        let platform = Platform::start(over, script).await;
        let request = request(over, 1, true);
        request.scope(platform.read("any")).await.expect("answered");
        let spans = spans_of(request.trace_id);
        let [inside, server, client] = &spans[..] else { panic!("three spans: {spans:?}") };
        assert_eq!([inside.name(), server.name(), client.name()][1..], ["account/VerifyToken"; 2]);
        assert_eq!([client.parent, server.parent, inside.parent], [42, client.id, server.id]);
        for call in [server, client] {
            assert_eq!(call.attribute("rpc.system"), "thrift");
            assert_eq!(call.attribute("rpc.service"), "account");
            assert_eq!(call.attribute("rpc.method"), "VerifyToken");
            assert_eq!(call.attribute("playgate.code"), "2000000");
            assert_eq!(call.attribute("error.type"), "");
        }
        assert!(client.started <= server.started && server.ended <= client.ended, "one lies inside the other");
    }

    async fn a_refusal_is_told_from_a_fault_on_both_sides(over: Over) {
        for (story, code, error_type) in [(2, ErrorCode::FORBIDDEN, ""), (3, ErrorCode::OVERLOADED, "5030001")] {
            let script = Script::new().on_read(move |_| async move { Err(refuse(&PublicError::new(code))) });
            let platform = Platform::start(over, script).await;
            let request = request(over, story, true);
            request.scope(platform.read("any")).await.expect_err("refused");
            let spans = spans_of(request.trace_id);
            assert_eq!(spans.len(), 2, "{spans:?}");
            for span in spans {
                assert_eq!(span.attribute("playgate.code"), code.inner().to_string());
                assert_eq!(span.attribute("error.type"), error_type);
            }
        }
    }

    async fn a_call_that_took_too_long_is_a_fault_of_its_client(over: Over) {
        let script = Script::new().on_read(|_| std::future::pending());
        let short = Duration::from_millis(50);
        let config = ClientConfig { timeout: short, connect_timeout: short, ..ClientConfig::default() };
        let platform = Platform::start_with(over, script, &config).await;
        let request = request(over, 4, true);
        request.scope(platform.read("any")).await.expect_err("nobody answers");
        let spans = spans_of(request.trace_id);
        let client = spans.iter().find(|span| span.parent == 42).expect("the client's span");
        assert_eq!(client.attribute("error.type"), "5040001");
    }

    async fn a_request_that_is_not_traced_leaves_no_spans(over: Over) {
        let platform = Platform::start(over, Script::new()).await;
        let request = request(over, 5, false);
        request.scope(platform.read("any")).await.expect("answered");
        assert_eq!(spans_of(request.trace_id).len(), 0);
    }
}
