//! A game server that acknowledges every delivery at once, and knows when it heard of which order.

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use tokio::sync::oneshot;

const ACKNOWLEDGEMENT: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nSUCCESS";

/// What is not delivered by then will not be.
const PATIENCE: Duration = Duration::from_secs(60);

/// Clones are the same server. It serves for as long as the process lives.
#[derive(Clone, Debug)]
pub(super) struct GameServer {
    address: String,
    heard: Arc<Heard>,
}

#[derive(Debug, Default)]
struct Heard {
    deliveries: AtomicU64,
    awaited: Mutex<HashMap<String, oneshot::Sender<Instant>>>,
}

impl GameServer {
    pub(super) fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let (address, heard) = (listener.local_addr()?.to_string(), Arc::<Heard>::default());
        let server = Self { address, heard };
        let served = server.clone();
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let served = served.clone();
                // A connection that ends is no delivery that is lost: the platform tries again.
                thread::spawn(move || served.serve(connection));
            }
        });
        Ok(server)
    }

    /// Where it takes deliveries.
    pub(super) fn url(&self) -> String {
        format!("http://{}/deliveries", self.address)
    }

    /// How many it has taken.
    pub(super) fn deliveries(&self) -> u64 {
        self.heard.deliveries.load(Ordering::Relaxed)
    }

    /// Waits until it has taken so many.
    pub(super) fn wait_for(&self, deliveries: u64) -> Result<()> {
        let began = Instant::now();
        while self.deliveries() < deliveries {
            if began.elapsed() > PATIENCE {
                bail!("{} of {deliveries} payments are delivered after {PATIENCE:?}", self.deliveries());
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// When it hears of the order. To be asked before it can.
    pub(super) fn hears_of(&self, order_id: &str) -> impl Future<Output = Result<Instant>> + Send + use<> {
        let (tell, told) = oneshot::channel();
        self.awaited().insert(order_id.to_owned(), tell);
        async move {
            let told = tokio::time::timeout(PATIENCE, told).await;
            told.context("a payment is not delivered")?.context("the game server has ended")
        }
    }

    fn awaited(&self) -> std::sync::MutexGuard<'_, HashMap<String, oneshot::Sender<Instant>>> {
        self.heard.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, connection: TcpStream) -> Result<()> {
        let (mut reader, mut writer) = (BufReader::new(connection.try_clone()?), connection);
        loop {
            let mut length = 0;
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line)? == 0 {
                    return Ok(());
                }
                let line = line.trim_end().to_ascii_lowercase();
                if line.is_empty() {
                    break;
                }
                if let Some(value) = line.strip_prefix("content-length:") {
                    length = value.trim().parse()?;
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body)?;
            let now = Instant::now();
            let delivery: serde_json::Value = serde_json::from_slice(&body)?;
            let order_id = delivery["order_id"].as_str().context("a delivery names no order")?;
            if let Some(tell) = self.awaited().remove(order_id) {
                // Nobody waits any more: the measurement is over.
                let _ = tell.send(now);
            }
            writer.write_all(ACKNOWLEDGEMENT)?;
            self.heard.deliveries.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::client::Request;

    #[tokio::test]
    async fn whoever_waits_for_an_order_hears_when_it_is_delivered() {
        let game = GameServer::start().expect("a port");
        let heard = game.hears_of("o-1");
        let began = Instant::now();
        for order_id in ["o-0", "o-1"] {
            let mut connection = TcpStream::connect(&game.address).expect("it listens");
            let body = Request::post_json("/deliveries", &json!({ "order_id": order_id })).body;
            write!(connection, "POST /deliveries HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}", body.len())
                .expect("sent");
            let mut answer = vec![0; ACKNOWLEDGEMENT.len()];
            connection.read_exact(&mut answer).expect("an answer");
            assert_eq!(answer, ACKNOWLEDGEMENT);
        }
        assert!(heard.await.expect("heard") >= began);
        game.wait_for(2).expect("both");
        assert_eq!(game.deliveries(), 2);
    }
}
