//! Channels that are asked, and are well, slow, wrong, forged and gone, on both databases.

use std::{num::NonZeroU32, time::Duration};

use common::clock::{Clock, new_uuid};
use idl::{pay::PayService, pay_admin::PutPayChannelRequest};
use serde_json::{Value, json};

use super::QueriesConfig;
use crate::{
    ChannelCallsConfig, Config, Pay,
    domain::Extent,
    jobs::{self, questions::ask},
    store::{
        archive::Evidence,
        orders::{ChannelRefund, Returned},
        outbox::Claim,
        questions::{Lane, Waiting},
    },
    testing::{APP, Asked, HttpServer, Reply, SECRET, Service, call_back_on, payment, public, signature},
};

const SANDBOX: &str = "sandbox";

/// With a patience that a test has too.
fn config() -> Config {
    let channel_calls = ChannelCallsConfig { timeout: Duration::from_millis(300), ..ChannelCallsConfig::default() };
    Config { channel_calls, ..Config::default() }
}

/// A service whose sandbox can be asked at `api`.
async fn start(database: common::sql::testing::TestDatabase, api: &HttpServer) -> Service {
    let service = Service::start_with(database, config()).await;
    put_channel(&service, SANDBOX, api).await;
    service
}

async fn put_channel(service: &Service, channel: &'static str, api: &HttpServer) {
    put_document(service, channel, &json!({ "kind": "sandbox", "api": api.url("/api") })).await;
}

async fn put_document(service: &Service, channel: &'static str, document: &Value) {
    let request = PutPayChannelRequest {
        actor: "operator".into(),
        app_id: APP,
        channel: channel.into(),
        document_json: document.to_string().into(),
    };
    public(service.pay.admin_put_channel(request).await).expect("put");
}

/// An order that is being paid.
async fn paying(service: &Service, key: &str, channel: &'static str) -> String {
    let order = service.create_with(key, |request| request.channel = Some(channel.into())).await.expect("made");
    assert_eq!(&*order.state, "paying");
    order.order_id.to_string()
}

async fn asked(pay: &Pay) -> usize {
    ask(pay.parts()).await.expect("asked")
}

fn reply(body: &Value) -> Reply {
    let body = body.to_string();
    Reply { status: 200, headers: vec![("x-signature", signature(&body, SECRET))], body }
}

fn question(asked: &Asked) -> Value {
    serde_json::from_str(&asked.body).expect("JSON")
}

/// The answer to a question about an order, in this state.
fn payment_state(asked: &Asked, state: &str) -> Value {
    let mut answer = payment(question(asked)["order_id"].as_str().expect("an order"));
    answer["state"] = json!(state);
    answer
}

