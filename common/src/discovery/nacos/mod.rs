//! Nacos: a registry where the roles announce themselves and find each other, and which hands out documents.
//!
//! What Nacos says is a hint about who lives, never an order to stop calling: a list is only ever replaced by another
//! one, and an empty answer or an outage leaves the last good one in use. Who is listed but gone refuses connections,
//! and the RPC client leaves it out at once. The registry's loss therefore costs news and nothing else.
//!
//! In reading order:
//! - `config`: the section `nacos`.
//! - `client`: the process's one connection, made off the path of the start, and how it is asked.
//! - `tunnel`: TLS under it.
//! - `login`: user and password.
//! - `wire`: instances as Nacos writes them.
//! - `last_good`: which list holds, given what was answered.
//! - `disk`: the last good list between two runs.
//! - `follow`: discovery.
//! - `advertise`: the address that this process is announced at.
//! - `register`: announcing this process.
//! - `document`: documents for `crate::config::watch`.
//! - `metrics`: what is measured.

mod advertise;
mod client;
mod config;
mod disk;
mod document;
mod follow;
mod last_good;
mod login;
mod metrics;
#[cfg(test)]
mod on_nacos;
mod register;
mod tunnel;
mod wire;

pub use self::{
    client::{Nacos, NacosError, NacosParts},
    config::NacosConfig,
    document::NacosDocument,
    register::Registration,
};
