//! Game servers that are well, slow, wrong and gone, on both databases.

use std::{num::NonZeroU32, time::Duration};

use aws_lc_rs::{digest, hmac};
use common::{clock::Clock, error_code::ErrorCode};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    Config, DeliveryConfig,
    store::orders::Returned,
    testing::{APP, Answering, GameServer, OTHER_APP, SECRET, Service, call_back_on, hands, payment, refusal},
};

/// Without jitter, and with a game server's patience that a test has too.
fn config() -> Config {
    let delivery = DeliveryConfig {
        jitter: 0.0,
        timeout: Duration::from_millis(200),
        pause: Duration::from_secs(10),
        ..DeliveryConfig::default()
    };
    Config { delivery, ..Config::default() }
}

fn with(status: u16, body: &str) -> Answering {
    Answering::With(status, body.to_owned())
}

/// With room for so many, a game that hangs gets `its_share`, and another one is told of everything meanwhile.
async fn one_that_hangs_leaves_room(database: common::sql::testing::TestDatabase, room: u32, its_share: usize) {
    // So patient that nothing that hangs is over before the test is.
    let delivery = DeliveryConfig {
        concurrency: NonZeroU32::new(room).expect("not zero"),
        timeout: Duration::from_secs(3600),
        lease: Duration::from_secs(7200),
        look_every: Duration::from_millis(20),
        ..config().delivery
    };
    let config = Config { delivery, ..config() };
    let (service, dead, well) =
        (Service::start_with(database, config).await, GameServer::start().await, GameServer::start().await);
    service.deliver_to(APP, &dead.url());
    service.deliver_to(OTHER_APP, &well.url());
    dead.answer(Answering::Hanging);
    let mut running = JoinSet::new();
    running.spawn(service.pay.deliver(CancellationToken::new()).expect("nobody else has it"));
    for number in 0..20 {
        service.paid_order(&format!("k-{number}")).await;
    }
    until("the dead game has what one app may have", || async { dead.received().len() == its_share }).await;
    for number in 0..20 {
        let theirs = service.create_with(&format!("k-{number}"), |request| request.app_id = OTHER_APP).await;
        let theirs = theirs.expect("made").order_id;
        let answer = call_back_on(&service.pay, OTHER_APP, &payment(&theirs)).await.expect("a channel");
        assert_eq!(answer.status, 200);
        until("the other game is told", || async { well.received().len() == number + 1 }).await;
    }
    let delivered = "SELECT COUNT(*) FROM pay_orders WHERE state = 5";
    until("it is written down", || async { service.count(delivered).await == 20 }).await;
    assert_eq!(dead.received().len(), its_share, "of one app only so many are under way");
    assert_eq!(service.count("SELECT COUNT(*) FROM pay_deliveries").await, 20, "what hangs has come to nothing yet");
    running.shutdown().await;
}

