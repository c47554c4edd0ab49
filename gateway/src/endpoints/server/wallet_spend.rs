//! `POST /v1/server/wallet/spend`: a game server spends from a player's wallet.

use std::sync::Arc;

use common::http::{ApiError, Envelope, SignedOnce};
use idl::pay::{SpendWalletRequest, SpendWalletResponse};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use volo::FastStr;
use volo_http::utils::Extension;

use crate::{endpoints::idempotency_key::IdempotencyKey, state::Gateway, upstream::could_not_tell};

/// What is spent, and whose.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = SpendWalletRequest)]
pub(crate) struct Request {
    /// The player.
    #[schema(example = 100_001)]
    account_id: i64,
    /// ISO 4217.
    #[schema(value_type = String, example = "CNY")]
    currency: FastStr,
    /// Minor units, at least 1.
    #[schema(example = 250)]
    amount: i64,
    /// Kept with the spend. At most 255 bytes.
    #[schema(value_type = Option<String>, max_length = 255)]
    reason: Option<FastStr>,
}

/// What was spent. A repeated request is answered the same, whatever has become of the wallet since.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SpendWalletAnswer)]
pub(crate) struct Answer {
    /// Its transaction in the ledger: a UUID.
    #[schema(value_type = String)]
    transaction_id: FastStr,
    #[schema(value_type = String, example = "CNY")]
    currency: FastStr,
    /// What the wallet held in that currency right after it.
    #[schema(example = 350)]
    balance: i64,
}

/// Spends from a player's wallet, once for each `Idempotency-Key` of your app.
///
/// Repeat a request whose answer was lost with the same key and the same body (and a new nonce). The same key with another
/// body is 4090301; a key is never forgotten. 4220401 when the wallet holds less: nothing is spent, and the key may be used
/// again.
#[utoipa::path(post, path = "/v1/server/wallet/spend", tag = "Game servers", security(("app" = [])), params(("Idempotency-Key" = String, Header, description = "1-64 visible ASCII characters.")), request_body = Request, responses((status = 200, body = Answer)))]
pub(crate) async fn wallet_spend(
    Extension(gateway): Extension<Arc<Gateway>>,
    IdempotencyKey(idempotency_key): IdempotencyKey,
    SignedOnce { app, body: Request { account_id, currency, amount, reason } }: SignedOnce<Request>,
) -> Result<Envelope<Answer>, ApiError> {
    let request = SpendWalletRequest { app_id: app.app_id, account_id, currency, amount, reason, idempotency_key };
    let spent = gateway.upstream.pay.spend_wallet(request).await.map_err(could_not_tell)?;
    let SpendWalletResponse { transaction_id, currency, balance } = spent;
    Ok(Envelope(Answer { transaction_id, currency, balance }))
}
