//! `GET /admin/v1/bans`: the devices and parts of the network that are banned, in pages.

use common::{
    http::{ApiError, Envelope, Query},
    rpc::CallError,
};
use idl::account_admin::{ListBansRequest, SubjectBanDetails};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use volo::FastStr;

use super::operator::Operator;
use crate::endpoints::page;

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Request {
    /// The `next` of the page before.
    after: Option<i64>,
    /// 1-200; absent: 50.
    limit: Option<i64>,
}

/// A page of bans.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AdminListBansAnswer)]
pub(crate) struct Answer {
    /// Those in effect, by number.
    bans: Vec<SubjectBan>,
    /// There are more: ask with `after` set to this.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<i64>,
}

/// A ban of a device or of a part of the network.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SubjectBan {
    ban_id: i64,
    /// `device` or `address`.
    #[schema(value_type = String, example = "address")]
    kind: FastStr,
    /// The range; of a device enough to recognise it, never enough to use it.
    #[schema(value_type = String, example = "203.0.113.0/24")]
    subject: FastStr,
    /// Shown to players.
    #[schema(value_type = String)]
    reason: FastStr,
    /// For operators only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    note: Option<FastStr>,
    banned_at: i64,
    /// Absent: for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<i64>,
}

/// The bans of devices and parts of the network that are in effect. The bans of accounts are with the accounts.
#[utoipa::path(get, path = "/admin/v1/bans", tag = "Bans", security(("operator" = [])), params(Request), responses((status = 200, body = Answer)))]
pub(crate) async fn list_bans(
    Operator { account, .. }: Operator,
    Query(Request { after, limit }): Query<Request>,
) -> Result<Envelope<Answer>, ApiError> {
    let request = ListBansRequest { after, limit: page::limit(limit)? };
    let found = account.admin_list_bans(request).await.map_err(CallError::from)?;
    let next = found.bans.last().filter(|_| found.more).map(|last| last.ban_id);
    Ok(Envelope(Answer { bans: found.bans.into_iter().map(SubjectBan::from).collect(), next }))
}

impl From<SubjectBanDetails> for SubjectBan {
    fn from(details: SubjectBanDetails) -> Self {
        let SubjectBanDetails { ban_id, kind, subject, reason, note, banned_at, until, .. } = details;
        Self { ban_id, kind, subject, reason, note, banned_at, until }
    }
}
