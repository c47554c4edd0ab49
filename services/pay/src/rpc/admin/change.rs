//! What a change of an order by hand has to say.

use idl::pay_admin::ChangeOrderRequest;

use crate::{
    domain::{FieldError, OrderId},
    error::OrderError,
    rpc::wire,
    store::orders::Hand,
};

const ACTOR_BYTES_MAX: usize = 64;
const REASON_BYTES_MAX: usize = 255;

/// Which order, who, and why.
pub(super) fn parse(request: &ChangeOrderRequest) -> Result<(OrderId, Hand<'_>), OrderError> {
    let order_id = wire::order_id(&request.order_id)?;
    Ok((order_id, hand(&request.actor, &request.reason)?))
}

/// Who, and why.
pub(super) fn hand<'a>(actor: &'a str, reason: &'a str) -> Result<Hand<'a>, OrderError> {
    let is_text = |text: &str, most: usize| text.len() <= most && !text.chars().any(char::is_control);
    if actor.is_empty() || !is_text(actor, ACTOR_BYTES_MAX) {
        return Err(FieldError::new("actor", "must be 1-64 bytes without control characters").into());
    }
    if !is_text(reason, REASON_BYTES_MAX) {
        return Err(FieldError::new("reason", "must be at most 255 bytes without control characters").into());
    }
    Ok(Hand { actor, reason })
}
