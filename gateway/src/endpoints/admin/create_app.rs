//! `POST /admin/v1/apps`: a new app, and its first secret.

use common::{
    http::{ApiError, Envelope, Json},
    rpc::CallError,
};
use idl::account_admin::CreateAppRequest;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use volo::FastStr;

use super::{
    app::{App, PolicyChange},
    operator::Operator,
};

/// A new app.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = CreateAppRequest)]
pub(crate) struct Request {
    /// 1-128 bytes.
    #[schema(value_type = String, example = "my-game")]
    name: FastStr,
    /// Absent: the next free one.
    app_id: Option<i64>,
    /// Where paid orders are delivered to: an http or https URL.
    #[schema(value_type = Option<String>)]
    delivery_url: Option<FastStr>,
    /// Where refunds are told: an http or https URL other than `delivery_url`. Absent: nowhere.
    #[schema(value_type = Option<String>)]
    refund_url: Option<FastStr>,
    /// What differs from a new app's policy: every login kind, registration open, no limits.
    policy: Option<PolicyChange>,
}

/// The app and its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CreateAppAnswer)]
pub(crate) struct Answer {
    #[serde(flatten)]
    app: App,
    /// Shown this once: 64 hexadecimal digits, used as they are written.
    #[schema(value_type = String)]
    app_secret: FastStr,
}

/// Makes an app.
///
/// 4090103 when there is one of this id. If the answer is lost, look at the list of apps before you repeat.
#[utoipa::path(post, path = "/admin/v1/apps", tag = "Apps", security(("operator" = [])), request_body = Request, responses((status = 200, body = Answer)))]
pub(crate) async fn create_app(
    Operator { actor, account }: Operator,
    Json(Request { name, app_id, delivery_url, refund_url, policy }): Json<Request>,
) -> Result<Envelope<Answer>, ApiError> {
    let policy = policy.map(Into::into);
    let request = CreateAppRequest { actor, name, app_id, delivery_url, policy, refund_url };
    let created = account.admin_create_app(request).await.map_err(CallError::from)?;
    Ok(Envelope(Answer { app: created.app.into(), app_secret: created.app_secret }))
}
