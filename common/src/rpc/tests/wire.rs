//! What holds on the wire alone: instances, connections and frames.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
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
    harness::{Script, Server, Told, client_parts, read, refusing_address, revoked, stack, valid, write},
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

/// A server that takes requests, counts them and hangs up without an answer.
async fn hanging_up(taken: &Arc<AtomicUsize>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let taken = Arc::clone(taken);
    TaskTracker::new().spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let length = socket.read_u32().await.expect("a frame");
            let mut frame = vec![0; usize::try_from(length).expect("small")];
            socket.read_exact(&mut frame).await.expect("the whole frame");
            taken.fetch_add(1, Ordering::SeqCst);
        }
    });
    address
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

/// A server that takes connections and is silent, as a process that hangs is.
async fn silent() -> (TcpListener, SocketAddr) {
    // The system takes the connections; nobody has to.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    (listener, address)
}

/// Once left out, for the rest of the test.
fn for_good() -> ClientConfig {
    let hour = Duration::from_secs(3600);
    ClientConfig { ejection_time: hour, max_ejection_time: hour, ..ClientConfig::default() }
}

#[tokio::test]
async fn a_call_that_may_have_been_carried_out_is_never_made_again() {
    const CALLS: usize = 20;
    let taken = Arc::new(AtomicUsize::new(0));
    let instances = [hanging_up(&taken).await, hanging_up(&taken).await];
    let client = client(instances, &ClientConfig::default(), &Registry::new());
    for _ in 0..CALLS {
        let lost = write(&client).await;
        assert!(matches!(lost, Err(CallError::LostAfterSend { .. })), "{lost:?}");
    }
    assert_eq!(taken.load(Ordering::SeqCst), CALLS);
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
async fn a_read_whose_answer_is_lost_is_asked_again_elsewhere() {
    let taken = Arc::new(AtomicUsize::new(0));
    let server = server(Script::new(), &ServerConfig::default()).await;
    let registry = Registry::new();
    let client = client([hanging_up(&taken).await, server.address], &for_good(), &registry);
    for _ in 0..50 {
        read(&client, "any").await.expect("the other instance answers");
    }
    assert_eq!(taken.load(Ordering::SeqCst), 3, "then it is left out");
    let counted = scrape(&registry);
    assert!(counted.contains("playgate_rpc_client_repeated_total{service=\"account\"} 3\n"), "{counted}");
    let ejected = "playgate_rpc_client_ejections_total{reason=\"unanswered\",service=\"account\"} 1\n";
    assert!(counted.contains(ejected), "{counted}");
}

#[tokio::test]
async fn when_nobody_answers_reads_are_not_asked_twice() {
    const CALLS: usize = 20;
    let taken = Arc::new(AtomicUsize::new(0));
    let instances = [hanging_up(&taken).await, hanging_up(&taken).await];
    let client = client(instances, &ClientConfig::default(), &Registry::new());
    for _ in 0..CALLS {
        let lost = read(&client, "any").await;
        assert!(matches!(lost, Err(CallError::LostAfterSend { .. })), "{lost:?}");
    }
    assert_eq!(taken.load(Ordering::SeqCst), CALLS + 1, "only the first was, before anything was known of the other");
}

#[tokio::test]
async fn a_read_that_an_instance_is_silent_on_is_answered_elsewhere_and_the_instance_is_left_out() {
    let (_listener, silent) = silent().await;
    let server = server(Script::new(), &ServerConfig::default()).await;
    let registry = Registry::new();
    let client = client([silent, server.address], &for_good(), &registry);
    for _ in 0..50 {
        read(&client, "any").await.expect("the other instance answers");
    }
    let counted = scrape(&registry);
    assert!(counted.contains("playgate_rpc_client_repeated_total{service=\"account\"} 3\n"), "{counted}");
}

#[tokio::test]
async fn an_instance_that_is_silent_on_writes_is_left_out_too() {
    let ((_one, one), (_other, other)) = (silent().await, silent().await);
    let registry = Registry::new();
    let (timeout, attempt_timeout) = (Duration::from_millis(40), Duration::from_millis(20));
    let config = ClientConfig { timeout, attempt_timeout, connect_timeout: timeout, ..for_good() };
    let client = client([one, other], &config, &registry);
    for _ in 0..6 {
        let late = write(&client).await;
        assert_eq!(late, Err(CallError::DeadlineExceeded));
    }
    let counted = scrape(&registry);
    let ejected = "playgate_rpc_client_ejections_total{reason=\"unanswered\",service=\"account\"} 1\n";
    assert!(counted.contains(ejected), "one, because somebody has to be left: {counted}");
}

#[tokio::test]
async fn an_instance_that_refuses_costs_no_call_and_is_left_out() {
    let server = server(Script::new(), &ServerConfig::default()).await;
    let registry = Registry::new();
    let client = client([refusing_address().await, server.address], &for_good(), &registry);
    for _ in 0..50 {
        read(&client, "any").await.expect("the other instance answers");
    }
    let counted = scrape(&registry);
    assert!(counted.contains("playgate_rpc_client_moved_on_total{service=\"account\"} 1\n"), "{counted}");
    let ejected = "playgate_rpc_client_ejections_total{reason=\"refused\",service=\"account\"} 1\n";
    assert!(counted.contains(ejected), "{counted}");
}

#[tokio::test]
async fn when_all_instances_refuse_nothing_was_sent() {
    let refusing = [refusing_address().await, refusing_address().await, refusing_address().await];
    let client = client(refusing, &ClientConfig::default(), &Registry::new());
    for _ in 0..10 {
        let refused = read(&client, "any").await;
        assert!(matches!(refused, Err(CallError::NotSent { .. })), "{refused:?}");
    }
}

#[tokio::test]
async fn when_all_instances_have_refused_the_first_that_comes_back_is_found() {
    let (gone, port) = (refusing_address().await, refusing_address().await);
    let client = client([gone, port], &for_good(), &Registry::new());
    for _ in 0..4 {
        assert!(read(&client, "any").await.is_err());
    }
    let listener = TcpListener::bind(port).await.expect("still free");
    let stack = stack(Script::new(), &Registry::new(), &TaskTracker::new());
    let stopping = tokio_util::sync::CancellationToken::new();
    let _serving = TaskTracker::new()
        .spawn(async move { crate::rpc::serve(listener, stack, &ServerConfig::default(), stopping).await });
    for _ in 0..4 {
        read(&client, "any").await.expect("found");
    }
}

#[tokio::test]
async fn without_an_instance_nothing_was_sent() {
    let client = client([], &ClientConfig::default(), &Registry::new());
    let CallError::NotSent { cause } = read(&client, "any").await.expect_err("nobody is there") else {
        panic!("nothing was sent")
    };
    assert_eq!(cause, "no instance of account is known");
}

#[tokio::test]
async fn calls_are_spread_over_the_instances() {
    let counts = [Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0))];
    let [one, other] = counts.clone().map(|count| {
        Script::new().on_read(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            valid()
        })
    });
    let (one, other) = (server(one, &ServerConfig::default()).await, server(other, &ServerConfig::default()).await);
    let client = client([one.address, other.address], &ClientConfig::default(), &Registry::new());
    for _ in 0..10 {
        read(&client, "any").await.expect("answered");
    }
    assert_eq!(counts.map(|count| count.load(Ordering::SeqCst)), [5, 5]);
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
