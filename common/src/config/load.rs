//! Reads the layers, merges them, and turns the result into the root struct.

use std::{
    ffi::OsString,
    fmt, io,
    path::{Path, PathBuf},
};

use super::{
    error::LoadError,
    layer::Layer,
    merged::Merged,
    origin::{Origin, Provenance},
    print,
    root::Root,
    value::Node,
};

/// The file that is read from the working directory when none is named.
pub const DEFAULT_FILE: &str = "playgate.toml";

/// Which file to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigFile {
    /// Somebody named it: it has to be there.
    Required(PathBuf),
    /// The usual place: read if it is there.
    IfPresent(PathBuf),
}

impl Default for ConfigFile {
    fn default() -> Self {
        ConfigFile::IfPresent(PathBuf::from(DEFAULT_FILE))
    }
}

/// The layers above the defaults, lowest first.
#[derive(Clone, Default)]
pub struct LoadOptions {
    /// The configuration file.
    pub file: ConfigFile,
    /// The environment: `std::env::vars_os()` in a process. Only names that start with `PLAYGATE__` count.
    pub environment: Vec<(OsString, OsString)>,
    /// `section.key=value` from the command line; later ones win.
    pub overrides: Vec<String>,
}

impl fmt::Debug for LoadOptions {
    /// Without the environment and the overrides: both may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadOptions").field("file", &self.file).finish_non_exhaustive()
    }
}

/// A configuration that passed every check, and where its values came from.
#[derive(Clone, Debug)]
pub struct Loaded<R> {
    /// The effective values.
    pub value: R,
    /// Where each came from.
    pub provenance: Provenance,
}

impl<R: Root> Loaded<R> {
    /// The effective configuration as TOML: secrets redacted, each value with its origin in a comment.
    pub fn to_toml(&self) -> String {
        print::to_toml(&self.value, &self.provenance)
    }
}

/// Merges defaults < file < environment < command line into `R` and validates it.
///
/// # Errors
/// The first problem found, as one line that names key, reason and origin.
pub fn load<R: Root>(options: LoadOptions) -> Result<Loaded<R>, LoadError> {
    let merged = Merged::new(layers(Layer::defaults(&R::default())?, options)?);
    let value =
        R::deserialize(Node { value: merged.values(), merged: &merged }).map_err(|mismatch| LoadError::Key {
            key: mismatch.key(),
            origin: mismatch.tag.map_or(Origin::Default, |tag| merged.origin(tag)),
            reason: mismatch.reason,
        })?;
    let provenance = merged.provenance();
    value.validate().map_err(|invalid| provenance.complaint(invalid))?;
    Ok(Loaded { value, provenance })
}

/// The layers, the lowest first.
fn layers(defaults: Layer, options: LoadOptions) -> Result<Vec<Layer>, LoadError> {
    let known = defaults.values().clone();
    let mut layers = vec![defaults];
    layers.extend(read(&options.file)?);
    let mut environment = options.environment;
    // The order of an environment is arbitrary; sorted, the same environment gives the same complaint.
    environment.sort();
    let variables = environment.into_iter().filter_map(|(name, value)| Layer::variable(&name, value));
    let assignments = options.overrides.iter().map(|assignment| Layer::assignment(assignment));
    for layer in variables.chain(assignments) {
        layers.push(layer?.hides_no_table_of(&known)?);
    }
    Ok(layers)
}

fn read(file: &ConfigFile) -> Result<Option<Layer>, LoadError> {
    let missing = |path: &Path| LoadError::Unreadable { path: path.to_owned(), cause: io::ErrorKind::NotFound.into() };
    match file {
        ConfigFile::Required(path) => Layer::file(path)?.ok_or_else(|| missing(path)).map(Some),
        ConfigFile::IfPresent(path) => Layer::file(path),
    }
}

#[cfg(test)]
mod tests;
