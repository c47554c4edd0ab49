//! Orders from their making to their end, on both databases.

use std::time::Duration;

use common::error_code::ErrorCode;
use idl::pay::{GetOrderRequest, PayService};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{ChannelRefund, Returned};
use crate::{
    domain::{Currency, Entry, Extent, IdempotencyKey, Owner, Posting},
    jobs,
    store::archive::Evidence,
    testing::{
        APP, OTHER_APP, PLAYER, SECRET, Service, call_back_on, callback_request, order_request, payment, public,
        refusal,
    },
};

/// A payment with something about it changed.
fn payment_with(order_id: &str, change: &Value) -> Value {
    let (mut payment, Value::Object(change)) = (payment(order_id), change.clone()) else { panic!("an object") };
    payment.as_object_mut().expect("an object").extend(change);
    payment
}

common::on_each_database! {
    async fn an_order_is_made_once_for_each_key_and_answered_the_same_each_time(database: TestDatabase) {
        let service = Service::start(database).await;
        let first = service.create("k-1").await.expect("made");
        assert_eq!((&*first.state, first.order_id.len()), ("created", 26));
        assert_eq!(service.create("k-1").await.expect("the same"), first);
        assert_ne!(service.create("k-2").await.expect("another").order_id, first.order_id);
        let other_body = service.create_with("k-1", |request| request.extension = "other".into()).await;
        assert_eq!(refusal(other_body).0, ErrorCode::IDEMPOTENCY_KEY_REUSED);
        // Another player's key is another key.
        let other_player = service.create_with("k-1", |request| request.account_id += 1).await.expect("made");
        assert_ne!(other_player.order_id, first.order_id);
        // Whatever has become of the order and of the catalogue since.
        assert_eq!(service.call_back(&payment(&first.order_id)).await, "SUCCESS");
        service.put_product(APP, "gems60", &[("CNY", 700)]).await.expect("put");
        assert_eq!(service.create("k-1").await.expect("the same"), first);
        assert_eq!(service.count("SELECT COUNT(*) FROM pay_orders").await, 3);
    }

    async fn requests_with_one_key_that_come_at_once_make_one_order(database: TestDatabase) {
        let service = Service::start(database).await;
        let mut requests = JoinSet::new();
        for _ in 0..20 {
            let pay = service.pay.clone();
            requests.spawn(async move { public(pay.create_order(order_request("k-1")).await).expect("made").order_id });
        }
        let mut made = requests.join_all().await;
        made.dedup();
        assert_eq!(made.len(), 1);
        assert_eq!(service.count("SELECT COUNT(*) FROM pay_orders").await, 1);
    }

    async fn an_order_costs_what_the_catalogue_says(database: TestDatabase) {
        let service = Service::start(database).await;
        for (amount, currency, product, field) in [
            (1, "CNY", "gems60", "amount"),
            (601, "CNY", "gems60", "amount"),
            (0, "CNY", "gems60", "amount"),
            (600, "USD", "gems60", "amount"),
            (600, "EUR", "gems60", "currency"),
            (600, "yuan", "gems60", "currency"),
            (600, "CNY", "gems61", "product_id"),
            (600, "CNY", "../gems", "product_id"),
        ] {
            let refused = service
                .create_with("k-1", |request| {
                    (request.amount, request.currency, request.product_id) = (amount, currency.into(), product.into());
                })
                .await;
            assert_eq!(refusal(refused), (ErrorCode::INVALID_ARGUMENT, field.to_owned()), "{amount} {currency}");
        }
        service.create_with("k-1", |request| (request.amount, request.currency) = (99, "USD".into())).await.expect("made");
        for key in ["", "with a blank", &"k".repeat(65)] {
            assert_eq!(refusal(service.create(key).await).1, "Idempotency-Key", "{key:?}");
        }
    }

    async fn an_order_is_seen_by_its_player_and_its_app_and_by_nobody_else(database: TestDatabase) {
        let service = Service::start(database).await;
        let order_id = service.order("k-1").await;
        let ask = async |app_id, account_id, order_id: &str| {
            let request = GetOrderRequest { app_id, order_id: order_id.to_owned().into(), account_id };
            public(service.pay.get_order(request).await).map(|answer| answer.order)
        };
        let order = ask(APP, Some(PLAYER), &order_id).await.expect("there");
        assert_eq!((&*order.role_id, &*order.server_id, &*order.extension), ("role-1", "server-1", r#"{"from":"shop"}"#));
        assert!(ask(APP, None, &order_id).await.is_ok());
        for (app_id, account_id, order_id) in [
            (APP, Some(PLAYER + 1), &*order_id),
            (OTHER_APP, None, &*order_id),
            (APP, None, "01JXSFM2G00000000000000000"),
            (APP, None, "nonsense"),
        ] {
            assert_eq!(refusal(ask(app_id, account_id, order_id).await).0, ErrorCode::NO_SUCH_ORDER);
        }
    }

    async fn a_payment_moves_the_order_fills_the_wallet_and_puts_it_into_the_outbox(database: TestDatabase) {
        let service = Service::start(database).await;
        let order_id = service.order("k-1").await;
        assert_eq!(service.call_back(&payment(&order_id)).await, "SUCCESS");
        let order = service.look(&order_id).await;
        assert_eq!((&*order.state, order.channel.as_deref()), ("paid", Some("sandbox")));
        assert_eq!(order.channel_order_id.as_deref(), Some(&*format!("sandbox-{order_id}")));
        assert_eq!(order.paid_at, Some(1_750_000_001_000));
        assert_eq!(service.wallet().await, 600);
        assert_eq!(service.count("SELECT COUNT(*) FROM pay_outbox").await, 1);
        assert_eq!(service.events(&order_id).await, ["created", "paid"]);
        let archived: Vec<(Vec<u8>,)> =
            service.database.read("SELECT body FROM pay_callbacks").all().await.expect("read");
        assert_eq!(archived, [(payment(&order_id).to_string().into_bytes(),)]);
    }

    async fn a_payment_that_comes_a_thousand_times_counts_once(database: TestDatabase) {
        let service = Service::start(database).await;
        let (first, second) = (service.order("k-1").await, service.order("k-2").await);
        let replicas = [service.pay.clone(), service.replica().await];
        let mut calls = JoinSet::new();
        for number in 0..1000 {
            let (pay, order) = (replicas[number % 2].clone(), if number % 3 == 0 { &first } else { &second }.clone());
            calls.spawn(async move { call_back_on(&pay, APP, &payment(&order)).await.expect("a channel").status });
        }
        let answers = calls.join_all().await;
        // Who could not be served in time was told to come again, which is never a success.
        assert!(answers.iter().all(|status| [200, 503].contains(status)), "{answers:?}");
        for order_id in [&first, &second] {
            assert_eq!(service.call_back(&payment(order_id)).await, "SUCCESS");
            assert_eq!(service.events(order_id).await, ["created", "paid"]);
        }
        assert_eq!(service.wallet().await, 1200);
        assert_eq!(service.count("SELECT COUNT(*) FROM pay_ledger_transactions").await, 2);
        assert_eq!(service.count("SELECT COUNT(*) FROM pay_outbox").await, 2);
    }

    async fn a_payment_that_does_not_fit_changes_nothing_and_is_noted_once(database: TestDatabase) {
        let service = Service::start(database).await;
        for (number, change) in [
            json!({ "amount": 1 }),
            json!({ "amount": 601 }),
            json!({ "currency": "USD" }),
        ]
        .iter()
        .enumerate()
        {
            let order_id = service.order(&format!("k-{number}")).await;
            for _ in 0..3 {
                assert_eq!(service.call_back(&payment_with(&order_id, change)).await, "FAIL");
            }
            assert_eq!(service.state(&order_id).await, "created", "{change}");
            assert_eq!(service.events(&order_id).await, ["created", "refused_payment"]);
            // What fits is believed all the same.
            assert_eq!(service.call_back(&payment(&order_id)).await, "SUCCESS");
        }
        assert_eq!(service.wallet().await, 1800);
    }

    async fn a_signature_that_does_not_hold_changes_nothing_and_leaves_no_trace(database: TestDatabase) {
        let service = Service::start(database).await;
        let order_id = service.order("k-1").await;
        let body = payment(&order_id).to_string();
        let mut altered = callback_request(APP, &body, SECRET);
        altered.body = body.replace("600", "601").into_bytes().into();
        let mut unsigned = callback_request(APP, &body, SECRET);
        unsigned.headers.clear();
        for forged in [callback_request(APP, &body, "another secret"), altered, unsigned] {
            let answer = public(service.pay.handle_callback(forged).await).expect("a channel");
            assert_eq!((answer.status, &*answer.body), (400, &b"FAIL"[..]));
        }
        assert_eq!(service.state(&order_id).await, "created");
        assert_eq!(service.count("SELECT COUNT(*) FROM pay_callbacks").await, 0);
        assert_eq!(service.events(&order_id).await, ["created"]);
    }

    async fn a_callback_by_the_door_of_another_app_finds_no_order(database: TestDatabase) {
        let service = Service::start(database).await;
        let order_id = service.order("k-1").await;
        let answer = call_back_on(&service.pay, OTHER_APP, &payment(&order_id)).await.expect("a channel");
        assert_eq!((answer.status, &*answer.body), (400, &b"FAIL"[..]));
        let unknown = call_back_on(&service.pay, 4711, &payment(&order_id)).await.expect("a channel");
        assert_eq!(unknown.status, 400);
        assert_eq!(service.events(&order_id).await, ["created"]);
    }

    async fn one_payment_pays_for_one_order_and_one_order_is_paid_once(database: TestDatabase) {
        let service = Service::start(database).await;
        let (first, second) = (service.paid_order("k-1").await, service.order("k-2").await);
        let same_payment = payment_with(&second, &json!({ "channel_order_id": format!("sandbox-{first}") }));
        assert_eq!(service.call_back(&same_payment).await, "FAIL");
        assert_eq!(service.events(&second).await, ["created", "refused_payment"]);
        let second_payment = payment_with(&first, &json!({ "channel_order_id": "another" }));
        assert_eq!(service.call_back(&second_payment).await, "FAIL");
        assert_eq!(service.events(&first).await, ["created", "paid", "refused_payment"]);
        assert_eq!(service.wallet().await, 600);
    }

    async fn a_payment_that_comes_again_with_another_price_is_no_repetition(database: TestDatabase) {
        let service = Service::start(database).await;
        let order_id = service.paid_order("k-1").await;
        assert_eq!(service.call_back(&payment(&order_id)).await, "SUCCESS");
        for _ in 0..2 {
            assert_eq!(service.call_back(&payment_with(&order_id, &json!({ "amount": 601 }))).await, "FAIL");
        }
        assert_eq!(service.events(&order_id).await, ["created", "paid", "refused_payment"], "noted once");
        assert_eq!((service.wallet().await, &*service.state(&order_id).await), (600, "paid"));
    }

    async fn orders_that_race_for_one_payment_leave_one_winner(database: TestDatabase) {
        let service = Service::start(database).await;
        let replicas = [service.pay.clone(), service.replica().await];
        let mut calls = JoinSet::new();
        for number in 0..8 {
            let (order_id, pay) = (service.order(&format!("k-{number}")).await, replicas[number % 2].clone());
            let payment = payment_with(&order_id, &json!({ "channel_order_id": "the-one" }));
            calls.spawn(async move { call_back_on(&pay, APP, &payment).await.expect("a channel").status });
        }
        let paid = calls.join_all().await.into_iter().filter(|status| *status == 200).count();
        assert_eq!((paid, service.wallet().await), (1, 600));
        assert_eq!(service.count("SELECT COUNT(*) FROM pay_orders WHERE state = 3").await, 1);
    }

    async fn an_order_that_nobody_pays_expires_and_a_payment_that_was_on_its_way_still_counts(database: TestDatabase) {
        let service = Service::start(database).await;
        let order_id = service.order("k-1").await;
        let paid = service.paid_order("k-2").await;
        assert_eq!(jobs::tidy_up(service.pay.parts()).await.expect("ran"), 0);
        service.clock.advance(Duration::from_secs(31 * 60));
        assert_eq!(jobs::tidy_up(service.pay.parts()).await.expect("ran"), 1);
        assert_eq!(service.state(&order_id).await, "expired");
        assert_eq!(service.state(&paid).await, "paid");
        assert_eq!(service.call_back(&payment(&order_id)).await, "SUCCESS");
        assert_eq!(service.events(&order_id).await, ["created", "timed_out", "paid"]);
        service.clock.advance(Duration::from_secs(8 * 24 * 3600));
        jobs::tidy_up(service.pay.parts()).await.expect("ran");
        assert_eq!(service.count("SELECT COUNT(*) FROM pay_order_requests").await, 0);
    }

    async fn of_several_instances_one_lets_orders_expire(database: TestDatabase) {
        let service = Service::start(database).await;
        let replica = service.replica().await;
        for number in 0..250 {
            service.order(&format!("k-{number}")).await;
        }
        service.clock.advance(Duration::from_secs(31 * 60));
        let (one, other) = tokio::join!(jobs::tidy_up(service.pay.parts()), jobs::tidy_up(replica.parts()));
        let ran = [one.unwrap_or(0), other.unwrap_or(0)];
        assert_eq!(ran.iter().sum::<usize>(), 250, "{ran:?}");
        assert_eq!(service.count("SELECT COUNT(*) FROM pay_order_journal WHERE event = 'timed_out'").await, 250);
    }

    async fn a_refund_takes_back_what_the_order_brought_once(database: TestDatabase) {
        let service = Service::start(database).await;
        let unpaid = service.order("k-1").await;
        assert_eq!(refusal(service.refund(&unpaid).await), (ErrorCode::ORDER_STATE_FORBIDS, "state".to_owned()));
        let order_id = service.paid_order("k-2").await;
        for _ in 0..2 {
            assert_eq!(&*service.refund(&order_id).await.expect("refunded").state, "refunded");
        }
        assert_eq!(service.wallet().await, 0);
        assert_eq!(service.count("SELECT COUNT(*) FROM pay_outbox").await, 0);
        assert_eq!(service.events(&order_id).await, ["created", "paid", "refund_requested", "refunded"]);
        // A callback that comes late moves nothing back.
        assert_eq!(service.call_back(&payment(&order_id)).await, "SUCCESS");
        assert_eq!(service.state(&order_id).await, "refunded");
        assert_eq!(refusal(service.redeliver(&order_id).await).0, ErrorCode::ORDER_STATE_FORBIDS);
        assert_eq!(service.count("SELECT COUNT(*) FROM pay_ledger_entries").await, 4);
        assert_eq!(refusal(service.refund("01JXSFM2G00000000000000000").await).0, ErrorCode::NO_SUCH_ORDER);
    }

    async fn a_channel_that_gives_money_back_takes_it_out_of_the_books_once(database: TestDatabase) {
        let service = Service::start(database).await;
        let orders = &service.pay.parts().orders;
        let (whole, part) = (service.paid_order("k-1").await, service.paid_order("k-2").await);
        let refund = |app_id, order_id: &str, extent| ChannelRefund {
            channel: "sandbox".to_owned(),
            app_id,
            order_id: None,
            channel_order_id: format!("sandbox-{order_id}"),
            refund_id: None,
            extent,
            refunded_at: None,
        };
        let take = async |refund: ChannelRefund, body: &'static [u8]| {
            let evidence = Evidence { channel: "sandbox", app_id: refund.app_id, headers: "[]", body };
            orders.refund_by_channel(&refund, evidence).await.expect("looked into")
        };
        let elsewhere = take(refund(OTHER_APP, &whole, Extent::Everything), b"0").await;
        assert_eq!(elsewhere, Returned::NoSuchOrder);
        assert_eq!(take(refund(APP, "nobody's", Extent::Everything), b"0").await, Returned::NoSuchOrder);
        assert_eq!(take(refund(APP, &whole, Extent::Everything), b"1").await, Returned::Refunded);
        assert_eq!(take(refund(APP, &whole, Extent::Everything), b"1").await, Returned::Repeated);
        for first in [true, false] {
            let noted = take(refund(APP, &part, Extent::UnknownPart), b"2").await;
            assert_eq!(noted, Returned::Noted { first });
        }
        assert_eq!((service.state(&whole).await, service.state(&part).await), ("refunded".to_owned(), "paid".to_owned()));
        assert_eq!(service.events(&part).await, ["created", "paid", "partial_refund"]);
        assert_eq!(service.wallet().await, 600);
    }

    async fn a_refund_of_what_the_player_has_spent_is_refused_and_one_of_the_channel_is_noted(database: TestDatabase) {
        let service = Service::start(database).await;
        let order_id = service.paid_order("k-1").await;
        let currency = Currency::parse("CNY").expect("a currency");
        let entry = |owner, amount| Entry { owner, currency, amount };
        let spent = Posting::new(APP, vec![entry(Owner::Player(PLAYER), -1), entry(Owner::App, 1)]).expect("balances");
        service.pay.ledger().post(&spent, &IdempotencyKey::parse("spent").expect("a key")).await.expect("posts");
        assert_eq!(refusal(service.refund(&order_id).await), (ErrorCode::ORDER_STATE_FORBIDS, "wallet".to_owned()));
        assert_eq!(service.state(&order_id).await, "paid", "all of it or nothing");
        let refund = ChannelRefund {
            channel: "sandbox".to_owned(),
            app_id: APP,
            order_id: None,
            channel_order_id: format!("sandbox-{order_id}"),
            refund_id: None,
            extent: Extent::Everything,
            refunded_at: None,
        };
        let evidence = Evidence { channel: "sandbox", app_id: APP, headers: "[]", body: b"1" };
        let returned = service.pay.parts().orders.refund_by_channel(&refund, evidence).await.expect("looked into");
        assert_eq!(returned, Returned::Noted { first: true });
        assert_eq!(service.events(&order_id).await, ["created", "paid", "refund_not_in_books"]);
        assert_eq!(service.wallet().await, 599);
    }

    async fn an_order_for_a_channel_is_paid_through_that_one_only(database: TestDatabase) {
        let service = Service::start(database).await;
        let elsewhere = service.create_with("k-1", |request| request.channel = Some("alipay".into())).await.expect("made");
        assert_eq!(&*elsewhere.state, "paying");
        assert_eq!(elsewhere.pay_params.get("callback_path").map(|path| &**path), Some("/v1/pay/callbacks/alipay/1001"));
        assert_eq!(elsewhere.pay_params.get("out_trade_no"), Some(&elsewhere.order_id));
        assert_eq!(service.call_back(&payment(&elsewhere.order_id)).await, "FAIL");
        assert_eq!(service.state(&elsewhere.order_id).await, "paying");
        let here = service.create_with("k-2", |request| request.channel = Some("sandbox".into())).await.expect("made");
        assert_eq!(service.call_back(&payment(&here.order_id)).await, "SUCCESS");
        assert_eq!(service.events(&here.order_id).await, ["created", "payment_started", "paid"]);
        let again = service.create_with("k-2", |request| request.channel = Some("sandbox".into())).await;
        assert_eq!(again.expect("the same"), here);
        let refused = service.create_with("k-3", |request| request.channel = Some("A B".into())).await;
        assert_eq!(refusal(refused).1, "channel");
    }

    async fn an_order_that_is_given_up_takes_no_payment(database: TestDatabase) {
        let service = Service::start(database).await;
        let order_id = service.order("k-1").await;
        for _ in 0..2 {
            assert_eq!(&*service.close(&order_id).await.expect("closed").state, "closed");
        }
        for _ in 0..2 {
            assert_eq!(service.call_back(&payment(&order_id)).await, "FAIL");
        }
        assert_eq!(service.events(&order_id).await, ["created", "closed", "refused_payment"]);
        assert_eq!(service.wallet().await, 0);
        let paid = service.paid_order("k-2").await;
        assert_eq!(refusal(service.close(&paid).await), (ErrorCode::ORDER_STATE_FORBIDS, "state".to_owned()));
    }

    async fn what_could_not_be_looked_into_has_to_come_again_and_is_never_a_success(database: TestDatabase) {
        let service = Service::start(database).await;
        let order_id = service.order("k-1").await;
        service.account_is_away(true);
        let answer = call_back_on(&service.pay, APP, &payment(&order_id)).await.expect("a channel");
        assert_eq!((answer.status, &*answer.body), (503, &b"FAIL"[..]));
        service.account_is_away(false);
        assert_eq!(service.call_back(&payment_with(&order_id, &json!({ "amount": 1 }))).await, "FAIL");
        service.database.close().await;
        let answer = call_back_on(&service.pay, APP, &payment(&order_id)).await.expect("a channel");
        assert_eq!((answer.status, &*answer.body), (503, &b"FAIL"[..]));
        let refused = refusal(service.create("k-2").await).0;
        assert_eq!(refused, ErrorCode::DEPENDENCY_UNAVAILABLE);
    }

    async fn the_sandbox_is_no_channel_in_production_and_neither_is_anything_else(database: TestDatabase) {
        let service = Service::start(database).await;
        let order_id = service.order("k-1").await;
        let production = service.in_production();
        let refused = call_back_on(&production, APP, &payment(&order_id)).await;
        assert_eq!(refusal(refused).0, ErrorCode::NO_SUCH_PAYMENT_CHANNEL);
        let mut elsewhere = callback_request(APP, &payment(&order_id).to_string(), SECRET);
        elsewhere.channel = "../sandbox".into();
        assert_eq!(refusal(public(service.pay.handle_callback(elsewhere).await)).0, ErrorCode::NO_SUCH_PAYMENT_CHANNEL);
        assert_eq!(service.state(&order_id).await, "created");
    }

    async fn a_callback_signed_with_a_new_secret_is_believed_at_once(database: TestDatabase) {
        let service = Service::start(database).await;
        service.paid_order("k-1").await;
        service.rotate_secret("a newer one");
        let order_id = service.order("k-2").await;
        for secret in ["a newer one", SECRET] {
            let request = callback_request(APP, &payment(&order_id).to_string(), secret);
            assert_eq!(&*public(service.pay.handle_callback(request).await).expect("a channel").body, b"SUCCESS");
        }
    }
}
