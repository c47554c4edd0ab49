//! A game server, as a studio runs it: takes deliveries and answers as it is told.

use serde_json::Value;

use super::http_server::HttpServer;

/// A running game server; it ends with this value.
pub(crate) struct GameServer(HttpServer);

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

impl GameServer {
    /// One that acknowledges.
    pub(crate) async fn start() -> Self {
        Self(HttpServer::start(|_| (200, "SUCCESS".to_owned())).await)
    }

    pub(crate) fn url(&self) -> String {
        self.0.url("/pay/notify?zone=1")
    }

    pub(crate) fn answer(&self, answering: Answering) {
        let answer = match answering {
            Answering::With(status, body) => (status, body),
            Answering::Hanging => (0, String::new()),
        };
        self.0.answer(move |_| answer.clone());
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        let received = self.0.received().into_iter();
        let received = received.map(|asked| {
            let body = serde_json::from_str(&asked.body).expect("JSON");
            Received { head: asked.head, raw: asked.body, body }
        });
        received.collect()
    }
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> String {
        let prefix = format!("{name}: ");
        let line = self.head.lines().find_map(|line| line.strip_prefix(&prefix));
        line.unwrap_or_default().to_owned()
    }
}
