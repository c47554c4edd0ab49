//! A wallet as players and game servers see it.

use std::collections::BTreeMap;

use idl::pay::GetWalletResponse;
use serde::Serialize;
use utoipa::ToSchema;
use volo::FastStr;

/// What one player has in one app.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Wallet {
    account_id: i64,
    /// Currency (ISO 4217) → minor units. A currency that was never used is absent.
    #[schema(value_type = Object, example = json!({"CNY": 600}))]
    balances: BTreeMap<FastStr, i64>,
}

impl Wallet {
    /// As pay answers it.
    pub(crate) fn new(account_id: i64, wallet: GetWalletResponse) -> Self {
        Self { account_id, balances: wallet.balances.into_iter().collect() }
    }
}
