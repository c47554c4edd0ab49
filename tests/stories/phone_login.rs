//! A player who has nothing but a phone: a code comes, and it opens the account.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Builder, PATIENCE, Platform, Player, Receiver, Shape, eventually, in_both_shapes};

in_both_shapes!(
    a_phone_gets_a_code_and_signs_in_to_one_account,
    wrong_used_and_never_sent_codes_are_one_answer,
    a_second_code_waits_and_says_for_how_long,
    an_address_has_a_budget_and_others_go_on,
    strangers_who_guess_at_a_code_leave_its_player_five_tries,
    strangers_who_use_up_a_phones_day_leave_codes_to_the_players_device,
    the_second_url_takes_over_when_the_first_one_is_silent_or_fails,
    a_sender_that_is_stuck_costs_nobody_a_code_or_a_wait,
    neither_code_nor_phone_is_written_anywhere,
    in_development_the_code_is_in_the_log,
    a_number_that_is_not_international_is_refused_by_name,
);

const PHONE: &str = "+8613812345678";
const OTHER: &str = "+14155550100";

fn sending_to(shape: Shape, receiver: &Receiver) -> Builder {
    Platform::build(shape)
        .set("account.phone.webhook.url", &receiver.url())
        .set("account.phone.webhook.secret", Receiver::secret())
        // The stories can't wait a minute for a second code.
        .set("account.phone.resend_after", "1s")
}

async fn send_code(platform: &Platform, phone: &str) -> Answer {
    let body = json!({ "app_id": platform.app().app_id, "phone": phone, "scene": "login" });
    platform.client().post("/v1/sdk/phone-codes", &body).await
}

async fn send_code_from(platform: &Platform, address: &str, phone: &str) -> Answer {
    let body = json!({ "app_id": platform.app().app_id, "phone": phone, "scene": "login" });
    let request = platform.client().request(Method::POST, "/v1/sdk/phone-codes").header("x-forwarded-for", address);
    platform.client().send(request.json(&body)).await
}

async fn login(platform: &Platform, phone: &str, code: &str) -> Answer {
    let body = json!({ "app_id": platform.app().app_id, "kind": "phone", "phone": phone, "code": code });
    platform.client().post("/v1/sdk/login", &body).await
}

/// Asks until the time between two codes is over.
async fn send_another_code(platform: &Platform, phone: &str) {
    eventually("another code may be sent", || async {
        let answer = send_code(platform, phone).await;
        if answer.status == 200 {
            return Some(());
        }
        answer.refused(4_290_002);
        None
    })
    .await;
}

fn other_than(code: &str) -> &'static str {
    if code == "000000" { "000001" } else { "000000" }
}

async fn a_phone_gets_a_code_and_signs_in_to_one_account(shape: Shape) {
    let receiver = Receiver::start().await;
    let platform = sending_to(shape, &receiver).start().await;
    let sent = send_code(&platform, PHONE).await.ok();
    let (expires_at, resend_at) = (sent["expires_at"].as_i64().unwrap(), sent["resend_at"].as_i64().unwrap());
    assert_eq!(expires_at - resend_at, 299_000, "{sent}");
    let code = receiver.code(PHONE, "login", None).await;
    assert!(code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()), "{code}");
    let document = receiver.received().remove(0);
    assert_eq!((&document["app_id"], &document["expires_at"]), (&json!(platform.app().app_id), &sent["expires_at"]));
    assert!(document["id"].as_str().is_some_and(|id| !id.is_empty()), "{document}");

    let answer = login(&platform, PHONE, &code).await;
    let player = Player::from_answer(platform.client().clone(), platform.app().app_id, "", &answer);
    assert_eq!(player.welcome["is_new_account"], true);
    assert_eq!(platform.verify(&player.tokens.access_token).await.status, "valid");
    let me = player.me().await.ok();
    assert_eq!(me["credentials"], json!([{ "kind": "phone", "name": "+86138****5678" }]));

    send_another_code(&platform, PHONE).await;
    let again = login(&platform, PHONE, &receiver.code(PHONE, "login", Some(&code)).await).await.ok();
    assert_eq!((&again["account_id"], &again["is_new_account"]), (&player.welcome["account_id"], &json!(false)));
}

async fn wrong_used_and_never_sent_codes_are_one_answer(shape: Shape) {
    let receiver = Receiver::start().await;
    let platform = sending_to(shape, &receiver).start().await;
    let without_ids = |answer: &Answer| {
        let mut envelope = answer.json();
        envelope.as_object_mut().unwrap().remove("request_id");
        envelope
    };
    let never_sent = login(&platform, OTHER, "123456").await;
    never_sent.refused(4_010_106);
    send_code(&platform, PHONE).await.ok();
    let code = receiver.code(PHONE, "login", None).await;
    let wrong = login(&platform, PHONE, other_than(&code)).await;
    let elsewhere = login(&platform, OTHER, &code).await;
    login(&platform, PHONE, &code).await.ok();
    let used = login(&platform, PHONE, &code).await;
    for answer in [wrong, elsewhere, used] {
        assert_eq!(without_ids(&answer), without_ids(&never_sent));
    }
}

