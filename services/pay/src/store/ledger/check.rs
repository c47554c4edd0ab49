//! Compares balances with the sums of their entries, and every transaction with zero: `pay_ledger_check`.
//!
//! A pass is made of small steps and goes on where it stopped, on whichever instance. No step takes a lock, and none is
//! misled by postings that go on meanwhile:
//!
//! - a balance is read in one statement with its entries, so in one view of the books;
//! - where an account has more entries than a step reads, those of a while ago are added up first: their transactions are
//!   over, nothing comes between them any more. The newest are then read in one statement with the balance;
//! - a transaction's entries appear all at once.

use std::{
    collections::{BTreeMap, VecDeque},
    num::NonZeroU32,
    time::Duration,
};

use common::{
    clock::Timestamp,
    sql::{Database, Dialect, Sql, Text, Tx},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::LedgerError;
use crate::domain::ENTRIES_MAX;

/// Each database uses its index for one of the two ways to say "after".
const ACCOUNTS_MYSQL: &str = "SELECT app_id, owner_kind, owner_id, currency FROM pay_ledger_accounts \
     WHERE app_id > ? OR (app_id = ? AND owner_kind > ?) OR (app_id = ? AND owner_kind = ? AND owner_id > ?) \
     OR (app_id = ? AND owner_kind = ? AND owner_id = ? AND currency > ?) \
     ORDER BY app_id, owner_kind, owner_id, currency LIMIT ?";

const ACCOUNTS_SQLITE: &str = "SELECT app_id, owner_kind, owner_id, currency FROM pay_ledger_accounts \
     WHERE (app_id, owner_kind, owner_id, currency) > (?, ?, ?, ?) \
     ORDER BY app_id, owner_kind, owner_id, currency LIMIT ?";

const BALANCE_WITH_ENTRIES: &str = "SELECT accounts.balance, entries.transaction_id, entries.amount \
     FROM pay_ledger_accounts accounts LEFT JOIN pay_ledger_entries entries \
     ON entries.app_id = accounts.app_id AND entries.owner_kind = accounts.owner_kind \
     AND entries.owner_id = accounts.owner_id AND entries.currency = accounts.currency AND entries.transaction_id > ? \
     WHERE accounts.app_id = ? AND accounts.owner_kind = ? AND accounts.owner_id = ? AND accounts.currency = ? \
     ORDER BY entries.transaction_id LIMIT ?";

/// The same without an end, for the newest entries of an account that is in use.
const BALANCE_WITH_SUM: Sql = Sql::Each {
    mysql: "SELECT balance, (SELECT CAST(COALESCE(SUM(amount), 0) AS CHAR) FROM pay_ledger_entries entries \
            WHERE entries.app_id = accounts.app_id AND entries.owner_kind = accounts.owner_kind \
            AND entries.owner_id = accounts.owner_id AND entries.currency = accounts.currency \
            AND entries.transaction_id > ?) FROM pay_ledger_accounts accounts \
            WHERE app_id = ? AND owner_kind = ? AND owner_id = ? AND currency = ?",
    sqlite: "SELECT balance, (SELECT CAST(COALESCE(SUM(amount), 0) AS TEXT) FROM pay_ledger_entries entries \
             WHERE entries.app_id = accounts.app_id AND entries.owner_kind = accounts.owner_kind \
             AND entries.owner_id = accounts.owner_id AND entries.currency = accounts.currency \
             AND entries.transaction_id > ?) FROM pay_ledger_accounts accounts \
             WHERE app_id = ? AND owner_kind = ? AND owner_id = ? AND currency = ?",
};

const ENTRIES: &str = "SELECT transaction_id, app_id, currency, amount FROM pay_ledger_entries \
     WHERE transaction_id > ? ORDER BY transaction_id LIMIT ?";

const STATE: &str = "SELECT place, started_at, drift, drifted, last_drift, last_drifted, last_ended_at \
     FROM pay_ledger_check WHERE id = 1";

const KEEP: Sql = Sql::Each {
    mysql: "INSERT INTO pay_ledger_check \
            (id, place, started_at, drift, drifted, last_drift, last_drifted, last_ended_at) VALUES (1, ?, ?, ?, ?, ?, ?, ?) \
            ON DUPLICATE KEY UPDATE place = VALUES(place), started_at = VALUES(started_at), drift = VALUES(drift), \
            drifted = VALUES(drifted), last_drift = VALUES(last_drift), last_drifted = VALUES(last_drifted), \
            last_ended_at = VALUES(last_ended_at)",
    sqlite: "INSERT INTO pay_ledger_check \
             (id, place, started_at, drift, drifted, last_drift, last_drifted, last_ended_at) VALUES (1, ?, ?, ?, ?, ?, ?, ?) \
             ON CONFLICT (id) DO UPDATE SET place = excluded.place, started_at = excluded.started_at, \
             drift = excluded.drift, drifted = excluded.drifted, last_drift = excluded.last_drift, \
             last_drifted = excluded.last_drifted, last_ended_at = excluded.last_ended_at",
};

/// A transaction that began so long ago is over, by any clock of ours: statements and locks are waited for in seconds.
const SETTLED_AFTER: Duration = Duration::from_secs(600);

/// Accounts that are looked up together. Protects memory.
const ACCOUNTS_AT_ONCE: i64 = 1000;

/// Before every id.
const NO_ID: Uuid = Uuid::nil();

/// Something in the books that does not add up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drift {
    /// A balance that is not the sum of its entries.
    Balance {
        /// In whose books.
        app_id: i64,
        /// The player; `None`: the app's own side.
        account_id: Option<i64>,
        /// In what.
        currency: String,
        /// By how many minor units the balance is too high.
        amount: i128,
    },
    /// A transaction that makes or loses money.
    Transaction {
        /// In whose books.
        app_id: i64,
        /// Which.
        transaction_id: Uuid,
        /// In what.
        currency: String,
        /// What its entries add up to.
        amount: i128,
    },
}

