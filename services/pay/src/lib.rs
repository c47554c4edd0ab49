//! The pay service: what players buy and own.
//!
//! Orders and what channels say of them, the wallet, and telling game servers.
//!
//! **Invariants**
//! - No paid order is lost: state, journal, wallet and outbox are written in one transaction, before the channel is
//!   acknowledged; the outbox is worked off until the game server acknowledges or somebody has to look.
//! - An order moves forward only, and every move is in its journal. See `domain::order_state`.
//! - What a channel says counts once, however often it says it, and only if it fits the order in every part.
//! - A channel whose callback could not be looked into is told to come again, and never that all is well.
//! - Money is never made or lost: every posting adds up to zero in each currency. See `domain::ledger`.
//! - A balance is the sum of its entries: both change in one transaction, and entries never change.
//! - A player's balance never falls below zero through something taken from it.
//! - A repeated posting is written once.
//!
//! In reading order:
//! - `domain`: currencies, owners, postings, the life of an order. No input or output.
//! - `channels`: payment channels, pure: a raw callback in, verified facts out.
//! - `store`: the ledger, orders and the outbox in SQL.
//! - `channel_book`: which payment channels an app has.
//! - `channel_calls`: calling payment channels.
//! - `google`: asking Google, and telling it.
//! - `callbacks`: what channels say, from the raw bytes to the answer.
//! - `delivery`: telling game servers.
//! - `questions`: asking payment channels about orders, and for money back.
//! - `apps`: the apps as account knows them.
//! - `reconciliation`: channels' bills beside the books.
//! - `events`: what a data warehouse is told of.
//! - `rpc`: one file per RPC method. `by_hand`: what the command line does.
//! - `service`: the parts put together. `jobs`, `background`: what runs beside the requests.
//! - `config`, `error`, `metrics`: what can be configured, what can go wrong, what is counted.

mod apps;
mod background;
mod by_hand;
mod callbacks;
mod channel_book;
mod channel_calls;
pub mod channels;
mod config;
mod delivery;
mod domain;
mod error;
mod events;
mod google;
mod jobs;
mod metrics;
mod questions;
pub mod reconciliation;
mod rpc;
mod service;
mod store;
#[cfg(test)]
mod testing;

pub use self::{
    apps::{Apps, AskApp},
    by_hand::{ByHandError, DeadLetter, NotAgain, SentAgain},
    callbacks::{Replayed, ReplayedOutcome},
    channel_calls::ChannelCallsConfig,
    config::{Config, JobsConfig, LedgerCheckConfig},
    delivery::DeliveryConfig,
    domain::{
        Currency, CurrencyError, ENTRIES_MAX, Entry, IdempotencyKey, IdempotencyKeyError, Overdrawn, Owner, Posting,
        PostingError,
    },
    google::{AcknowledgeConfig, GoogleConfig},
    questions::QueriesConfig,
    service::{Pay, Resources, StartError, migrations, open},
    store::{DRIFTS_MAX, Drift, Ledger, LedgerError, LedgerReport, PostError, Posted, check_ledger},
};
