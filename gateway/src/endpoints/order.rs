//! An order as players, game servers and operators see it.

use idl::pay_order as wire;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use volo::FastStr;

/// An order has 26 letters and digits; what is longer is no order, and what is not one is for pay to judge.
pub(crate) const LONGEST_ORDER_ID: usize = 64;

/// Which order, in the path.
#[derive(Debug, Deserialize)]
pub(crate) struct OrderPath {
    pub(crate) order_id: FastStr,
}

/// An order. Times are Unix milliseconds, the amount minor units.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Order {
    #[schema(value_type = String, example = "01JXT21Q00C5Z0E8T3Y6A9B2DK")]
    order_id: FastStr,
    app_id: i64,
    account_id: i64,
    #[schema(value_type = String, example = "gems60")]
    product_id: FastStr,
    amount: i64,
    /// ISO 4217.
    #[schema(value_type = String, example = "CNY")]
    currency: FastStr,
    #[schema(value_type = String)]
    role_id: FastStr,
    #[schema(value_type = String)]
    server_id: FastStr,
    #[schema(value_type = String)]
    extension: FastStr,
    /// `created`, `paying`, `paid`, `delivering`, `delivered`, `expired`, `closed`, `refunding` or `refunded`.
    #[schema(value_type = String, example = "paid")]
    state: FastStr,
    /// Through which channel it is to be paid, or was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    channel: Option<FastStr>,
    /// What the channel calls the payment.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    channel_order_id: Option<FastStr>,
    created_at: i64,
    /// Nobody is expected to pay after it; a payment that comes all the same still counts.
    expires_at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    paid_at: Option<i64>,
    /// When the game server acknowledged.
    #[serde(skip_serializing_if = "Option::is_none")]
    delivered_at: Option<i64>,
}

impl From<wire::Order> for Order {
    fn from(order: wire::Order) -> Self {
        Self {
            order_id: order.order_id,
            app_id: order.app_id,
            account_id: order.account_id,
            product_id: order.product_id,
            amount: order.amount,
            currency: order.currency,
            role_id: order.role_id,
            server_id: order.server_id,
            extension: order.extension,
            state: order.state,
            channel: order.channel,
            channel_order_id: order.channel_order_id,
            created_at: order.created_at,
            expires_at: order.expires_at,
            paid_at: order.paid_at,
            delivered_at: order.delivered_at,
        }
    }
}
