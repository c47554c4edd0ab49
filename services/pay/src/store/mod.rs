//! What is kept in SQL: the ledger, the catalogue, orders with their journal, callbacks as they came, the
//! outbox, and what channels have to be asked.

pub(crate) mod archive;
pub(crate) mod channels;
mod error;
mod ledger;
pub(crate) mod orders;
pub(crate) mod outbox;
pub(crate) mod products;
pub(crate) mod questions;

pub(crate) use self::error::StoreError;
pub use self::ledger::{Ledger, LedgerError, PostError, Posted};
