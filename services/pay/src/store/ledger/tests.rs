//! The promises of the ledger, on both databases.

use common::{
    clock::testing::{ManualClock, SeededRandom},
    sql::{migrate, testing::TestDatabase},
};
use prometheus::Registry;

use super::*;
use crate::service::migrations;

const APP: i64 = 100_001;

pub(super) async fn ledger_in(database: &TestDatabase) -> Ledger {
    migrate(database, &migrations()).await.expect("migrates");
    ledger_on(Database::clone(database), 1)
}

/// One whose time a test moves.
pub(super) async fn ledger_at(database: &TestDatabase, clock: &Arc<ManualClock>) -> Ledger {
    migrate(database, &migrations()).await.expect("migrates");
    let metrics = Arc::new(Metrics::register(&Registry::new()).expect("names are free"));
    let random = Arc::new(common::clock::SystemRandom);
    Ledger::new(Database::clone(database), Arc::clone(clock) as SharedClock, random, metrics)
}

/// A replica with its own randomness, so that ids of two never collide.
fn ledger_on(database: Database, seed: u64) -> Ledger {
    let metrics = Arc::new(Metrics::register(&Registry::new()).expect("names are free"));
    Ledger::new(database, Arc::new(ManualClock::default()), Arc::new(SeededRandom::new(seed)), metrics)
}

pub(super) fn code(code: &str) -> Currency {
    Currency::parse(code).expect("a currency")
}

pub(super) fn key(raw: &str) -> IdempotencyKey {
    IdempotencyKey::parse(raw).expect("a key")
}

/// `amount` from the app to the player.
pub(super) fn sold(player: i64, currency: &str, amount: i64) -> Posting {
    let (to, from) = (Owner::Player(player), Owner::App);
    let entry = |owner, amount| Entry { owner, currency: code(currency), amount };
    Posting::new(APP, vec![entry(to, amount), entry(from, -amount)]).expect("balances")
}

async fn wallet(ledger: &Ledger, owner: Owner) -> Vec<(Currency, i64)> {
    let mut balances = ledger.balances(APP, owner).await.expect("reads");
    balances.sort_unstable();
    balances
}

/// Every balance is the sum of its entries, and all of them together are zero in each currency.
async fn assert_books_balance(ledger: &Ledger) {
    let off: Vec<(i64,)> = ledger
        .database
        .read(
            "SELECT accounts.owner_id FROM pay_ledger_accounts accounts WHERE accounts.balance <> (\
             SELECT COALESCE(SUM(entries.amount), 0) FROM pay_ledger_entries entries \
             WHERE entries.app_id = accounts.app_id AND entries.owner_kind = accounts.owner_kind \
             AND entries.owner_id = accounts.owner_id AND entries.currency = accounts.currency)",
        )
        .all()
        .await
        .expect("reads");
    assert_eq!(off, []);
    let unbalanced: Vec<(Text,)> = ledger
        .database
        .read("SELECT currency FROM pay_ledger_accounts GROUP BY app_id, currency HAVING SUM(balance) <> 0")
        .all()
        .await
        .expect("reads");
    assert_eq!(unbalanced, []);
}