/// An account as the pass names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Account {
    app: i64,
    kind: i16,
    id: i64,
    currency: String,
}

/// How far into the entries of an account the pass is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Partly {
    account: Account,
    #[serde(with = "id_text")]
    through: Uuid,
    /// Of the entries up to there. Text: JSON has no 128-bit numbers.
    sum: String,
}

/// Where a pass goes on. Stored as JSON, so what it holds is only added to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Place {
    /// After this account; `into`: in the middle of the next.
    Accounts { after: Option<Account>, into: Option<Partly> },
    /// After this transaction.
    Transactions {
        #[serde(with = "id_text")]
        after: Uuid,
    },
}

/// An id as text.
mod id_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use uuid::Uuid;

    pub(super) fn serialize<S: Serializer>(id: &Uuid, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(id)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Uuid, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// A pass, between two steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pass {
    place: Place,
    pub(crate) started_at: Timestamp,
    drift: i64,
    drifted: i64,
}

/// What is known of the books, as metrics show it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Minor units: of the last full pass, or of the one under way if that is more already.
    pub(crate) drift: i64,
    /// The same, in how many places.
    pub(crate) drifted: i64,
    /// When the last full pass ended.
    pub(crate) last_ended_at: Option<Timestamp>,
}

/// What is stored between steps.
#[derive(Clone, Debug, Default)]
pub(crate) struct CheckState {
    /// `None`: none is under way.
    pub(crate) pass: Option<Pass>,
    last_drift: i64,
    last_drifted: i64,
    last_ended_at: Option<Timestamp>,
}

/// What a step came to.
#[derive(Debug)]
pub(crate) struct Stepped {
    /// Where to go on, or what the pass came to.
    pub(crate) pass: Pass,
    /// The pass is over.
    pub(crate) over: bool,
    /// What the step found.
    pub(crate) drifts: Vec<Drift>,
    accounts: u64,
    transactions: u64,
}

/// What a check of the books from end to end came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LedgerReport {
    /// Balances that were compared.
    pub accounts: u64,
    /// Transactions that were added up.
    pub transactions: u64,
    /// Places that don't add up, all of them counted and the first [`DRIFTS_MAX`] named in `drifts`.
    pub drifted: u64,
    /// What does not add up.
    pub drifts: Vec<Drift>,
}

/// The most that a report names. Protects memory when everything is wrong.
pub const DRIFTS_MAX: usize = 1000;

