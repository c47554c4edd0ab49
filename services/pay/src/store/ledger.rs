//! Balances and what moved them: `pay_ledger_accounts`, `pay_ledger_transactions`, `pay_ledger_entries`.
//!
//! A balance is kept beside its entries, so that reading it is one row and not a sum over a player's life; both change
//! in the same transaction and nowhere else.
//!
//! Every purchase of an app moves the app's own side. It lies on several rows, of which each transaction takes one, so that
//! purchases don't wait for each other; what the app has is their sum.
//!
//! - `spend`: what game servers spend.
//! - `check`: compares balances with their entries.

pub(crate) mod check;
pub(crate) mod spend;

use std::{collections::BTreeMap, sync::Arc};

use common::{
    clock::{SharedClock, SharedRandom, new_uuid},
    sql::{Contention, Database, Sql, SqlError, Text, Tx},
};
use uuid::Uuid;

use crate::{
    domain::{Currency, Entry, IdempotencyKey, Overdrawn, Owner, Posting, new_balance},
    metrics::Metrics,
};

const SELECT_BALANCES: &str = "SELECT currency, balance FROM pay_ledger_accounts \
     WHERE app_id = ? AND owner_kind = ? AND owner_id BETWEEN ? AND ?";

const INSERT_TRANSACTION: &str = "INSERT INTO pay_ledger_transactions \
     (transaction_id, app_id, idempotency_key, posted_at) VALUES (?, ?, ?, ?)";

const SELECT_TRANSACTION: &str =
    "SELECT transaction_id FROM pay_ledger_transactions WHERE app_id = ? AND idempotency_key = ?";

const SELECT_ENTRIES: &str = "SELECT owner_kind, owner_id, currency, amount FROM pay_ledger_entries \
     WHERE transaction_id = ?";

const INSERT_ENTRY: &str = "INSERT INTO pay_ledger_entries \
     (transaction_id, app_id, owner_kind, owner_id, currency, amount) VALUES (?, ?, ?, ?, ?, ?)";

/// Makes the row if it is missing and changes nothing if it is there.
const OPEN_ACCOUNT: Sql = Sql::Each {
    mysql: "INSERT INTO pay_ledger_accounts \
            (app_id, owner_kind, owner_id, currency, balance, created_at, updated_at) VALUES (?, ?, ?, ?, 0, ?, ?) \
            ON DUPLICATE KEY UPDATE balance = balance",
    sqlite: "INSERT INTO pay_ledger_accounts \
             (app_id, owner_kind, owner_id, currency, balance, created_at, updated_at) VALUES (?, ?, ?, ?, 0, ?, ?) \
             ON CONFLICT DO NOTHING",
};

const LOCK_BALANCE: Sql = Sql::Each {
    mysql: "SELECT balance FROM pay_ledger_accounts \
            WHERE app_id = ? AND owner_kind = ? AND owner_id = ? AND currency = ? FOR UPDATE",
    sqlite: "SELECT balance FROM pay_ledger_accounts \
             WHERE app_id = ? AND owner_kind = ? AND owner_id = ? AND currency = ?",
};

const UPDATE_BALANCE: &str = "UPDATE pay_ledger_accounts SET balance = ?, updated_at = ? \
     WHERE app_id = ? AND owner_kind = ? AND owner_id = ? AND currency = ?";

/// The rows that an app's own side lies on, in each currency; `owner_id` counts them from 0. Rows are read whatever their
/// number: it may grow, and never shrinks.
const APP_ROWS: u8 = 16;

/// The books of every app. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ledger {
    database: Database,
    clock: SharedClock,
    random: SharedRandom,
    metrics: Arc<Metrics>,
}

/// A posting that is in the books.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posted {
    /// Its transaction.
    pub transaction_id: Uuid,
    /// Whether it was there before: this was a repetition.
    pub repeated: bool,
}

