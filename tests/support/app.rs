//! A game as the platform knows it.

use serde::Deserialize;

/// What `playgate app create` answers.
#[derive(Clone, Deserialize)]
pub(crate) struct App {
    pub(crate) app_id: i64,
    pub(crate) app_secret: String,
}
