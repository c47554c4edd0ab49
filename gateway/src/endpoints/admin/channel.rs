//! A channel of an app as operators see it.

use common::error_code::PublicError;
use idl::{account_admin as wire, pay_admin};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use volo::FastStr;

/// Which channel, in the path.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ChannelPath {
    pub(super) app_id: i64,
    pub(super) channel: FastStr,
}

/// A channel. Its secrets are shown as `***`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Channel {
    #[schema(value_type = String, example = "taptap")]
    channel: FastStr,
    /// Counts up with every change.
    version: i64,
    /// How players sign in through it; `null`: not at all. See docs/channels.md. Not there for payment channels.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    login: Option<Value>,
    /// How it is paid through. See docs/pay-channels.md. Only there for payment channels.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pay: Option<Value>,
    /// Unix milliseconds.
    updated_at: i64,
}

impl TryFrom<wire::ChannelDetails> for Channel {
    type Error = PublicError;

    fn try_from(details: wire::ChannelDetails) -> Result<Self, PublicError> {
        let mut document: Map<String, Value> =
            serde_json::from_str(&details.document_json).map_err(|_| PublicError::internal())?;
        Ok(Self {
            channel: details.channel,
            version: details.version,
            login: Some(document.remove("login").unwrap_or_default()),
            pay: None,
            updated_at: details.updated_at,
        })
    }
}

impl TryFrom<pay_admin::PayChannelDetails> for Channel {
    type Error = PublicError;

    fn try_from(details: pay_admin::PayChannelDetails) -> Result<Self, PublicError> {
        let document = serde_json::from_str(&details.document_json).map_err(|_| PublicError::internal())?;
        Ok(Self {
            channel: details.channel,
            version: details.version,
            login: None,
            pay: Some(document),
            updated_at: details.updated_at,
        })
    }
}
