//! The command line: the only place where roles are composed. One file per command.
//!
//! Exit statuses: 0 it worked, 1 what was compared differs, 64 the command line or the configuration can't be used, 65 some of the data can't be used,
//! 70 a fault of ours, 130 and 143 ended at once by a second signal. A complaint is one line on standard error that
//! starts with `playgate: `.

mod account;
mod app;
mod arguments;
mod config;
mod demo;
mod failure;
mod globals;
mod health;
mod ingest;
mod key;
mod migrate;
mod output;
mod partner;
mod pay;
mod serve;

pub(crate) use self::{arguments::Cli, failure::complain};
