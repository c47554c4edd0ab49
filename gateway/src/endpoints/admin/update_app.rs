//! `PATCH /admin/v1/apps/{app_id}`: changes what is named of an app, and leaves the rest.

use common::{
    http::{ApiError, Envelope, Json, Path},
    rpc::CallError,
};
use idl::account_admin::{DeliveryUrlChange, UpdateAppRequest};
use serde::Deserialize;
use utoipa::ToSchema;
use volo::FastStr;

use super::{
    app::{App, AppPath, PolicyChange, stated},
    operator::Operator,
};

/// What is to be different. What is absent stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = UpdateAppRequest)]
pub(crate) struct Request {
    /// 1-128 bytes.
    #[schema(value_type = Option<String>)]
    name: Option<FastStr>,
    /// A disabled app signs nobody in and has no signature accepted.
    enabled: Option<bool>,
    /// Where paid orders are delivered to; `null`: nowhere.
    #[serde(default, deserialize_with = "stated")]
    #[schema(value_type = Option<String>)]
    delivery_url: Option<Option<FastStr>>,
    /// Where refunds are told, which must not be `delivery_url`; `null`: nowhere.
    #[serde(default, deserialize_with = "stated")]
    #[schema(value_type = Option<String>)]
    refund_url: Option<Option<FastStr>>,
    /// Merged into the policy there is.
    policy: Option<PolicyChange>,
}

/// Changes an app.
///
/// In force on the instance that answers at once, on the others within `account.follow.apps_every` (1 s), for
/// signatures at a gateway a second later. Sessions that live go on: a change decides about the next login or refresh.
#[utoipa::path(patch, path = "/admin/v1/apps/{app_id}", tag = "Apps", security(("operator" = [])), params(("app_id" = i64, Path)), request_body = Request, responses((status = 200, body = App)))]
pub(crate) async fn update_app(
    Operator { actor, account }: Operator,
    Path(AppPath { app_id }): Path<AppPath>,
    Json(Request { name, enabled, delivery_url, refund_url, policy }): Json<Request>,
) -> Result<Envelope<App>, ApiError> {
    let delivery_url = delivery_url.map(|url| DeliveryUrlChange { url });
    let refund_url = refund_url.map(|url| DeliveryUrlChange { url });
    let policy = policy.map(Into::into);
    let request = UpdateAppRequest { actor, app_id, name, enabled, delivery_url, policy, refund_url };
    let updated = account.admin_update_app(request).await.map_err(CallError::from)?;
    Ok(Envelope(updated.app.into()))
}
