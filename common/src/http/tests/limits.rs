//! Hostile and broken clients: each gets a clear error or a closed connection, and nobody else notices.

use std::time::Duration;

use super::harness::{Client, TestEdge, get, post_json, routes, within};
use crate::http::edge::EdgeConfig;

const SHORT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn a_declared_body_over_the_limit_is_413_before_it_is_read() {
    let edge = TestEdge::start_with(routes(), EdgeConfig { body_limit: 1000, ..EdgeConfig::default() });
    let head = "POST /echo HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: 1001\r\n\r\n";
    let answer = edge.ask(head).await;
    answer.enveloped(413, 4_130_001);
    assert!(answer.says_close());
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_passes_declared_and_chunked() {
    let body = format!(r#"{{"name":"{}","count":2}}"#, "a".repeat(1000 - 21));
    assert_eq!(body.len(), 1000);
    let edge = TestEdge::start_with(routes(), EdgeConfig { body_limit: 1000, ..EdgeConfig::default() });
    edge.ask(post_json("/echo", &body)).await.enveloped(200, 2_000_000);
    edge.ask(chunked(&[&body])).await.enveloped(200, 2_000_000);
    edge.ask(chunked(&[&body, " "])).await.enveloped(413, 4_130_001);
}

#[tokio::test]
async fn a_chunked_body_without_end_is_413_although_nothing_declared_its_length() {
    let edge = TestEdge::start_with(routes(), EdgeConfig { body_limit: 100_000, ..EdgeConfig::default() });
    let mut client = edge.connect().await;
    let head =
        "POST /echo HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    client.send(head).await.unwrap();
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
    // Until the other side has had enough and stops reading.
    while within(client.send(&chunk)).await.is_ok() {
        if client.has_answer().await {
            break;
        }
    }
    let answer = client.answer().await.expect("an answer and not a reset");
    answer.enveloped(413, 4_130_001);
    assert!(answer.says_close());
}

#[tokio::test]
async fn a_client_that_sends_all_before_it_reads_still_sees_the_413() {
    let edge = TestEdge::start_with(routes(), EdgeConfig { body_limit: 1000, ..EdgeConfig::default() });
    let mut client = edge.connect().await;
    client.send(post_json("/echo", vec![b'x'; 3_000_000])).await.expect("the edge takes what it throws away");
    client.answer().await.expect("an answer and not a reset").enveloped(413, 4_130_001);
}

#[tokio::test]
async fn a_body_that_breaks_off_or_is_framed_wrongly_is_an_error_and_nothing_worse() {
    let edge = TestEdge::start(routes());
    let head =
        "POST /echo HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut client = edge.connect().await;
    client.send(format!("{head}zz\r\nnot a length\r\n")).await.unwrap();
    let answer = client.answer().await.expect("an answer");
    assert_eq!(answer.status, 400);
    let mut gone = edge.connect().await;
    gone.send(format!("{head}5\r\nhel")).await.unwrap();
    drop(gone);
    edge.ask(get("/address")).await.enveloped(200, 2_000_000);
}

#[tokio::test]
async fn a_header_of_a_megabyte_or_ten_thousand_headers_are_refused_and_others_are_served() {
    let edge = TestEdge::start(routes());
    let huge = format!("GET /address HTTP/1.1\r\nhost: test\r\nx-huge: {}\r\n\r\n", "x".repeat(1_000_000));
    let many: String = (0..10_000).map(|number| format!("x-{number}: 1\r\n")).collect();
    let many = format!("GET /address HTTP/1.1\r\nhost: test\r\n{many}\r\n");
    let mut neighbour = edge.connect().await;
    for attack in [huge, many] {
        let mut attacker = edge.connect().await;
        let _ = within(attacker.send(attack)).await;
        match attacker.answer().await {
            Ok(answer) => assert_eq!(answer.status, 431),
            Err(closed) => panic!("the refusal was lost: {closed}"),
        }
        attacker.closed().await;
        neighbour.ask(get("/address")).await.enveloped(200, 2_000_000);
    }
}

#[tokio::test]
async fn a_hundred_headers_are_fine() {
    let edge = TestEdge::start(routes());
    let headers: String = (0..99).map(|number| format!("x-{number}: 1\r\n")).collect();
    edge.ask(format!("GET /address HTTP/1.1\r\nhost: test\r\n{headers}\r\n")).await.enveloped(200, 2_000_000);
}

#[tokio::test]
async fn slow_heads_are_cut_while_others_are_served() {
    let edge = TestEdge::start_with(routes(), EdgeConfig { header_timeout: SHORT, ..EdgeConfig::default() });
    let mut slow = Vec::new();
    for _ in 0..50 {
        let mut client = edge.connect().await;
        client.send("GET /address HTTP/1.1\r\nx-slow: ").await.unwrap();
        slow.push(client);
    }
    let mut neighbour = edge.connect().await;
    let serve_neighbour = async {
        loop {
            neighbour.ask(get("/address")).await.enveloped(200, 2_000_000);
        }
    };
    let all_cut = async {
        for client in &mut slow {
            client.closed().await;
        }
    };
    tokio::select! { () = all_cut => {}, () = serve_neighbour => {} }
    let cut = ("reason", "slow_head");
    assert!(edge.metric("playgate_http_connections_cut_total", Some(cut)) > 49.0);
}

#[tokio::test]
async fn a_slow_second_head_on_a_kept_connection_is_cut_as_well() {
    let edge = TestEdge::start_with(routes(), EdgeConfig { header_timeout: SHORT, ..EdgeConfig::default() });
    let mut client = edge.connect().await;
    client.ask(get("/address")).await.enveloped(200, 2_000_000);
    client.send("GET /addr").await.unwrap();
    client.closed().await;
    assert!(edge.metric("playgate_http_connections_cut_total", Some(("reason", "slow_head"))) > 0.0);
}

#[tokio::test]
async fn a_body_that_stalls_is_cut_by_the_request_timeout() {
    let edge = TestEdge::start_with(routes(), EdgeConfig { request_timeout: SHORT, ..EdgeConfig::default() });
    let head = "POST /echo HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n";
    for stalled in
        [format!("{head}content-length: 100\r\n\r\n{{"), format!("{head}transfer-encoding: chunked\r\n\r\n5\r\nhel")]
    {
        let mut client = edge.connect().await;
        let answer = client.ask(stalled).await;
        answer.enveloped(504, 5_040_001);
        assert!(answer.says_close());
        client.closed().await;
    }
}

#[tokio::test]
async fn a_connection_without_requests_is_closed() {
    let config = EdgeConfig { header_timeout: SHORT, idle_timeout: SHORT, ..EdgeConfig::default() };
    let edge = TestEdge::start_with(routes(), config);
    let mut silent = edge.connect().await;
    let mut kept = edge.connect().await;
    kept.ask(get("/address")).await.enveloped(200, 2_000_000);
    silent.closed().await;
    kept.closed().await;
    assert!(edge.metric("playgate_http_connections_cut_total", Some(("reason", "idle"))) > 0.0);
}

#[tokio::test]
async fn beyond_the_connection_cap_a_client_waits_and_is_then_served() {
    let edge = TestEdge::start_with(routes(), EdgeConfig { max_connections: 1, ..EdgeConfig::default() });
    let mut first = edge.connect().await;
    first.ask(get("/address")).await.enveloped(200, 2_000_000);
    let mut second = edge.connect().await;
    second.send(get("/address")).await.unwrap();
    for _ in 0..100 {
        first.ask(get("/address")).await.enveloped(200, 2_000_000);
    }
    assert_eq!(edge.metric("playgate_http_connections_accepted_total", None), 1.0);
    drop(first);
    second.answer().await.unwrap().enveloped(200, 2_000_000);
}

#[tokio::test]
async fn other_protocols_are_refused() {
    let edge = TestEdge::start(routes());
    for greeting in ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01", "SSH-2.0-x\r\n\r\n"] {
        let mut client = edge.connect().await;
        let _ = client.send(greeting).await;
        client.closed().await;
    }
    edge.ask(get("/address")).await.enveloped(200, 2_000_000);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let edge = TestEdge::start(routes());
    let mut client: Client<_> = edge.connect().await;
    client.send([get("/address"), get("/nowhere"), get("/address")].concat()).await.unwrap();
    for status in [200, 404, 200] {
        assert_eq!(client.answer().await.unwrap().status, status);
    }
}

fn chunked(chunks: &[&str]) -> String {
    let mut request = String::from(
        "POST /echo HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
    );
    for chunk in chunks {
        request.push_str(&format!("{:x}\r\n{chunk}\r\n", chunk.len()));
    }
    request + "0\r\n\r\n"
}
