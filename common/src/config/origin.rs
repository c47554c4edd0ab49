//! Where a value came from, in the words an operator uses to find it.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use figment::{Metadata, Source};

use super::{error::LoadError, section::Invalid};

const DEFAULT: &str = "default";
const FILE: &str = "file";
const ENVIRONMENT: &str = "environment";
const COMMAND_LINE: &str = "command line";

/// The layer that a value was taken from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Built in.
    Default,
    /// The configuration file.
    File(PathBuf),
    /// An environment variable, by its full name.
    Environment(String),
    /// `--set` on the command line.
    CommandLine,
}

impl Origin {
    /// The label that travels through figment with every value of a layer.
    pub(super) fn to_metadata(&self) -> Metadata {
        match self {
            Origin::Default => Metadata::named(DEFAULT),
            Origin::File(path) => Metadata::from(FILE, Source::File(path.clone())),
            Origin::Environment(variable) => Metadata::from(ENVIRONMENT, Source::Custom(variable.clone())),
            Origin::CommandLine => Metadata::named(COMMAND_LINE),
        }
    }

    pub(super) fn from_metadata(metadata: Option<&Metadata>) -> Self {
        let Some(metadata) = metadata else { return Origin::Default };
        match (&*metadata.name, &metadata.source) {
            (FILE, Some(Source::File(path))) => Origin::File(path.clone()),
            (ENVIRONMENT, Some(Source::Custom(variable))) => Origin::Environment(variable.clone()),
            (COMMAND_LINE, _) => Origin::CommandLine,
            _ => Origin::Default,
        }
    }

    /// Whether values of this layer have no types of their own: all of them are text.
    pub(super) fn is_text(&self) -> bool {
        matches!(self, Origin::Environment(_) | Origin::CommandLine)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File(path) => path.display().fmt(f),
            Origin::Environment(variable) => write!(f, "environment variable {variable}"),
            Origin::CommandLine => f.write_str("command line"),
        }
    }
}

/// Which layer each key was taken from. Keeps no values: they may be secrets.
#[derive(Clone, Debug, Default)]
pub struct Provenance {
    /// Dotted key → layer; a key that nobody chose is absent.
    chosen: BTreeMap<String, Origin>,
}

impl Provenance {
    pub(super) fn new(chosen: BTreeMap<String, Origin>) -> Self {
        Self { chosen }
    }

    /// The layer of a dotted key; an item of a list (`key[1]`) comes from where the list comes from.
    pub fn of(&self, key: &str) -> Origin {
        let list = key.split('[').next().unwrap_or(key);
        self.chosen.get(list).cloned().unwrap_or(Origin::Default)
    }

    /// Whether somebody chose the value, rather than left it to its default.
    pub fn is_chosen(&self, key: &str) -> bool {
        self.of(key) != Origin::Default
    }

    /// The complaint about a key, with the layer that set it.
    pub fn complaint(&self, invalid: Invalid) -> LoadError {
        LoadError::Key { origin: self.of(&invalid.key), key: invalid.key, reason: invalid.reason }
    }
}
