//! What operators call, through the admin API of a gateway.

pub(crate) mod change;
pub(crate) mod close_order;
pub(crate) mod describe_order;
pub(crate) mod list_channels;
pub(crate) mod put_channel;
pub(crate) mod put_product;
pub(crate) mod redeliver_order;
pub(crate) mod refund_order;
