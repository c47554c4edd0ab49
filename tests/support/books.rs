//! The books of payments, read as an auditor reads them: in the database itself, whatever the platform says of them.

use sqlx::{Connection as _, MySqlConnection};

use super::Platform;

/// What must never be found: what it means, and how much of it there is. For books in which nothing was refunded.
const NEVER: [(&str, &str); 13] = [
    (
        "a balance is not the sum of its entries",
        "SELECT COUNT(*) FROM pay_ledger_accounts a WHERE balance <> (SELECT COALESCE(SUM(amount), 0) \
         FROM pay_ledger_entries e WHERE e.app_id = a.app_id AND e.owner_kind = a.owner_kind \
         AND e.owner_id = a.owner_id AND e.currency = a.currency)",
    ),
    (
        "entries are in no balance",
        "SELECT COUNT(*) FROM pay_ledger_entries LEFT JOIN pay_ledger_accounts a \
         USING (app_id, owner_kind, owner_id, currency) WHERE a.balance IS NULL",
    ),
    (
        "a transaction does not add up to zero",
        "SELECT COUNT(*) FROM (SELECT 1 FROM pay_ledger_entries GROUP BY transaction_id, currency \
         HAVING SUM(amount) <> 0) t",
    ),
    (
        "a transaction is not one of two entries",
        "SELECT COUNT(*) FROM pay_ledger_transactions t WHERE 2 <> (SELECT COUNT(*) FROM pay_ledger_entries e \
         WHERE e.transaction_id = t.transaction_id)",
    ),
    (
        "a paid order is not in the ledger once",
        "SELECT COUNT(*) FROM pay_orders o WHERE state IN (3, 4, 5) AND 1 <> (SELECT COUNT(*) \
         FROM pay_ledger_transactions t WHERE t.app_id = o.app_id AND t.idempotency_key = CONCAT('order:', o.order_id))",
    ),
    (
        "the ledger has a transaction of no paid order",
        "SELECT COUNT(*) FROM pay_ledger_transactions t WHERE NOT EXISTS (SELECT 1 FROM pay_orders o \
         WHERE state IN (3, 4, 5) AND o.order_id = SUBSTRING(t.idempotency_key, 7))",
    ),
    (
        "a paid order was not paid once",
        "SELECT COUNT(*) FROM pay_orders o WHERE state IN (3, 4, 5) AND 1 <> (SELECT COUNT(*) FROM pay_order_journal j \
         WHERE j.order_id = o.order_id AND event = 'paid')",
    ),
    (
        "a journal has a gap",
        "SELECT COUNT(*) FROM (SELECT 1 FROM pay_order_journal GROUP BY order_id \
         HAVING MIN(seq) <> 1 OR MAX(seq) <> COUNT(*)) t",
    ),
    (
        "a line of a journal does not begin where the one before it ended",
        "SELECT COUNT(*) FROM pay_order_journal line JOIN pay_order_journal earlier \
         ON earlier.order_id = line.order_id AND earlier.seq = line.seq - 1 WHERE line.from_state <> earlier.to_state",
    ),
    ("an order went back", "SELECT COUNT(*) FROM pay_order_journal WHERE to_state < from_state"),
    (
        "an order is not where its journal says",
        "SELECT COUNT(*) FROM pay_orders o WHERE NOT (state <=> (SELECT to_state FROM pay_order_journal j \
         WHERE j.order_id = o.order_id ORDER BY seq DESC LIMIT 1))",
    ),
    (
        "a delivered order was acknowledged by nobody",
        "SELECT COUNT(*) FROM pay_orders o WHERE state = 5 AND NOT EXISTS (SELECT 1 FROM pay_deliveries d \
         WHERE d.order_id = o.order_id AND outcome = 'acknowledged')",
    ),
    (
        "an order was paid, and nobody is to be told of it",
        "SELECT COUNT(*) FROM pay_orders o WHERE state IN (3, 4) AND NOT EXISTS (SELECT 1 FROM pay_outbox t \
         WHERE t.order_id = o.order_id)",
    ),
];

/// The books of a platform on MariaDB.
pub(crate) struct Books(MySqlConnection);

impl Books {
    pub(crate) async fn open(platform: &Platform) -> Self {
        Self(MySqlConnection::connect(&platform.database_url()).await.expect("the database is there"))
    }

    /// Expects that nothing is wrong with them.
    pub(crate) async fn are_right(&mut self) {
        for (meaning, question) in NEVER {
            assert_eq!(self.count(question).await, 0, "{meaning}");
        }
    }

    /// The number that a question is answered with.
    pub(crate) async fn count(&mut self, question: &'static str) -> usize {
        let (count,): (i64,) = sqlx::query_as(question).fetch_one(&mut self.0).await.expect(question);
        usize::try_from(count).unwrap()
    }
}
