//! What pay asks of its database for an order, a payment and a delivery, by a driver and nothing else: no HTTP, no
//! signatures, no checks, no decisions. The statements, the transactions around them, the session settings and the number
//! of connections are pay's; whoever changes those changes these. That the two do the same shows in the line *per request*
//! of the results.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Result;
use sqlx::{
    Executor as _, MySql, MySqlPool, Transaction,
    mysql::{MySqlArguments, MySqlPoolOptions},
    query::Query,
};

/// Connections of a pay by default (`sql.max_connections`).
const CONNECTIONS: u32 = 32;

/// As many players as the shop has.
const PLAYERS: usize = crate::scenario::PLAYERS;

const APP: i64 = 1001;

const COLUMNS: &str = "order_id, app_id, account_id, product_id, amount, currency, role_id, server_id, extension, \
     state, channel, channel_order_id, created_at, expires_at, paid_at, delivered_at";

const JOURNAL: &str = "INSERT INTO pay_order_journal (order_id, seq, from_state, to_state, event, actor, reason, at) \
     SELECT ?, COALESCE(MAX(seq), 0) + 1, ?, ?, ?, ?, ?, ? FROM pay_order_journal WHERE order_id = ?";

const UPDATE: &str = "UPDATE pay_orders SET state = ?, channel = ?, channel_order_id = ?, paid_at = ?, \
     delivered_at = ?, updated_at = ? WHERE order_id = ?";

/// A database with the tables of pay. Clones share its connections.
#[derive(Clone, Debug)]
pub(super) struct BareSql(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pool: MySqlPool,
    find: String,
    lock: String,
    made: AtomicUsize,
}

impl BareSql {
    /// On a migrated database.
    pub(super) async fn open(url: &str) -> Result<Self> {
        let pool = MySqlPoolOptions::new()
            .max_connections(CONNECTIONS)
            .min_connections(CONNECTIONS)
            .acquire_timeout(Duration::from_secs(60))
            .test_before_acquire(false)
            .after_connect(|connection, _| {
                let settings = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";
                Box::pin(async move { connection.execute(settings).await.map(drop) })
            })
            .connect(url)
            .await?;
        sqlx::query(
            "INSERT IGNORE INTO pay_products (app_id, product_id, name, prices, channel_products, updated_at) \
             VALUES (?, 'gems60', '60 Gems', '{\"CNY\":600}', '{}', 0)",
        )
        .bind(APP)
        .execute(&pool)
        .await?;
        let find = format!("SELECT {COLUMNS} FROM pay_orders WHERE order_id = ?");
        let lock = format!("{find} FOR UPDATE");
        Ok(Self(Arc::new(Inner { pool, find, lock, made: AtomicUsize::new(0) })))
    }

