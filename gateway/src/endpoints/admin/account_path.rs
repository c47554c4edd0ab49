//! The account that a path names.

use serde::Deserialize;

/// Which account, in the path.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct AccountPath {
    pub(super) account_id: i64,
}
