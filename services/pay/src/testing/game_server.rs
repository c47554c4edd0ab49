//! A game server, as a studio runs it: takes deliveries and answers as it is told.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// A running game server; it ends with this value.
pub(crate) struct GameServer {
    address: String,
    state: Arc<Mutex<State>>,
    _serving: JoinSet<()>,
}

/// How it answers.
#[derive(Clone, Debug)]
pub(crate) enum Answering {
    With(u16, String),
    /// Not at all.
    Hanging,
}

/// A delivery as it came.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) head: String,
    pub(crate) raw: String,
    pub(crate) body: Value,
}

struct State {
    answering: Answering,
    received: Vec<Received>,
}

impl GameServer {
    /// One that acknowledges.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let answering = Answering::With(200, "SUCCESS".to_owned());
        let state = Arc::new(Mutex::new(State { answering, received: Vec::new() }));
        let (served, mut serving) = (Arc::clone(&state), JoinSet::new());
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                connections.spawn(serve(socket, Arc::clone(&served)));
            }
        });
        Self { address, state, _serving: serving }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/pay/notify?zone=1", self.address)
    }

    pub(crate) fn answer(&self, answering: Answering) {
        self.state.lock().expect("not poisoned").answering = answering;
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.state.lock().expect("not poisoned").received.clone()
    }
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> String {
        let prefix = format!("{name}: ");
        let line = self.head.lines().find_map(|line| line.strip_prefix(&prefix));
        line.unwrap_or_default().to_owned()
    }
}

async fn serve(mut socket: TcpStream, state: Arc<Mutex<State>>) {
    let mut seen = Vec::new();
    let (head, raw) = loop {
        if socket.read_buf(&mut seen).await.unwrap_or(0) == 0 {
            return;
        }
        let text = String::from_utf8_lossy(&seen).into_owned();
        let Some((head, raw)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        if raw.len() >= length.unwrap_or(0) {
            break (head.to_owned(), raw.to_owned());
        }
    };
    let answering = {
        let mut state = state.lock().expect("not poisoned");
        let body = serde_json::from_str(&raw).expect("JSON");
        state.received.push(Received { head, raw, body });
        state.answering.clone()
    };
    match answering {
        Answering::With(status, body) => {
            let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _ = socket.write_all(format!("{head}{body}").as_bytes()).await;
        }
        Answering::Hanging => std::future::pending().await,
    }
}
