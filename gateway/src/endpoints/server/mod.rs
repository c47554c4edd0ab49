//! What game servers call, signed with the app's secret.

pub(crate) mod get_order;
pub(crate) mod redeliver_order;
pub(crate) mod revoke_sessions;
mod verdict;
pub(crate) mod verify_token;
pub(crate) mod verify_tokens;
pub(crate) mod wallet;
pub(crate) mod wallet_spend;
