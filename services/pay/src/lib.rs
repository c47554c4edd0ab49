//! The pay service: what players own.
//!
//! The wallet: balances from a double-entry ledger.
//!
//! **Invariants**
//! - Money is never made or lost: every posting adds up to zero in each currency. See `domain::ledger`.
//! - A balance is the sum of its entries: both change in one transaction, and entries never change.
//! - A player's balance never falls below zero through something taken from it.
//! - A repeated posting is written once.
//!
//! In reading order:
//! - `domain`: currencies, owners, postings. No input or output.
//! - `store`: the ledger in SQL.
//! - `rpc`: one file per RPC method.
//! - `service`: the parts put together.
//! - `config`, `error`, `metrics`: what can be configured, what can go wrong, what is counted.

pub mod channels;
mod config;
mod domain;
mod error;
mod metrics;
mod rpc;
mod service;
mod store;

pub use self::{
    config::Config,
    domain::{
        Currency, CurrencyError, ENTRIES_MAX, Entry, IdempotencyKey, IdempotencyKeyError, Overdrawn, Owner, Posting,
        PostingError,
    },
    service::{Pay, migrations, open},
    store::{Ledger, LedgerError, PostError, Posted},
};
