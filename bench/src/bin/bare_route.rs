//! Peer `bare_route`: what the HTTP framework alone costs.
//!
//! The stock volo-http server with one route, its own JSON extractor and JSON response. No envelope middleware, no
//! token, no limits, no log: nothing built on this framework can be faster.
//!
//! Usage: `bare_route ADDRESS`

use std::net::SocketAddr;

use anyhow::{Context, Result, anyhow};
use bench::peer::{self, Envelope, Question, Verdict};
use pilota::FastStr;
use volo_http::server::{Router, Server, extract::Json, route::post};

async fn verify(Json(question): Json<Question>) -> Json<Envelope<Verdict>> {
    let account_id = i64::try_from(question.token.len()).unwrap_or(i64::MAX);
    Json(peer::verdict(account_id, FastStr::from_static_str("0197a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b")))
}

#[tokio::main]
async fn main() -> Result<()> {
    let address: SocketAddr = std::env::args().nth(1).context("usage: bare_route ADDRESS")?.parse()?;
    let router: Router = Router::new().route(peer::PATH, post(verify));
    Server::new(router).run(volo::net::Address::from(address)).await.map_err(|error| anyhow!(error.to_string()))
}
