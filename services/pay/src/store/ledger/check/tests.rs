//! Books that add up, books that do not, and books that are written to meanwhile, on both databases.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use common::{
    clock::{Clock, testing::ManualClock},
    sql::testing::TestDatabase,
};
use tokio::task::JoinSet;

use super::*;
use crate::{
    domain::Owner,
    jobs::ledger_check::check_ledger as run_job,
    store::ledger::tests::{code, key, ledger_at, ledger_in, sold},
    testing::Service,
};

const HOUR: Duration = Duration::from_secs(3600);

fn rows(rows: u32) -> NonZeroU32 {
    NonZeroU32::new(rows).expect("not zero")
}

async fn report(database: &TestDatabase, clock: &ManualClock, step: u32) -> LedgerReport {
    check_ledger(database, clock.now(), rows(step)).await.expect("checked")
}

common::on_each_database! {
    async fn books_that_add_up_are_read_from_end_to_end_in_steps_of_any_size(database: TestDatabase) {
        let clock = Arc::new(ManualClock::default());
        let ledger = ledger_at(&database, &clock).await;
        assert_eq!(report(&database, &clock, 10).await, LedgerReport::default());
        for number in 0..60 {
            ledger.post(&sold(1 + number % 3, "CNY", 5), &key(&format!("a-{number}"))).await.expect("posts");
            ledger.post(&sold(7, "USD", 1), &key(&format!("b-{number}"))).await.expect("posts");
        }
        let (accounts,): (i64,) = database.read("SELECT COUNT(*) FROM pay_ledger_accounts").one().await.expect("read");
        let expected = LedgerReport {
            accounts: u64::try_from(accounts).expect("positive"),
            transactions: 120,
            ..LedgerReport::default()
        };
        for step in [1, 3, 7, 59, 60, 61, 10_000] {
            assert_eq!(report(&database, &clock, step).await, expected, "while everything is new, {step} rows a step");
        }
        clock.advance(HOUR);
        for step in [1, 3, 7, 59, 60, 61, 10_000] {
            assert_eq!(report(&database, &clock, step).await, expected, "once it is settled, {step} rows a step");
        }
    }

    async fn whatever_does_not_add_up_is_found_and_named(database: TestDatabase) {
        let clock = Arc::new(ManualClock::default());
        let ledger = ledger_at(&database, &clock).await;
        for number in 0..40 {
            ledger.post(&sold(7, "CNY", 5), &key(&format!("a-{number}"))).await.expect("posts");
        }
        let broken = ledger.post(&sold(8, "USD", 99), &key("b")).await.expect("posts").transaction_id;
        clock.advance(HOUR);
        ledger.post(&sold(9, "CNY", 5), &key("c")).await.expect("posts");
        for planted in [
            "UPDATE pay_ledger_accounts SET balance = balance + 3 WHERE owner_kind = 1 AND owner_id = 7",
            "UPDATE pay_ledger_accounts SET balance = balance - 1 WHERE owner_kind = 1 AND owner_id = 9",
            "UPDATE pay_ledger_entries SET amount = 90 WHERE owner_kind = 1 AND owner_id = 8",
        ] {
            assert_eq!(database.write(planted).execute().await.expect("written"), 1);
        }
        let balance = |player, currency: &str, amount| Drift::Balance {
            app_id: 100_001,
            account_id: Some(player),
            currency: currency.to_owned(),
            amount,
        };
        let expected = [
            balance(7, "CNY", 3),
            balance(8, "USD", 9),
            balance(9, "CNY", -1),
            Drift::Transaction { app_id: 100_001, transaction_id: broken, currency: "USD".to_owned(), amount: -9 },
        ];
        for step in [1, 7, 10_000] {
            let report = report(&database, &clock, step).await;
            assert_eq!((&report.drifts[..], report.drifted), (&expected[..], 4), "{step} rows a step");
        }
    }

    async fn postings_that_go_on_meanwhile_are_never_taken_for_a_drift(database: TestDatabase) {
        let clock = Arc::new(ManualClock::default());
        let ledger = ledger_at(&database, &clock).await;
        for number in 0..120 {
            ledger.post(&sold(1 + number % 2, "CNY", 5), &key(&format!("old-{number}"))).await.expect("posts");
        }
        clock.advance(HOUR);
        let (stop, mut writers) = (Arc::new(AtomicBool::new(false)), JoinSet::new());
        for writer in 0..4_i64 {
            let (ledger, stop) = (ledger_at(&database, &clock).await, Arc::clone(&stop));
            writers.spawn(async move {
                let mut posted = 0_u32;
                while !stop.load(Ordering::Relaxed) {
                    let amount = if posted % 3 == 2 { -4 } else { 5 };
                    let (posting, key) = (sold(1 + writer % 2, "CNY", amount), key(&format!("{writer}-{posted}")));
                    match ledger.post(&posting, &key).await {
                        Ok(_) => posted += 1,
                        Err(error) => assert!(common::sql::Contention::is_contention(&error), "{error}"),
                    }
                }
                posted
            });
        }
        let mut passes = 0;
        for step in [1, 10, 50, 1000].into_iter().cycle().take(24) {
            assert_eq!(report(&database, &clock, step).await.drifts, [], "{step} rows a step");
            passes += 1;
        }
        stop.store(true, Ordering::Relaxed);
        let posted: u32 = writers.join_all().await.into_iter().sum();
        assert!(posted > 40, "{posted} postings went on beside {passes} passes");
        assert_eq!(ledger.balances(100_001, Owner::App).await.expect("read").len(), 1);
    }

    async fn the_job_goes_on_where_it_stopped_and_keeps_what_it_found(database: TestDatabase) {
        let config = crate::Config {
            ledger_check: crate::LedgerCheckConfig { step: rows(5), ..crate::LedgerCheckConfig::default() },
            // Each run ends after its first step.
            jobs: crate::JobsConfig { longest_run: Duration::ZERO, ..crate::JobsConfig::default() },
            ..crate::Config::default()
        };
        let service = Service::start_with(database, config).await;
        for number in 0..10 {
            service.paid_order(&format!("k-{number}")).await;
        }
        let planted = "UPDATE pay_ledger_accounts SET balance = balance + 7 WHERE owner_kind = 1";
        assert_eq!(service.database.write(planted).execute().await.expect("written"), 1);
        let replica = service.replica().await;
        let (mut runs, mut ended) = (0, false);
        while !ended {
            // Of two instances that look, whichever gets the job goes on with it.
            let pay = if runs % 2 == 0 { &service.pay } else { &replica };
            service.clock.advance(Duration::from_millis(1));
            ended = run_job(pay.parts()).await.expect("ran");
            runs += 1;
            assert!(runs < 100, "it comes to its end");
        }
        assert!(runs > 3, "{runs} runs");
        let found = CheckState::read(&service.database).await.expect("read").found();
        assert_eq!((found.drift, found.drifted, found.last_ended_at), (7, 1, Some(service.clock.now())));
        assert!(!run_job(service.pay.parts()).await.expect("looked"), "not before it is due");
        service.database.write("UPDATE pay_ledger_accounts SET balance = balance - 7 WHERE owner_kind = 1").execute().await.expect("mended");
        service.clock.advance(HOUR * 24);
        while !run_job(service.pay.parts()).await.expect("ran") {
            service.clock.advance(Duration::from_millis(1));
        }
        let found = CheckState::read(&service.database).await.expect("read").found();
        assert_eq!((found.drift, found.drifted), (0, 0));
    }

    async fn a_place_that_can_not_be_read_begins_the_pass_again(database: TestDatabase) {
        let ledger = ledger_in(&database).await;
        ledger.post(&sold(7, "CNY", 5), &key("a")).await.expect("posts");
        assert_eq!(ledger.balances(100_001, Owner::Player(7)).await.expect("read"), [(code("CNY"), 5)]);
        let written = "INSERT INTO pay_ledger_check VALUES (1, '{\"Elsewhere\":1}', 5, 0, 0, 2, 1, NULL)";
        database.write(written).execute().await.expect("written");
        let state = CheckState::read(&database).await.expect("read");
        assert_eq!((state.pass.is_none(), state.found().drift), (true, 2));
    }
}
