//! Puts the roles of one process together: the only place that sees every crate.
//!
//! A role opens only what it needs. Whether the roles call each other in process or over the wire is decided here and
//! nowhere else; handlers, clients and middleware are the same in both shapes.

mod account;
mod admin_token;
mod data_dir;
mod database;
mod directory;
mod events;
mod gateway;
mod operator;
mod pay;
mod platform_events;
mod rpc;
mod setting;
mod shared;
mod shipping;
mod start;

pub(crate) use self::{
    account::{admin, import, reseal_under},
    database::{migrate_all, open as open_database},
    operator::default_address as default_operator_address,
    pay::by_hand as pay_by_hand,
    platform_events::directory as platform_events_directory,
    start::{Logs, Process, Started, start},
};
