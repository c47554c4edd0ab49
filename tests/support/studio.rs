//! A studio's own game server, as far as orders go: it takes deliveries, checks the signature as a stranger would, and
//! answers as the story wants.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use reqwest::Method;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{SignedRequest, eventually};

/// A running game server; it ends with this value.
pub(crate) struct Studio {
    address: String,
    state: Arc<Mutex<State>>,
    _serving: JoinSet<()>,
}

struct State {
    /// App id to secret: what deliveries have to be signed with.
    secrets: HashMap<String, String>,
    /// `None`: none.
    answer: Option<(u16, String)>,
    deliveries: Vec<Value>,
    forged: usize,
}

impl Studio {
    /// One that acknowledges.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let answer = Some((200, "SUCCESS".to_owned()));
        let state = State { secrets: HashMap::new(), answer, deliveries: Vec::new(), forged: 0 };
        let state = Arc::new(Mutex::new(state));
        let (served, mut serving) = (Arc::clone(&state), JoinSet::new());
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                connections.spawn(serve(socket, Arc::clone(&served)));
            }
        });
        Self { address, state, _serving: serving }
    }

    /// Where it takes deliveries.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/deliveries", self.address)
    }

    /// It expects deliveries of this app, signed with this secret.
    pub(crate) fn knows(&self, app_id: i64, secret: &str) {
        self.state.lock().unwrap().secrets.insert(app_id.to_string(), secret.to_owned());
    }

    /// From now on it answers this.
    pub(crate) fn answer(&self, status: u16, body: &str) {
        self.state.lock().unwrap().answer = Some((status, body.to_owned()));
    }

    /// From now on it takes deliveries and answers none.
    pub(crate) fn hang(&self) {
        self.state.lock().unwrap().answer = None;
    }

    /// Everything it was told with a signature that holds, whatever it answered.
    pub(crate) fn deliveries(&self) -> Vec<Value> {
        let state = self.state.lock().unwrap();
        assert_eq!(state.forged, 0, "every delivery is signed");
        state.deliveries.clone()
    }

    /// What it was told of an order.
    pub(crate) fn deliveries_of(&self, order_id: &str) -> Vec<Value> {
        self.deliveries().into_iter().filter(|delivery| delivery["order_id"] == order_id).collect()
    }

    /// Waits until it was told of an order, and answers what.
    pub(crate) async fn is_told_of(&self, order_id: &str) -> Value {
        eventually("the game server is told", || async { self.deliveries_of(order_id).pop() }).await
    }
}

async fn serve(mut socket: TcpStream, state: Arc<Mutex<State>>) {
    let mut seen = Vec::new();
    loop {
        let Some((head, body)) = read(&mut socket, &mut seen).await else { return };
        let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
        let request = SignedRequest {
            method: Method::POST,
            path: "/deliveries".to_owned(),
            query: String::new(),
            body: body.clone(),
            app_id: header("x-app-id:").to_owned(),
            timestamp: header("x-timestamp:").to_owned(),
            nonce: header("x-nonce:").to_owned(),
            signature: String::new(),
        };
        let answer = {
            let mut state = state.lock().unwrap();
            let secret = state.secrets.get(&request.app_id).cloned().unwrap_or_default();
            if header("x-signature:") == request.sign(&secret) {
                state.deliveries.push(serde_json::from_str(&body).unwrap());
            } else {
                state.forged += 1;
            }
            state.answer.clone()
        };
        let Some((status, body)) = answer else { return std::future::pending().await };
        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n", body.len());
        if socket.write_all(format!("{head}{body}").as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The next request on the connection.
async fn read(socket: &mut TcpStream, seen: &mut Vec<u8>) -> Option<(String, String)> {
    loop {
        let text = String::from_utf8_lossy(seen).into_owned();
        if let Some((head, rest)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            let length: usize = length.unwrap_or(0);
            if rest.len() >= length {
                *seen = rest.as_bytes()[length..].to_vec();
                return Some((head.to_owned(), rest[..length].to_owned()));
            }
        }
        if socket.read_buf(seen).await.unwrap_or(0) == 0 {
            return None;
        }
    }
}
