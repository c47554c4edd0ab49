//! What can go wrong in an RPC, one variant per thing a caller can do something about.

use common::{error_code::PublicError, rpc::Refusal};

use crate::store::LedgerError;

/// Why a wallet was not answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GetWalletError {
    #[error("{field} must be a positive integer below 2^53")]
    Id { field: &'static str },
    #[error("the wallet can't be read")]
    Ledger(#[from] LedgerError),
}

impl Refusal for GetWalletError {
    fn public(&self) -> PublicError {
        match self {
            Self::Id { field } => PublicError::invalid(*field, "must be a positive integer below 2^53"),
            Self::Ledger(LedgerError::Sql(error)) => error.public(),
            Self::Ledger(LedgerError::Unreadable(_)) => PublicError::internal(),
        }
    }
}
