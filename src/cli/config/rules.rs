//! A document of the rules of traffic in a file, before it is put in force anywhere.

use std::path::Path;

use anyhow::Context;
use common::{
    config::LoadError,
    governance::{EffectiveRules, Problem},
};

use crate::cli::failure::{Failure, complain};

/// What would be in force with the document in `file`, or else everything that is wrong with it.
pub(super) async fn read(file: &Path) -> Result<Result<EffectiveRules, Vec<Problem>>, Failure> {
    let path = file.to_owned();
    // Reads a file, which may block.
    let text = tokio::task::spawn_blocking(move || std::fs::read_to_string(path)).await;
    let text = text.context("the rules could not be read")?;
    let text = text.map_err(|cause| LoadError::Unreadable { path: file.to_owned(), cause })?;
    Ok(EffectiveRules::of_document(&text))
}

/// Says every problem, one line each.
pub(super) fn complain_of(file: &Path, problems: &[Problem]) {
    for problem in problems {
        complain(&format!("{}: {problem}", file.display()));
    }
}
