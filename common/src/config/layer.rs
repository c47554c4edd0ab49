//! One source of values: what it sets, and its name. Files come typed; variables and flags are text.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use figment::{
    Metadata, Profile, Provider,
    value::{Dict, Map, Value},
};
use serde::Serialize;

use super::{error::LoadError, origin::Origin, secret::REDACTED};

/// What environment variables of ours start with.
const PREFIX: &str = "PLAYGATE__";

/// The values of one source. Not printable: they may be secrets.
pub(super) struct Layer {
    pub(super) origin: Origin,
    values: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        self.origin.to_metadata()
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}

impl Layer {
    /// The built-in values. A secret's default stays out, because all that is visible of it is that it is one.
    pub(super) fn defaults<T: Serialize>(defaults: &T) -> Result<Self, LoadError> {
        let values = Value::serialize(defaults).ok().and_then(Value::into_dict).ok_or_else(|| LoadError::Key {
            key: String::new(),
            reason: "the defaults are not a table".into(),
            origin: Origin::Default,
        })?;
        Ok(Self { origin: Origin::Default, values: without_secrets(values) })
    }

    /// A file; `None` when there is none.
    pub(super) fn file(path: &Path) -> Result<Option<Self>, LoadError> {
        let path = path.to_owned();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(LoadError::Unreadable { path, cause }),
        };
        let values = toml::from_str(&text).map_err(|error| malformed(path.clone(), &text, &error))?;
        Ok(Some(Self { origin: Origin::File(path), values }))
    }

    /// An environment variable; `None` when it is not one of ours.
    pub(super) fn variable(name: &OsString, value: OsString) -> Option<Result<Self, LoadError>> {
        let name = name.to_string_lossy().into_owned();
        let key = name.strip_prefix(PREFIX)?.to_lowercase().replace("__", ".");
        let origin = Origin::Environment(name);
        Some(match value.into_string() {
            Ok(value) => Self::text(origin, key, value),
            Err(_) => Err(LoadError::Key { key, reason: "the value is not UTF-8".into(), origin }),
        })
    }

    /// A `key=value` from the command line.
    pub(super) fn assignment(assignment: &str) -> Result<Self, LoadError> {
        let origin = Origin::CommandLine;
        match assignment.split_once('=') {
            Some((key, value)) => Self::text(origin, key.trim().to_owned(), value.to_owned()),
            None => Err(LoadError::Key { key: "--set".into(), reason: "write it as key=value".into(), origin }),
        }
    }

    fn text(origin: Origin, key: String, value: String) -> Result<Self, LoadError> {
        let mut names = key.split('.').rev();
        let innermost = names.next().unwrap_or_default();
        if key.split('.').any(str::is_empty) {
            let reason = "a part of the key is empty".to_owned();
            return Err(LoadError::Key { key, reason, origin });
        }
        let leaf = Dict::from([(innermost.to_owned(), Value::from(value))]);
        let values = names.fold(leaf, |inner, name| Dict::from([(name.to_owned(), Value::from(inner))]));
        Ok(Self { origin, values })
    }

    /// Refuses text where `defaults` have a table: it would hide every key of that table.
    pub(super) fn hides_no_table_of(self, defaults: &Dict) -> Result<Self, LoadError> {
        let (mut known, mut set, mut path) = (defaults, &self.values, Vec::new());
        while let Some((name, value)) = set.first_key_value() {
            path.push(name.as_str());
            match (known.get(name), value) {
                (Some(Value::Dict(_, inner_known)), Value::Dict(_, inner_set)) => {
                    (known, set) = (inner_known, inner_set);
                }
                (Some(Value::Dict(..)), _) => {
                    let reason = "this is a table: set its keys one by one".into();
                    return Err(LoadError::Key { key: path.join("."), reason, origin: self.origin });
                }
                _ => break,
            }
        }
        Ok(self)
    }

    pub(super) fn values(&self) -> &Dict {
        &self.values
    }
}

fn without_secrets(values: Dict) -> Dict {
    values
        .into_iter()
        .filter(|(_, value)| value.as_str() != Some(REDACTED))
        .map(|(name, value)| match value {
            Value::Dict(tag, inner) => (name, Value::Dict(tag, without_secrets(inner))),
            other => (name, other),
        })
        .collect()
}

/// The parser's complaint without the excerpt of the file it usually prints: that line may hold a secret.
fn malformed(path: PathBuf, text: &str, error: &toml::de::Error) -> LoadError {
    let offset = error.span().map_or(0, |span| span.start);
    let line = 1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count();
    LoadError::Malformed { path, line, reason: error.message().replace('\n', ", ") }
}
