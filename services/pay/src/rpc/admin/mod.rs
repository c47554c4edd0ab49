//! What operators call, through the admin API of a gateway.

pub(crate) mod change;
pub(crate) mod close_order;
pub(crate) mod delete_product;
pub(crate) mod describe_order;
pub(crate) mod get_product;
pub(crate) mod list_channels;
pub(crate) mod list_dead_letters;
pub(crate) mod list_products;
pub(crate) mod put_channel;
pub(crate) mod put_product;
pub(crate) mod redeliver_many;
pub(crate) mod redeliver_order;
pub(crate) mod refund_order;
pub(crate) mod search_orders;
