//! The pure rules of money: currencies, owners, and postings that always balance.
//!
//! Nothing here knows of databases, time or the network.

mod currency;
mod ledger;

pub(crate) use self::ledger::{is_id, new_balance};
pub use self::{
    currency::{Currency, CurrencyError},
    ledger::{ENTRIES_MAX, Entry, IdempotencyKey, IdempotencyKeyError, Overdrawn, Owner, Posting, PostingError},
};
