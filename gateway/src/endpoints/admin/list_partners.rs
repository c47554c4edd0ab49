//! `GET /admin/v1/partners`: every partner, by name, in pages.

use common::{
    http::{ApiError, Envelope, Query},
    rpc::CallError,
};
use idl::account_partner::ListPartnersRequest;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use volo::FastStr;

use super::{operator::Operator, partner::Partner};
use crate::endpoints::page;

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Request {
    /// The `next` of the page before.
    #[param(value_type = Option<String>)]
    after: Option<FastStr>,
    /// 1-200; absent: 50.
    limit: Option<i64>,
}

/// A page of partners.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListPartnersAnswer)]
pub(crate) struct Answer {
    partners: Vec<Partner>,
    /// There is another page: ask with `after` set to this.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    next: Option<FastStr>,
}

/// Partners, by name.
#[utoipa::path(get, path = "/admin/v1/partners", tag = "Partners", security(("operator" = [])), params(Request), responses((status = 200, body = Answer)))]
pub(crate) async fn list_partners(
    Operator { account, .. }: Operator,
    Query(Request { after, limit }): Query<Request>,
) -> Result<Envelope<Answer>, ApiError> {
    let request = ListPartnersRequest { after, limit: page::limit(limit)? };
    let found = account.admin_list_partners(request).await.map_err(CallError::from)?;
    let next = found.partners.last().filter(|_| found.more).map(|last| last.partner.clone());
    Ok(Envelope(Answer { partners: found.partners.into_iter().map(Partner::from).collect(), next }))
}
