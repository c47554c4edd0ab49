//! The HTTP gateway: the public contract on one side, calls to account, setting and pay on the other.
//!
//! It decides nothing about accounts, settings or money. It parses, asks, puts answers together and says which optional
//! part is missing. It never turns "could not tell" into "no": an open question leaves here as 503 with a time to ask again.
//!
//! In reading order:
//! - [`Config`]: the `gateway` section.
//! - `routes`: every route, in one list.
//! - `endpoints`: one file per route.
//! - `state`: what the endpoints share.
//! - `directory`: what account knows about those who sign, kept for a moment; `apps`, `partners`: who they are.
//! - `signing_keys`: the public keys of ID tokens, the last good answer kept through an outage.
//! - `nonces`: the nonces of changing requests, remembered by all gateways together.
//! - `token_copy`: questions about tokens, asked of account, and of the gateway's own copy while account can't answer.
//! - `settings_copy`: settings, from the gateway's own copy where it can.
//! - `reach`: whether a service is known to be away.
//! - `upstream`: the calls to the other roles and how their failures are answered.
//! - `admin`: the routes for operators, on a listener of their own.
//! - `openapi`, `admin_openapi`: the two contracts as documents, made from the endpoints.

mod admin;
mod admin_openapi;
mod apps;
mod config;
mod directory;
mod endpoints;
#[cfg(test)]
mod limit_tests;
mod nonces;
mod openapi;
mod partners;
mod reach;
mod routes;
mod settings_copy;
mod signing_keys;
mod state;
mod token_copy;
mod upstream;

pub use self::{
    admin::{AdminApi, admin_router},
    config::{Config, RouteGroup},
    openapi::document as openapi_document,
    partners::store::EventStore,
    routes::{Endpoints, Parts, endpoints},
    settings_copy::{config::SettingsConfig, copy::SettingsCopy},
    token_copy::{accounts::AccountsByToken, config::FallbackConfig, tokens::Tokens},
    upstream::Upstream,
};