/// Checks the books from end to end, now, and keeps nothing of it: postings may go on meanwhile. It reads `step` rows at a
/// time; `now` is the time by the clock that postings are made with.
///
/// # Errors
/// When the books can't be read.
pub async fn check_ledger(database: &Database, now: Timestamp, step: NonZeroU32) -> Result<LedgerReport, LedgerError> {
    let (mut report, mut pass) = (LedgerReport::default(), Pass::new(now));
    loop {
        let stepped = pass.step(database, now, step).await?;
        report.accounts += stepped.accounts;
        report.transactions += stepped.transactions;
        report.drifted += stepped.drifts.len() as u64;
        let room = DRIFTS_MAX.saturating_sub(report.drifts.len());
        report.drifts.extend(stepped.drifts.into_iter().take(room));
        if stepped.over {
            return Ok(report);
        }
        pass = stepped.pass;
    }
}

impl Drift {
    /// Minor units, signed.
    pub fn amount(&self) -> i128 {
        match self {
            Self::Balance { amount, .. } | Self::Transaction { amount, .. } => *amount,
        }
    }

    /// Says it in the log.
    pub(crate) fn log(&self) {
        match self {
            Self::Balance { app_id, account_id, currency, amount } => tracing::error!(
                app_id,
                account_id = account_id.unwrap_or_default(),
                is_app = account_id.is_none(),
                %currency,
                drift = %amount,
                "a balance is not the sum of its entries: somebody has to look into the ledger"
            ),
            Self::Transaction { app_id, transaction_id, currency, amount } => tracing::error!(
                app_id,
                %transaction_id,
                %currency,
                drift = %amount,
                "a transaction of the ledger does not add up to zero: somebody has to look into it"
            ),
        }
    }
}

impl Pass {
    /// One that begins.
    pub(crate) fn new(now: Timestamp) -> Self {
        Self { place: Place::Accounts { after: None, into: None }, started_at: now, drift: 0, drifted: 0 }
    }

    /// Goes on by about `rows` rows.
    pub(crate) async fn step(
        mut self,
        database: &Database,
        now: Timestamp,
        rows: NonZeroU32,
    ) -> Result<Stepped, LedgerError> {
        let mut seen = Seen::default();
        let next = match self.place.clone() {
            Place::Accounts { after, into } => {
                let next = accounts(database, now, rows, (after, into), &mut seen).await?;
                Some(next.unwrap_or(Place::Transactions { after: NO_ID }))
            }
            Place::Transactions { after } => transactions(database, rows, after, &mut seen).await?,
        };
        for drift in &seen.drifts {
            let amount = i64::try_from(drift.amount().unsigned_abs()).unwrap_or(i64::MAX);
            self.drift = self.drift.saturating_add(amount);
            self.drifted = self.drifted.saturating_add(1);
        }
        let over = next.is_none();
        let pass = Self { place: next.unwrap_or(self.place), ..self };
        let Seen { drifts, accounts, transactions } = seen;
        Ok(Stepped { pass, over, drifts, accounts, transactions })
    }
}

impl CheckState {
    /// What is stored.
    pub(crate) async fn read(database: &Database) -> Result<Self, LedgerError> {
        type Row = (Option<Text>, i64, i64, i64, i64, i64, Option<i64>);
        let row: Option<Row> = database.write(STATE).optional().await?;
        let Some((place, started_at, drift, drifted, last_drift, last_drifted, last_ended_at)) = row else {
            return Ok(Self::default());
        };
        // A place that another version wrote, and that can't be read: the pass begins again.
        let place = place.and_then(|place| serde_json::from_str(&place).ok());
        let started_at = Timestamp::from_millis(started_at);
        Ok(Self {
            pass: place.map(|place| Pass { place, started_at, drift, drifted }),
            last_drift,
            last_drifted,
            last_ended_at: last_ended_at.map(Timestamp::from_millis),
        })
    }

    /// After a step.
    #[must_use]
    pub(crate) fn after(self, stepped: &Stepped, now: Timestamp) -> Self {
        let Pass { drift, drifted, .. } = stepped.pass;
        match stepped.over {
            true => Self { pass: None, last_drift: drift, last_drifted: drifted, last_ended_at: Some(now) },
            false => Self { pass: Some(stepped.pass.clone()), ..self },
        }
    }

    /// Keeps it, for whoever has the job.
    pub(crate) async fn keep(&self, tx: &mut Tx) -> Result<(), LedgerError> {
        let place = self.pass.as_ref().map(|pass| serde_json::to_string(&pass.place));
        let place = place.transpose().map_err(|_| LedgerError::Unreadable("place"))?;
        let pass = self.pass.as_ref();
        tx.sql(KEEP)
            .bind(place)
            .bind(pass.map_or(0, |pass| pass.started_at.as_millis()))
            .bind(pass.map_or(0, |pass| pass.drift))
            .bind(pass.map_or(0, |pass| pass.drifted))
            .bind(self.last_drift)
            .bind(self.last_drifted)
            .bind(self.last_ended_at.map(Timestamp::as_millis))
            .execute()
            .await?;
        Ok(())
    }

