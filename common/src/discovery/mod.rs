//! Where the instances of a role are.
//!
//! A [`Discovery`] only says what is there. Which instance gets a call, and what happens to one that refuses, is the
//! RPC client's business. Nacos and headless-service DNS join as further files beside `static_list`.

mod config;
mod instances;
mod static_list;

pub use self::{
    config::{DiscoveryConfig, DiscoveryKind},
    instances::{Discovery, Instance, Instances},
    static_list::{StaticConfig, StaticList},
};
