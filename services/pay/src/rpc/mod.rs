//! The RPC methods, one file each: wire to domain to wire.

pub(crate) mod admin;
pub(crate) mod create_order;
pub(crate) mod get_order;
pub(crate) mod get_wallet;
pub(crate) mod handle_callback;
pub(crate) mod redeliver_order;
pub(crate) mod spend_wallet;
mod wire;
