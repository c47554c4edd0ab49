//! The data directory of the embedded defaults. It holds secrets, so it is its owner's alone.

use std::{fs::DirBuilder, os::unix::fs::DirBuilderExt, path::Path};

use anyhow::Context;

/// Makes the directory, and those above it, unless they exist.
pub(super) fn make(path: &Path) -> anyhow::Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.with_context(|| format!("the data directory {} can't be made", path.display()))
}
