//! `POST /admin/v1/partners`: a new partner, and its first secret if its requests are to be signed.

use common::{
    http::{ApiError, Envelope, Json},
    rpc::CallError,
};
use idl::account_partner::CreatePartnerRequest;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use volo::FastStr;

use super::{
    operator::Operator,
    partner::{Limits, Partner, Signing},
};

/// A new partner.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = CreatePartnerRequest)]
pub(crate) struct Request {
    /// 1-64 of `a-z`, `0-9`, `_` and `-`, beginning with a letter or digit. It is a part of the addresses it pushes to.
    #[schema(value_type = String, example = "ads")]
    partner: FastStr,
    signing: Signing,
    limits: Option<Limits>,
}

/// The partner and its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CreatePartnerAnswer)]
pub(crate) struct Answer {
    #[serde(flatten)]
    partner: Partner,
    /// Shown this once: 64 hexadecimal digits, used as they are written. Absent if its requests are not signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    secret: Option<FastStr>,
}

/// Makes a partner.
///
/// 4090104 when there is one of this name. If the answer is lost, rotate its secret.
#[utoipa::path(post, path = "/admin/v1/partners", tag = "Partners", security(("operator" = [])), request_body = Request, responses((status = 200, body = Answer)))]
pub(crate) async fn create_partner(
    Operator { actor, account }: Operator,
    Json(Request { partner, signing, limits }): Json<Request>,
) -> Result<Envelope<Answer>, ApiError> {
    let request = CreatePartnerRequest { actor, partner, signing: signing.as_str(), limits: limits.map(Into::into) };
    let created = account.admin_create_partner(request).await.map_err(CallError::from)?;
    Ok(Envelope(Answer { partner: created.partner.into(), secret: created.secret }))
}
