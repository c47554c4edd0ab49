//! `POST /admin/v1/apps/{app_id}/redeliver`: many paid orders are told to their game server again.

use common::{
    error_code::PublicError,
    http::{ApiError, Envelope, Json, Path},
    rpc::CallError,
};
use idl::pay_admin::RedeliverManyRequest;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use volo::FastStr;

use super::{
    app::AppPath,
    pay_operator::PayOperator,
    record::{Change, record},
};

/// Orders of one request.
const MOST: i64 = 500;

/// Which orders, how many of them, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = RedeliverManyRequest)]
pub(crate) struct Request {
    /// `dead`: those whose delivery was given up. `all-undelivered`: those, and whatever waits for its next attempt.
    #[schema(value_type = String, example = "dead")]
    state: FastStr,
    /// 1-500; absent: 100.
    limit: Option<i64>,
    /// For the journals: at most 255 bytes without control characters.
    #[serde(default)]
    #[schema(value_type = String, max_length = 255)]
    reason: FastStr,
}

/// What was done.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RedeliverManyAnswer)]
pub(crate) struct Answer {
    /// So many orders are sent again. As many as `limit`: ask again, until it is 0.
    redelivered: i32,
}

/// Has paid orders sent to their game server again, at once and then by the schedule, those given up first first.
///
/// For a game server that is back. What is delivered, refunded or due already is left alone.
#[utoipa::path(post, path = "/admin/v1/apps/{app_id}/redeliver", tag = "Orders", security(("operator" = [])), params(("app_id" = i64, Path)), request_body = Request, responses((status = 200, body = Answer)))]
pub(crate) async fn redeliver_many(
    operator: PayOperator,
    Path(AppPath { app_id }): Path<AppPath>,
    Json(Request { state, limit, reason }): Json<Request>,
) -> Result<Envelope<Answer>, ApiError> {
    let limit = limit.unwrap_or(100);
    let out_of_bounds = || PublicError::invalid("limit", format!("must be between 1 and {MOST}"));
    let limit = i32::try_from(limit).ok().filter(|_| (1..=MOST).contains(&limit)).ok_or_else(out_of_bounds)?;
    let (asked_state, asked_reason) = (state.clone(), reason.clone());
    let request = RedeliverManyRequest { actor: operator.actor.clone(), app_id, state, limit, reason };
    let redelivered = operator.pay.admin_redeliver_many(request).await.map_err(CallError::from)?.redelivered;
    let details = json!({ "state": asked_state, "reason": asked_reason, "redelivered": redelivered });
    let target_id = app_id.to_string();
    record(&operator, Change { action: "app.redeliver", target_kind: "app", target_id, details }).await;
    Ok(Envelope(Answer { redelivered }))
}
