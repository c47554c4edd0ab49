//! The platform from outside: every file is a story somebody lives through with it, and every test a promise kept to
//! them, whether it is one process on SQLite, four on MariaDB, or a fleet on MariaDB, Redis and Nacos.
//!
//! Never here: a look inside. What a story knows about the platform it knows from its listeners, its command line and
//! its exit status. One thing is looked up in the database, as an auditor would: whether the books of payments are right.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a panic in a story is a failed story")]

#[path = "../support/mod.rs"]
mod support;

// The main job.
mod channel_login;
mod deletion;
mod device_login;
mod history;
mod id_tokens;
mod import;
mod link;
mod logout;
mod me;
mod order_delivery;
mod orders;
mod partner_events;
mod password;
mod pay_channels;
mod pay_doors;
mod phone_login;
mod refresh;
mod register_login_verify;
mod sessions;
mod settings;
mod settings_of_players;
mod settings_store;
mod shipping_on_kafka;
mod verify_batch;

// What it promises to everybody who asks.
mod bad_input;
mod bans;
mod conventions;
mod interop;
mod introspect;
mod operator_listener;
mod prometheus;
mod published_contract;
mod signed_requests;

// What operators do with it.
mod admin_accounts;
mod admin_apps;
mod admin_without_account;
mod device_limits;
mod dynamic_documents;
mod lanes;
mod limits;
mod maintenance;
mod reconciling;
mod roles_apart;
mod settings_publishing;
mod traffic_rules;
mod unlock;

// What it withstands.
mod account_gone;
mod callers_in_a_hurry;
mod database_gone;
mod drain;
mod flood;
mod gateway_copy;
mod import_interrupted;
mod key_reseal;
mod key_rotation;
mod nacos_gone;
mod optional_parts_gone;
mod outage_windows;
mod patch_day;
mod pay_crash;
mod platform_events;
mod redis_gone;
mod replicas_come_and_go;
mod restart;
mod revocation_everywhere;
mod revoke_sessions;
mod risk;
mod settings_gone;

// Its first minutes, and what it keeps to itself.
mod demo;
mod first_run;
mod no_secrets_in_logs;
mod readme;

// How it can be watched.
mod tracing;
