//! What is kept in SQL: the ledger, the catalogue, orders with their journal, callbacks as they came, refunds, the
//! outboxes, and what channels have to be asked and told.

pub(crate) mod archive;
pub(crate) mod channel_tasks;
pub(crate) mod channels;
pub(crate) mod dead_letters;
mod error;
pub(crate) mod ledger;
pub(crate) mod orders;
pub(crate) mod outbox;
pub(crate) mod products;
pub(crate) mod questions;
pub(crate) mod refund_notices;
pub(crate) mod refunds;
pub(crate) mod retention;
pub(crate) mod search;

pub use self::ledger::{
    Ledger, LedgerError, PostError, Posted,
    check::{DRIFTS_MAX, Drift, LedgerReport, check_ledger},
};
pub(crate) use self::{error::StoreError, ledger::spend::Spent};