async fn a_second_code_waits_and_says_for_how_long(shape: Shape) {
    let receiver = Receiver::start().await;
    let platform = sending_to(shape, &receiver).set("account.phone.resend_after", "1m").start().await;
    send_code(&platform, PHONE).await.ok();
    let refused = send_code(&platform, PHONE).await;
    let wait = refused.refused(4_290_002).json()["retry_after_ms"].as_u64().unwrap();
    assert!((30_000..=75_000).contains(&wait), "{refused:?}");
    send_code(&platform, OTHER).await.ok();
}

async fn an_address_has_a_budget_and_others_go_on(shape: Shape) {
    let receiver = Receiver::start().await;
    let platform = sending_to(shape, &receiver)
        .set("account.phone.budget.address_per_hour", "2")
        .set("gateway.edge.trusted_proxies", "[\"127.0.0.0/8\"]")
        .start()
        .await;
    for phone in ["+8613800000001", "+8613800000002"] {
        send_code_from(&platform, "192.0.2.1", phone).await.ok();
    }
    send_code_from(&platform, "192.0.2.1", "+8613800000003").await.refused(4_290_001);
    send_code_from(&platform, "192.0.2.2", "+8613800000003").await.ok();
}

/// Somebody on a device at an address, as the platform's proxy, which the story is, says.
async fn post_from(platform: &Platform, path: &str, address: &str, device: &str, mut body: Value) -> Answer {
    body["app_id"] = json!(platform.app().app_id);
    body["device_id"] = json!(device);
    let request = platform.client().request(Method::POST, path).header("x-forwarded-for", address);
    platform.client().send(request.json(&body)).await
}

async fn asks_on(platform: &Platform, address: &str, device: &str) -> Answer {
    post_from(platform, "/v1/sdk/phone-codes", address, device, json!({ "phone": PHONE, "scene": "login" })).await
}

async fn comes_on(platform: &Platform, address: &str, device: &str, code: &str) -> Answer {
    let body = json!({ "kind": "phone", "phone": PHONE, "code": code });
    post_from(platform, "/v1/sdk/login", address, device, body).await
}

async fn strangers_who_guess_at_a_code_leave_its_player_five_tries(shape: Shape) {
    let receiver = Receiver::start().await;
    let platform = sending_to(shape, &receiver).set("gateway.edge.trusted_proxies", "[\"127.0.0.0/8\"]").start().await;
    asks_on(&platform, "192.0.2.1", "anns phone").await.ok();
    let code = receiver.code(PHONE, "login", None).await;
    for network in 0..6 {
        for guess in 0..4 {
            let (address, device) = (format!("198.51.{network}.7"), format!("bot {network} {guess}"));
            comes_on(&platform, &address, &device, other_than(&code)).await.refused(4_010_106);
        }
    }
    comes_on(&platform, "203.0.113.7", "lucky bot", &code).await.refused(4_010_106);
    for _ in 0..4 {
        comes_on(&platform, "192.0.2.1", "anns phone", other_than(&code)).await.refused(4_010_106);
    }
    comes_on(&platform, "192.0.2.1", "anns phone", &code).await.ok();
}

async fn strangers_who_use_up_a_phones_day_leave_codes_to_the_players_device(shape: Shape) {
    let receiver = Receiver::start().await;
    let platform = sending_to(shape, &receiver)
        .set("gateway.edge.trusted_proxies", "[\"127.0.0.0/8\"]")
        .set("account.phone.budget.phone_per_day", "4")
        .set("account.phone.budget.phone_per_day_reserved", "2")
        .start()
        .await;
    asks_on(&platform, "192.0.2.1", "anns phone").await.ok();
    let first = receiver.code(PHONE, "login", None).await;
    comes_on(&platform, "192.0.2.1", "anns phone", &first).await.ok();
    // Who comes too early waits a second; who comes when the day is used up waits for hours.
    let used_up = |answer: &Answer| answer.json()["retry_after_ms"].as_u64() > Some(60_000);
    eventually("strangers have used up the day", || async {
        let answer = asks_on(&platform, "198.51.100.7", "bot").await;
        (answer.status != 200 && used_up(&answer)).then_some(())
    })
    .await;
    let by_stranger = receiver.code(PHONE, "login", Some(&first)).await;
    asks_on(&platform, "192.0.2.1", "anns new phone").await.refused(4_290_002);
    eventually("the player's device gets a code", || async {
        (asks_on(&platform, "192.0.2.1", "anns phone").await.status == 200).then_some(())
    })
    .await;
    let code = receiver.code(PHONE, "login", Some(&by_stranger)).await;
    comes_on(&platform, "192.0.2.1", "anns phone", &code).await.ok();
}

