//! What operators call, on the operator listener and with the admin token only.
//!
//! Every endpoint takes an [`operator::Operator`] first: without it nothing of the request is looked at. Whatever changes
//! something is written down by whoever changes it, under the operator's name and the request's id.
//!
//! [`account_path`], [`app`], [`channel`] and [`partner`] have what several endpoints take and answer, [`record`] what several leave behind;
//! [`settings`] are those about the settings of an app.

pub(crate) mod account_history;
mod account_path;
mod app;
pub(crate) mod audit;
pub(crate) mod ban_account;
pub(crate) mod ban_subject;
pub(crate) mod cancel_deletion;
mod channel;
pub(crate) mod close_order;
pub(crate) mod create_app;
pub(crate) mod create_partner;
pub(crate) mod delete_product;
pub(crate) mod end_session;
pub(crate) mod find_account;
pub(crate) mod get_app;
pub(crate) mod get_order;
pub(crate) mod get_partner;
pub(crate) mod get_product;
pub(crate) mod lift_ban;
pub(crate) mod lift_subject_ban;
pub(crate) mod list_apps;
pub(crate) mod list_bans;
pub(crate) mod list_channels;
pub(crate) mod list_dead_letters;
pub(crate) mod list_partners;
pub(crate) mod list_products;
pub(crate) mod log_level;
pub(crate) mod openapi_json;
mod operator;
mod partner;
mod pay_operator;
mod product;
pub(crate) mod put_channel;
pub(crate) mod put_product;
mod record;
pub(crate) mod redeliver_many;
pub(crate) mod redeliver_order;
pub(crate) mod refund_order;
pub(crate) mod revoke_sessions;
pub(crate) mod rotate_app_secret;
pub(crate) mod rotate_partner_secret;
pub(crate) mod search_orders;
pub(crate) mod settings;
pub(crate) mod show_rules;
pub(crate) mod unlock_account;
pub(crate) mod update_app;
pub(crate) mod update_partner;
pub(crate) mod validate_rules;
