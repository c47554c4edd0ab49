//! Google from a push to the acknowledgement, well, slow, wrong and gone, on both databases.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
    time::Duration,
};

use common::{clock::Clock, sql::testing::TestDatabase};
use idl::{pay::PayService, pay_admin::ListPayChannelsRequest};
use serde_json::json;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{GoogleConfig, acknowledge_due};
use crate::{
    ChannelCallsConfig, Config, Pay,
    store::outbox::Claim,
    testing::{APP, Door, FakeGoogle, Service, public, status_of},
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// A service with Google as a channel, and with a patience that a test has too.
async fn start(database: TestDatabase) -> (Service, FakeGoogle) {
    let channel_calls = ChannelCallsConfig { timeout: Duration::from_millis(500), ..ChannelCallsConfig::default() };
    let config = Config { channel_calls, ..Config::default() };
    let (service, google) = (Service::start_with(database, config).await, FakeGoogle::start().await);
    service.put_channel("google_play", &google.config()).await;
    (service, google)
}

/// An order and a purchase for it.
async fn sold(service: &Service, google: &FakeGoogle, purchase_token: &str) -> String {
    let order_id = service.order(purchase_token).await;
    google.sells(purchase_token, &order_id);
    order_id
}

async fn push(service: &Service, google: &FakeGoogle, purchase_token: &str) -> i32 {
    status_of(&service.pay, google.push_sold(service.clock.now(), purchase_token, "gems60")).await
}

async fn acknowledge(pay: &Pay) -> usize {
    acknowledge_due(pay.parts()).await.expect("worked off")
}

fn acknowledgements(pay: &Pay, outcome: &str) -> u64 {
    pay.parts().google_metrics.acknowledgements.with_label_values(&[outcome]).get()
}

async fn waiting(service: &Service) -> i64 {
    service.count("SELECT COUNT(*) FROM pay_channel_tasks").await
}

common::on_each_database! {
    async fn a_purchase_is_asked_about_paid_and_acknowledged_once(database: TestDatabase) {
        let (service, google) = start(database).await;
        let order_id = sold(&service, &google, "token-1").await;
        assert_eq!(push(&service, &google, "token-1").await, 204);
        let order = service.look(&order_id).await;
        assert_eq!((&*order.state, order.channel.as_deref()), ("paid", Some("google_play")));
        assert_eq!(order.channel_order_id.as_deref(), Some("GPA.token-1"));
        assert_eq!(order.paid_at, Some(1_750_000_000_000));
        assert_eq!((service.wallet().await, waiting(&service).await), (600, 1));
        assert!(!google.is_acknowledged("token-1"), "only what is committed is acknowledged");
        // What proves the payment is Google's answer.
        let kept: Vec<(Vec<u8>,)> = service.database.read("SELECT body FROM pay_callbacks").all().await.expect("read");
        assert!(String::from_utf8_lossy(&kept[0].0).contains("androidpublisher#productPurchase"));

        assert_eq!(acknowledge(&service.pay).await, 1);
        assert!(google.is_acknowledged("token-1"));
        let asked = google.last_asked(Door::Acknowledge);
        assert_eq!((asked.body.as_str(), asked.header("content-type").as_str()), ("{}", "application/json"));
        assert_eq!(service.events(&order_id).await, ["created", "paid", "channel_acknowledged"]);
        assert_eq!(waiting(&service).await, 0);
        // The push comes again, and its purchase is acknowledged already.
        assert_eq!(push(&service, &google, "token-1").await, 204);
        assert_eq!(acknowledge(&service.pay).await, 0);
        assert_eq!((google.asked(Door::Acknowledge), service.wallet().await), (1, 600));
        assert_eq!(acknowledgements(&service.pay, "acknowledged"), 1);
    }

    async fn a_purchase_that_is_acknowledged_already_needs_none(database: TestDatabase) {
        let (service, google) = start(database).await;
        for (token, field) in [("token-1", "acknowledgementState"), ("token-2", "consumptionState")] {
            let order_id = sold(&service, &google, token).await;
            google.change(token, field, json!(1));
            assert_eq!(push(&service, &google, token).await, 204);
            assert_eq!(service.state(&order_id).await, "paid");
        }
        assert_eq!((waiting(&service).await, acknowledge(&service.pay).await), (0, 0));
    }

    async fn keys_that_google_changes_are_fetched_before_a_push_is_refused_for_them(database: TestDatabase) {
        let (service, google) = start(database).await;
        for token in ["token-1", "token-2", "token-3", "token-4"] {
            sold(&service, &google, token).await;
        }
        assert_eq!(push(&service, &google, "token-1").await, 204);
        assert_eq!(push(&service, &google, "token-2").await, 204);
        assert_eq!(google.asked(Door::Keys), 1);
        google.rotate_keys();
        service.clock.advance(Duration::from_secs(9));
        assert_eq!(push(&service, &google, "token-3").await, 503, "they were asked for a moment ago");
        service.clock.advance(Duration::from_secs(1));
        // Whoever comes at once: one fetch.
        let mut pushes = JoinSet::new();
        for _ in 0..8 {
            let (pay, push) = (service.pay.clone(), google.push_sold(service.clock.now(), "token-3", "gems60"));
            pushes.spawn(async move { status_of(&pay, push).await });
        }
        assert_eq!(pushes.join_all().await, [204; 8]);
        assert_eq!(google.asked(Door::Keys), 2);
        // A key that Google does not have, and that it no longer has.
        service.clock.advance(Duration::from_secs(10));
        let old = google.push_sold(service.clock.now(), "token-4", "gems60");
        google.rotate_keys();
        let unknown = google.push_sold(service.clock.now(), "token-4", "gems60");
        google.rotate_keys();
        assert_eq!(status_of(&service.pay, unknown.clone()).await, 400, "asked for and not there");
        assert_eq!(status_of(&service.pay, unknown).await, 400);
        assert_eq!(status_of(&service.pay, old).await, 204);
        assert_eq!(google.asked(Door::Keys), 3);
    }

    async fn keys_are_kept_as_long_as_google_says_within_bounds(database: TestDatabase) {
        let (service, google) = start(database).await;
        sold(&service, &google, "token-1").await;
        let mut fetches = 0;
        for (cache_control, lifetime) in [
            ("public, max-age=1000", Duration::from_secs(1000)),
            ("max-age=1", MINUTE),
            ("no-store", MINUTE),
            ("max-age=99999999", GoogleConfig::default().keys_fresh_max),
        ] {
            google.keys_may_be_kept(cache_control);
            service.clock.advance(GoogleConfig::default().keys_fresh_max);
            fetches += 1;
            for _ in 0..2 {
                assert_eq!(push(&service, &google, "token-1").await, 204);
            }
            service.clock.advance(lifetime - Duration::from_millis(1));
            assert_eq!(push(&service, &google, "token-1").await, 204);
            assert_eq!(google.asked(Door::Keys), fetches, "{cache_control}");
            service.clock.advance(Duration::from_millis(1));
            assert_eq!(push(&service, &google, "token-1").await, 204);
            fetches += 1;
            assert_eq!(google.asked(Door::Keys), fetches, "{cache_control}");
        }
    }

    async fn without_keys_a_push_has_to_come_again_and_is_never_refused(database: TestDatabase) {
        let (service, google) = start(database).await;
        let order_id = sold(&service, &google, "token-1").await;
        for answer in [(500, ""), (404, ""), (200, "{}"), (200, "garbage"), (0, "")] {
            google.answer(Door::Keys, Some(answer));
            assert_eq!(push(&service, &google, "token-1").await, 503, "{answer:?}");
            service.clock.advance(Duration::from_secs(10));
        }
        assert_eq!(google.asked(Door::Keys), 5);
        google.answer(Door::Keys, None);
        google.keys_may_be_kept("max-age=60");
        assert_eq!(push(&service, &google, "token-1").await, 204);
        // The last ones are used while Google is away, for a while.
        google.answer(Door::Keys, Some((500, "")));
        service.clock.advance(MINUTE + GoogleConfig::default().keys_stale_max - Duration::from_millis(1));
        assert_eq!(push(&service, &google, "token-1").await, 204);
        service.clock.advance(Duration::from_millis(1));
        assert_eq!(push(&service, &google, "token-1").await, 503);
        google.rotate_keys();
        assert_eq!(push(&service, &google, "token-1").await, 503, "nor for a key that nobody knows");
        assert_eq!(service.state(&order_id).await, "paid");
    }

    async fn an_access_token_is_had_once_for_many_pushes_and_again_before_it_ends(database: TestDatabase) {
        let (service, google) = start(database).await;
        let mut pushes = JoinSet::new();
        for number in 0..20 {
            let token = format!("token-{number}");
            sold(&service, &google, &token).await;
            let (pay, push) = (service.pay.clone(), google.push_sold(service.clock.now(), &token, "gems60"));
            pushes.spawn(async move { status_of(&pay, push).await });
        }
        assert_eq!(pushes.join_all().await, [204; 20]);
        assert_eq!((google.asked(Door::Token), google.asked(Door::Keys)), (1, 1));
        service.clock.advance(Duration::from_secs(3599 - 300 - 1));
        assert_eq!(push(&service, &google, "token-0").await, 204);
        assert_eq!(google.asked(Door::Token), 1);
        service.clock.advance(Duration::from_secs(1));
        assert_eq!(push(&service, &google, "token-0").await, 204);
        assert_eq!((google.asked(Door::Token), service.wallet().await), (2, 20 * 600));
    }

    async fn a_token_that_is_not_taken_is_replaced_once_and_then_left_for_a_moment(database: TestDatabase) {
        let (service, google) = start(database).await;
        let order_id = sold(&service, &google, "token-1").await;
        assert_eq!(push(&service, &google, "token-1").await, 204);
        sold(&service, &google, "token-2").await;
        google.forget_tokens();
        assert_eq!(push(&service, &google, "token-2").await, 204);
        assert_eq!((google.asked(Door::Token), google.asked(Door::Purchase)), (2, 3));
        // None is taken at all: two calls, and then none for a moment.
        service.clock.advance(MINUTE);
        google.answer(Door::Purchase, Some((401, "")));
        for _ in 0..5 {
            assert_eq!(push(&service, &google, "token-1").await, 503);
        }
        assert_eq!((google.asked(Door::Token), google.asked(Door::Purchase)), (3, 5));
        google.answer(Door::Purchase, None);
        service.clock.advance(MINUTE);
        assert_eq!(push(&service, &google, "token-1").await, 204);
        assert_eq!(service.state(&order_id).await, "paid");
    }

    async fn without_an_access_token_nothing_is_asked_and_nobody_hammers_google(database: TestDatabase) {
        let (service, google) = start(database).await;
        let order_id = sold(&service, &google, "token-1").await;
        for (number, answer) in
            [(400, r#"{"error":"invalid_grant"}"#), (500, ""), (200, "{}"), (0, "")].iter().enumerate()
        {
            google.answer(Door::Token, Some(*answer));
            for _ in 0..3 {
                assert_eq!(push(&service, &google, "token-1").await, 503, "{answer:?}");
            }
            assert_eq!(google.asked(Door::Token), number + 1, "{answer:?}");
            service.clock.advance(Duration::from_secs(5));
        }
        assert_eq!(google.asked(Door::Purchase), 0);
        google.answer(Door::Token, None);
        assert_eq!(push(&service, &google, "token-1").await, 204);
        // Without an account nobody can ask at all.
        let mut nobody = google.config();
        nobody.as_object_mut().expect("an object").remove("secrets");
        service.put_channel("google_play", &nobody).await;
        let second = sold(&service, &google, "token-2").await;
        assert_eq!(push(&service, &google, "token-2").await, 503);
        assert_eq!((service.state(&order_id).await, service.state(&second).await), ("paid".to_owned(), "created".to_owned()));
    }

    async fn an_interface_that_does_not_answer_pays_nothing_and_is_asked_again(database: TestDatabase) {
        let (service, google) = start(database).await;
        let order_id = sold(&service, &google, "token-1").await;
        for (answer, expected) in [
            ((403, ""), 503),
            ((429, ""), 503),
            ((500, "<html>"), 503),
            ((0, ""), 503),
            ((302, ""), 503),
            ((200, "garbage"), 503),
            ((200, "{}"), 503),
            ((200, r#"{"purchaseState":"0"}"#), 503),
            ((404, "{}"), 400),
            ((410, "{}"), 400),
        ] {
            google.answer(Door::Purchase, Some(answer));
            assert_eq!(push(&service, &google, "token-1").await, expected, "{answer:?}");
            assert_eq!(service.events(&order_id).await, ["created"], "{answer:?}");
        }
        google.answer(Door::Purchase, None);
        assert_eq!(push(&service, &google, "token-1").await, 204);
        assert_eq!(service.state(&order_id).await, "paid");
    }

    async fn a_purchase_that_is_not_paid_for_pays_nothing(database: TestDatabase) {
        let (service, google) = start(database).await;
        let order_id = sold(&service, &google, "token-1").await;
        for state in [1, 2] {
            google.change("token-1", "purchaseState", json!(state));
            assert_eq!(push(&service, &google, "token-1").await, 204);
        }
        let cancelled = json!({ "oneTimeProductNotification": {
            "version": "1.0", "notificationType": 2, "purchaseToken": "token-1", "sku": "gems60",
        }});
        let cancelled = google.push(service.clock.now(), "com.example.game", cancelled);
        assert_eq!(status_of(&service.pay, cancelled).await, 204);
        assert_eq!((service.events(&order_id).await, waiting(&service).await), (vec!["created".to_owned()], 0));
        // The pending one is paid for after all.
        google.change("token-1", "purchaseState", json!(0));
        assert_eq!(push(&service, &google, "token-1").await, 204);
        assert_eq!(service.state(&order_id).await, "paid");
    }

    async fn a_purchase_that_does_not_fit_its_order_is_neither_applied_nor_acknowledged(database: TestDatabase) {
        let (service, google) = start(database).await;
        service.put_product(APP, "gems6", &[("CNY", 60)]).await.expect("put");
        let order_id = sold(&service, &google, "token-1").await;
        let now = service.clock.now();
        // A cheap product for a dear order.
        assert_eq!(status_of(&service.pay, google.push_sold(now, "token-1", "gems6")).await, 400);
        assert_eq!(service.events(&order_id).await, ["created", "refused_payment"]);
        let sold_once = json!({ "oneTimeProductNotification": {
            "version": "1.0", "notificationType": 1, "purchaseToken": "token-1", "sku": "gems60",
        }});
        assert_eq!(status_of(&service.pay, google.push(now, "com.example.another", sold_once)).await, 400);
        google.change("token-1", "quantity", json!(2));
        assert_ne!(push(&service, &google, "token-1").await, 204);
        google.change("token-1", "quantity", json!(1));
        google.change("token-1", "obfuscatedExternalProfileId", json!("01JXSFM2G00000000000000000"));
        assert_eq!(push(&service, &google, "token-1").await, 400, "an order that there is not");
        assert_eq!((service.wallet().await, waiting(&service).await), (0, 0));
        assert_eq!(service.state(&order_id).await, "created");
        google.change("token-1", "obfuscatedExternalProfileId", json!(order_id));
        assert_eq!(push(&service, &google, "token-1").await, 204);
    }

    async fn a_push_that_comes_many_times_at_once_pays_and_acknowledges_once(database: TestDatabase) {
        let (service, google) = start(database).await;
        let order_id = sold(&service, &google, "token-1").await;
        let replicas = [service.pay.clone(), service.replica().await];
        let mut pushes = JoinSet::new();
        for number in 0..40 {
            let pay = replicas[number % 2].clone();
            let push = google.push_sold(service.clock.now(), "token-1", "gems60");
            pushes.spawn(async move { status_of(&pay, push).await });
        }
        let answers = pushes.join_all().await;
        assert!(answers.iter().all(|status| [204, 503].contains(status)), "{answers:?}");
        assert_eq!(push(&service, &google, "token-1").await, 204);
        assert_eq!((service.wallet().await, waiting(&service).await), (600, 1));
        let (one, other) = tokio::join!(acknowledge(&replicas[0]), acknowledge(&replicas[1]));
        assert_eq!((one + other, google.asked(Door::Acknowledge)), (1, 1));
        assert_eq!(service.events(&order_id).await, ["created", "paid", "channel_acknowledged"]);
    }

    async fn what_an_instance_leaves_behind_when_it_dies_is_acknowledged_by_another(database: TestDatabase) {
        let (service, google) = start(database).await;
        let order_id = sold(&service, &google, "token-1").await;
        assert_eq!(push(&service, &google, "token-1").await, 204);
        // Dead between the commit and the call: only the row is left, and a claim on it.
        let (tasks, replica) = (&service.pay.parts().channel_tasks, service.replica().await);
        let lease = GoogleConfig::default().acknowledge.lease;
        let claim = Claim { worker: Uuid::from_u128(1), until: service.clock.now() + lease };
        assert_eq!(tasks.claim_due(16, claim).await.expect("claimed").1.len(), 1);
        assert_eq!(acknowledge(&replica).await, 0, "it is claimed");
        service.clock.advance(lease);
        assert_eq!(acknowledge(&replica).await, 1);
        assert!(google.is_acknowledged("token-1"));
        assert_eq!(service.events(&order_id).await, ["created", "paid", "channel_acknowledged"]);
    }

    async fn instances_share_what_is_to_be_acknowledged(database: TestDatabase) {
        let (service, google) = start(database).await;
        for number in 0..40 {
            let token = format!("token-{number}");
            sold(&service, &google, &token).await;
            assert_eq!(push(&service, &google, &token).await, 204);
        }
        let replica = service.replica().await;
        let (one, other) = tokio::join!(acknowledge(&service.pay), acknowledge(&replica));
        assert_eq!((one + other, google.asked(Door::Acknowledge), waiting(&service).await), (40, 40, 0));
    }

    async fn an_acknowledgement_that_fails_is_tried_again_and_after_three_days_given_up(database: TestDatabase) {
        let (service, google) = start(database).await;
        let order_id = sold(&service, &google, "token-1").await;
        assert_eq!(push(&service, &google, "token-1").await, 204);
        google.answer(Door::Acknowledge, Some((500, "")));
        let (mut attempts, started) = (0, service.clock.now());
        let limits = GoogleConfig::default().acknowledge;
        while waiting_for_long(&service, started, limits.give_up_after) {
            let attempt = acknowledge(&service.pay).await;
            attempts += attempt;
            if attempt == 1 {
                assert_eq!(acknowledge(&service.pay).await, 0, "not before the pause is over");
            }
            service.clock.advance(10 * MINUTE);
            assert_eq!(service.count("SELECT COUNT(*) FROM pay_channel_tasks WHERE dead = 1").await, 0);
        }
        // Once more at the very end.
        assert_eq!(acknowledge(&service.pay).await, 1);
        assert!((70..100).contains(&attempts), "{attempts}");
        assert_eq!(service.count("SELECT COUNT(*) FROM pay_channel_tasks WHERE dead = 1").await, 1);
        service.clock.advance(30 * 24 * HOUR);
        google.answer(Door::Acknowledge, None);
        assert_eq!(acknowledge(&service.pay).await, 0, "nobody tries any more");
        assert_eq!(service.events(&order_id).await, ["created", "paid", "channel_acknowledgement_given_up"]);
        assert_eq!((acknowledgements(&service.pay, "given_up"), service.state(&order_id).await), (1, "paid".to_owned()));
        let parts = service.pay.parts();
        parts.google_metrics.backlog(parts.channel_tasks.backlog().await.expect("read"));
        assert_eq!(parts.google_metrics.dead.get(), 1);
    }

    async fn a_refused_acknowledgement_is_looked_into(database: TestDatabase) {
        let (service, google) = start(database).await;
        let mut orders = Vec::new();
        for (token, field) in [("token-1", "acknowledgementState"), ("token-2", "purchaseState"), ("token-3", "kind")] {
            orders.push(sold(&service, &google, token).await);
            assert_eq!(push(&service, &google, token).await, 204);
            // The client was faster; or the player has cancelled; or neither.
            google.change(token, field, json!(1));
        }
        google.answer(Door::Acknowledge, Some((400, "{}")));
        assert_eq!(acknowledge(&service.pay).await, 3);
        assert_eq!(service.events(&orders[0]).await.last().map(String::as_str), Some("channel_acknowledged"));
        assert_eq!(service.events(&orders[1]).await.last().map(String::as_str), Some("channel_not_acknowledged"));
        assert_eq!(waiting(&service).await, 1);
        for outcome in ["acknowledged", "moot", "failed"] {
            assert_eq!(acknowledgements(&service.pay, outcome), 1, "{outcome}");
        }
        google.answer(Door::Acknowledge, None);
        service.clock.advance(Duration::from_secs(10));
        assert_eq!(acknowledge(&service.pay).await, 1);
        assert!(google.is_acknowledged("token-3"));
    }

    async fn what_was_taken_back_is_not_acknowledged(database: TestDatabase) {
        let (service, google) = start(database).await;
        let order_id = sold(&service, &google, "token-1").await;
        assert_eq!(push(&service, &google, "token-1").await, 204);
        service.refund(&order_id).await.expect("refunded");
        assert_eq!(acknowledge(&service.pay).await, 0);
        assert_eq!((waiting(&service).await, google.asked(Door::Acknowledge)), (0, 0));
    }

    async fn a_voided_purchase_is_taken_back_whether_it_comes_after_the_payment_or_before(database: TestDatabase) {
        let (service, google) = start(database).await;
        let (first, second) =
            (sold(&service, &google, "token-1").await, sold(&service, &google, "token-2").await);
        let voided = |token: &str| google.push_voided(service.clock.now(), token);
        assert_eq!(push(&service, &google, "token-1").await, 204);
        for _ in 0..2 {
            assert_eq!(status_of(&service.pay, voided("token-1")).await, 204);
        }
        assert_eq!((service.state(&first).await, service.wallet().await), ("refunded".to_owned(), 0));
        // Before the payment, whose push Google answers as it was at first.
        assert_eq!(status_of(&service.pay, voided("token-2")).await, 503, "the payment may be under way");
        assert_eq!(push(&service, &google, "token-2").await, 204);
        assert_eq!(service.events(&second).await, ["created", "refused_payment"]);
        google.change("token-2", "purchaseState", json!(1));
        assert_eq!(push(&service, &google, "token-2").await, 204);
        service.clock.advance(MINUTE);
        assert_eq!(status_of(&service.pay, voided("token-2")).await, 204, "it need not come again");
        assert_eq!((service.state(&second).await, service.wallet().await), ("created".to_owned(), 0));
        assert_eq!((acknowledge(&service.pay).await, waiting(&service).await), (0, 0));
    }

    async fn no_secret_is_shown_or_logged(database: TestDatabase) {
        let lines = Lines::default();
        // With one subscriber alone, a line that another thread's test writes first is never written here.
        let _another = tracing::Dispatch::new(tracing_subscriber::registry());
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        let _guard = tracing::subscriber::set_default(subscriber);
        let (service, google) = start(database).await;
        sold(&service, &google, "token-s3cret").await;
        for door in [Door::Token, Door::Purchase, Door::Acknowledge] {
            google.answer(door, Some((401, "s3cret")));
            assert_eq!(push(&service, &google, "token-s3cret").await == 204, door == Door::Acknowledge, "{door:?}");
            google.answer(door, None);
            service.clock.advance(MINUTE);
        }
        google.answer(Door::Acknowledge, Some((500, "s3cret")));
        assert_eq!(acknowledge(&service.pay).await, 1);
        let shown = service.pay.admin_list_channels(ListPayChannelsRequest { app_id: APP });
        let shown = format!("{:?}", public(shown.await).expect("a list"));
        assert!(shown.contains(r#"\"service_account\":\"***\""#), "{shown}");
        let lines = String::from_utf8(lines.0.lock().expect("not poisoned").clone()).expect("text");
        assert!(lines.contains("could not be asked") && lines.contains("could not be acknowledged"), "{lines}");
        let key = FakeGoogle::private_key();
        for secret in ["s3cret", &key[40..80], "BEGIN PRIVATE"] {
            let line = lines.lines().chain(shown.lines()).find(|line| line.contains(secret));
            assert_eq!(line, None, "{secret}");
        }
    }
}

/// Whether the time to give up has not come.
fn waiting_for_long(service: &Service, started: common::clock::Timestamp, limit: Duration) -> bool {
    service.clock.now().since(started) < limit
}

/// What was logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("not poisoned").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