    /// As metrics show it.
    pub(crate) fn found(&self) -> Found {
        let (drift, drifted) = self.pass.as_ref().map_or((0, 0), |pass| (pass.drift, pass.drifted));
        Found {
            drift: drift.max(self.last_drift),
            drifted: drifted.max(self.last_drifted),
            last_ended_at: self.last_ended_at,
        }
    }
}

/// What a step has seen.
#[derive(Debug, Default)]
struct Seen {
    drifts: Vec<Drift>,
    accounts: u64,
    transactions: u64,
}

/// Compares balances; answers where to go on, `None`: these were the last.
async fn accounts(
    database: &Database,
    now: Timestamp,
    rows: NonZeroU32,
    (mut after, into): (Option<Account>, Option<Partly>),
    seen: &mut Seen,
) -> Result<Option<Place>, LedgerError> {
    let mut left = i64::from(rows.get());
    let mut queue: VecDeque<Partly> = into.into_iter().collect();
    while left > 0 {
        if queue.is_empty() {
            queue = accounts_after(database, after.as_ref(), left).await?.into_iter().map(Partly::from).collect();
        }
        let Some(into) = queue.pop_front() else { return Ok(None) };
        let account = into.account.clone();
        match balance(database, now, rows, into).await? {
            Compared::Unfinished { into, read } => {
                left -= read;
                if left <= 0 {
                    return Ok(Some(Place::Accounts { after, into: Some(into) }));
                }
                queue.push_front(into);
            }
            Compared::Done { drift, read } => {
                left -= read + 1;
                seen.accounts += 1;
                seen.drifts.extend(drift);
                after = Some(account);
            }
        }
    }
    Ok(Some(Place::Accounts { after, into: None }))
}

/// How far the comparison of an account came with one step's rows.
enum Compared {
    /// `read`: rows, as in the other.
    Unfinished {
        into: Partly,
        read: i64,
    },
    Done {
        drift: Option<Drift>,
        read: i64,
    },
}

/// Compares a balance with its entries, or adds up a part of them.
async fn balance(
    database: &Database,
    now: Timestamp,
    rows: NonZeroU32,
    Partly { account, through, sum }: Partly,
) -> Result<Compared, LedgerError> {
    let before: i128 = sum.parse().map_err(|_| LedgerError::Unreadable("place"))?;
    let most = i64::from(rows.get());
    let read: Vec<(i64, Option<Vec<u8>>, Option<i64>)> = database
        .read(BALANCE_WITH_ENTRIES)
        .bind(through.as_bytes().to_vec())
        .bind(account.app)
        .bind(account.kind)
        .bind(account.id)
        .bind(account.currency.clone())
        .bind(most + 1)
        .all()
        .await?;
    let Some((balance, ..)) = read.first() else { return Ok(Compared::Done { drift: None, read: 0 }) };
    let balance = i128::from(*balance);
    let entries: Vec<(Uuid, i64)> = read
        .iter()
        .filter_map(|(_, id, amount)| Some((id.as_deref()?, (*amount)?)))
        .map(|(id, amount)| Ok((Uuid::from_slice(id).map_err(|_| LedgerError::Unreadable("transaction_id"))?, amount)))
        .collect::<Result<_, LedgerError>>()?;
    let count = i64::try_from(entries.len()).unwrap_or(i64::MAX);
    let add = |entries: &[(Uuid, i64)]| before + entries.iter().map(|(_, amount)| i128::from(*amount)).sum::<i128>();
    let (difference, is_whole) = if count <= most {
        (balance - add(&entries), through == NO_ID)
    } else {
        let first_unsettled = first_id_of(now.minus(SETTLED_AFTER));
        let settled = entries.partition_point(|(id, _)| *id < first_unsettled);
        if let Some((through, _)) = entries[..settled].last() {
            let sum = add(&entries[..settled]).to_string();
            return Ok(Compared::Unfinished { into: Partly { account, through: *through, sum }, read: count });
        }
        let (balance, rest) = balance_with_sum(database, &account, through).await?;
        (balance - before - rest, through == NO_ID)
    };
    if difference == 0 {
        return Ok(Compared::Done { drift: None, read: count });
    }
    // Read in several statements: one that sees all of it at once has the last word, if it can be had.
    let difference = match is_whole {
        true => difference,
        false => {
            let whole = balance_with_sum(database, &account, NO_ID).await;
            whole.map_or(difference, |(balance, sum)| balance - sum)
        }
    };
    let drift = (difference != 0).then(|| Drift::Balance {
        app_id: account.app,
        account_id: (account.kind == super::PLAYER).then_some(account.id),
        currency: account.currency,
        amount: difference,
    });
    Ok(Compared::Done { drift, read: count })
}

