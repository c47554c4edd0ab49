//! What is kept in SQL: the ledger, the catalogue, orders with their journal, callbacks as they came, and the outbox.

pub(crate) mod archive;
pub(crate) mod channels;
pub(crate) mod dead_letters;
mod error;
mod ledger;
pub(crate) mod orders;
pub(crate) mod outbox;
pub(crate) mod products;
pub(crate) mod retention;
pub(crate) mod search;

pub(crate) use self::error::StoreError;
pub use self::ledger::{Ledger, LedgerError, PostError, Posted};
