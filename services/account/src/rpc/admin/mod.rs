//! What operators call, one file per method. Whoever calls has seen the operator's token.
//!
//! [`wire`] and [`partner`] turn what several of them take and answer into the domain and back.

pub(crate) mod ban_account;
pub(crate) mod ban_subject;
pub(crate) mod cancel_deletion;
pub(crate) mod create_app;
pub(crate) mod create_partner;
pub(crate) mod describe_app;
pub(crate) mod describe_partner;
pub(crate) mod end_session;
pub(crate) mod find_account;
pub(crate) mod lift_ban;
pub(crate) mod lift_subject_ban;
pub(crate) mod list_apps;
pub(crate) mod list_audit;
pub(crate) mod list_bans;
pub(crate) mod list_channels;
pub(crate) mod list_history;
pub(crate) mod list_partners;
mod partner;
pub(crate) mod put_channel;
pub(crate) mod record_change;
pub(crate) mod revoke_sessions;
pub(crate) mod rotate_app_secret;
pub(crate) mod rotate_partner_secret;
pub(crate) mod unlock_account;
pub(crate) mod update_app;
pub(crate) mod update_partner;
mod wire;
