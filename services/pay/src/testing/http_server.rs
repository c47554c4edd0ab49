//! A server of somebody else, over HTTP: writes down what it is asked, and answers as a test says.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// A running server; it ends with this value.
pub(crate) struct HttpServer {
    address: String,
    state: Arc<State>,
    _serving: JoinSet<()>,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Status and body. An answer of status 0 is none at all: the connection stays open.
type Answering = dyn FnMut(&Asked) -> (u16, String) + Send;

struct State {
    answering: Mutex<Box<Answering>>,
    received: Mutex<Vec<Asked>>,
    /// Sent with every answer.
    headers: Mutex<String>,
}

impl HttpServer {
    /// Starts it; `answering` says what a request is answered.
    pub(crate) async fn start(answering: impl FnMut(&Asked) -> (u16, String) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let state = Arc::new(State {
            answering: Mutex::new(Box::new(answering)),
            received: Mutex::default(),
            headers: Mutex::default(),
        });
        let (served, mut serving) = (Arc::clone(&state), JoinSet::new());
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                connections.spawn(serve(socket, Arc::clone(&served)));
            }
        });
        Self { address, state, _serving: serving }
    }

    /// A place on it; `path` begins with a slash.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// From now on it answers otherwise.
    pub(crate) fn answer(&self, answering: impl FnMut(&Asked) -> (u16, String) + Send + 'static) {
        *self.state.answering.lock().expect("not poisoned") = Box::new(answering);
    }

    /// From now on every answer has this header, and no other one that was set so.
    pub(crate) fn answer_with_header(&self, name: &str, value: &str) {
        *self.state.headers.lock().expect("not poisoned") = format!("{name}: {value}\r\n");
    }

    /// What it was asked, oldest first.
    pub(crate) fn received(&self) -> Vec<Asked> {
        self.state.received.lock().expect("not poisoned").clone()
    }
}

impl Asked {
    /// The value of a header; empty when it did not come.
    pub(crate) fn header(&self, name: &str) -> String {
        let prefix = format!("{name}: ");
        let line = self.head.lines().find_map(|line| line.strip_prefix(&prefix));
        line.unwrap_or_default().to_owned()
    }
}

async fn serve(mut socket: TcpStream, state: Arc<State>) {
    let mut seen = Vec::new();
    let asked = loop {
        if socket.read_buf(&mut seen).await.unwrap_or(0) == 0 {
            return;
        }
        let text = String::from_utf8_lossy(&seen).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            break Asked { head: head.to_owned(), body: body.to_owned() };
        }
    };
    state.received.lock().expect("not poisoned").push(asked.clone());
    let (status, body) = (state.answering.lock().expect("not poisoned"))(&asked);
    if status == 0 {
        std::future::pending::<()>().await;
    }
    let headers = state.headers.lock().expect("not poisoned").clone();
    let length = body.len();
    let head = format!("HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n");
    let _ = socket.write_all(format!("{head}{body}").as_bytes()).await;
}
