//! `GET /admin/v1/partners/{partner}`: a partner, without its secrets.

use common::{
    http::{ApiError, Envelope, Path},
    rpc::CallError,
};
use idl::account_partner::DescribePartnerRequest;

use super::{
    operator::Operator,
    partner::{Partner, PartnerPath},
};

/// A partner.
#[utoipa::path(get, path = "/admin/v1/partners/{partner}", tag = "Partners", security(("operator" = [])), params(("partner" = String, Path)), responses((status = 200, body = Partner), (status = 404, description = "There is no such partner (4040103).")))]
pub(crate) async fn get_partner(
    Operator { account, .. }: Operator,
    Path(PartnerPath { partner }): Path<PartnerPath>,
) -> Result<Envelope<Partner>, ApiError> {
    let found = account.admin_describe_partner(DescribePartnerRequest { partner }).await.map_err(CallError::from)?;
    Ok(Envelope(found.partner.into()))
}