async fn the_second_url_takes_over_when_the_first_one_is_silent_or_fails(shape: Shape) {
    let (first, second) = (Receiver::start().await, Receiver::start().await);
    let platform = sending_to(shape, &first)
        .set("account.phone.webhook.second_url", &second.url())
        .set("account.phone.webhook.timeout", "200ms")
        .set("account.phone.webhook.backoff", "10ms")
        .start()
        .await;
    first.answer(500);
    send_code(&platform, PHONE).await.ok();
    let code = second.code(PHONE, "login", None).await;
    login(&platform, PHONE, &code).await.ok();

    first.fall_silent();
    send_code(&platform, OTHER).await.ok();
    let code = second.code(OTHER, "login", None).await;
    login(&platform, OTHER, &code).await.ok();
    let ids = |receiver: &Receiver, phone: &str| -> Vec<Value> {
        let received = receiver.received().into_iter().filter(|document| document["phone"] == phone);
        received.map(|document| document["id"].clone()).collect()
    };
    for phone in [PHONE, OTHER] {
        assert_eq!(ids(&first, phone), ids(&second, phone), "a repeat can be told by its id");
    }
}

async fn a_sender_that_is_stuck_costs_nobody_a_code_or_a_wait(shape: Shape) {
    let receiver = Receiver::start().await;
    let platform = sending_to(shape, &receiver)
        .set("account.phone.queue", "1")
        .set("account.phone.webhook.timeout", "50s")
        .set("lifecycle.drain_timeout", "1s")
        .start()
        .await;
    receiver.fall_silent();
    let asked = tokio::time::timeout(Duration::from_secs(10), send_code(&platform, PHONE)).await;
    asked.expect("nobody waits for the sender").ok();
    let refused = send_code(&platform, OTHER).await;
    refused.refused(5_030_001);
    login(&platform, OTHER, "123456").await.refused(4_010_106);
}

async fn neither_code_nor_phone_is_written_anywhere(shape: Shape) {
    let receiver = Receiver::start().await;
    let mut platform = sending_to(shape, &receiver)
        .set("log.level", "trace,volo_thrift=trace,volo=trace,hyper=trace,sqlx=trace,rustls=trace,hyper_util=trace")
        .set("account.phone.webhook.backoff", "10ms")
        .start()
        .await;
    send_code(&platform, PHONE).await.ok();
    let code = receiver.code(PHONE, "login", None).await;
    login(&platform, PHONE, other_than(&code)).await.refused(4_010_106);
    login(&platform, PHONE, &code).await.ok();
    // What fails is written about more readily than what works.
    receiver.answer(500);
    send_code(&platform, OTHER).await.ok();
    let failed = receiver.code(OTHER, "login", None).await;
    eventually("the failure is written", || async { platform.logs().contains("could not be sent").then_some(()) })
        .await;
    let mut shown = String::new();
    for role in platform.roles() {
        shown.push_str(&platform.operator(role).get("/metrics").await.text);
        platform.terminate(role);
        assert!(platform.ends_within(role, PATIENCE).await.is_some());
    }
    shown.push_str(&platform.logs());
    assert!(shown.contains("/v1/sdk/phone-codes"), "there is an access log");
    for secret in [PHONE, OTHER, &PHONE[1..], &OTHER[1..]] {
        let bytes = format!("{:?}", secret.as_bytes());
        let line = shown.lines().find(|line| line.contains(secret) || line.contains(bytes.trim_matches(['[', ']'])));
        assert!(line.is_none(), "a phone is written: {line:?}");
    }
    for code in [code, failed] {
        // Six digits alone may be part of any number.
        let line = shown.lines().find(|line| line.contains(&format!("\"{code}\"")));
        assert!(line.is_none(), "a code is written: {line:?}");
    }
}

async fn in_development_the_code_is_in_the_log(shape: Shape) {
    let platform = Platform::start(shape).await;
    send_code(&platform, PHONE).await.ok();
    let line = eventually("the code is in the log", || async {
        platform.logs().lines().find(|line| line.contains("DEVELOPMENT ONLY")).map(str::to_owned)
    })
    .await;
    assert!(!line.contains(PHONE), "{line}");
    let (_, code) = line.split_once("\"code\":\"").unwrap_or_else(|| panic!("no code in {line}"));
    login(&platform, PHONE, &code[..6]).await.ok();
}

async fn a_number_that_is_not_international_is_refused_by_name(shape: Shape) {
    let platform = Platform::start(shape).await;
    for phone in ["13812345678", "+86 138 1234 5678", "", "+"] {
        send_code(&platform, phone).await.refused_field(4_000_001, "phone");
    }
    login(&platform, "13812345678", "123456").await.refused_field(4_000_001, "phone");
    let body = json!({ "app_id": platform.app().app_id, "phone": PHONE, "scene": "dinner" });
    platform.client().post("/v1/sdk/phone-codes", &body).await.refused_field(4_000_001, "scene");
}
