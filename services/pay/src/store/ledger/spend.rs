//! What game servers spend: `pay_wallet_spends`, each with its transaction.

use aws_lc_rs::digest::{SHA256, digest};
use common::sql::SqlError;
use uuid::Uuid;

use super::{Ledger, LedgerError, PostError};
use crate::domain::{IdempotencyKey, Spend};

const INSERT: &str = "INSERT INTO pay_wallet_spends \
     (app_id, idempotency_key, digest, transaction_id, balance, reason, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)";

const SELECT: &str =
    "SELECT digest, transaction_id, balance FROM pay_wallet_spends WHERE app_id = ? AND idempotency_key = ?";

/// A spend that is in the books. A repeated request is answered what its first self was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spent {
    /// Its transaction.
    pub(crate) transaction_id: Uuid,
    /// What the wallet held right after it.
    pub(crate) balance: i64,
    /// It was there before.
    pub(crate) repeated: bool,
}

impl Ledger {
    /// Spends, once for each `key` of the app however often it is repeated.
    pub(crate) async fn spend(&self, spend: &Spend, key: &IdempotencyKey) -> Result<Spent, PostError> {
        let outcome = self.database.retrying(|| self.spend_once(spend, key)).await;
        self.metrics.spent(&outcome);
        outcome
    }

    async fn spend_once(&self, spend: &Spend, key: &IdempotencyKey) -> Result<Spent, PostError> {
        // A repetition takes no lock.
        if let Some(before) = self.spent_before(spend, key).await? {
            return Ok(before);
        }
        let posting = spend.posting().ok_or(LedgerError::Unreadable("a spend that makes no posting"))?;
        let mut tx = self.database.begin().await?;
        let transaction_id = match self.post_in(&mut tx, &posting, &ledger_key(key)?).await {
            Ok(transaction_id) => transaction_id,
            // It came at the same moment, and is committed now.
            Err(PostError::Ledger(LedgerError::Sql(SqlError::UniqueViolation { .. }))) => {
                drop(tx);
                return self.spent_before(spend, key).await?.ok_or(PostError::Raced);
            }
            Err(error) => return Err(error),
        };
        let currency = spend.amount().currency();
        let balance = self.balance_in(&mut tx, spend.app_id(), spend.account_id(), currency).await?;
        tx.sql(INSERT)
            .bind(spend.app_id())
            .bind(key.as_str())
            .bind(&spend.digest()[..])
            .bind(&transaction_id.as_bytes()[..])
            .bind(balance)
            .bind(spend.reason())
            .bind(self.clock.now().as_millis())
            .execute()
            .await?;
        tx.commit().await?;
        Ok(Spent { transaction_id, balance, repeated: false })
    }

    /// The spend that has the key, if it is the same.
    async fn spent_before(&self, spend: &Spend, key: &IdempotencyKey) -> Result<Option<Spent>, PostError> {
        // A write connection: a reader of a replica might not see yet what the key has just run into.
        let found: Option<(Vec<u8>, Vec<u8>, i64)> =
            self.database.write(SELECT).bind(spend.app_id()).bind(key.as_str()).optional().await?;
        let Some((digest, id, balance)) = found else { return Ok(None) };
        if digest != spend.digest() {
            return Err(PostError::KeyReused);
        }
        let transaction_id = Uuid::from_slice(&id).map_err(|_| LedgerError::Unreadable("transaction_id"))?;
        Ok(Some(Spent { transaction_id, balance, repeated: true }))
    }
}

/// The key of the transaction. A game server's key is never one that orders use, whatever it looks like.
fn ledger_key(key: &IdempotencyKey) -> Result<IdempotencyKey, LedgerError> {
    let hashed = hex::encode(&digest(&SHA256, key.as_str().as_bytes()).as_ref()[..28]);
    IdempotencyKey::parse(&format!("spend:{hashed}")).map_err(|_| LedgerError::Unreadable("a spend's key"))
}