common::on_each_database! {
    async fn a_posting_moves_balances_in_every_currency_and_no_other(database: TestDatabase) {
        let ledger = ledger_in(&database).await;
        assert_eq!(wallet(&ledger, Owner::Player(7)).await, []);
        ledger.post(&sold(7, "CNY", 600), &key("a")).await.expect("posts");
        ledger.post(&sold(7, "USD", 99), &key("b")).await.expect("posts");
        ledger.post(&sold(7, "CNY", -100), &key("c")).await.expect("posts");
        ledger.post(&sold(8, "CNY", 1), &key("d")).await.expect("posts");
        assert_eq!(wallet(&ledger, Owner::Player(7)).await, [(code("CNY"), 500), (code("USD"), 99)]);
        assert_eq!(wallet(&ledger, Owner::Player(8)).await, [(code("CNY"), 1)]);
        assert_eq!(wallet(&ledger, Owner::App).await, [(code("CNY"), -501), (code("USD"), -99)]);
        assert_eq!(ledger.balances(APP + 1, Owner::Player(7)).await.expect("reads"), []);
        assert_books_balance(&ledger).await;
    }

    async fn an_app_s_side_lies_on_many_rows_and_is_their_sum(database: TestDatabase) {
        let ledger = ledger_in(&database).await;
        // A row from before there were several.
        let before = "INSERT INTO pay_ledger_accounts VALUES (100001, 2, 0, 'CNY', -100, 0, 0), (100001, 1, 9, 'CNY', 100, 0, 0)";
        database.write(before).execute().await.expect("written");
        for number in 0..64 {
            ledger.post(&sold(7, "CNY", 5), &key(&format!("a-{number}"))).await.expect("posts");
        }
        assert_eq!(wallet(&ledger, Owner::App).await, [(code("CNY"), -420)]);
        let (rows,): (i64,) = ledger
            .database
            .read("SELECT COUNT(*) FROM pay_ledger_accounts WHERE owner_kind = 2 AND owner_id BETWEEN 0 AND 15")
            .one()
            .await
            .expect("reads");
        assert!(rows > 8, "{rows}");
        let again = ledger.post(&sold(7, "CNY", 5), &key("a-3")).await.expect("is known");
        assert!(again.repeated, "whichever row it was on");
    }

    async fn a_repeated_posting_is_written_once(database: TestDatabase) {
        let ledger = ledger_in(&database).await;
        let first = ledger.post(&sold(7, "CNY", 600), &key("order-1")).await.expect("posts");
        let again = ledger.post(&sold(7, "CNY", 600), &key("order-1")).await.expect("is known");
        assert_eq!((first.repeated, again.repeated), (false, true));
        assert_eq!(first.transaction_id, again.transaction_id);
        assert_eq!(wallet(&ledger, Owner::Player(7)).await, [(code("CNY"), 600)]);
        assert_books_balance(&ledger).await;
    }

    async fn a_key_of_another_posting_is_refused(database: TestDatabase) {
        let ledger = ledger_in(&database).await;
        ledger.post(&sold(7, "CNY", 600), &key("order-1")).await.expect("posts");
        for other in [sold(7, "CNY", 601), sold(8, "CNY", 600), sold(7, "USD", 600)] {
            assert!(matches!(ledger.post(&other, &key("order-1")).await, Err(PostError::KeyReused)));
        }
        assert_eq!(wallet(&ledger, Owner::Player(7)).await, [(code("CNY"), 600)]);
    }

    async fn a_player_can_not_spend_what_it_does_not_have_and_a_refusal_leaves_no_trace(database: TestDatabase) {
        let ledger = ledger_in(&database).await;
        ledger.post(&sold(7, "CNY", 600), &key("a")).await.expect("posts");
        let refused = ledger.post(&sold(7, "CNY", -601), &key("b")).await;
        assert!(matches!(refused, Err(PostError::Overdrawn { reason: Overdrawn::Insufficient, .. })), "{refused:?}");
        assert_eq!(wallet(&ledger, Owner::Player(7)).await, [(code("CNY"), 600)]);
        // The key is free again: nothing of the refused posting is in the books.
        let smaller = ledger.post(&sold(7, "CNY", -600), &key("b")).await.expect("posts");
        assert!(!smaller.repeated);
        assert_eq!(wallet(&ledger, Owner::Player(7)).await, [(code("CNY"), 0)]);
        assert_books_balance(&ledger).await;
    }

    async fn a_balance_at_the_end_of_its_range_is_refused_and_not_wrapped(database: TestDatabase) {
        let ledger = ledger_in(&database).await;
        ledger.post(&sold(7, "CNY", i64::MAX), &key("a")).await.expect("posts");
        let refused = ledger.post(&sold(7, "CNY", 1), &key("b")).await;
        assert!(matches!(refused, Err(PostError::Overdrawn { reason: Overdrawn::Overflow, .. })), "{refused:?}");
    }

    async fn replicas_that_post_at_one_moment_lose_and_repeat_nothing(database: TestDatabase) {
        let ledger = ledger_in(&database).await;
        let replica = ledger_on(database.replica().await, 2);
        // Two players buy through two replicas, every purchase sent twice.
        let purchases = (0..10).flat_map(|order| [(1_i64, order), (2, order), (1, order), (2, order)]);
        let tasks: Vec<_> = purchases
            .enumerate()
            .map(|(index, (player, order))| {
                let ledger = if index % 2 == 0 { ledger.clone() } else { replica.clone() };
                #[expect(clippy::disallowed_methods, reason = "a test has no context to carry")]
                tokio::spawn(async move {
                    let key = key(&format!("{player}-{order}"));
                    // Like a caller: what lost its locks too often is sent again.
                    loop {
                        match ledger.post(&sold(player, "CNY", 5), &key).await {
                            Err(error) if error.is_contention() => {}
                            outcome => return outcome.map(|posted| posted.repeated),
                        }
                    }
                })
            })
            .collect();
        let mut repeated = 0;
        for task in tasks {
            repeated += usize::from(task.await.expect("no panic").expect("posts"));
        }
        assert_eq!(repeated, 20);
        assert_eq!(wallet(&ledger, Owner::Player(1)).await, [(code("CNY"), 50)]);
        assert_eq!(wallet(&ledger, Owner::Player(2)).await, [(code("CNY"), 50)]);
        assert_books_balance(&ledger).await;
    }
}
