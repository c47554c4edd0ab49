//! Which build this is: for `/version`, the build metric and the banner.

use serde::Serialize;

/// Which build this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct BuildInfo {
    /// The program's name.
    pub name: &'static str,
    /// Its version, as in `Cargo.toml`.
    pub version: &'static str,
    /// The git commit, when the build was told (`PLAYGATE_COMMIT`).
    pub commit: Option<&'static str>,
    /// What `rustc --version` said.
    pub rustc: &'static str,
}

impl BuildInfo {
    /// The build that is running.
    pub const fn current() -> Self {
        let commit = env!("PLAYGATE_BUILD_COMMIT");
        Self {
            name: "playgate",
            version: env!("CARGO_PKG_VERSION"),
            commit: if commit.is_empty() { None } else { Some(commit) },
            rustc: env!("PLAYGATE_BUILD_RUSTC"),
        }
    }
}
