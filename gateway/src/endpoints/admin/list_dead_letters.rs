//! `GET /admin/v1/apps/{app_id}/dead-letters`: paid orders that nobody tells the game server of any more, in pages.

use common::{
    http::{ApiError, Envelope, Path, Query},
    rpc::CallError,
};
use idl::pay_admin::{self as wire, ListDeadLettersRequest};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use volo::FastStr;

use super::{app::AppPath, pay_operator::PayOperator};
use crate::endpoints::page;

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Request {
    /// The `next` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<FastStr>,
    /// 1-200; absent: 50.
    limit: Option<i64>,
}

/// A page of dead letters.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListDeadLettersAnswer)]
pub(crate) struct Answer {
    /// Those that were given up first first.
    dead_letters: Vec<DeadLetter>,
    /// There is another page: ask with `cursor` set to this.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    next: Option<FastStr>,
}

/// A paid order whose delivery was given up. Times are Unix milliseconds, the amount minor units.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeadLetter {
    #[schema(value_type = String, example = "01JXT21Q00C5Z0E8T3Y6A9B2DK")]
    order_id: FastStr,
    account_id: i64,
    #[schema(value_type = String, example = "gems60")]
    product_id: FastStr,
    amount: i64,
    /// ISO 4217.
    #[schema(value_type = String, example = "CNY")]
    currency: FastStr,
    #[schema(value_type = String, example = "delivering")]
    state: FastStr,
    #[serde(skip_serializing_if = "Option::is_none")]
    paid_at: Option<i64>,
    /// How often the game server was told.
    attempts: i32,
    given_up_at: i64,
    /// What came of the last attempt, as in the deliveries of an order. Absent: it is forgotten.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "refused")]
    last_outcome: Option<FastStr>,
    /// The HTTP status of the last answer, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_status: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    last_detail: Option<FastStr>,
}

/// Paid orders whose delivery was given up.
#[utoipa::path(get, path = "/admin/v1/apps/{app_id}/dead-letters", tag = "Orders", security(("operator" = [])), params(("app_id" = i64, Path), Request), responses((status = 200, body = Answer)))]
pub(crate) async fn list_dead_letters(
    PayOperator { pay, .. }: PayOperator,
    Path(AppPath { app_id }): Path<AppPath>,
    Query(Request { cursor, limit }): Query<Request>,
) -> Result<Envelope<Answer>, ApiError> {
    let request = ListDeadLettersRequest { app_id, cursor, limit: page::limit(limit)? };
    let found = pay.admin_list_dead_letters(request).await.map_err(CallError::from)?;
    let dead_letters = found.dead_letters.into_iter().map(DeadLetter::from).collect();
    Ok(Envelope(Answer { dead_letters, next: found.next }))
}

impl From<wire::DeadLetter> for DeadLetter {
    fn from(letter: wire::DeadLetter) -> Self {
        Self {
            order_id: letter.order_id,
            account_id: letter.account_id,
            product_id: letter.product_id,
            amount: letter.amount,
            currency: letter.currency,
            state: letter.state,
            paid_at: letter.paid_at,
            attempts: letter.attempts,
            given_up_at: letter.given_up_at,
            last_outcome: letter.last_outcome,
            last_status: letter.last_status,
            last_detail: letter.last_detail,
        }
    }
}
