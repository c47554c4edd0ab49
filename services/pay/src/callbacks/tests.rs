//! Apple's notifications and transactions, from the raw bytes to the order, on both databases.

use std::time::Duration;

use common::clock::Clock;
use idl::pay::HandleCallbackRequest;
use serde_json::json;

use crate::{
    channels::{app_account_token, testing::AppleSigner},
    testing::{APP, OTHER_APP, Service, status_of},
};

/// A service with Apple as a channel.
async fn start(database: common::sql::testing::TestDatabase) -> (Service, AppleSigner) {
    let (service, apple) = (Service::start(database).await, AppleSigner::new());
    service.put_channel("apple", &apple.config()).await;
    (service, apple)
}

fn callback(body: String) -> HandleCallbackRequest {
    HandleCallbackRequest {
        channel: "apple".into(),
        app_id: APP,
        method: "POST".into(),
        path: "/v1/pay/callbacks/apple/1001".into(),
        query: "".into(),
        headers: Vec::new(),
        body: body.into_bytes().into(),
    }
}

/// An order for Apple, and what the client gives StoreKit for it.
async fn order(service: &Service, key: &str) -> (String, String) {
    let made = service.create_with(key, |request| request.channel = Some("apple".into())).await.expect("made");
    let token = made.pay_params.get("app_account_token").expect("there").to_string();
    assert_eq!(app_account_token(&made.order_id).as_deref(), Some(&*token));
    (made.order_id.to_string(), token)
}

