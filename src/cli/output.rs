//! What a command answers on standard output.

use std::io::{self, Write};

use anyhow::Context;

/// Writes `text` to standard output. A reader that has seen enough (`| head`) is no fault.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut output = io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("standard output can't be written"),
    }
}
