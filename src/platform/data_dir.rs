//! The data directory of the embedded defaults. It holds secrets, so it is its owner's alone.

use std::{fs::DirBuilder, os::unix::fs::DirBuilderExt, path::Path};

use anyhow::Context;

/// Makes the directory, and those above it, unless they exist.
pub(super) fn make(path: &Path) -> anyhow::Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.with_context(|| format!("the data directory {} can't be made", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn nobody_but_its_owner_can_look_into_the_data_directory() {
        let above = tempfile::tempdir().expect("a temporary directory");
        let path = above.path().join("a/data");
        make(&path).expect("made");
        make(&path).expect("it may exist");
        let mode = std::fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}
