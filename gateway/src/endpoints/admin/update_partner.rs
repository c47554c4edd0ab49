//! `PATCH /admin/v1/partners/{partner}`: changes what is named of a partner, and leaves the rest.

use common::{
    http::{ApiError, Envelope, Json, Path},
    rpc::CallError,
};
use idl::account_partner::{PartnerLimitChange, UpdatePartnerRequest};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    app::stated,
    operator::Operator,
    partner::{Partner, PartnerPath, Signing},
};

/// What is to be different. What is absent stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = UpdatePartnerRequest)]
pub(crate) struct Request {
    /// Nothing is taken from a disabled partner.
    enabled: Option<bool>,
    /// A partner without a secret needs one first.
    signing: Option<Signing>,
    limits: Option<LimitsChange>,
}

/// Limits that are to be different; `null`: back to the default.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = PartnerLimitsChange)]
pub(crate) struct LimitsChange {
    #[serde(default, deserialize_with = "stated")]
    #[schema(value_type = Option<i64>)]
    events_per_second: Option<Option<i64>>,
    #[serde(default, deserialize_with = "stated")]
    #[schema(value_type = Option<i64>)]
    burst: Option<Option<i64>>,
    #[serde(default, deserialize_with = "stated")]
    #[schema(value_type = Option<i64>)]
    share: Option<Option<i64>>,
}

/// Changes a partner.
///
/// In force at a gateway within two seconds of the answer, with account's replicas `account.follow.apps_every` later.
#[utoipa::path(patch, path = "/admin/v1/partners/{partner}", tag = "Partners", security(("operator" = [])), params(("partner" = String, Path)), request_body = Request, responses((status = 200, body = Partner), (status = 404, description = "There is no such partner (4040103).")))]
pub(crate) async fn update_partner(
    Operator { actor, account }: Operator,
    Path(PartnerPath { partner }): Path<PartnerPath>,
    Json(Request { enabled, signing, limits }): Json<Request>,
) -> Result<Envelope<Partner>, ApiError> {
    let LimitsChange { events_per_second, burst, share } = limits.unwrap_or_default();
    let change = |limit: Option<Option<i64>>| limit.map(|value| PartnerLimitChange { value });
    let request = UpdatePartnerRequest {
        actor,
        partner,
        enabled,
        signing: signing.map(Signing::as_str),
        events_per_second: change(events_per_second),
        burst: change(burst),
        share: change(share),
    };
    let updated = account.admin_update_partner(request).await.map_err(CallError::from)?;
    Ok(Envelope(updated.partner.into()))
}