    /// Makes an order.
    pub(super) async fn order(self) -> Result<(String, Duration)> {
        let began = Instant::now();
        let (number, pool) = (self.0.made.fetch_add(1, Ordering::Relaxed), &self.0.pool);
        let (order_id, key) = (order_id(number), format!("bench-{number}"));
        sqlx::query("SELECT name, prices, channel_products FROM pay_products WHERE app_id = ? AND product_id = ?")
            .bind(APP)
            .bind("gems60")
            .fetch_one(pool)
            .await?;
        sqlx::query(
            "SELECT digest, order_id FROM pay_order_requests \
             WHERE app_id = ? AND account_id = ? AND idempotency_key = ?",
        )
        .bind(APP)
        .bind(player(number))
        .bind(&key)
        .fetch_optional(pool)
        .await?;
        let mut tx = pool.begin().await?;
        sqlx::query(
            "INSERT INTO pay_order_requests (app_id, account_id, idempotency_key, digest, order_id, created_at) \
             VALUES (?, ?, ?, ?, ?, ?)",
        )
        .bind(APP)
        .bind(player(number))
        .bind(&key)
        .bind(&[7_u8; 32][..])
        .bind(&order_id)
        .bind(0_i64)
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "INSERT INTO pay_orders (order_id, app_id, account_id, product_id, amount, currency, role_id, server_id, \
             extension, state, channel, created_at, expires_at, updated_at) \
             VALUES (?, ?, ?, 'gems60', 600, 'CNY', 'role-7', 's-3', 'from=shop', 1, NULL, 0, 9000000000000, 0)",
        )
        .bind(&order_id)
        .bind(APP)
        .bind(player(number))
        .execute(&mut *tx)
        .await?;
        journal(&order_id, (1, 1), "created").execute(&mut *tx).await?;
        tx.commit().await?;
        Ok((order_id, began.elapsed()))
    }

    /// Takes a payment for an order that nobody has paid for.
    pub(super) async fn pay(self, order_id: String) -> Result<Duration> {
        let (began, pool) = (Instant::now(), &self.0.pool);
        let (player, payment) = (player(number(&order_id)?), format!("sandbox-{order_id}"));
        sqlx::query(&self.0.find).bind(&order_id).fetch_one(pool).await?;
        let mut tx = pool.begin().await?;
        sqlx::query(&self.0.lock).bind(&order_id).fetch_one(&mut *tx).await?;
        sqlx::query("SELECT order_id FROM pay_orders WHERE channel = ? AND channel_order_id = ?")
            .bind("sandbox")
            .bind(&payment)
            .fetch_optional(&mut *tx)
            .await?;
        update(&order_id, 3, &payment).execute(&mut *tx).await?;
        journal(&order_id, (1, 3), "paid").execute(&mut *tx).await?;
        post(&mut tx, &order_id, player).await?;
        sqlx::query(
            "INSERT INTO pay_outbox (order_id, app_id, dead, attempts, failures, due_at, claim, claimed_until, \
             created_at) VALUES (?, ?, 0, ?, 0, ?, NULL, 0, ?)",
        )
        .bind(&order_id)
        .bind(APP)
        .bind(0)
        .bind(0_i64)
        .bind(0_i64)
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "INSERT IGNORE INTO pay_callbacks (order_id, digest, channel, app_id, verdict, headers, body, received_at) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&order_id)
        .bind(&[7_u8; 32][..])
        .bind("sandbox")
        .bind(APP)
        .bind("paid")
        .bind("h".repeat(300))
        .bind(vec![b'b'; 170])
        .bind(0_i64)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(began.elapsed())
    }

    /// The same, and what is written down when it is delivered.
    pub(super) async fn pay_and_deliver(self, order_id: String) -> Result<Duration> {
        let began = Instant::now();
        self.clone().pay(order_id.clone()).await?;
        let payment = format!("sandbox-{order_id}");
        let mut tx = self.0.pool.begin().await?;
        sqlx::query(
            "SELECT order_id, attempts, failures, created_at FROM pay_outbox \
             WHERE order_id = ? AND dead = 0 AND due_at <= ? AND claimed_until <= ? FOR UPDATE SKIP LOCKED",
        )
        .bind(&order_id)
        .bind(1_i64)
        .bind(1_i64)
        .fetch_all(&mut *tx)
        .await?;
        sqlx::query(&self.0.lock).bind(&order_id).fetch_one(&mut *tx).await?;
        update(&order_id, 4, &payment).execute(&mut *tx).await?;
        journal(&order_id, (3, 4), "delivery_started").execute(&mut *tx).await?;
        sqlx::query("UPDATE pay_outbox SET claim = ?, claimed_until = ?, attempts = ? WHERE order_id = ?")
            .bind(&[7_u8; 16][..])
            .bind(2_i64)
            .bind(1)
            .bind(&order_id)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;

        let mut tx = self.0.pool.begin().await?;
        sqlx::query(&self.0.lock).bind(&order_id).fetch_one(&mut *tx).await?;
        sqlx::query(
            "INSERT INTO pay_deliveries (order_id, attempt, outcome, status, detail, at, duration_ms) \
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&order_id)
        .bind(1)
        .bind("acknowledged")
        .bind(200)
        .bind("SUCCESS")
        .bind(0_i64)
        .bind(1_i64)
        .execute(&mut *tx)
        .await?;
        update(&order_id, 5, &payment).execute(&mut *tx).await?;
        journal(&order_id, (4, 5), "acknowledged").execute(&mut *tx).await?;
        sqlx::query("DELETE FROM pay_outbox WHERE order_id = ? AND claim = ?")
            .bind(&order_id)
            .bind(&[7_u8; 16][..])
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(began.elapsed())
    }
}

