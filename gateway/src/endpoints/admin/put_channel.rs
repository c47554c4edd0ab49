//! `PUT /admin/v1/apps/{app_id}/channels/{channel}`: how players of a channel sign in.

use std::fmt;

use common::{
    http::{ApiError, Envelope, Json, Path},
    rpc::CallError,
};
use idl::account_admin::PutChannelRequest;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{
    channel::{Channel, ChannelPath},
    operator::Operator,
};

/// The whole document: what is not in it is no longer there. Never printed: it holds secrets.
#[derive(Deserialize, ToSchema)]
#[schema(as = PutChannelRequest, value_type = Object, example = json!({ "login": { "kind": "oidc", "issuer": "https://accounts.example", "jwks_uri": "https://accounts.example/jwks", "audiences": ["my-game"] } }))]
#[serde(transparent)]
pub(crate) struct Request(Map<String, Value>);

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Request(<redacted>)")
    }
}

/// Replaces the document of a channel; docs/channels.md describes it.
///
/// It is checked as a whole; what is wrong is named by its place. A secret that is `***` stays as it is. In force on the
/// instance that answers at once, on the others within `account.follow.apps_every` (1 s).
#[utoipa::path(put, path = "/admin/v1/apps/{app_id}/channels/{channel}", tag = "Apps", security(("operator" = [])), params(("app_id" = i64, Path), ("channel" = String, Path)), request_body = Request, responses((status = 200, body = Channel)))]
pub(crate) async fn put_channel(
    Operator { actor, account }: Operator,
    Path(ChannelPath { app_id, channel }): Path<ChannelPath>,
    Json(Request(document)): Json<Request>,
) -> Result<Envelope<Channel>, ApiError> {
    let document_json = Value::Object(document).to_string().into();
    let request = PutChannelRequest { actor, app_id, channel, document_json };
    let put = account.admin_put_channel(request).await.map_err(CallError::from)?;
    Ok(Envelope(put.channel.try_into()?))
}