common::on_each_database! {
    async fn a_paid_order_is_told_to_the_game_server_signed_and_whole(database: TestDatabase) {
        let (service, game) = (Service::start(database).await, GameServer::start().await);
        service.deliver_to(APP, &game.url());
        let order_id = service.paid_order("k-1").await;
        assert_eq!(service.hands().answer_the_bell().await, 1);
        assert_eq!(service.state(&order_id).await, "delivered");
        assert_eq!(service.events(&order_id).await, ["created", "paid", "delivery_started", "acknowledged"]);
        assert_eq!(service.count("SELECT COUNT(*) FROM pay_outbox").await, 0);

        let received = game.received().remove(0);
        let expected = serde_json::json!({
            "order_id": order_id, "app_id": APP, "account_id": 100_001, "product_id": "gems60", "amount": 600,
            "currency": "CNY", "role_id": "role-1", "server_id": "server-1", "extension": r#"{"from":"shop"}"#,
            "paid_at": 1_750_000_001_000_i64, "attempt": 1,
        });
        assert_eq!(received.body, expected);
        assert!(received.head.starts_with("POST /pay/notify?zone=1 "), "{}", received.head);
        assert_eq!(received.header("x-app-id"), APP.to_string());
        let body = hex::encode(digest::digest(&digest::SHA256, received.raw.as_bytes()));
        let (timestamp, nonce) = (received.header("x-timestamp"), received.header("x-nonce"));
        assert_eq!(timestamp, service.clock.now().to_string());
        let lines = ["POST", "/pay/notify", "zone=1", &timestamp, &nonce, &body].join("\n");
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
        assert_eq!(received.header("x-signature"), hex::encode(hmac::sign(&key, lines.as_bytes())));
    }

    async fn a_game_server_that_does_not_acknowledge_is_told_by_the_schedule_and_then_no_more(database: TestDatabase) {
        let (service, game) = (Service::start_with(database, config()).await, GameServer::start().await);
        service.deliver_to(APP, &game.url());
        let order_id = service.paid_order("k-1").await;
        let mut hands = service.hands();
        assert_eq!(hands.deliver().await, 1, "at once");
        let answers = [with(500, "SUCCESS"), with(200, "FAIL"), with(200, r#"{"code":1}"#), with(302, "SUCCESS"), Answering::Hanging];
        let pauses = config().delivery.pauses();
        assert_eq!(pauses.iter().sum::<Duration>(), Duration::from_secs(24 * 3600 + 4 * 60));
        game.answer(answers[0].clone());
        let second = service.paid_order("k-2").await;
        assert_eq!(hands.deliver().await, 1);
        for (number, pause) in pauses.iter().enumerate() {
            service.clock.advance(*pause - Duration::from_millis(1));
            assert_eq!(hands.deliver().await, 0, "not before {pause:?} are over");
            game.answer(answers[number % answers.len()].clone());
            service.clock.advance(Duration::from_millis(1));
            assert_eq!(hands.deliver().await, 1, "after {pause:?}");
        }
        service.clock.advance(Duration::from_secs(30 * 24 * 3600));
        assert_eq!(hands.deliver().await, 0, "it is a dead letter");
        assert_eq!(service.state(&second).await, "delivering");
        assert_eq!(service.events(&second).await.last().map(String::as_str), Some("delivery_given_up"));
        let described = service.describe(&second).await;
        let attempts: Vec<i32> = described.deliveries.iter().map(|delivery| delivery.attempt).collect();
        assert_eq!(attempts, (1..=16).collect::<Vec<_>>());
        assert_eq!(&*described.deliveries[5].outcome, "no_answer");
        assert_eq!(described.deliveries[1].status, Some(500));
        assert_eq!(service.pay.parts().orders.backlog().await.expect("read").dead, 1);
        assert_eq!(service.state(&order_id).await, "delivered");

        // Somebody sends it again, when the game server is well.
        game.answer(with(200, r#"{"code":0}"#));
        service.redeliver(&second).await.expect("sent again");
        assert_eq!(hands.deliver().await, 1);
        assert_eq!(service.state(&second).await, "delivered");
        let last = game.received().pop().expect("one");
        assert_eq!((last.body["attempt"].as_i64(), last.body["order_id"].as_str()), (Some(17), Some(&*second)));
    }

    async fn a_dead_game_delays_nobody_else(database: TestDatabase) {
        let (service, dead, well) =
            (Service::start_with(database, config()).await, GameServer::start().await, GameServer::start().await);
        service.deliver_to(APP, &dead.url());
        service.deliver_to(OTHER_APP, &well.url());
        dead.answer(Answering::Hanging);
        for number in 0..30 {
            service.paid_order(&format!("k-{number}")).await;
        }
        let theirs = service.create_with("k-1", |request| request.app_id = OTHER_APP).await.expect("made").order_id;
        let answer = call_back_on(&service.pay, OTHER_APP, &payment(&theirs)).await.expect("a channel");
        assert_eq!(answer.status, 200);
        let mut hands = service.hands();
        // Of the dead one as many as one app may have under way; the other one's goes out beside them.
        assert_eq!(hands.deliver().await, 8 + 1);
        assert_eq!((dead.received().len(), well.received().len()), (8, 1));
        // Then it is left alone for a moment, and tried with one.
        assert_eq!(hands.deliver().await, 0);
        service.clock.advance(Duration::from_secs(10));
        assert_eq!(hands.deliver().await, 1);
        dead.answer(with(200, "SUCCESS"));
        service.clock.advance(Duration::from_secs(10));
        assert_eq!(hands.deliver().await, 1);
        service.clock.advance(Duration::from_secs(20));
        while hands.deliver().await > 0 {}
        assert_eq!(service.count("SELECT COUNT(*) FROM pay_orders WHERE state = 5").await, 31);
    }

    async fn what_a_worker_had_claimed_when_it_died_is_sent_by_another(database: TestDatabase) {
        let (service, game) = (Service::start_with(database, config()).await, GameServer::start().await);
        service.deliver_to(APP, &game.url());
        let order_id = service.paid_order("k-1").await;
        game.answer(Answering::Hanging);
        service.hands().die_with_claims().await;
        let mut other = hands(&service.replica().await);
        assert_eq!(other.deliver().await, 0, "it is claimed");
        game.answer(with(200, "SUCCESS"));
        service.clock.advance(config().delivery.lease);
        assert_eq!(other.deliver().await, 1);
        assert_eq!(service.state(&order_id).await, "delivered");
        assert_eq!(service.wallet().await, 600);
    }

    async fn workers_of_several_instances_share_the_work(database: TestDatabase) {
        let (service, game) = (Service::start_with(database, config()).await, GameServer::start().await);
        service.deliver_to(APP, &game.url());
        for number in 0..40 {
            service.paid_order(&format!("k-{number}")).await;
        }
        let (mut one, mut other) = (service.hands(), hands(&service.replica().await));
        while tokio::join!(one.deliver(), other.deliver()) != (0, 0) {}
        let mut sent: Vec<String> = game.received().iter().map(|sent| sent.body["order_id"].to_string()).collect();
        sent.sort();
        sent.dedup();
        assert_eq!((sent.len(), game.received().len()), (40, 40), "each once");
    }

    async fn an_app_without_a_target_is_tried_again_and_may_be_given_one(database: TestDatabase) {
        let (service, game) = (Service::start_with(database, config()).await, GameServer::start().await);
        let order_id = service.paid_order("k-1").await;
        let mut worker = service.hands();
        assert_eq!(worker.deliver().await, 1);
        assert_eq!(&*service.describe(&order_id).await.deliveries[0].outcome, "no_target");
        service.deliver_to(APP, &game.url());
        service.clock.advance(Duration::from_secs(15));
        // Another instance, which has not asked for the app a moment ago.
        assert_eq!(hands(&service.replica().await).deliver().await, 1);
        assert_eq!(service.state(&order_id).await, "delivered");
    }

    async fn nothing_is_sent_to_where_an_operator_has_not_allowed(database: TestDatabase) {
        let (service, game) = (Service::start_with(database, config()).await, GameServer::start().await);
        service.deliver_to(APP, &game.url());
        let order_id = service.paid_order("k-1").await;
        let mut hands = hands(&service.in_production());
        assert_eq!(hands.deliver().await, 1);
        assert_eq!(&*service.describe(&order_id).await.deliveries[0].outcome, "forbidden");
        assert!(game.received().is_empty());
    }

    async fn an_order_that_is_refunded_meanwhile_is_not_told_and_an_unpaid_one_can_not_be(database: TestDatabase) {
        let (service, game) = (Service::start_with(database, config()).await, GameServer::start().await);
        service.deliver_to(APP, &game.url());
        let order_id = service.paid_order("k-1").await;
        service.refund(&order_id).await.expect("refunded");
        assert_eq!(service.hands().deliver().await, 0);
        assert!(game.received().is_empty());
        let unpaid = service.order("k-2").await;
        assert_eq!(refusal(service.redeliver(&unpaid).await), (ErrorCode::ORDER_STATE_FORBIDS, "state".to_owned()));
    }

    async fn a_refund_of_a_delivered_order_is_told_where_refunds_are_taken_until_it_is_acknowledged(
        database: TestDatabase
    ) {
        let (service, game, refunds) = (Service::start_with(database, config()).await, GameServer::start().await, GameServer::start().await);
        service.deliver_to(APP, &game.url());
        service.tell_refunds_to(APP, &refunds.url());
        let order_id = service.paid_order("k-1").await;
        let mut hands = service.hands();
        assert_eq!(hands.answer_the_bell().await, 1);
        service.clock.advance(Duration::from_secs(60));
        service.refund(&order_id).await.expect("refunded");
        refunds.answer(with(200, "not SUCCESS"));
        assert_eq!(hands.answer_the_bell().await, 1, "at once");
        assert_eq!(hands.deliver().await, 0, "not before the first pause is over");
        refunds.answer(with(200, "SUCCESS"));
        service.clock.advance(Duration::from_secs(15));
        assert_eq!(hands.deliver().await, 1);
        service.clock.advance(Duration::from_secs(30 * 24 * 3600));
        assert_eq!(hands.deliver().await, 0, "acknowledged once is told no more");
        assert_eq!((game.received().len(), refunds.received().len()), (1, 2));
        let told = refunds.received().pop().expect("one");
        let expected = serde_json::json!({
            "event": "refund", "refund_id": format!("{order_id}-1"), "order_id": order_id, "app_id": APP,
            "account_id": 100_001, "product_id": "gems60", "refunded_amount": 600, "refunded_total": 600, "amount": 600,
            "currency": "CNY", "role_id": "role-1", "server_id": "server-1", "extension": r#"{"from":"shop"}"#,
            "reason": "asked to", "refunded_at": told.body["refunded_at"], "attempt": 2,
        });
        assert_eq!(told.body, expected);
        assert!(!told.header("x-signature").is_empty());
        let events = service.events(&order_id).await;
        assert_eq!(events[4..], ["refund_requested", "refunded", "refund_acknowledged"]);
        let refund = service.describe(&order_id).await.refunds.expect("listed").remove(0);
        assert_eq!((&*refund.notice, refund.amount, refund.in_books), ("acknowledged", Some(600), true));
        let outcomes: Vec<_> = refund.deliveries.iter().map(|told| told.outcome.to_string()).collect();
        assert_eq!(outcomes, ["refused", "acknowledged"]);
        assert_eq!(refusal(service.redeliver(&order_id).await).0, ErrorCode::ORDER_STATE_FORBIDS);
    }

    async fn a_refund_that_nobody_takes_is_a_dead_letter_until_it_is_sent_again(database: TestDatabase) {
        let (service, game, refunds) = (Service::start_with(database, config()).await, GameServer::start().await, GameServer::start().await);
        service.deliver_to(APP, &game.url());
        service.tell_refunds_to(APP, &refunds.url());
        let order_id = service.paid_order("k-1").await;
        let mut hands = service.hands();
        assert_eq!(hands.deliver().await, 1);
        refunds.answer(with(500, ""));
        service.refund(&order_id).await.expect("refunded");
        assert_eq!(hands.deliver().await, 1);
        for pause in config().delivery.pauses() {
            service.clock.advance(pause);
            assert_eq!(hands.deliver().await, 1);
        }
        service.clock.advance(Duration::from_secs(30 * 24 * 3600));
        assert_eq!(hands.deliver().await, 0);
        let orders = &service.pay.parts().orders;
        assert_eq!(orders.refund_backlog().await.expect("read").dead, 1);
        assert_eq!(service.events(&order_id).await.last().map(String::as_str), Some("refund_notice_given_up"));
        refunds.answer(with(200, "SUCCESS"));
        service.redeliver(&order_id).await.expect("sent again");
        assert_eq!(hands.deliver().await, 1);
        assert_eq!((game.received().len(), orders.refund_backlog().await.expect("read").dead), (1, 0));
        assert_eq!(service.state(&order_id).await, "refunded");
    }

    async fn a_game_server_that_fails_to_take_refunds_takes_payments_all_the_same(database: TestDatabase) {
        let (service, game, refunds) = (Service::start_with(database, config()).await, GameServer::start().await, GameServer::start().await);
        service.deliver_to(APP, &game.url());
        service.tell_refunds_to(APP, &refunds.url());
        let mut hands = service.hands();
        let mut paid = Vec::new();
        for number in 0..6 {
            paid.push(service.paid_order(&format!("k-{number}")).await);
        }
        assert_eq!(hands.deliver().await, 6);
        for order_id in &paid {
            service.refund(order_id).await.expect("refunded");
        }
        refunds.answer(Answering::Hanging);
        assert_eq!(hands.deliver().await, 6);
        service.paid_order("k-6").await;
        assert_eq!(hands.deliver().await, 1, "of the payment");
        assert_eq!((game.received().len(), refunds.received().len()), (7, 6));
    }

    async fn without_a_target_for_refunds_none_is_told_and_the_order_says_so(database: TestDatabase) {
        let (service, game) = (Service::start_with(database, config()).await, GameServer::start().await);
        service.deliver_to(APP, &game.url());
        let order_id = service.paid_order("k-1").await;
        let mut worker = service.hands();
        assert_eq!(worker.deliver().await, 1);
        service.refund(&order_id).await.expect("refunded");
        assert_eq!(worker.deliver().await, 1);
        assert_eq!(worker.deliver().await, 0);
        assert_eq!(game.received().len(), 1, "a refund never goes where payments go");
        let refund = service.describe(&order_id).await.refunds.expect("listed").remove(0);
        assert_eq!((&*refund.notice, &*refund.deliveries[0].outcome), ("no_refund_url", "not_wanted"));
        // Once there is one it can be sent.
        service.tell_refunds_to(APP, &game.url());
        service.redeliver(&order_id).await.expect("sent again");
        assert_eq!(hands(&service.replica().await).deliver().await, 1);
        assert_eq!(game.received()[1].body["event"], "refund");
    }

    async fn a_refund_before_the_delivery_stops_it_and_a_part_is_told_after_it(database: TestDatabase) {
        let (service, game, refunds) = (Service::start_with(database, config()).await, GameServer::start().await, GameServer::start().await);
        service.deliver_to(APP, &game.url());
        service.tell_refunds_to(APP, &refunds.url());
        let (whole, part) = (service.paid_order("k-1").await, service.paid_order("k-2").await);
        assert_eq!(service.give_back(&whole, Some("r-1"), 200).await, Returned::Part);
        assert_eq!(service.give_back(&part, Some("r-1"), 200).await, Returned::Part);
        // The rest of it, before anybody was told anything.
        assert_eq!(service.give_back(&whole, Some("r-2"), 400).await, Returned::Refunded);
        game.answer(with(500, ""));
        let mut hands = service.hands();
        assert_eq!(hands.deliver().await, 1);
        assert_eq!(hands.deliver().await, 0, "the refund waits for the payment");
        game.answer(with(200, "SUCCESS"));
        service.clock.advance(Duration::from_secs(15));
        assert_eq!(hands.deliver().await, 1);
        assert_eq!(hands.deliver().await, 1);
        assert_eq!(hands.deliver().await, 0);
        let told = refunds.received().remove(0).body;
        assert_eq!((&told["order_id"], &told["refunded_amount"]), (&serde_json::json!(part), &serde_json::json!(200)));
        assert_eq!((refunds.received().len(), game.received().len()), (1, 2));
        let described = service.describe(&whole).await.refunds.expect("listed");
        assert!(described.iter().all(|refund| &*refund.notice == "not_owed"), "{described:?}");
    }

    async fn a_refund_is_told_after_the_attempt_that_was_under_way(database: TestDatabase) {
        let (service, game, refunds) = (Service::start_with(database, config()).await, GameServer::start().await, GameServer::start().await);
        service.deliver_to(APP, &game.url());
        service.tell_refunds_to(APP, &refunds.url());
        let order_id = service.paid_order("k-1").await;
        game.answer(Answering::Hanging);
        service.hands().die_with_claims().await;
        service.refund(&order_id).await.expect("refunded");
        let mut other = hands(&service.replica().await);
        assert_eq!(other.deliver().await, 0, "the attempt may still arrive");
        service.clock.advance(config().delivery.lease);
        assert_eq!(other.deliver().await, 1);
        assert_eq!(refunds.received().len(), 1);
    }

    async fn workers_of_several_instances_tell_each_refund_once(database: TestDatabase) {
        let (service, game, refunds) = (Service::start_with(database, config()).await, GameServer::start().await, GameServer::start().await);
        service.deliver_to(APP, &game.url());
        service.tell_refunds_to(APP, &refunds.url());
        let (mut one, mut other) = (service.hands(), hands(&service.replica().await));
        let mut paid = Vec::new();
        for number in 0..20 {
            paid.push(service.paid_order(&format!("k-{number}")).await);
        }
        while one.deliver().await > 0 {}
        for order_id in &paid {
            assert_eq!(service.give_back(order_id, Some("r-1"), 100).await, Returned::Part);
            assert_eq!(service.give_back(order_id, Some("r-2"), 100).await, Returned::Part);
        }
        while tokio::join!(one.deliver(), other.deliver()) != (0, 0) {}
        let mut told: Vec<String> = refunds.received().iter().map(|told| told.body["refund_id"].to_string()).collect();
        told.sort();
        told.dedup();
        assert_eq!((told.len(), refunds.received().len()), (40, 40), "each once");
    }

    async fn a_delivered_order_that_is_sent_again_stays_delivered(database: TestDatabase) {
        let (service, game) = (Service::start_with(database, config()).await, GameServer::start().await);
        service.deliver_to(APP, &game.url());
        let order_id = service.paid_order("k-1").await;
        let mut hands = service.hands();
        assert_eq!(hands.deliver().await, 1);
        let delivered_at = service.look(&order_id).await.delivered_at;
        service.clock.advance(Duration::from_secs(1));
        game.answer(with(500, "not again"));
        service.redeliver(&order_id).await.expect("sent again");
        assert_eq!(hands.deliver().await, 1);
        assert_eq!(service.state(&order_id).await, "delivered", "what was acknowledged stays acknowledged");
        game.answer(with(200, "SUCCESS"));
        service.clock.advance(Duration::from_secs(15));
        assert_eq!(hands.deliver().await, 1);
        assert_eq!(service.look(&order_id).await.delivered_at, delivered_at);
        let attempts: Vec<_> = game.received().iter().map(|sent| sent.body["attempt"].clone()).collect();
        assert_eq!(attempts, [1, 2, 3]);
        assert_eq!(service.count("SELECT COUNT(*) FROM pay_outbox").await, 0);
    }

    async fn a_game_that_hangs_does_not_keep_a_running_worker_from_telling_others(database: TestDatabase) {
        // With room for 64, one app may have 8 of it.
        one_that_hangs_leaves_room(database, 64, 8).await;
    }

    async fn a_game_that_hangs_has_at_most_half_of_the_room(database: TestDatabase) {
        one_that_hangs_leaves_room(database, 8, 4).await;
    }

    async fn an_answer_that_comes_in_drops_or_has_no_end_is_none(database: TestDatabase) {
        let (service, game) = (Service::start_with(database, config()).await, GameServer::start().await);
        let order_id = service.paid_order("k-1").await;
        let mut expected = Vec::new();
        let in_drops = endless_server("content-length: 1000\r\n", b"S", Duration::from_millis(20)).await;
        let endless = endless_server("", &[b'S'; 8192], Duration::ZERO).await;
        for (url, _serving) in [in_drops, endless] {
            service.deliver_to(APP, &url);
            // Another instance, which has not asked for the app a moment ago.
            assert_eq!(hands(&service.replica().await).deliver().await, 1);
            expected.push("no_answer".to_owned());
            let described = service.describe(&order_id).await;
            let outcomes: Vec<_> = described.deliveries.iter().map(|delivery| delivery.outcome.to_string()).collect();
            assert_eq!(outcomes, expected);
            service.clock.advance(Duration::from_secs(15));
        }
        service.deliver_to(APP, &game.url());
        assert_eq!(hands(&service.replica().await).deliver().await, 1);
        assert_eq!(service.state(&order_id).await, "delivered");
    }

    async fn what_failed_together_comes_back_later_than_it_has_to_and_not_together(database: TestDatabase) {
        let delivery = DeliveryConfig { jitter: 0.1, per_app: NonZeroU32::new(20).expect("some"), ..config().delivery };
        let service = Service::start_with(database, Config { delivery, ..config() }).await;
        let game = GameServer::start().await;
        service.deliver_to(APP, &game.url());
        game.answer(with(500, ""));
        for number in 0..20 {
            service.paid_order(&format!("k-{number}")).await;
        }
        assert_eq!(service.hands().deliver().await, 20);
        let due: Vec<(i64,)> = service.database.read("SELECT due_at FROM pay_outbox").all().await.expect("read");
        let mut pauses: Vec<i64> = due.iter().map(|(due_at,)| due_at - service.clock.now().as_millis()).collect();
        pauses.sort_unstable();
        pauses.dedup();
        assert!(pauses.len() > 1 && pauses.iter().all(|pause| (15_000..=16_500).contains(pause)), "{pauses:?}");
    }
}

/// Waits for what happens by itself.
async fn until<F: Future<Output = bool>>(what: &str, is_so: impl Fn() -> F) {
    let waiting = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.unwrap_or_else(|_| panic!("not so: {what}"));
}

/// A game server that begins to say yes and goes on without end: so much, and again after a pause.
async fn endless_server(header: &'static str, piece: &'static [u8], pause: Duration) -> (String, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("bound"));
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let _request = socket.read_u8().await;
            let mut begun = socket.write_all(format!("HTTP/1.1 200 X\r\n{header}\r\n").as_bytes()).await;
            while begun.is_ok() {
                tokio::time::sleep(pause).await;
                begun = socket.write_all(piece).await;
            }
        }
    });
    (url, serving)
}
