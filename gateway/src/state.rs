//! What the endpoints share. Made once, at start; nothing in here changes while requests run, but for what the app
//! directory, the copy of settings and the signing keys remember.

use std::{fmt, time::Duration};

use bytes::Bytes;
use common::{clock::SharedClock, error_code::PublicError, governance::limits::Limits};

use crate::{
    apps::AppDirectory, partners::door::PartnerDoor, settings_copy::copy::SettingsCopy, signing_keys::SigningKeys,
    token_copy::tokens::Tokens, upstream::Upstream,
};

/// What the endpoints share.
pub(crate) struct Gateway {
    pub(crate) upstream: Upstream,
    pub(crate) apps: AppDirectory,
    pub(crate) tokens: Tokens,
    pub(crate) settings: SettingsCopy,
    pub(crate) limits: Limits,
    pub(crate) clock: SharedClock,
    pub(crate) signing_keys: SigningKeys,
    pub(crate) optional_part_timeout: Duration,
    pub(crate) openapi_json: Bytes,
    pub(crate) docs_page: Bytes,
    /// There if partners are served here.
    pub(crate) partners: Option<PartnerDoor>,
}

impl Gateway {
    /// What partners push into.
    pub(crate) fn partner_door(&self) -> Result<&PartnerDoor, PublicError> {
        self.partners.as_ref().ok_or_else(|| {
            tracing::error!("the routes of partners are served, but the gateway runs without a store of events");
            PublicError::internal()
        })
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("apps", &self.apps).finish_non_exhaustive()
    }
}
