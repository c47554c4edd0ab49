//! What the endpoints share. Made once, at start; nothing in here changes while requests run, but for what the app
//! directory and the signing keys remember.

use std::{fmt, time::Duration};

use bytes::Bytes;

use crate::{apps::AppDirectory, signing_keys::SigningKeys, token_copy::tokens::Tokens, upstream::Upstream};

/// What the endpoints share.
pub(crate) struct Gateway {
    pub(crate) upstream: Upstream,
    pub(crate) apps: AppDirectory,
    pub(crate) tokens: Tokens,
    pub(crate) signing_keys: SigningKeys,
    pub(crate) optional_part_timeout: Duration,
    pub(crate) openapi_json: Bytes,
    pub(crate) docs_page: Bytes,
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("apps", &self.apps).finish_non_exhaustive()
    }
}
