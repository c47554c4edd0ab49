//! What holds while a server stops: nothing that has arrived is lost.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use idl::account::AccountServiceClient;
use prometheus::Registry;
use tokio::{
    io::AsyncReadExt,
    net::TcpStream,
    sync::{Notify, mpsc},
    task::JoinSet,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::harness::{Script, Server, Told, client_parts, read, refusing_address, stack, valid};
use crate::{
    discovery::Discovery,
    rpc::{CallError, ClientConfig, ServerConfig, Transport, account_client},
};

fn client(discovery: Arc<dyn Discovery>) -> AccountServiceClient {
    account_client(Transport::Wire(discovery), &ClientConfig::default(), &client_parts(&Registry::new()))
}

async fn counting_server() -> (Server, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    let script = Script::new().on_read(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        async {
            tokio::task::yield_now().await;
            valid().await
        }
    });
    let stack = stack(script, &Registry::new(), &TaskTracker::new());
    (Server::start(stack, &ServerConfig::default()).await, count)
}

async fn until_more(count: &AtomicUsize, more: usize) {
    let enough = count.load(Ordering::SeqCst) + more;
    while count.load(Ordering::SeqCst) < enough {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_server_that_leaves_discovery_first_stops_without_a_lost_call() {
    let (leaving, leaving_count) = counting_server().await;
    let (staying, staying_count) = counting_server().await;
    let discovery = Arc::new(Told::about([leaving.address, staying.address]));
    let client = client(Arc::clone(&discovery) as Arc<dyn Discovery>);
    let enough = CancellationToken::new();
    let mut callers = JoinSet::new();
    for _ in 0..32 {
        let (client, enough) = (client.clone(), enough.clone());
        callers.spawn(async move {
            while !enough.is_cancelled() {
                read(&client, "any").await?;
            }
            Ok::<_, CallError>(())
        });
    }
    until_more(&leaving_count, 100).await;
    discovery.now([staying.address]);
    until_more(&staying_count, 100).await;
    leaving.stopping.cancel();
    leaving.serving.await.expect("no panic").expect("stopped");
    until_more(&staying_count, 100).await;
    enough.cancel();
    for outcome in callers.join_all().await {
        assert_eq!(outcome, Ok(()));
    }
}

#[tokio::test]
async fn a_call_that_has_begun_is_answered_before_the_server_stops() {
    let (begun, mut beginnings) = mpsc::unbounded_channel();
    let release = Arc::new(Notify::new());
    let released = Arc::clone(&release);
    let script = Script::new().on_read(move |_| {
        begun.send(()).expect("the test listens");
        let release = Arc::clone(&released);
        async move {
            release.notified().await;
            valid().await
        }
    });
    let config = ServerConfig { linger: Duration::ZERO, ..ServerConfig::default() };
    let server = Server::start(stack(script, &Registry::new(), &TaskTracker::new()), &config).await;
    let client = client(Arc::new(Told::about([server.address])));
    let mut calls = JoinSet::new();
    calls.spawn(async move { read(&client, "any").await });
    beginnings.recv().await.expect("begun");
    let mut idle = TcpStream::connect(server.address).await.expect("taken");
    server.stopping.cancel();
    // By now everything is closed that is not at work.
    assert_eq!(idle.read(&mut [0]).await.expect("hung up"), 0);
    assert!(!server.serving.is_finished());
    release.notify_one();
    for outcome in calls.join_all().await {
        outcome.expect("answered");
    }
    server.serving.await.expect("no panic").expect("stopped");
}

#[tokio::test]
async fn a_server_with_idle_connections_stops_and_refuses_from_then_on() {
    let (server, _) = counting_server().await;
    let client = client(Arc::new(Told::about([server.address, refusing_address().await])));
    read(&client, "any").await.expect("answered, and its connection is kept");
    server.stopping.cancel();
    server.serving.await.expect("no panic").expect("stopped");
    let refused = read(&client, "any").await;
    assert!(matches!(refused, Err(CallError::NotSent { .. })), "{refused:?}");
}
