//! What channels give back, wholly and in parts, on both databases.

use common::error_code::ErrorCode;
use idl::pay::{PayService, SpendWalletRequest};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config as Cases, TestRunner},
};
use tokio::task::JoinSet;

use super::Returned;
use crate::{
    Pay,
    domain::{Currency, Extent, Money},
    testing::{APP, PLAYER, Service, payment, public, refusal},
};

fn cny(amount: i64) -> Money {
    Money::new(amount, Currency::parse("CNY").expect("a currency")).expect("an amount")
}

async fn spend(pay: &Pay, key: &str, amount: i64) -> Result<i64, ErrorCode> {
    let request = SpendWalletRequest {
        app_id: APP,
        account_id: PLAYER,
        currency: "CNY".into(),
        amount,
        reason: None,
        idempotency_key: key.to_owned().into(),
    };
    public(pay.spend_wallet(request).await).map(|spent| spent.balance).map_err(|error| error.code)
}

common::on_each_database! {
    async fn parts_leave_the_wallet_one_by_one_and_the_last_one_ends_the_order(database: TestDatabase) {
        let service = Service::start(database).await;
        let order_id = service.paid_order("k-1").await;
        for _ in 0..2 {
            service.give_back(&order_id, Some("r-1"), 250).await;
            assert_eq!((service.wallet().await, service.state(&order_id).await), (350, "paid".to_owned()));
        }
        assert_eq!(service.give_back(&order_id, Some("r-1"), 250).await, Returned::Repeated);
        assert_eq!(service.give_back(&order_id, Some("r-2"), 351).await, Returned::Noted { first: true }, "more than is left");
        assert_eq!(service.wallet().await, 350);
        assert_eq!(service.give_back(&order_id, Some("r-3"), 350).await, Returned::Refunded);
        assert_eq!((service.wallet().await, service.state(&order_id).await), (0, "refunded".to_owned()));
        assert_eq!(service.give_back(&order_id, Some("r-4"), 1).await, Returned::Repeated);
        let events = service.events(&order_id).await;
        assert_eq!(events[2..], ["partial_refund", "partial_refund", "refund_requested", "refunded"]);
        let refunds = service.describe(&order_id).await.refunds.expect("listed");
        let listed: Vec<_> = refunds.iter().map(|refund| (refund.channel_refund_id.as_deref(), refund.amount)).collect();
        assert_eq!(listed, [(Some("r-1"), Some(250)), (Some("r-2"), None), (Some("r-3"), Some(350))]);
        assert_eq!(&*refunds[0].refund_id, format!("{order_id}-1"));
        assert_eq!(service.count("SELECT COUNT(*) FROM pay_outbox").await, 0);
        service.books_balance().await;
    }

    async fn totals_and_repetitions_without_a_name_count_once(database: TestDatabase) {
        let service = Service::start(database).await;
        let (totals, nameless) = (service.paid_order("k-1").await, service.paid_order("k-2").await);
        let so_far = async |id, amount| {
            service.give_back_as(&service.pay, &totals, Some(id), Extent::SoFar(cny(amount))).await.expect("looked into")
        };
        assert_eq!(so_far("a", 100).await, Returned::Part);
        assert_eq!(so_far("b", 300).await, Returned::Part);
        assert_eq!(so_far("a", 100).await, Returned::Repeated, "an old notice");
        assert_eq!(service.wallet().await, 900);
        assert_eq!(so_far("c", 600).await, Returned::Refunded);
        for _ in 0..2 {
            service.give_back(&nameless, None, 200).await;
        }
        assert_eq!(service.wallet().await, 400, "the same body twice is one refund");
        service.books_balance().await;
    }

    async fn what_the_wallet_no_longer_holds_is_seen_until_somebody_books_it(database: TestDatabase) {
        let service = Service::start(database).await;
        let order_id = service.paid_order("k-1").await;
        assert_eq!(spend(&service.pay, "s-1", 500).await, Ok(100));
        assert_eq!(service.give_back(&order_id, Some("r-1"), 200).await, Returned::Noted { first: true });
        assert_eq!(service.give_back(&order_id, Some("r-1"), 200).await, Returned::Noted { first: false });
        assert_eq!(service.give_back(&order_id, Some("r-2"), 100).await, Returned::Part);
        assert_eq!(service.wallet().await, 0);
        let in_books = async || {
            let refunds = service.describe(&order_id).await.refunds.expect("listed");
            refunds.iter().map(|refund| refund.in_books).collect::<Vec<_>>()
        };
        assert_eq!(in_books().await, [false, true]);
        let orders = &service.pay.parts().orders;
        assert_eq!(orders.refund_backlog().await.expect("read").not_in_books, 1);
        // All of it is back at the channel, and not in the books: the order does not end.
        assert_eq!(service.give_back(&order_id, Some("r-3"), 300).await, Returned::Noted { first: true });
        assert_eq!(service.state(&order_id).await, "paid");
        assert_eq!(refusal(service.refund(&order_id).await), (ErrorCode::ORDER_STATE_FORBIDS, "wallet".to_owned()));
        // The player has bought again.
        service.paid_order("k-2").await;
        assert_eq!(&*service.refund(&order_id).await.expect("refunded").state, "refunded");
        assert_eq!((service.wallet().await, in_books().await), (100, vec![true, true, true]));
        assert_eq!(orders.refund_backlog().await.expect("read").not_in_books, 0);
        service.books_balance().await;
    }

    async fn an_order_that_was_refunded_before_refunds_were_kept_one_by_one_stays_as_it_is(database: TestDatabase) {
        let service = Service::start(database).await;
        let order_id = service.paid_order("k-1").await;
        service.refund(&order_id).await.expect("refunded");
        service.database.write("DELETE FROM pay_refunds").execute().await.expect("deleted");
        for extent in [Extent::Everything, Extent::ThisTime(cny(600)), Extent::UnknownPart] {
            let returned = service.give_back_as(&service.pay, &order_id, Some("r-1"), extent).await;
            assert_eq!(returned.expect("looked into"), Returned::Repeated);
        }
        assert_eq!(service.describe(&order_id).await.refunds.expect("listed").len(), 0);
        service.books_balance().await;
    }

    async fn an_operator_gives_back_what_channels_have_not(database: TestDatabase) {
        let service = Service::start(database).await;
        let order_id = service.paid_order("k-1").await;
        service.give_back(&order_id, Some("r-1"), 250).await;
        for _ in 0..2 {
            assert_eq!(&*service.refund(&order_id).await.expect("refunded").state, "refunded");
        }
        assert_eq!(service.wallet().await, 0);
        let refunds = service.describe(&order_id).await.refunds.expect("listed");
        let listed: Vec<_> = refunds.iter().map(|refund| (refund.channel.as_deref(), refund.amount)).collect();
        assert_eq!(listed, [(Some("sandbox"), Some(250)), (None, Some(350))]);
        assert_eq!(service.give_back(&order_id, Some("r-2"), 350).await, Returned::Repeated, "the same money");
        service.books_balance().await;
    }

    async fn refunds_of_one_order_that_race_through_two_replicas_count_once_each(database: TestDatabase) {
        let service = std::sync::Arc::new(Service::start(database).await);
        let order_id = service.paid_order("k-1").await;
        let replica = service.replica().await;
        let mut notices = JoinSet::new();
        for number in 0..12 {
            let (service, order_id) = (service.clone(), order_id.clone());
            let pay = if number % 2 == 0 { service.pay.clone() } else { replica.clone() };
            notices.spawn(async move {
                let id = format!("r-{}", number / 2);
                loop {
                    let outcome = service.give_back_as(&pay, &order_id, Some(&id), Extent::ThisTime(cny(90))).await;
                    match outcome {
                        Err(error) if common::sql::Contention::is_contention(&error) => {}
                        outcome => return outcome.expect("looked into"),
                    }
                }
            });
        }
        let returned = notices.join_all().await;
        assert_eq!(returned.iter().filter(|returned| **returned == Returned::Part).count(), 6, "{returned:?}");
        assert_eq!(service.wallet().await, 600 - 6 * 90);
        service.books_balance().await;
    }

    async fn whatever_happens_in_whatever_order_the_books_add_up(database: TestDatabase) {
        let service = Service::start(database).await;
        let mut runner = TestRunner::new_with_rng(
            Cases::default(),
            proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
        );
        let steps = prop::collection::vec((0_u8..6, 0_usize..4, 1_i64..700, 0_u8..5), 25);
        let mut expected = 0;
        for round in 0..4 {
            let mut orders = Vec::new();
            for number in 0..4 {
                orders.push(service.order(&format!("{round}-{number}")).await);
            }
            let happens = steps.new_tree(&mut runner).expect("a case").current();
            for (number, (what, order, amount, id)) in happens.into_iter().enumerate() {
                let order_id = &orders[order];
                let (before, was) = (service.wallet().await, service.state(order_id).await);
                assert_eq!(before, expected);
                let id = format!("r-{id}");
                match what {
                    0 => {
                        service.call_back(&payment(order_id)).await;
                        expected += if was == "created" { 600 } else { 0 };
                    }
                    1 => {
                        let spent = spend(&service.pay, &format!("{round}-{number}"), amount).await;
                        assert_eq!(spent.is_ok(), amount <= before, "{spent:?}");
                        expected = spent.unwrap_or(expected);
                    }
                    2 => {
                        let _ = service.refund(order_id).await;
                        expected = service.wallet().await;
                    }
                    _ => {
                        let extent = match what {
                            3 => Extent::ThisTime(cny(amount)),
                            4 => Extent::SoFar(cny(amount)),
                            _ => Extent::Everything,
                        };
                        let again = async || {
                            service.give_back_as(&service.pay, order_id, Some(&id), extent).await.expect("looked into")
                        };
                        let returned = again().await;
                        expected = service.wallet().await;
                        let counts = matches!(returned, Returned::Part | Returned::Refunded);
                        assert_eq!(counts, expected < before, "{returned:?}");
                        if !matches!(returned, Returned::Noted { .. }) {
                            again().await;
                            assert_eq!(service.wallet().await, expected, "a repetition changes nothing");
                        }
                    }
                }
                assert!(expected >= 0);
            }
            service.books_balance().await;
        }
        // Of no order is more back than was paid.
        let more = "SELECT COUNT(*) FROM (SELECT order_id FROM pay_refunds GROUP BY order_id HAVING SUM(amount) > 600) too_much";
        assert_eq!(service.count(more).await, 0);
        // A refunded order has taken back all that it brought.
        let uneven = "SELECT COUNT(*) FROM pay_orders WHERE state = 9 AND order_id IN \
                      (SELECT order_id FROM pay_refunds WHERE in_books = 0)";
        assert_eq!(service.count(uneven).await, 0);
    }
}