/// The player's wallet and the app's own account: one row that all payments of an app meet at.
async fn post(tx: &mut Transaction<'_, MySql>, order_id: &str, player: i64) -> Result<()> {
    // As long as a UUID, and as good as one: no two orders have the same last letters.
    let transaction = &order_id.as_bytes()[10..];
    sqlx::query(
        "INSERT INTO pay_ledger_transactions (transaction_id, app_id, idempotency_key, posted_at) VALUES (?, ?, ?, ?)",
    )
    .bind(transaction)
    .bind(APP)
    .bind(format!("order:{order_id}"))
    .bind(0_i64)
    .execute(&mut **tx)
    .await?;
    for (kind, owner, amount) in [(1, player, 600), (2, 0, -600)] {
        let of_owner =
            |query: Query<'static, MySql, MySqlArguments>| query.bind(APP).bind(kind).bind(owner).bind("CNY");
        let open = sqlx::query(
            "INSERT INTO pay_ledger_accounts (app_id, owner_kind, owner_id, currency, balance, created_at, updated_at) \
             VALUES (?, ?, ?, ?, 0, ?, ?) ON DUPLICATE KEY UPDATE balance = balance",
        );
        of_owner(open).bind(0_i64).bind(0_i64).execute(&mut **tx).await?;
        let lock = sqlx::query(
            "SELECT balance FROM pay_ledger_accounts \
             WHERE app_id = ? AND owner_kind = ? AND owner_id = ? AND currency = ? FOR UPDATE",
        );
        let balance: i64 = sqlx::Row::try_get(&of_owner(lock).fetch_one(&mut **tx).await?, 0)?;
        let set = sqlx::query(
            "UPDATE pay_ledger_accounts SET balance = ?, updated_at = ? \
             WHERE app_id = ? AND owner_kind = ? AND owner_id = ? AND currency = ?",
        );
        of_owner(set.bind(balance + amount).bind(0_i64)).execute(&mut **tx).await?;
        sqlx::query(
            "INSERT INTO pay_ledger_entries (transaction_id, app_id, owner_kind, owner_id, currency, amount) \
             VALUES (?, ?, ?, ?, 'CNY', ?)",
        )
        .bind(transaction)
        .bind(APP)
        .bind(kind)
        .bind(owner)
        .bind(amount)
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

fn update<'q>(order_id: &'q str, state: i32, payment: &'q str) -> Query<'q, MySql, MySqlArguments> {
    let query = sqlx::query(UPDATE).bind(state).bind("sandbox").bind(payment).bind(Some(0_i64));
    query.bind((state == 5).then_some(0_i64)).bind(0_i64).bind(order_id)
}

fn journal<'q>(order_id: &'q str, (from, to): (i32, i32), event: &'q str) -> Query<'q, MySql, MySqlArguments> {
    let query = sqlx::query(JOURNAL).bind(order_id).bind(from).bind(to).bind(event);
    query.bind("sandbox").bind("").bind(0_i64).bind(order_id)
}

/// 26 letters, as real ones have, that begin with the moment they were made.
fn order_id(number: usize) -> String {
    format!("01JXT21Q00{number:016}")
}

fn number(order_id: &str) -> Result<usize> {
    Ok(order_id[10..].parse()?)
}

fn player(number: usize) -> i64 {
    100_001 + i64::try_from(number % PLAYERS).unwrap_or_default()
}