fn says(state: &'static str) -> impl FnMut(&Asked) -> Reply + Send + 'static {
    move |asked| reply(&payment_state(asked, state))
}

/// What is said to a refund.
fn refund_is(state: &'static str) -> impl FnMut(&Asked) -> Reply + Send + 'static {
    move |asked| {
        let question = question(asked);
        assert_eq!(question["ask"], "refund");
        let (order_id, refund_id) = (&question["order_id"], &question["refund_id"]);
        reply(&json!({ "order_id": order_id, "refund_id": refund_id, "state": state, "reason": "NO_BALANCE" }))
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What is due, claimed by somebody who is never heard of again.
async fn die_with_claims(service: &Service) -> usize {
    let orders = &service.pay.parts().orders;
    let worker = new_uuid(&*service.clock, &common::clock::SystemRandom);
    let claim = Claim { worker, until: service.clock.now() + QueriesConfig::default().lease };
    let mut tx = service.database.begin().await.expect("begun");
    let lane = Lane { app_id: APP, channel: SANDBOX.to_owned() };
    let claimed = orders.claim_questions(&mut tx, &lane, 10, claim).await.expect("claimed");
    tx.commit().await.expect("committed");
    claimed.len()
}

common::on_each_database! {
    async fn a_payment_whose_callback_was_lost_is_found_by_asking(database: TestDatabase) {
        let api = HttpServer::start(says("paid")).await;
        let service = start(database, &api).await;
        let order_id = paying(&service, "k-1", SANDBOX).await;
        assert_eq!(asked(&service.pay).await, 0, "too early");
        service.clock.advance(seconds(31));
        assert_eq!(asked(&service.pay).await, 1);

        let question = api.received().remove(0);
        assert_eq!(question.header("x-signature"), signature(&question.body, SECRET));
        let order = service.look(&order_id).await;
        assert_eq!((&*order.state, order.channel_order_id), ("paid", Some(format!("sandbox-{order_id}").into())));
        let journal = service.describe(&order_id).await.journal;
        let events: Vec<_> = journal.iter().map(|line| (&*line.event, &*line.actor)).collect();
        assert_eq!(events, [("created", "player"), ("payment_started", "player"), ("paid", "sandbox (asked)")]);
        assert_eq!(service.wallet().await, 600);
        assert_eq!(service.count("SELECT COUNT(*) FROM pay_outbox").await, 1);
        let kept: Vec<(Vec<u8>,)> = service.database.read("SELECT body FROM pay_callbacks").all().await.expect("read");
        assert_eq!(kept, [(payment_state(&question, "paid").to_string().into_bytes(),)]);
        assert_eq!(service.count("SELECT COUNT(*) FROM pay_questions").await, 0);

        // The callback was only late.
        assert_eq!(service.call_back(&payment(&order_id)).await, "SUCCESS");
        assert_eq!(service.wallet().await, 600);
        service.clock.advance(seconds(3600));
        assert_eq!(asked(&service.pay).await, 0);
    }

    async fn an_order_is_asked_about_by_the_plan_and_not_once_it_is_paid(database: TestDatabase) {
        let api = HttpServer::start(says("not_paid")).await;
        let service = start(database, &api).await;
        let (order_id, paid) = (paying(&service, "k-1", SANDBOX).await, paying(&service, "k-2", SANDBOX).await);
        assert_eq!(service.call_back(&payment(&paid)).await, "SUCCESS");
        let created = service.clock.now();
        let mut times = Vec::new();
        for _ in 0..140 {
            service.clock.advance(seconds(30));
            if asked(&service.pay).await > 0 {
                times.push(service.clock.now().since(created).as_secs());
            }
            jobs::tidy_up(service.pay.parts()).await.expect("ran");
        }
        assert_eq!(times, [30, 90, 270, 870, 1740, 3600]);
        assert_eq!(service.state(&order_id).await, "expired");
        assert!(api.received().iter().all(|asked| question(asked)["order_id"] == order_id));
        assert_eq!(service.count("SELECT COUNT(*) FROM pay_questions").await, 0);
    }

    async fn a_late_payment_that_is_found_by_asking_still_counts(database: TestDatabase) {
        let api = HttpServer::start(says("unknown")).await;
        let service = start(database, &api).await;
        let order_id = paying(&service, "k-1", SANDBOX).await;
        service.clock.advance(seconds(1790));
        assert_eq!(asked(&service.pay).await, 1);
        service.clock.advance(seconds(15));
        jobs::tidy_up(service.pay.parts()).await.expect("ran");
        assert_eq!(service.state(&order_id).await, "expired", "what the channel has never heard of is not kept");
        api.answer(says("paid"));
        service.clock.advance(seconds(1800));
        assert_eq!(asked(&service.pay).await, 1);
        assert_eq!(service.state(&order_id).await, "paid");
    }

    async fn an_answer_that_is_forged_garbled_or_about_another_order_pays_nothing(database: TestDatabase) {
        let api = HttpServer::start(says("paid")).await;
        let service = start(database, &api).await;
        let forgeries: [fn(&Asked) -> Reply; 7] = [
            |asked| Reply { headers: Vec::new(), ..reply(&payment_state(asked, "paid")) },
            |asked| {
                let body = payment_state(asked, "paid").to_string();
                Reply { headers: vec![("x-signature", signature(&body, "another secret"))], ..reply(&json!(body)) }
            },
            |asked| Reply { body: payment_state(asked, "paid").to_string(), ..reply(&payment_state(asked, "not_paid")) },
            |_| reply(&json!({ "order_id": "01JXSFM2G00000000000000000", "state": "paid" })),
            |_| Reply { status: 200, body: "<html>".to_owned(), ..Reply::default() },
            |asked| Reply { status: 500, ..reply(&payment_state(asked, "paid")) },
            |asked| reply(&payment_state(asked, "who knows")),
        ];
        for (number, forgery) in forgeries.into_iter().enumerate() {
            let order_id = paying(&service, &format!("k-{number}"), SANDBOX).await;
            api.answer(forgery);
            service.clock.advance(seconds(31));
            assert!(asked(&service.pay).await > 0);
            assert_eq!(service.state(&order_id).await, "paying", "{number}");
        }
        assert_eq!(service.wallet().await, 0);
        // Signed, and not for this order's price.
        api.answer(|asked| {
            let mut answer = payment_state(asked, "paid");
            answer["amount"] = json!(1);
            reply(&answer)
        });
        let order_id = paying(&service, "k-cheap", SANDBOX).await;
        service.clock.advance(seconds(31));
        assert!(asked(&service.pay).await > 0);
        assert_eq!(service.state(&order_id).await, "paying");
        assert_eq!(service.events(&order_id).await, ["created", "payment_started", "refused_payment"]);
        assert_eq!(service.wallet().await, 0);
    }

    async fn an_order_does_not_expire_while_its_channel_can_not_be_asked_and_not_for_ever_either(database: TestDatabase) {
        let api = HttpServer::start(|_| (0, String::new())).await;
        let service = start(database, &api).await;
        let order_id = paying(&service, "k-1", SANDBOX).await;
        service.clock.advance(seconds(1740));
        assert_eq!(asked(&service.pay).await, 1);
        service.clock.advance(seconds(120));
        jobs::tidy_up(service.pay.parts()).await.expect("ran");
        assert_eq!(service.state(&order_id).await, "paying");
        service.clock.advance(seconds(3600));
        jobs::tidy_up(service.pay.parts()).await.expect("ran");
        assert_eq!(service.state(&order_id).await, "expired");
        // It is asked about for a day, and a payment that turns up counts.
        assert_eq!(asked(&service.pay).await, 1);
        api.answer(says("paid"));
        service.clock.advance(seconds(20 * 3600));
        assert_eq!(asked(&service.pay).await, 1);
        assert_eq!(service.events(&order_id).await, ["created", "payment_started", "timed_out", "paid"]);
    }

    async fn a_question_that_is_never_answered_ends(database: TestDatabase) {
        let api = HttpServer::start(|_| (503, String::new())).await;
        let service = start(database, &api).await;
        paying(&service, "k-1", SANDBOX).await;
        service.clock.advance(seconds(26 * 3600));
        assert_eq!(asked(&service.pay).await, 1);
        assert_eq!(service.count("SELECT COUNT(*) FROM pay_questions").await, 0);
    }

    async fn an_order_whose_channel_can_not_be_asked_expires_in_time(database: TestDatabase) {
        let api = HttpServer::start(says("paid")).await;
        let service = start(database, &api).await;
        paying(&service, "k-1", "nothing_there").await;
        assert_eq!(service.count("SELECT COUNT(*) FROM pay_questions").await, 0);
        // It could be when the order was made.
        let order_id = paying(&service, "k-2", SANDBOX).await;
        put_document(&service, SANDBOX, &json!({ "kind": "sandbox" })).await;
        service.clock.advance(seconds(31));
        assert_eq!(asked(&service.pay).await, 1);
        assert_eq!(service.count("SELECT COUNT(*) FROM pay_questions").await, 0);
        assert!(api.received().is_empty());
        service.clock.advance(seconds(1800));
        jobs::tidy_up(service.pay.parts()).await.expect("ran");
        assert_eq!(service.state(&order_id).await, "expired");
    }

    async fn a_channel_that_hangs_is_left_alone_and_delays_nobody_else(database: TestDatabase) {
        let (hanging, well) = (HttpServer::start(|_| (0, String::new())).await, HttpServer::start(says("paid")).await);
        let service = start(database, &hanging).await;
        put_channel(&service, "other", &well).await;
        for number in 0..30 {
            paying(&service, &format!("h-{number}"), SANDBOX).await;
        }
        let order_id = paying(&service, "k-1", "other").await;
        service.clock.advance(seconds(31));
        asked(&service.pay).await;
        assert_eq!(service.state(&order_id).await, "paid");
        let (failures, per_channel) = (QueriesConfig::default().failures_before_pause, QueriesConfig::default().per_channel);
        let (failures, per_channel) = (failures.get() as usize, per_channel.get() as usize);
        let first = hanging.received().len();
        assert!((failures..failures + per_channel).contains(&first), "{first}");
        service.clock.advance(seconds(2));
        assert_eq!(asked(&service.pay).await, 0);
        // One finds out.
        service.clock.advance(seconds(60));
        assert_eq!(asked(&service.pay).await, 1);
        service.clock.advance(seconds(60));
        hanging.answer(says("not_paid"));
        assert!(asked(&service.pay).await > 20);
    }

    async fn no_more_is_asked_at_a_look_than_may_be(database: TestDatabase) {
        let api = HttpServer::start(says("not_paid")).await;
        let per_look = NonZeroU32::new(7).expect("more than zero");
        let config = Config { queries: QueriesConfig { per_look, ..QueriesConfig::default() }, ..config() };
        let service = Service::start_with(database, config).await;
        put_channel(&service, SANDBOX, &api).await;
        for number in 0..10 {
            paying(&service, &format!("k-{number}"), SANDBOX).await;
        }
        service.clock.advance(seconds(31));
        assert_eq!(asked(&service.pay).await, 7);
        service.clock.advance(seconds(2));
        assert_eq!(asked(&service.pay).await, 3);
    }

    async fn of_several_instances_one_asks(database: TestDatabase) {
        let api = HttpServer::start(says("paid")).await;
        let service = start(database, &api).await;
        let replica = service.replica().await;
        for number in 0..40 {
            paying(&service, &format!("k-{number}"), SANDBOX).await;
        }
        service.clock.advance(seconds(31));
        let (one, other) = tokio::join!(ask(service.pay.parts()), ask(replica.parts()));
        service.clock.advance(seconds(2));
        let rest = asked(&replica).await;
        assert_eq!(one.unwrap_or(0) + other.unwrap_or(0) + rest, 40);
        assert_eq!(api.received().len(), 40);
        assert_eq!(service.wallet().await, 40 * 600);
    }

    async fn what_an_instance_was_asking_when_it_died_is_asked_by_another(database: TestDatabase) {
        let api = HttpServer::start(says("paid")).await;
        let service = start(database, &api).await;
        let order_id = paying(&service, "k-1", SANDBOX).await;
        service.clock.advance(seconds(31));
        assert_eq!(die_with_claims(&service).await, 1);
        assert_eq!(asked(&service.pay).await, 0);
        service.clock.advance(QueriesConfig::default().lease);
        assert_eq!(asked(&service.replica().await).await, 1);
        assert_eq!(service.state(&order_id).await, "paid");
    }

    async fn answers_and_callbacks_in_any_order_pay_once(database: TestDatabase) {
        let api = HttpServer::start(says("paid")).await;
        let service = start(database, &api).await;
        let steps = ["callback", "ask", "expire", "both"];
        let mut orders = 0;
        for first in 0..4 {
            for second in (0..4).filter(|second| *second != first) {
                for third in (0..4).filter(|third| ![first, second].contains(third)) {
                    let order_id = paying(&service, &format!("k-{first}-{second}-{third}"), SANDBOX).await;
                    orders += 1;
                    service.clock.advance(seconds(31));
                    for step in [first, second, third, 6 - first - second - third] {
                        match steps[step] {
                            "callback" => assert_eq!(service.call_back(&payment(&order_id)).await, "SUCCESS"),
                            "ask" => drop(asked(&service.pay).await),
                            "expire" => {
                                service.clock.advance(seconds(6000));
                                jobs::tidy_up(service.pay.parts()).await.expect("ran");
                            }
                            _ => {
                                service.clock.advance(seconds(2));
                                let payment = payment(&order_id);
                                let called = call_back_on(&service.pay, APP, &payment);
                                let (_, called) = tokio::join!(ask(service.pay.parts()), called);
                                assert_eq!(called.expect("a channel").status, 200);
                            }
                        }
                    }
                    let events = service.events(&order_id).await;
                    assert_eq!(events.iter().filter(|event| *event == "paid").count(), 1, "{events:?}");
                    assert_eq!(service.wallet().await, orders * 600);
                }
            }
        }
        assert_eq!(service.count("SELECT COUNT(*) FROM pay_outbox").await, orders);
    }

    async fn a_refund_is_out_of_the_books_at_once_and_done_when_the_channel_says_so(database: TestDatabase) {
        let api = HttpServer::start(refund_is("under_way")).await;
        let service = start(database, &api).await;
        let order_id = service.paid_order("k-1").await;
        let (order, place) = service.refund_with(&order_id, false).await.expect("asked for");
        assert_eq!((&*order.state, &*place), ("refunding", "at_channel"));
        assert_eq!((service.wallet().await, service.count("SELECT COUNT(*) FROM pay_outbox").await), (0, 0));
        let waiting = service.pay.parts().orders.questions_waiting().await.expect("counted");
        let since = Some(service.clock.now());
        assert_eq!(waiting, Waiting { refunds: 1, oldest_refund: since, ..Waiting::default() });

        assert_eq!(asked(&service.pay).await, 1);
        // Asked for again by hand while it is under way: nothing changes.
        assert_eq!(service.refund_with(&order_id, false).await.expect("under way").0.state, "refunding");
        service.clock.advance(seconds(11));
        api.answer(refund_is("done"));
        assert_eq!(asked(&service.pay).await, 1);
        let (order, place) = service.refund_with(&order_id, false).await.expect("done");
        assert_eq!((&*order.state, &*place), ("refunded", "at_channel"));
        let expected = ["created", "paid", "refund_requested", "refund_asked_at_channel", "refunded"];
        assert_eq!(service.events(&order_id).await, expected);
        let questions: Vec<_> = api.received().iter().map(question).collect();
        assert_eq!(questions[0], questions[1], "the same refund, asked for twice");
        assert_eq!(questions[0]["refund_id"], format!("R{order_id}"));
        assert_eq!((&questions[0]["amount"], &questions[0]["currency"]), (&json!(600), &json!("CNY")));
        assert_eq!(service.wallet().await, 0);
        assert_eq!(service.count("SELECT COUNT(*) FROM pay_questions").await, 0);
    }

    async fn a_refund_that_the_channel_refuses_waits_for_an_operator(database: TestDatabase) {
        let api = HttpServer::start(refund_is("refused")).await;
        let service = start(database, &api).await;
        let (again, by_hand) = (service.paid_order("k-1").await, service.paid_order("k-2").await);
        for order_id in [&again, &by_hand] {
            service.refund_with(order_id, false).await.expect("asked for");
        }
        assert_eq!(asked(&service.pay).await, 2);
        let journal = service.describe(&again).await.journal;
        let last = journal.last().expect("a line");
        assert_eq!((&*last.event, &*last.reason, &*last.to_state), ("refund_refused", "NO_BALANCE", "refunding"));
        let waiting = service.pay.parts().orders.questions_waiting().await.expect("counted");
        assert_eq!(waiting, Waiting { refused_refunds: 2, ..Waiting::default() });
        service.clock.advance(seconds(24 * 3600));
        assert_eq!(asked(&service.pay).await, 0);

        let (order, place) = service.refund_with(&by_hand, true).await.expect("done");
        assert_eq!((&*order.state, &*place), ("refunded", "in_books"));
        api.answer(refund_is("done"));
        assert_eq!(service.refund_with(&again, false).await.expect("asked for again").0.state, "refunding");
        service.clock.advance(seconds(2));
        assert_eq!(asked(&service.pay).await, 1);
        assert_eq!(service.state(&again).await, "refunded");
        assert_eq!(service.wallet().await, 0);
        assert_eq!(service.count("SELECT COUNT(*) FROM pay_questions").await, 0);
    }

    async fn a_refund_is_completed_by_the_channels_own_notice_and_by_nothing_forged(database: TestDatabase) {
        let api = HttpServer::start(refund_is("under_way")).await;
        let service = start(database, &api).await;
        let order_id = service.paid_order("k-1").await;
        service.refund_with(&order_id, false).await.expect("asked for");
        api.answer(|asked| Reply { headers: Vec::new(), ..refund_is("done")(asked) });
        assert_eq!(asked(&service.pay).await, 1);
        assert_eq!(service.state(&order_id).await, "refunding");
        let refund = ChannelRefund {
            channel: SANDBOX.to_owned(),
            app_id: APP,
            order_id: None,
            channel_order_id: format!("sandbox-{order_id}"),
            refund_id: None,
            extent: Extent::Everything,
            refunded_at: None,
        };
        for returned in [Returned::Refunded, Returned::Repeated] {
            let evidence = Evidence { channel: SANDBOX, app_id: APP, headers: "[]", body: b"1" };
            let orders = &service.pay.parts().orders;
            assert_eq!(orders.refund_by_channel(&refund, evidence).await.expect("looked into"), returned);
        }
        service.clock.advance(seconds(24 * 3600));
        assert_eq!(asked(&service.pay).await, 0);
        assert_eq!(service.refund_with(&order_id, false).await.expect("done").1, "at_channel");
        assert_eq!(service.wallet().await, 0);
    }

    async fn only_what_is_left_is_asked_back_and_a_notice_of_an_earlier_part_completes_nothing(database: TestDatabase) {
        let api = HttpServer::start(refund_is("under_way")).await;
        let service = start(database, &api).await;
        let order_id = service.paid_order("k-1").await;
        assert_eq!(service.give_back(&order_id, Some("part"), 200).await, Returned::Part);
        let (order, place) = service.refund_with(&order_id, false).await.expect("asked for");
        assert_eq!((&*order.state, &*place), ("refunding", "at_channel"));
        assert_eq!(asked(&service.pay).await, 1);
        assert_eq!(question(&api.received()[0])["amount"], 400);
        assert_eq!(service.give_back(&order_id, Some("part"), 200).await, Returned::Repeated);
        assert_eq!(service.state(&order_id).await, "refunding");
        api.answer(refund_is("done"));
        service.clock.advance(seconds(24 * 3600));
        assert_eq!(asked(&service.pay).await, 1);
        assert_eq!(service.state(&order_id).await, "refunded");
        assert_eq!((service.wallet().await, service.count("SELECT COUNT(*) FROM pay_refunds").await), (0, 2));
    }

    async fn what_the_channel_has_given_back_already_is_not_asked_for_again(database: TestDatabase) {
        let api = HttpServer::start(refund_is("done")).await;
        let service = start(database, &api).await;
        let order_id = service.paid_order("k-1").await;
        assert_eq!(service.give_back(&order_id, Some("all"), 600).await, Returned::Refunded);
        let (order, _) = service.refund_with(&order_id, false).await.expect("refunded before");
        assert_eq!(&*order.state, "refunded");
        assert_eq!(asked(&service.pay).await, 0);
    }

    async fn a_refund_survives_whoever_asks_for_it(database: TestDatabase) {
        let api = HttpServer::start(refund_is("done")).await;
        let service = start(database, &api).await;
        let order_id = service.paid_order("k-1").await;
        service.refund_with(&order_id, false).await.expect("asked for");
        assert_eq!(die_with_claims(&service).await, 1);
        assert_eq!(asked(&service.pay).await, 0);
        service.clock.advance(QueriesConfig::default().lease);
        assert_eq!(asked(&service.replica().await).await, 1);
        assert_eq!(service.state(&order_id).await, "refunded");
        assert_eq!(service.wallet().await, 0);
    }

    async fn a_refund_where_the_channel_can_not_be_asked_is_in_the_books(database: TestDatabase) {
        let service = Service::start(database).await;
        let order_id = service.paid_order("k-1").await;
        for _ in 0..2 {
            let (order, place) = service.refund_with(&order_id, false).await.expect("refunded");
            assert_eq!((&*order.state, &*place), ("refunded", "in_books"));
        }
        // Where it can be asked, and is not to be.
        let api = HttpServer::start(refund_is("done")).await;
        put_channel(&service, SANDBOX, &api).await;
        let order_id = service.paid_order("k-2").await;
        let (order, place) = service.refund_with(&order_id, true).await.expect("refunded");
        assert_eq!((&*order.state, &*place), ("refunded", "in_books"));
        assert!(api.received().is_empty());
    }
}
