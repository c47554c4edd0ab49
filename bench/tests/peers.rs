//! The peers are what they are described as: they start, and answer what a verify answers.

use std::path::Path;

use anyhow::{Context, Result};
use bench::peer::{Peer, load_request};

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
