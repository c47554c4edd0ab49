//! `POST /admin/v1/partners/{partner}/rotate-secret`: a new secret for a partner.

use common::{
    http::{ApiError, Envelope, Path},
    rpc::CallError,
};
use idl::account_partner::RotatePartnerSecretRequest;
use serde::Serialize;
use utoipa::ToSchema;
use volo::FastStr;

use super::{operator::Operator, partner::PartnerPath};

/// The new secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RotatePartnerSecretAnswer)]
pub(crate) struct Answer {
    #[schema(value_type = String)]
    partner: FastStr,
    /// Shown this once: 64 hexadecimal digits, used as they are written.
    #[schema(value_type = String)]
    secret: FastStr,
}

/// Gives a partner a new secret. The one before stays good until the next rotation; older ones end now.
#[utoipa::path(post, path = "/admin/v1/partners/{partner}/rotate-secret", tag = "Partners", security(("operator" = [])), params(("partner" = String, Path)), responses((status = 200, body = Answer), (status = 404, description = "There is no such partner (4040103).")))]
pub(crate) async fn rotate_partner_secret(
    Operator { actor, account }: Operator,
    Path(PartnerPath { partner }): Path<PartnerPath>,
) -> Result<Envelope<Answer>, ApiError> {
    let call = account.admin_rotate_partner_secret(RotatePartnerSecretRequest { actor, partner: partner.clone() });
    let rotated = call.await.map_err(CallError::from)?;
    Ok(Envelope(Answer { partner, secret: rotated.secret }))
}