async fn balance_with_sum(database: &Database, account: &Account, through: Uuid) -> Result<(i128, i128), LedgerError> {
    let row: Option<(i64, Text)> = database
        .read(BALANCE_WITH_SUM)
        .bind(through.as_bytes().to_vec())
        .bind(account.app)
        .bind(account.kind)
        .bind(account.id)
        .bind(account.currency.clone())
        .optional()
        .await?;
    let (balance, sum) = row.ok_or(LedgerError::Unreadable("an account that is gone"))?;
    Ok((i128::from(balance), sum.parse().map_err(|_| LedgerError::Unreadable("a sum"))?))
}

async fn accounts_after(database: &Database, after: Option<&Account>, most: i64) -> Result<Vec<Account>, LedgerError> {
    let first = Account { app: i64::MIN, kind: 0, id: 0, currency: String::new() };
    let Account { app, kind, id, currency } = after.unwrap_or(&first).clone();
    let after = match database.dialect() {
        Dialect::Sqlite => database.read(ACCOUNTS_SQLITE).bind(app).bind(kind).bind(id).bind(currency),
        Dialect::MySql => database
            .read(ACCOUNTS_MYSQL)
            .bind(app)
            .bind(app)
            .bind(kind)
            .bind(app)
            .bind(kind)
            .bind(id)
            .bind(app)
            .bind(kind)
            .bind(id)
            .bind(currency),
    };
    let rows: Vec<(i64, i16, i64, Text)> = after.bind(most.min(ACCOUNTS_AT_ONCE)).all().await?;
    Ok(rows.into_iter().map(|(app, kind, id, currency)| Account { app, kind, id, currency: currency.into() }).collect())
}

/// Adds transactions up; answers where to go on, `None`: these were the last.
async fn transactions(
    database: &Database,
    rows: NonZeroU32,
    after: Uuid,
    seen: &mut Seen,
) -> Result<Option<Place>, LedgerError> {
    // Room for one more whole transaction: the last one of a full page may go on behind it, and is read again.
    let most = rows.get() as usize + ENTRIES_MAX;
    let read: Vec<(Vec<u8>, i64, Text, i64)> = database
        .read(ENTRIES)
        .bind(after.as_bytes().to_vec())
        .bind(i64::try_from(most).unwrap_or(i64::MAX))
        .all()
        .await?;
    let is_full = read.len() >= most;
    let last = read.last().map(|(id, ..)| id.clone());
    let mut sums: BTreeMap<(Uuid, i64, String), i128> = BTreeMap::new();
    let mut through = after;
    for (id, app_id, currency, amount) in read {
        if is_full && Some(&id) == last.as_ref() {
            break;
        }
        let id = Uuid::from_slice(&id).map_err(|_| LedgerError::Unreadable("transaction_id"))?;
        seen.transactions += u64::from(through != id);
        through = id;
        *sums.entry((id, app_id, currency.into())).or_default() += i128::from(amount);
    }
    let off = sums.into_iter().filter(|(_, sum)| *sum != 0);
    seen.drifts.extend(off.map(|((transaction_id, app_id, currency), amount)| Drift::Transaction {
        app_id,
        transaction_id,
        currency,
        amount,
    }));
    match is_full {
        // No posting has so many entries.
        true if through == after => Err(LedgerError::Unreadable("a transaction of more entries than there can be")),
        true => Ok(Some(Place::Transactions { after: through })),
        false => Ok(None),
    }
}

/// What the id of no transaction from before `at` is greater than.
fn first_id_of(at: Timestamp) -> Uuid {
    let millis = u64::try_from(at.as_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid()
}

impl From<Account> for Partly {
    fn from(account: Account) -> Self {
        Self { account, through: NO_ID, sum: "0".to_owned() }
    }
}

#[cfg(test)]
mod tests;
