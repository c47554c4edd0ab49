//! `POST /admin/v1/apps/{app_id}/rotate-secret`: a new secret for an app.

use common::{
    http::{ApiError, Envelope, Path},
    rpc::CallError,
};
use idl::account_admin::RotateAppSecretRequest;
use serde::Serialize;
use utoipa::ToSchema;
use volo::FastStr;

use super::{app::AppPath, operator::Operator};

/// The new secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RotateAppSecretAnswer)]
pub(crate) struct Answer {
    app_id: i64,
    /// Shown this once: 64 hexadecimal digits, used as they are written.
    #[schema(value_type = String)]
    app_secret: FastStr,
}

/// Gives an app a new secret. The one before stays good until the next rotation; older ones end now.
#[utoipa::path(post, path = "/admin/v1/apps/{app_id}/rotate-secret", tag = "Apps", security(("operator" = [])), params(("app_id" = i64, Path)), responses((status = 200, body = Answer)))]
pub(crate) async fn rotate_app_secret(
    Operator { actor, account }: Operator,
    Path(AppPath { app_id }): Path<AppPath>,
) -> Result<Envelope<Answer>, ApiError> {
    let call = account.admin_rotate_app_secret(RotateAppSecretRequest { actor, app_id });
    let rotated = call.await.map_err(CallError::from)?;
    Ok(Envelope(Answer { app_id, app_secret: rotated.app_secret }))
}
