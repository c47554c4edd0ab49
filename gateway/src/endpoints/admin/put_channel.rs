//! `PUT /admin/v1/apps/{app_id}/channels/{channel}`: how players of a channel sign in.

use std::fmt;

use common::{
    http::{ApiError, Envelope, Json, Path},
    rpc::CallError,
};
use idl::{
    account_admin::{DescribeAppRequest, PutChannelRequest},
    pay_admin::PutPayChannelRequest,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use volo::FastStr;

use super::{
    channel::{Channel, ChannelPath},
    pay_operator::PayOperator,
    record::{Change, record},
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

/// Replaces the document of a channel: how players sign in through it (docs/channels.md), or, with a `kind`, how it is
/// paid through (docs/pay-channels.md). The two are independent of each other.
///
/// It is checked as a whole; what is wrong is named by its place. A secret that is `***` stays as it is. In force on the
/// instance that answers at once, on the others within `account.follow.apps_every` (1 s).
#[utoipa::path(put, path = "/admin/v1/apps/{app_id}/channels/{channel}", tag = "Apps", security(("operator" = [])), params(("app_id" = i64, Path), ("channel" = String, Path)), request_body = Request, responses((status = 200, body = Channel)))]
pub(crate) async fn put_channel(
    operator: PayOperator,
    Path(ChannelPath { app_id, channel }): Path<ChannelPath>,
    Json(Request(document)): Json<Request>,
) -> Result<Envelope<Channel>, ApiError> {
    let is_payment = document.contains_key("kind");
    let document_json = Value::Object(document).to_string().into();
    if is_payment {
        return Ok(Envelope(put_payment_channel(&operator, app_id, channel, document_json).await?));
    }
    let PayOperator { actor, account, .. } = operator;
    let request = PutChannelRequest { actor, app_id, channel, document_json };
    let put = account.admin_put_channel(request).await.map_err(CallError::from)?;
    Ok(Envelope(put.channel.try_into()?))
}

async fn put_payment_channel(
    operator: &PayOperator,
    app_id: i64,
    channel: FastStr,
    document_json: FastStr,
) -> Result<Channel, ApiError> {
    let PayOperator { actor, account, pay } = operator;
    account.admin_describe_app(DescribeAppRequest { app_id }).await.map_err(CallError::from)?;
    let request = PutPayChannelRequest { actor: actor.clone(), app_id, channel, document_json };
    let put = pay.admin_put_channel(request).await.map_err(CallError::from)?.channel;
    let details = json!({ "channel": put.channel, "version": put.version });
    let change = Change { action: "app.put_pay_channel", target_kind: "app", target_id: app_id.to_string(), details };
    record(operator, change).await;
    Ok(put.try_into()?)
}
