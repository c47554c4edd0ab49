//! An operator's service that sends phone codes: it takes what the platform posts, checks the signature as a stranger
//! would, and shows it to the story instead of to a phone.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicU16, Ordering},
};

use reqwest::Method;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{SignedRequest, eventually};

/// What the platform signs with.
const SECRET: &str = "a webhook secret of this story";

/// A running receiver; it ends with this value.
pub(crate) struct Receiver {
    address: String,
    state: Arc<State>,
    _serving: JoinSet<()>,
}

#[derive(Default)]
struct State {
    status: AtomicU16,
    silent: AtomicBool,
    received: Mutex<Vec<Value>>,
}

impl Receiver {
    /// One that says yes.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(State::default());
        state.status.store(200, Ordering::SeqCst);
        let served = Arc::clone(&state);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                connections.spawn(serve(socket, Arc::clone(&served)));
            }
        });
        Self { address, state, _serving: serving }
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/codes", self.address)
    }

    /// What it wants to be signed with.
    pub(crate) fn secret() -> &'static str {
        SECRET
    }

    /// From now on it answers this status.
    pub(crate) fn answer(&self, status: u16) {
        self.state.status.store(status, Ordering::SeqCst);
    }

    /// From now on it takes requests and answers none.
    pub(crate) fn fall_silent(&self) {
        self.state.silent.store(true, Ordering::SeqCst);
    }

    /// Everything it was sent, whatever it answered.
    pub(crate) fn received(&self) -> Vec<Value> {
        self.state.received.lock().unwrap().clone()
    }

    /// The latest code for a phone and scene, as soon as there is one that differs from `not`.
    pub(crate) async fn code(&self, phone: &str, scene: &str, not: Option<&str>) -> String {
        let look = || async {
            let received = self.received();
            let latest = received.iter().rfind(|document| document["phone"] == phone && document["scene"] == scene)?;
            latest["code"].as_str().filter(|code| Some(*code) != not).map(str::to_owned)
        };
        eventually("a code arrives", look).await
    }
}

async fn serve(mut socket: TcpStream, state: Arc<State>) {
    let mut seen = Vec::new();
    while !seen.ends_with(b"}") {
        if socket.read_buf(&mut seen).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let text = String::from_utf8(seen).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
    let request = SignedRequest {
        method: Method::POST,
        path: "/codes".to_owned(),
        query: String::new(),
        body: body.to_owned(),
        app_id: String::new(),
        timestamp: header("x-timestamp:").to_owned(),
        nonce: header("x-nonce:").to_owned(),
        signature: String::new(),
    };
    let status = if header("x-signature:") == request.sign(SECRET) {
        state.received.lock().unwrap().push(serde_json::from_str(body).unwrap());
        state.status.load(Ordering::SeqCst)
    } else {
        401
    };
    if state.silent.load(Ordering::SeqCst) {
        std::future::pending::<()>().await;
    }
    let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let _ = socket.write_all(answer.as_bytes()).await;
}
