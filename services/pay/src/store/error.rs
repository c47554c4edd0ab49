//! What can go wrong with what is kept.

use common::sql::{Contention, SqlError};

/// Orders, products or deliveries could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The database refused or did not answer.
    #[error(transparent)]
    Sql(#[from] SqlError),
    /// A row no version of this program writes.
    #[error("a row can't be read: {0}")]
    Unreadable(&'static str),
    /// Another order took the same payment at the same moment. It may be tried again, and is then refused for that.
    #[error("another order takes this payment at the same moment")]
    Raced,
    /// The ledger did not take what belongs to a payment: then there is no payment either.
    #[error("the ledger: {0}")]
    Ledger(Box<super::PostError>),
}

impl From<super::PostError> for StoreError {
    fn from(error: super::PostError) -> Self {
        Self::Ledger(Box::new(error))
    }
}

impl Contention for StoreError {
    fn is_contention(&self) -> bool {
        match self {
            Self::Sql(error) => error.is_contention(),
            Self::Ledger(error) => error.is_contention(),
            Self::Raced => true,
            Self::Unreadable(_) => false,
        }
    }
}
