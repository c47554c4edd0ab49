//! What several methods are sent and answer.

use idl::pay_order;

use crate::{
    domain::{FieldError, Order, OrderId, is_id},
    error::OrderError,
};

/// An order's number as somebody wrote it. What is none is the number of no order.
pub(super) fn order_id(raw: &str) -> Result<OrderId, OrderError> {
    OrderId::parse(raw).map_err(|_| OrderError::NoSuchOrder)
}

pub(super) fn app_id(raw: i64) -> Result<i64, FieldError> {
    match is_id(raw) {
        true => Ok(raw),
        false => Err(FieldError::new("app_id", "must be a positive integer below 2^53")),
    }
}

/// How many entries of a list are asked for.
pub(super) fn limit(raw: i32, most: u32) -> Result<u32, FieldError> {
    match u32::try_from(raw) {
        Ok(limit) if (1..=most).contains(&limit) => Ok(limit),
        _ => Err(FieldError::new("limit", format!("must be between 1 and {most}"))),
    }
}

/// A page, and whether there is more, of what was found one beyond the page.
pub(super) fn page<T>(mut found: Vec<T>, limit: u32) -> (Vec<T>, bool) {
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    (found, more)
}

pub(super) fn order(order: Order) -> pay_order::Order {
    pay_order::Order {
        order_id: order.order_id.to_string().into(),
        app_id: order.app_id,
        account_id: order.account_id,
        product_id: order.product_id.as_str().to_owned().into(),
        amount: order.price.amount(),
        currency: order.price.currency().to_string().into(),
        role_id: order.role_id.into(),
        server_id: order.server_id.into(),
        extension: order.extension.into(),
        state: order.state.as_str().into(),
        channel: order.channel.map(Into::into),
        channel_order_id: order.channel_order_id.map(Into::into),
        created_at: order.created_at.as_millis(),
        expires_at: order.expires_at.as_millis(),
        paid_at: order.paid_at.map(|at| at.as_millis()),
        delivered_at: order.delivered_at.map(|at| at.as_millis()),
    }
}