common::on_each_database! {
    async fn a_charge_pays_its_order_and_a_refund_or_revocation_takes_it_back(database: TestDatabase) {
        let (service, apple) = start(database).await;
        for (id, kind) in [("1", "REFUND"), ("2", "REVOKE")] {
            let now = service.clock.now();
            let (order_id, token) = order(&service, id).await;
            let bought = apple.transaction(now, id, &token, false);
            for _ in 0..2 {
                let charge = apple.notification(now, "ONE_TIME_CHARGE", &bought);
                assert_eq!(status_of(&service.pay, callback(charge)).await, 200);
            }
            // The client may hand in the same.
            let handed_in = json!({ "signedTransactionInfo": bought }).to_string();
            assert_eq!(status_of(&service.pay, callback(handed_in)).await, 200);
            assert_eq!(service.events(&order_id).await, ["created", "payment_started", "paid"]);
            assert_eq!(service.wallet().await, 600);
            let taken_back = apple.transaction(now, id, &token, true);
            for _ in 0..2 {
                let refund = apple.notification(now, kind, &taken_back);
                assert_eq!(status_of(&service.pay, callback(refund)).await, 200, "{kind}");
            }
            assert_eq!(service.state(&order_id).await, "refunded", "{kind}");
            assert_eq!(service.wallet().await, 0);
        }
        assert_eq!(service.count("SELECT COUNT(*) FROM pay_outbox").await, 0);
    }

    async fn what_moves_no_money_is_accepted_and_changes_nothing(database: TestDatabase) {
        let (service, apple) = start(database).await;
        let now = service.clock.now();
        let (order_id, token) = order(&service, "k-1").await;
        let bought = apple.transaction(now, "1", &token, false);
        let notify = async |kind: &str, transaction: &str| {
            status_of(&service.pay, callback(apple.notification(now, kind, transaction))).await
        };
        for kind in ["CONSUMPTION_REQUEST", "REFUND_REVERSED", "REFUND_DECLINED", "TEST"] {
            assert_eq!(notify(kind, &bought).await, 200, "{kind}");
            assert_eq!(service.state(&order_id).await, "paying", "{kind}");
        }
        assert_eq!(notify("ONE_TIME_CHARGE", &bought).await, 200);
        for kind in ["CONSUMPTION_REQUEST", "REFUND_REVERSED", "REFUND_DECLINED"] {
            assert_eq!(notify(kind, &bought).await, 200, "{kind}");
        }
        assert_eq!(service.state(&order_id).await, "paid");
        assert_eq!(notify("REFUND", &apple.transaction(now, "1", &token, true)).await, 200);
        // The money came back to us, and what it bought is gone all the same: for an operator to see to.
        assert_eq!(notify("REFUND_REVERSED", &bought).await, 200);
        assert_eq!(service.state(&order_id).await, "refunded");
        assert_eq!(service.wallet().await, 0);
    }

    async fn a_payment_that_was_refunded_first_pays_for_nothing_however_it_is_handed_in(database: TestDatabase) {
        let (service, apple) = start(database).await;
        let now = service.clock.now();
        let (order_id, token) = order(&service, "k-1").await;
        let (bought, taken_back) =
            (apple.transaction(now, "1", &token, false), apple.transaction(now, "1", &token, true));
        let refund = || callback(apple.notification(now, "REFUND", &taken_back));
        assert_eq!(status_of(&service.pay, refund()).await, 503, "the payment may be under way");
        // Signed before the refund, and handed in after it.
        let handed_in = json!({ "signedTransactionInfo": bought }).to_string();
        for _ in 0..2 {
            assert_eq!(status_of(&service.pay, callback(handed_in.clone())).await, 200);
        }
        assert_eq!(service.state(&order_id).await, "paying");
        assert_eq!(service.events(&order_id).await, ["created", "payment_started", "refused_payment"]);
        assert_eq!(service.wallet().await, 0);
        service.clock.advance(Duration::from_secs(60));
        assert_eq!(status_of(&service.pay, refund()).await, 200, "it need not come again");
        // Another purchase for the order is as good as ever.
        let second = apple.notification(service.clock.now(), "ONE_TIME_CHARGE", &apple.transaction(now, "2", &token, false));
        assert_eq!(status_of(&service.pay, callback(second)).await, 200);
        assert_eq!(service.state(&order_id).await, "paid");
    }

    async fn a_refund_that_overtakes_its_payment_finds_it_when_it_comes_again(database: TestDatabase) {
        let (service, apple) = start(database).await;
        let now = service.clock.now();
        let (order_id, token) = order(&service, "k-1").await;
        // As if the payment had looked before the refund was noted.
        let charge = apple.notification(now, "ONE_TIME_CHARGE", &apple.transaction(now, "1", &token, false));
        assert_eq!(status_of(&service.pay, callback(charge)).await, 200);
        assert!(!service.pay.parts().orders.note_early_refund(APP, "apple", "1").await.expect("noted"));
        let refund = apple.notification(now, "REFUND", &apple.transaction(now, "1", &token, true));
        assert_eq!(status_of(&service.pay, callback(refund)).await, 200);
        assert_eq!(service.state(&order_id).await, "refunded");
    }

    async fn what_another_app_s_channel_took_back_is_nothing_to_this_one(database: TestDatabase) {
        let (service, apple) = start(database).await;
        let (now, orders) = (service.clock.now(), &service.pay.parts().orders);
        assert!(!orders.note_early_refund(OTHER_APP, "apple", "1").await.expect("noted"));
        assert!(!orders.note_early_refund(APP, "google_play", "1").await.expect("noted"));
        let (order_id, token) = order(&service, "k-1").await;
        let charge = apple.notification(now, "ONE_TIME_CHARGE", &apple.transaction(now, "1", &token, false));
        assert_eq!(status_of(&service.pay, callback(charge)).await, 200);
        assert_eq!(service.state(&order_id).await, "paid");
    }

    async fn what_apple_has_not_signed_or_not_for_this_game_changes_nothing(database: TestDatabase) {
        let (service, apple) = start(database).await;
        let now = service.clock.now();
        let (order_id, token) = order(&service, "k-1").await;
        let bought = apple.transaction(now, "1", &token, false);
        let (head, signature) = bought.rsplit_once('.').expect("a token");
        let altered = format!("{head}.{}", signature.chars().rev().collect::<String>());
        let mut elsewhere = apple.config();
        elsewhere["bundle_id"] = json!("com.example.another");
        assert_eq!(status_of(&service.pay, callback(apple.notification(now, "ONE_TIME_CHARGE", &altered))).await, 400);
        service.put_channel("apple", &elsewhere).await;
        let charge = apple.notification(now, "ONE_TIME_CHARGE", &bought);
        assert_eq!(status_of(&service.pay, callback(charge.clone())).await, 400);
        // Apple's own chain of another root.
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../channels/vectors/apple.json")).expect("JSON");
        let mut another_root = apple.config();
        another_root["root_certificates"] = vectors["root"].clone();
        service.put_channel("apple", &another_root).await;
        assert_eq!(status_of(&service.pay, callback(charge)).await, 400);
        assert_eq!(service.events(&order_id).await, ["created", "payment_started"]);
        assert_eq!(service.count("SELECT COUNT(*) FROM pay_callbacks").await, 0);
    }
}
