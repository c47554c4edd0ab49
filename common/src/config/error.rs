//! Why a configuration can't be used. Every text is one line that an operator can act on.

use std::{io, path::PathBuf};

use super::origin::Origin;

/// A configuration that can't be used. Never shows a value: it could be a secret in the wrong place.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file was named but can't be read, or exists and can't be read.
    #[error("{}: the configuration file can't be read: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
    /// The file is not TOML.
    #[error("{}, line {line}: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Counted from one.
        line: usize,
        /// What the parser expected.
        reason: String,
    },
    /// One key is unknown or has a value that can't be used.
    #[error("{key}: {reason} (from {origin})")]
    Key {
        /// The full dotted key.
        key: String,
        /// What is wrong and what would be right.
        reason: String,
        /// Where the value was set.
        origin: Origin,
    },
}
