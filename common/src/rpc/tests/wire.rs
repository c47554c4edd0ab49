//! What holds on the wire alone: connections and frames, and writes that may have been carried out.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use idl::account::AccountServiceClient;
use prometheus::Registry;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_util::task::TaskTracker;

use super::{
    harness::{Script, Server, Told, client_parts, hanging_up, read, revoked, stack, valid, write},
    scrape,
};
use crate::rpc::{CallError, ClientConfig, ServerConfig, Transport, account_client};

async fn server(script: Script, config: &ServerConfig) -> Server {
    Server::start(stack(script, &Registry::new(), &TaskTracker::new()), config).await
}

fn client<const N: usize>(
    addresses: [SocketAddr; N],
    config: &ClientConfig,
    registry: &Registry,
) -> AccountServiceClient {
    account_client(Transport::Wire(Arc::new(Told::about(addresses))), config, &client_parts(registry))
}

/// What a client sends when it makes a call with side effects.
async fn a_write_as_it_is_sent() -> Vec<u8> {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let client = client([listener.local_addr().expect("bound")], &ClientConfig::default(), &Registry::new());
    let sent = async {
        let (mut socket, _) = listener.accept().await.expect("a connection");
        let length = socket.read_u32().await.expect("a frame");
        let mut body = vec![0; usize::try_from(length).expect("small")];
        socket.read_exact(&mut body).await.expect("the whole frame");
        [length.to_be_bytes().to_vec(), body].concat()
    };
    let (_lost, sent) = tokio::join!(write(&client), sent);
    sent
}

#[tokio::test]
async fn a_call_that_may_have_been_carried_out_is_never_made_again() {
    const CALLS: usize = 20;
    let taken = Arc::new(AtomicUsize::new(0));
    let instances = [hanging_up(&taken).await, hanging_up(&taken).await];
    let client = client(instances, &ClientConfig::default(), &Registry::new());
    let mut sent = 0;
    for _ in 0..CALLS {
        match write(&client).await {
            Err(CallError::LostAfterSend { .. }) => sent += 1,
            // After a few of them the breaker lets hardly any through.
            Err(CallError::Rejected) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(taken.load(Ordering::SeqCst), sent);
    assert!(sent > 5, "{sent}");
}

/// A process that hung finds requests whose callers have long given up. One of them carried out then can do harm: a
/// token that was used again since looks stolen.
#[tokio::test]
async fn a_write_is_not_begun_when_its_caller_hung_up_before_it_was_read() {
    let request = a_write_as_it_is_sent().await;
    let begun = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&begun);
    let script = Script::new().on_write(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        revoked()
    });
    let registry = Registry::new();
    let server = Server::start(stack(script, &registry, &TaskTracker::new()), &ServerConfig::default()).await;

    // Nothing here lets the server move before the connection is closed: it hangs.
    let mut socket = std::net::TcpStream::connect(server.address).expect("the system takes it");
    std::io::Write::write_all(&mut socket, &request).expect("sent");
    drop(socket);
    let refused = "playgate_rpc_server_requests_total{code=\"5040001\",method=\"Logout\",service=\"account\"} 1\n";
    while !scrape(&registry).contains(refused) {
        assert_eq!(begun.load(Ordering::SeqCst), 0);
        tokio::task::yield_now().await;
    }

    let mut socket = TcpStream::connect(server.address).await.expect("accepted");
    socket.write_all(&request).await.expect("sent");
    socket.read_u32().await.expect("an answer for a caller that waits");
    assert_eq!(begun.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_peer_that_sends_nonsense_loses_its_connection_and_nobody_else_does() {
    let config = ServerConfig { max_frame_bytes: 1024, ..ServerConfig::default() };
    let registry = Registry::new();
    let server = Server::start(stack(Script::new(), &registry, &TaskTracker::new()), &config).await;
    let nonsense: [&[u8]; 4] = [
        // A length that would reserve gigabytes; one just above the limit; HTTP; a header that ends beyond its frame.
        &[0xff; 64],
        &[0, 0, 4, 1, 0x10, 0, 0, 0],
        b"GET / HTTP/1.1\r\n\r\n",
        &[0, 0, 0, 14, 0x10, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0, 0, 1, 0xff],
    ];
    for bytes in nonsense {
        let mut socket = TcpStream::connect(server.address).await.expect("accepted");
        socket.write_all(bytes).await.expect("sent");
        // An answer or a reset, and then the end: what matters is that it ends.
        let _ = socket.read_to_end(&mut Vec::new()).await;
    }
    let client = client([server.address], &ClientConfig::default(), &registry);
    read(&client, "any").await.expect("answered");
    // The client's own is open, and none of the others.
    let open = "playgate_rpc_server_connections{service=\"account\"} 1\n";
    while !scrape(&registry).contains(open) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_their_turn() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counter, highest) = (Arc::clone(&now), Arc::clone(&most));
    let script = Script::new().on_read(move |_| {
        let (now, most) = (Arc::clone(&counter), Arc::clone(&highest));
        async move {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            now.fetch_sub(1, Ordering::SeqCst);
            valid().await
        }
    });
    let server = server(script, &ServerConfig { max_connections: 1, ..ServerConfig::default() }).await;
    // Every call on a connection of its own.
    let config = ClientConfig { max_idle_connections: 0, ..ClientConfig::default() };
    let client = client([server.address], &config, &Registry::new());
    let mut calls = JoinSet::new();
    for _ in 0..16 {
        let client = client.clone();
        calls.spawn(async move { read(&client, "any").await });
    }
    for result in calls.join_all().await {
        result.expect("answered in its turn");
    }
    assert_eq!(most.load(Ordering::SeqCst), 1);
}
