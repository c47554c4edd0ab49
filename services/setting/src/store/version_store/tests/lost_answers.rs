//! What becomes of a publish whose request to the bucket was carried out while its answer got lost.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_util::task::TaskTracker;

use super::*;

/// Stands between a publisher and its bucket, and swallows the answers to writes of versions while it is told to.
struct Swallower {
    store: TestStore,
    swallows: Arc<AtomicBool>,
}

impl Swallower {
    async fn before_s3() -> Self {
        let mut store = TestStore::on_s3();
        let bucket = store.config.s3.endpoint.take().expect("an endpoint").replace("http://", "");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        store.config.s3.endpoint = Some(format!("http://{}", listener.local_addr().expect("bound")));
        let swallows = Arc::new(AtomicBool::new(false));
        let (tasks, told) = (TaskTracker::new(), Arc::clone(&swallows));
        tasks.clone().spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.expect("a connection");
                tasks.spawn(pass_on(socket, bucket.clone(), Arc::clone(&told)));
            }
        });
        Self { store, swallows }
    }
}

/// Passes on one request and its answer.
async fn pass_on(mut publisher: TcpStream, bucket: String, swallows: Arc<AtomicBool>) {
    let mut request = Vec::new();
    let (head, length) = loop {
        if publisher.read_buf(&mut request).await.expect("readable") == 0 {
            return;
        }
        let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
        if let Some(end) = text.find("\r\n\r\n") {
            let length = text.split_once("content-length: ").and_then(|(_, rest)| rest.split_once("\r\n"));
            break (end + 2, length.map_or(0, |(length, _)| length.parse::<usize>().expect("a number")));
        }
    };
    while request.len() < head + 2 + length {
        publisher.read_buf(&mut request).await.expect("readable");
    }
    let is_swallowed = swallows.load(Ordering::Relaxed)
        && request.starts_with(b"PUT")
        && String::from_utf8_lossy(&request[..head]).contains("/versions/");
    request.splice(head..head, *b"connection: close\r\n");
    let mut bucket = TcpStream::connect(bucket).await.expect("the bucket answers");
    bucket.write_all(&request).await.expect("writable");
    let mut answer = Vec::new();
    bucket.read_to_end(&mut answer).await.expect("an answer");
    if !is_swallowed {
        publisher.write_all(&answer).await.expect("writable");
    }
}

#[tokio::test]
async fn on_s3_a_publish_whose_answer_from_the_bucket_is_lost_is_published() {
    let swallower = Swallower::before_s3().await;
    let replica = opened(&swallower.store, 1000);
    publish_up_to(&replica, 1).await;
    swallower.swallows.store(true, Ordering::Relaxed);
    let outcome = publish(&replica, 1).await;
    assert!(matches!(&outcome, Outcome::Published { version, .. } if version.info.version == 2), "{outcome:?}");
    assert_eq!((pointer(&replica).await, cold(&replica).await.expect("loads")), (Some(2), Some(2)));
    swallower.swallows.store(false, Ordering::Relaxed);
    assert!(matches!(publish(&replica, 2).await, Outcome::Published { is_new: true, .. }));
}
