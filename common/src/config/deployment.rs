//! Whether a process serves players or a developer: the one switch that other defaults depend on.

use serde::{Deserialize, Serialize};

/// The top-level key `environment`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// A laptop or a test: what is absent is made up, the master key, a database, an app and a player to try.
    #[default]
    Development,
    /// Real players: every convenience of development is refused at start.
    Production,
}