/// The books could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The database refused or did not answer.
    #[error(transparent)]
    Sql(#[from] SqlError),
    /// A row no version of this program writes.
    #[error("the ledger holds a row that can't be read: {0}")]
    Unreadable(&'static str),
}

/// A posting was not written.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// A balance can't take its entry.
    #[error("{owner:?} in {currency}: {reason}")]
    Overdrawn {
        /// Whose.
        owner: Owner,
        /// In what.
        currency: Currency,
        /// Why not.
        reason: Overdrawn,
    },
    /// The key belongs to another posting of the app.
    #[error("the idempotency key was used for another posting")]
    KeyReused,
    /// Another posting with the key was under way and was taken back. The same posting may be tried again.
    #[error("another posting with this idempotency key was under way")]
    Raced,
    /// The database refused or did not answer; after a lost commit only a repetition with the same key tells.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl Ledger {
    /// The books in `database`.
    pub(crate) fn new(database: Database, clock: SharedClock, random: SharedRandom, metrics: Arc<Metrics>) -> Self {
        Self { database, clock, random, metrics }
    }

    /// The database and the seams, for the orders that are written with the books.
    pub(crate) fn stands_on(&self) -> (Database, SharedClock, SharedRandom) {
        (self.database.clone(), self.clock.clone(), self.random.clone())
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    /// What `owner` has in the books of `app_id`, in every currency it ever had something in.
    pub async fn balances(&self, app_id: i64, owner: Owner) -> Result<Vec<(Currency, i64)>, LedgerError> {
        let (kind, first, last) = match owner {
            Owner::Player(account_id) => (PLAYER, account_id, account_id),
            Owner::App => (APP, 0, i64::MAX),
        };
        let rows = self.database.read(SELECT_BALANCES).bind(app_id).bind(kind).bind(first).bind(last);
        let rows: Vec<(Text, i64)> = rows.all().await?;
        let mut sums: BTreeMap<Currency, i64> = BTreeMap::new();
        for (code, balance) in rows {
            let sum = sums.entry(currency(&code)?).or_default();
            *sum = sum.checked_add(balance).ok_or(LedgerError::Unreadable("balance"))?;
        }
        Ok(sums.into_iter().collect())
    }

    /// Writes `posting`, once for each `key` of the app however often it is repeated.
    pub async fn post(&self, posting: &Posting, key: &IdempotencyKey) -> Result<Posted, PostError> {
        let outcome = self.database.retrying(|| self.post_once(posting, key)).await;
        self.metrics.count(&outcome);
        outcome
    }

    async fn post_once(&self, posting: &Posting, key: &IdempotencyKey) -> Result<Posted, PostError> {
        let mut tx = self.database.begin().await?;
        match self.post_in(&mut tx, posting, key).await {
            Ok(transaction_id) => {
                tx.commit().await?;
                Ok(Posted { transaction_id, repeated: false })
            }
            Err(PostError::Ledger(LedgerError::Sql(SqlError::UniqueViolation { .. }))) => {
                drop(tx);
                self.posted_before(posting, key).await
            }
            Err(error) => Err(error),
        }
    }

    /// Writes `posting` with whatever else `tx` writes. A key that was used before is a unique violation: whoever holds a
    /// lock that a repetition would need too never meets one.
    pub(crate) async fn post_in(
        &self,
        tx: &mut Tx,
        posting: &Posting,
        key: &IdempotencyKey,
    ) -> Result<Uuid, PostError> {
        let transaction_id = new_uuid(self.clock.as_ref(), self.random.as_ref());
        let now = self.clock.now().as_millis();
        // First, so that a repetition meets the key before it touches a balance.
        tx.sql(INSERT_TRANSACTION)
            .bind(&transaction_id.as_bytes()[..])
            .bind(posting.app_id())
            .bind(key.as_str())
            .bind(now)
            .execute()
            .await?;
        for entry in posting.entries() {
            let row = row_of(entry.owner, transaction_id);
            move_balance(tx, posting.app_id(), entry, row, now).await?;
            common::crash_point!("balance");
            insert_entry(tx, transaction_id, posting.app_id(), entry, row).await?;
        }
        Ok(transaction_id)
    }

    /// What a player's wallet holds in a currency, for whoever has just moved it within `tx`.
    pub(crate) async fn balance_in(
        &self,
        tx: &mut Tx,
        app_id: i64,
        account_id: i64,
        currency: Currency,
    ) -> Result<i64, SqlError> {
        let locked = tx.sql(LOCK_BALANCE).bind(app_id).bind(PLAYER).bind(account_id).bind(currency.as_str());
        let (balance,): (i64,) = locked.one().await?;
        Ok(balance)
    }

    /// The transaction that has the key, if it is the same posting.
    async fn posted_before(&self, posting: &Posting, key: &IdempotencyKey) -> Result<Posted, PostError> {
        // A write connection: a reader of a replica might not see yet what the key has just run into.
        let found: Option<(Vec<u8>,)> =
            self.database.write(SELECT_TRANSACTION).bind(posting.app_id()).bind(key.as_str()).optional().await?;
        let (id,) = found.ok_or(PostError::Raced)?;
        let rows: Vec<(i16, i64, Text, i64)> = self.database.write(SELECT_ENTRIES).bind(&id[..]).all().await?;
        let mut entries = rows
            .into_iter()
            .map(|(kind, id, code, amount)| Ok(Entry { owner: owner(kind, id)?, currency: currency(&code)?, amount }))
            .collect::<Result<Vec<_>, LedgerError>>()?;
        entries.sort_unstable();
        if entries != posting.entries() {
            return Err(PostError::KeyReused);
        }
        let transaction_id = Uuid::from_slice(&id).map_err(|_| LedgerError::Unreadable("transaction_id"))?;
        Ok(Posted { transaction_id, repeated: true })
    }
}

impl From<SqlError> for PostError {
    fn from(error: SqlError) -> Self {
        Self::Ledger(error.into())
    }
}

impl Contention for PostError {
    fn is_contention(&self) -> bool {
        match self {
            Self::Raced => true,
            Self::Ledger(LedgerError::Sql(error)) => error.is_contention(),
            Self::Ledger(LedgerError::Unreadable(_)) | Self::Overdrawn { .. } | Self::KeyReused => false,
        }
    }
}

/// Changes one balance. The row stays locked until the transaction ends.
async fn move_balance(
    tx: &mut Tx,
    app_id: i64,
    entry: &Entry,
    (kind, id): (i16, i64),
    now: i64,
) -> Result<(), PostError> {
    let Entry { owner, currency, amount } = *entry;
    tx.sql(OPEN_ACCOUNT).bind(app_id).bind(kind).bind(id).bind(currency.as_str()).bind(now).bind(now).execute().await?;
    let (balance,): (i64,) =
        tx.sql(LOCK_BALANCE).bind(app_id).bind(kind).bind(id).bind(currency.as_str()).one().await?;
    let after =
        new_balance(owner, balance, amount).map_err(|reason| PostError::Overdrawn { owner, currency, reason })?;
    tx.sql(UPDATE_BALANCE)
        .bind(after)
        .bind(now)
        .bind(app_id)
        .bind(kind)
        .bind(id)
        .bind(currency.as_str())
        .execute()
        .await?;
    Ok(())
}

async fn insert_entry(
    tx: &mut Tx,
    transaction_id: Uuid,
    app_id: i64,
    entry: &Entry,
    (kind, id): (i16, i64),
) -> Result<(), SqlError> {
    tx.sql(INSERT_ENTRY)
        .bind(&transaction_id.as_bytes()[..])
        .bind(app_id)
        .bind(kind)
        .bind(id)
        .bind(entry.currency.as_str())
        .bind(entry.amount)
        .execute()
        .await?;
    Ok(())
}

/// `owner_kind` of players.
const PLAYER: i16 = 1;

/// `owner_kind` of the app's own side.
const APP: i16 = 2;

/// `owner_kind` and `owner_id` of the row that a transaction moves: see the migration that makes the accounts. Players come
/// before the app's side, as in [`Posting::entries`], and of the app's rows a transaction takes one: locks are taken in one
/// order everywhere.
fn row_of(owner: Owner, transaction_id: Uuid) -> (i16, i64) {
    match owner {
        Owner::Player(account_id) => (PLAYER, account_id),
        // The last byte of a UUIDv7 is random.
        Owner::App => (APP, i64::from(transaction_id.as_bytes()[15] % APP_ROWS)),
    }
}

fn owner(kind: i16, id: i64) -> Result<Owner, LedgerError> {
    match (kind, id) {
        (PLAYER, account_id) => Ok(Owner::Player(account_id)),
        (APP, 0..) => Ok(Owner::App),
        _ => Err(LedgerError::Unreadable("owner_kind")),
    }
}

fn currency(code: &str) -> Result<Currency, LedgerError> {
    Currency::parse(code).map_err(|_| LedgerError::Unreadable("currency"))
}

#[cfg(test)]
mod tests;
