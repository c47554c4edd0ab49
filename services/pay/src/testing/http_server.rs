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

/// What it answers. An answer of status 0 is none at all: the connection stays open.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

type Answering = dyn FnMut(&Asked) -> Reply + Send;

struct State {
    answering: Mutex<Box<Answering>>,
    received: Mutex<Vec<Asked>>,
    /// Sent with every answer.
    headers: Mutex<String>,
}

impl HttpServer {
    /// Starts it; `answering` says what a request is answered.
    pub(crate) async fn start<R: Into<Reply>>(answering: impl FnMut(&Asked) -> R + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let state = Arc::new(State {
            answering: Mutex::new(boxed(answering)),
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
    pub(crate) fn answer<R: Into<Reply>>(&self, answering: impl FnMut(&Asked) -> R + Send + 'static) {
        *self.state.answering.lock().expect("not poisoned") = boxed(answering);
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

impl From<(u16, String)> for Reply {
    fn from((status, body): (u16, String)) -> Self {
        Self { status, headers: Vec::new(), body }
    }
}

fn boxed<R: Into<Reply>>(mut answering: impl FnMut(&Asked) -> R + Send + 'static) -> Box<Answering> {
    Box::new(move |asked| answering(asked).into())
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
    let Reply { status, headers, body } = (state.answering.lock().expect("not poisoned"))(&asked);
    if status == 0 {
        std::future::pending::<()>().await;
    }
    let own: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let headers = state.headers.lock().expect("not poisoned").clone() + &own;
    let length = body.len();
    let head = format!("HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n");
    let _ = socket.write_all(format!("{head}{body}").as_bytes()).await;
}
