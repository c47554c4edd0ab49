//! The peers are what they are described as: they start, and answer what a verify answers.

use std::path::Path;

use anyhow::{Context, Result};
use bench::{
    client::Request,
    peer::{Peer, load_request},
};

fn answers_a_verdict(start: impl FnOnce(&Path, usize) -> Result<Peer>, processes: usize) -> Result<()> {
    let programs = Path::new(env!("CARGO_BIN_EXE_bare_route")).parent().context("in a directory")?;
    let peer = start(programs, 1)?;
    assert_eq!(peer.process_ids().len(), processes);
    let verdict = load_request().data(&peer.address)?;
    assert_eq!(verdict["status"], "valid");
    // The token's length came all the way from the question.
    assert_eq!(verdict["account_id"], 130);
    Ok(())
}

#[test]
fn the_bare_route_answers_a_verdict_from_one_process() -> Result<()> {
    answers_a_verdict(Peer::bare_route, 1)
}

#[test]
fn the_bare_hop_answers_a_verdict_that_went_through_a_second_process() -> Result<()> {
    answers_a_verdict(Peer::bare_thrift, 2)
}

#[test]
fn the_step_in_go_takes_an_event_and_nothing_that_is_none() -> Result<()> {
    let programs = tempfile::tempdir()?;
    // `cargo xtask setup` installs it; without it the peer is left out of a run as well.
    let Some(peer) = Peer::go_ingest(programs.path(), 1)? else { return Ok(()) };
    let push =
        |body: &str| Request { method: "POST", body: body.to_owned(), ..Request::get("/events") }.send(&peer.address);
    let taken = push(r#" {"kind":"install"}"#)?;
    assert_eq!(taken.status, 202);
    assert!(taken.body.contains(r#""accepted":1,"#), "{}", taken.body);
    for body in ["", "[1]", "{\"kind\":"] {
        assert_eq!(push(body)?.status, 400, "{body}");
    }
    Ok(())
}
