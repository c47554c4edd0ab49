//! Where the instances of a role are.
//!
//! A [`Discovery`] only says what is there. Which instance gets a call, and what happens to one that refuses, is the
//! RPC client's business: a list may be wrong for a while, and every kind keeps the last good one through an outage of
//! whoever it asks.
//!
//! In reading order:
//! - `instances`: what is known of a service, and the trait of those who know.
//! - `config`: the section `discovery`.
//! - `static_instance` and `static_list`: what the configuration names.
//! - `feed` and `metrics`: how a list that changes reaches its readers, and what is measured of it.
//! - `dns`: headless services of Kubernetes.
//! - [`nacos`]: a registry, where the roles also announce themselves.

mod config;
mod dns;
mod feed;
mod instances;
mod metrics;
pub mod nacos;
mod static_instance;
mod static_list;

pub use self::{
    config::{DiscoveryConfig, DiscoveryKind},
    dns::{Dns, DnsConfig, DnsError},
    instances::{Discovery, Instance, Instances},
    metrics::DiscoveryMetrics,
    static_instance::StaticInstance,
    static_list::{StaticConfig, StaticList},
};
