//! The end of an edge: nothing that was asked stays unanswered.

use std::{
    io::{Read, Write},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{Notify, Semaphore},
    task::JoinSet,
};

use super::harness::{Client, TestEdge, get, routes, within};
use crate::http::{Envelope, Routes, edge::EdgeConfig};

#[tokio::test]
async fn no_request_is_lost_while_keep_alive_clients_are_sent_elsewhere() {
    let mut edge = TestEdge::start(routes());
    let mut clients = JoinSet::new();
    let warm = Arc::new(Semaphore::new(0));
    for _ in 0..32 {
        let (mut client, warm) = (edge.connect().await, Arc::clone(&warm));
        clients.spawn(async move {
            let mut answered = 0;
            loop {
                // Every request that is written must be answered: a client moves on only when it is told to.
                let answer = client.try_ask(get("/address")).await.expect("an answer");
                answer.enveloped(200, 2_000_000);
                answered += 1;
                if answered == 20 {
                    warm.add_permits(1);
                }
                if answer.says_close() {
                    client.closed().await;
                    return answered;
                }
            }
        });
    }
    within(warm.acquire_many(32)).await.unwrap().forget();
    edge.signals.draining.cancel();
    while let Some(answered) = within(clients.join_next()).await {
        assert!(answered.unwrap() >= 20);
    }
    // Draining is not stopping: whoever comes late is still served.
    let late = edge.ask(get("/address")).await;
    late.enveloped(200, 2_000_000);
    assert!(late.says_close());
    edge.signals.stopping.cancel();
    edge.ended().await;
    assert_eq!(edge.metric("playgate_http_connections_open", None), 0.0);
    assert_eq!(edge.metric("playgate_http_connections_cut_total", Some(("reason", "drain_timeout"))), 0.0);
}

/// A route that answers when it is told to.
fn gated() -> (Routes, Arc<Notify>, Arc<Notify>) {
    let (entered, open) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (signal, gate) = (Arc::clone(&entered), Arc::clone(&open));
    let routes = Routes::new().get("/gated", move || async move {
        signal.notify_one();
        gate.notified().await;
        Envelope("through")
    });
    (routes, entered, open)
}

#[tokio::test]
async fn a_request_in_flight_is_finished_after_the_stop_and_an_idle_connection_is_closed() {
    let (routes, entered, open) = gated();
    let mut edge = TestEdge::start(routes);
    let mut idle = edge.connect().await;
    let mut busy = edge.connect().await;
    busy.send(get("/gated")).await.unwrap();
    within(entered.notified()).await;
    edge.signals.stopping.cancel();
    idle.closed().await;
    assert!(tokio::net::TcpStream::connect(edge.address).await.is_err(), "nothing new is accepted");
    open.notify_one();
    let answer = busy.answer().await.expect("an answer");
    answer.enveloped(200, 2_000_000);
    assert!(answer.says_close());
    edge.ended().await;
}

#[tokio::test]
async fn a_request_that_was_under_way_at_the_stop_is_answered() {
    let config = EdgeConfig { drain_linger: Duration::from_secs(10), ..EdgeConfig::default() };
    let mut edge = TestEdge::start_with(routes(), config);
    let mut kept = edge.connect().await;
    kept.ask(get("/address")).await.enveloped(200, 2_000_000);
    edge.signals.stopping.cancel();
    while tokio::net::TcpStream::connect(edge.address).await.is_ok() {}
    // The stop has been seen; this client had not heard of it when it wrote.
    let answer = kept.try_ask(get("/address")).await.expect("an answer");
    answer.enveloped(200, 2_000_000);
    assert!(answer.says_close());
    edge.ended().await;
}

#[tokio::test]
async fn a_connection_the_kernel_had_accepted_before_the_stop_is_served() {
    let mut edge = TestEdge::start(routes());
    edge.ask(get("/address")).await.enveloped(200, 2_000_000);
    // Blocking calls: this thread runs the accept loop, too, so it can't take the connection before the stop.
    let mut queued = std::net::TcpStream::connect(edge.address).unwrap();
    queued.write_all(get("/address").as_bytes()).unwrap();
    edge.signals.stopping.cancel();
    edge.ended().await;
    let mut answer = String::new();
    queued.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer:?}");
}

#[tokio::test]
async fn a_request_that_never_ends_does_not_hold_the_process() {
    let (routes, entered, _open) = gated();
    let config = EdgeConfig {
        drain_linger: Duration::from_millis(10),
        drain_timeout: Duration::from_millis(50),
        ..EdgeConfig::default()
    };
    let mut edge = TestEdge::start_with(routes, config);
    let mut client: Client<_> = edge.connect().await;
    client.send(get("/gated")).await.unwrap();
    within(entered.notified()).await;
    edge.signals.stopping.cancel();
    edge.ended().await;
    client.closed().await;
    assert_eq!(edge.metric("playgate_http_connections_cut_total", Some(("reason", "drain_timeout"))), 1.0);
}
