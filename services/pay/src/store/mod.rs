//! The ledger in SQL.

mod ledger;

pub use self::ledger::{Ledger, LedgerError, PostError, Posted};
