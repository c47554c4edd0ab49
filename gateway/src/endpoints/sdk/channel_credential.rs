//! What a client presents to prove who it is to a channel.

use std::fmt;

use common::error_code::PublicError;
use idl::account::ChannelProof;
use serde::Deserialize;
use serde_json::{Map, Value};
use volo::FastStr;

use super::fields::required;

/// A JSON object, passed on as it is: what is in it is between the client and the channel. Never printed.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct ChannelCredential(Map<String, Value>);

impl fmt::Debug for ChannelCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChannelCredential(<redacted>)")
    }
}

/// A channel with a credential of it; both are required.
pub(super) fn channel_proof(
    channel: Option<FastStr>,
    credential: Option<ChannelCredential>,
) -> Result<ChannelProof, PublicError> {
    let channel = required("channel", channel)?;
    let ChannelCredential(fields) = required("credential", credential)?;
    Ok(ChannelProof { channel, credential_json: Value::Object(fields).to_string().into() })
}
