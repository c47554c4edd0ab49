//! The account service: identities, sessions, tokens.
//!
//! **Invariants**
//! - Only an authoritative answer costs a player a session. What can't be told is an error that says when to ask again,
//!   never "invalid".
//! - A token is judged from memory: no database, no network, nothing to wait for.
//! - No token, password, device secret or code is stored: hashes and digests are. App secrets, keys of tokens, channels'
//!   documents and phones are sealed under the master key.
//! - An effect is acknowledged after its commit, and a revocation counts in this instance before it is acknowledged.
//! - `domain` imports nothing from tokio, volo, sqlx or prometheus.
//!
//! In reading order:
//! - `domain`: the rules, as functions of values.
//! - `config`: the section `account`. `error`: what a call can end with.
//! - `rpc`: one file per method. `sign_in`: what register and login share.
//! - `password_upgrades`: hashes of other platforms become ours.
//! - `phone_codes`: codes that are sent to phones. `channels`: stores and platforms that say who a player is.
//! - `hash_pool`, `keys`, `signing_keys`, `apps`, `partners`, `revocations`: what is kept ready in memory. `shared_read`: how
//!   the two in the middle are read.
//! - `risk`: who is kept from trying, and for how long.
//! - `store`: the SQL.
//! - `history`: what happens to accounts is written down. `events`: what a data warehouse is told of it.
//! - `announcements`: how other instances hear of a revocation at once.
//! - `jobs`: what one instance at a time does for all.
//! - `service`, `start`, `follow`: put together, opened, kept up to date.
//! - `app_editor`, `partner_editor`: how apps and partners are changed.
//! - [`admin`], [`import`], [`master_key`], [`reseal`]: for the command line.

pub mod admin;
mod announcements;
mod app_editor;
mod apps;
mod channels;
mod config;
mod domain;
mod error;
mod events;
mod follow;
mod hash_pool;
mod history;
pub mod import;
mod jobs;
mod keys;
pub mod master_key;
mod partner_editor;
mod partners;
mod password_upgrades;
mod phone_codes;
pub mod reseal;
mod revocations;
mod risk;
mod rpc;
mod service;
mod shared_read;
mod sign_in;
mod signing_keys;
mod start;
mod store;
#[cfg(test)]
mod testing;

pub use self::{
    channels::ChannelsConfig,
    config::{CleanupConfig, Config, DeletionConfig, FollowConfig, IdTokenConfig, JobConfig, TokenConfig},
    domain::{
        field::FieldError,
        risk::block_list::{RISK_DOCUMENT, RiskDocument},
    },
    hash_pool::{HashPoolConfig, HashPoolStartError},
    history::HistoryConfig,
    master_key::MasterKey,
    phone_codes::{PhoneBudget, PhoneConfig, PhoneSender, WebhookConfig},
    risk::RiskConfig,
    service::Account,
    start::{Resources, StartError, migrations, open},
};
