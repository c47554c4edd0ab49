//! `GET /admin/v1/audit`: what operators changed, newest first, in pages.

use common::{
    http::{ApiError, Envelope, Query},
    rpc::CallError,
};
use idl::account_admin::{AuditRecord, ListAuditRequest};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};
use volo::FastStr;

use super::operator::Operator;
use crate::endpoints::page;

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Request {
    /// The `next` of the page before.
    before: Option<i64>,
    /// 1-200; absent: 50.
    limit: Option<i64>,
    /// Only what was done to one target: `app`, `account`, `ban` …
    #[param(value_type = Option<String>, example = "account")]
    target_kind: Option<FastStr>,
    /// With `target_kind`: which one.
    #[param(value_type = Option<String>, example = "100001")]
    target_id: Option<FastStr>,
}

/// A page of records.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditAnswer)]
pub(crate) struct Answer {
    /// Newest first.
    records: Vec<Record>,
    /// There are older ones: ask with `before` set to this.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<i64>,
}

/// One change.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Record {
    /// Counts up.
    id: i64,
    /// Unix milliseconds.
    at: i64,
    /// Who: `operator`, `command line`, or `first start`.
    #[schema(value_type = String, example = "operator")]
    actor: FastStr,
    /// What was done.
    #[schema(value_type = String, example = "app.update")]
    action: FastStr,
    #[schema(value_type = String, example = "app")]
    target_kind: FastStr,
    #[schema(value_type = String, example = "1001")]
    target_id: FastStr,
    /// The request that made the change, as its answer and every log line name it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    request_id: Option<FastStr>,
    /// Particulars, such as values before and after. Never a secret.
    #[schema(value_type = Object)]
    details: Box<RawValue>,
}

/// What operators changed.
#[utoipa::path(get, path = "/admin/v1/audit", tag = "Audit", security(("operator" = [])), params(Request), responses((status = 200, body = Answer)))]
pub(crate) async fn audit(
    Operator { account, .. }: Operator,
    Query(Request { before, limit, target_kind, target_id }): Query<Request>,
) -> Result<Envelope<Answer>, ApiError> {
    let request = ListAuditRequest { before, limit: page::limit(limit)?, target_kind, target_id };
    let found = account.admin_list_audit(request).await.map_err(CallError::from)?;
    let next = found.records.last().filter(|_| found.more).map(|last| last.id);
    Ok(Envelope(Answer { records: found.records.into_iter().map(Record::from).collect(), next }))
}

impl From<AuditRecord> for Record {
    fn from(record: AuditRecord) -> Self {
        Self {
            id: record.id,
            at: record.at,
            actor: record.actor,
            action: record.action,
            target_kind: record.target_kind,
            target_id: record.target_id,
            request_id: record.request_id,
            // Account writes nothing but JSON there.
            details: RawValue::from_string(record.details_json.to_string()).unwrap_or_default(),
        }
    }
}
