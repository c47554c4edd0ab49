use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::channels::{
    config::{BuildInputs, ChannelConfig},
    testing::{RsaSigner, facts, malformed, post_at, problems},
};

/// A push as Google documents it, with its token, signed by Python's `cryptography` with a key that was thrown away:
/// `padding.PKCS1v15()` and `hashes.SHA256()` over header and claims; and an answer of `purchases.products.get`.
static VECTORS: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../vectors/google_play.json")).expect("JSON"));

const SIGNED_AT_MS: i64 = 1_780_000_000_000;

fn vector(name: &str) -> &'static str {
    VECTORS[name].as_str().expect("a text")
}

fn config() -> Value {
    json!({
        "kind": "google_play", "package_name": "com.example.game",
        "push_audience": "https://pay.example.com/v1/pay/callbacks/google_play/1",
        "push_service_account": "push@example.iam.gserviceaccount.com",
        "subscription": "projects/example/subscriptions/play",
    })
}

fn build(config: &Value, keys: Option<&str>) -> Box<dyn PaymentChannel> {
    let issuer_keys = keys.map(|keys| IssuerKeys::parse(keys.as_bytes()).expect("keys"));
    let config = ChannelConfig::parse(&config.to_string(), None, false).expect("a good configuration");
    assert_eq!(config.issuer_keys_url(), Some(KEYS_URL));
    config.build(&BuildInputs { issuer_keys, ..BuildInputs::default() })
}

fn verify_with(config: &Value, token: &str, now: i64, body: &str) -> Result<Verdict, CallbackRefusal> {
    post_at(&*build(config, Some(vector("key_set"))), now, &[("authorization", token)], body)
}

fn verify(name: &str) -> Result<Verdict, CallbackRefusal> {
    verify_with(&config(), vector("authorization"), SIGNED_AT_MS, vector(name))
}

fn question() -> Question {
    match verify("purchased") {
        Ok(Verdict::Ask(question)) => question,
        other => panic!("no question: {other:?}"),
    }
}

fn answered(config: &Value, status: u16, body: &str) -> Result<Verdict, CallbackRefusal> {
    build(config, None).read_answer(&question(), &Answer { status, headers: &http::HeaderMap::new(), body: body.as_bytes() })
}

fn answered_with(field: &str, value: Value) -> Result<Verdict, CallbackRefusal> {
    let mut answer: Value = serde_json::from_str(vector("answer")).expect("JSON");
    answer[field] = value;
    answered(&config(), 200, &answer.to_string())
}

fn paid() -> PaymentFacts {
    PaymentFacts {
        order_id: Some("0193a7c05e4b7a3c8d2f1b6e9a0c4d57".to_owned()),
        channel_order_id: "GPA.3372-4150-8203-17209".to_owned(),
        charged: Charged::StorePrice(None),
        paid_at: Some(Timestamp::from_millis(1_779_999_999_000)),
        is_test: false,
        channel_product_id: Some("gold_60".to_owned()),
        what: What::Paid,
    }
}

#[test]
fn a_purchase_is_a_question_whose_answer_has_the_facts() {
    let question = question();
    let url = "https://androidpublisher.googleapis.com/androidpublisher/v3/applications/com.example.game/purchases\
               /products/gold%5F60/tokens/token%2EAO%2DJ1O%2Fx";
    assert_eq!((question.url.as_str(), question.product_id.as_str()), (url, "gold_60"));
    assert_eq!(question.acknowledge_url, format!("{url}:acknowledge"));
    assert!(!format!("{question:?}").contains("AO-J1O"));
    for _ in 0..2 {
        assert_eq!(facts(answered(&config(), 200, vector("answer"))), paid());
    }
    let mut by_account = config();
    by_account["order_id_in"] = json!("account_id");
    assert_eq!(facts(answered(&by_account, 200, vector("answer"))).order_id, Some("a1".to_owned()));
}

#[test]
fn a_voided_purchase_is_a_refund_by_google_s_own_number() {
    let refund = Refund {
        refund_id: None,
        extent: RefundExtent::Everything,
        refunded_at: Some(Timestamp::from_millis(1_780_000_000_123)),
    };
    let expected = PaymentFacts {
        order_id: None,
        paid_at: None,
        channel_product_id: None,
        what: What::Refunded(refund),
        ..paid()
    };
    assert_eq!(facts(verify("voided")), expected);
}

#[test]
fn what_says_nothing_about_money_is_ignored() {
    for name in ["cancelled", "test"] {
        assert!(matches!(verify(name), Ok(Verdict::Ignored(_))), "{name}");
    }
    for state in [1, 2] {
        assert!(matches!(answered_with("purchaseState", json!(state)), Ok(Verdict::Ignored(_))), "{state}");
    }
}

#[test]
fn an_answer_is_judged_by_all_it_says() {
    assert!(facts(answered_with("purchaseType", json!(0))).is_test);
    assert!(!facts(answered_with("purchaseType", json!(1))).is_test);
    assert_eq!(facts(answered_with("obfuscatedExternalProfileId", json!(""))).order_id, None);
    // `printf %s token.AO-J1O/x | sha256sum`.
    let by_token = "fcd0d53f502e22a0bedf624e92316f28ec54ad32c47cc9ff18d843f43c9e2d55";
    assert_eq!(facts(answered_with("orderId", json!(null))).channel_order_id, by_token);
    for (field, value) in [
        ("purchaseState", json!("0")),
        ("purchaseState", json!(3)),
        ("purchaseTimeMillis", json!("soon")),
        ("productId", json!("gold_6000")),
        ("purchaseToken", json!("another")),
        ("quantity", json!(2)),
        ("obfuscatedExternalProfileId", json!("o 1")),
    ] {
        assert_eq!(malformed(&answered_with(field, value)), field);
    }
    assert_eq!(malformed(&answered(&config(), 200, "")), "answer");
    assert_eq!(malformed(&answered(&config(), 404, "")), "purchaseToken");
    for status in [401, 403, 429, 500, 503] {
        assert_eq!(answered(&config(), status, ""), Err(CallbackRefusal::ChannelUnavailable { status }));
    }
}

#[test]
fn a_push_without_google_s_token_is_refused() {
    let good = vector("authorization");
    let (head, signature) = good.rsplit_once('.').expect("a token");
    let other_claims = "eyJhdWQiOiJ4In0";
    let (header, _) = head.split_once('.').expect("a token");
    for token in [
        format!("{header}.{other_claims}.{signature}"),
        format!("{head}.AAAA"),
        format!("{head}."),
        // {"alg":"none","kid":"7d680d8c70d44e947133cbd499ebc1a61c3d5abc"}
        format!(
            "Bearer eyJhbGciOiJub25lIiwia2lkIjoiN2Q2ODBkOGM3MGQ0NGU5NDcxMzNjYmQ0OTllYmMxYTYxYzNkNWFiYyJ9.{other_claims}."
        ),
    ] {
        let refused = verify_with(&config(), &token, SIGNED_AT_MS, vector("purchased"));
        assert_eq!(refused, Err(CallbackRefusal::BadSignature), "{token}");
    }
    for token in ["", "Basic YTpi", "Bearer x"] {
        let refused = verify_with(&config(), token, SIGNED_AT_MS, vector("purchased"));
        assert_eq!(malformed(&refused), "Authorization", "{token}");
    }
}

#[test]
fn without_the_key_the_answer_is_that_it_is_not_known() {
    let send =
        |keys| post_at(&*build(&config(), keys), SIGNED_AT_MS, &[("authorization", vector("authorization"))], "");
    assert_eq!(send(None), Err(CallbackRefusal::NotConfigured { key: "Google's key set" }));
    let kid = "7d680d8c70d44e947133cbd499ebc1a61c3d5abc";
    let others = vector("key_set").replace(kid, "another");
    assert_eq!(send(Some(&others)), Err(CallbackRefusal::UnknownCertificate { serial: kid.to_owned() }));
}

#[test]
fn a_token_is_good_for_its_time_its_audience_and_its_account() {
    // Made at 1780000000, good for an hour, with five minutes for clocks.
    for (at, good) in [(-301, false), (-300, true), (3_899, true), (3_900, false)] {
        let verdict = verify_with(&config(), vector("authorization"), SIGNED_AT_MS + at * 1000, vector("test"));
        assert_eq!(verdict.is_ok(), good, "{at}");
        assert!(good || verdict == Err(CallbackRefusal::StaleTimestamp), "{at}");
    }
    for (key, another, field) in [
        ("push_audience", "another", "aud"),
        ("push_service_account", "another@example.com", "email"),
        ("package_name", "com.example.another", "packageName"),
        ("subscription", "projects/another", "subscription"),
    ] {
        let mut other = config();
        other[key] = json!(another);
        let refused = verify_with(&other, vector("authorization"), SIGNED_AT_MS, vector("purchased"));
        assert_eq!(refused, Err(CallbackRefusal::wrong_merchant(field)), "{key}");
    }
}

#[test]
fn a_token_that_google_signed_counts_only_if_it_is_one_of_a_push() {
    let signer = RsaSigner::new();
    let channel = build(&config(), Some(&signer.key_set("k").to_string()));
    let verify = |place: &str, value: Value| {
        let mut token = json!({
            "header": { "alg": "RS256", "kid": "k" },
            "claims": {
                "iss": "https://accounts.google.com", "aud": config()["push_audience"],
                "email": config()["push_service_account"], "email_verified": true,
                "iat": SIGNED_AT_MS / 1000, "exp": SIGNED_AT_MS / 1000 + 3600,
            },
        });
        let (part, name) = place.split_once('.').expect("a place");
        token[part][name] = value;
        let token = format!("bearer {}", signer.token(&token["header"], &token["claims"]));
        post_at(&*channel, SIGNED_AT_MS, &[("authorization", &token)], vector("test"))
    };
    assert!(verify("claims.iss", json!("accounts.google.com")).is_ok());
    for (place, value, refusal) in [
        ("claims.iss", json!("https://accounts.google.com.example"), CallbackRefusal::wrong_merchant("iss")),
        ("claims.email_verified", json!(false), CallbackRefusal::wrong_merchant("email")),
        ("claims.email", json!(""), CallbackRefusal::wrong_merchant("email")),
        ("header.alg", json!("HS256"), CallbackRefusal::BadSignature),
        ("header.crit", json!(["exp"]), CallbackRefusal::BadSignature),
        ("header.kid", json!("another"), CallbackRefusal::unknown_certificate("another")),
    ] {
        assert_eq!(verify(place, value), Err(refusal), "{place}");
    }
    assert_eq!(malformed(&verify("claims.exp", json!("later"))), "exp");
}

#[test]
fn a_push_that_is_wrong_is_refused_by_its_field() {
    let push = |body: &str| verify_with(&config(), vector("authorization"), SIGNED_AT_MS, body);
    let with = |data: &str| {
        let data = BASE64_STANDARD.encode(data);
        let subscription = "projects/example/subscriptions/play";
        push(&json!({ "message": { "data": data }, "subscription": subscription }).to_string())
    };
    assert_eq!(malformed(&push("")), "body");
    assert_eq!(malformed(&push("{}")), "message");
    let no_base64 = r#"{"message":{"data":"!"},"subscription":"projects/example/subscriptions/play"}"#;
    assert_eq!(malformed(&push(no_base64)), "message.data");
    assert_eq!(malformed(&with("7")), "message.data");
    let head = r#""packageName":"com.example.game","eventTimeMillis":"1""#;
    let voided = |rest: &str| with(&format!(r#"{{{head},"voidedPurchaseNotification":{{"orderId":"GPA.1",{rest}}}}}"#));
    let What::Refunded(part) = facts(voided(r#""productType":2,"refundType":2"#)).what else { panic!("no refund") };
    assert_eq!(part.extent, RefundExtent::UnknownPart);
    assert!(matches!(voided(r#""productType":1,"refundType":1"#), Ok(Verdict::Ignored(_))));
    assert_eq!(
        malformed(&with(&format!(r#"{{{head},"oneTimeProductNotification":{{"notificationType":1,"sku":"a"}}}}"#))),
        "oneTimeProductNotification.purchaseToken"
    );
    let twice = format!(r#"{{{head},"packageName":"com.example.game"}}"#);
    assert_eq!(malformed(&with(&twice)), "packageName");
}

#[test]
fn a_configuration_that_cannot_work_is_refused_by_its_places() {
    let bad = json!({
        "kind": "google_play", "package_name": "../x", "push_audience": "", "push_service_account": "nobody",
        "subscription": "play",
    });
    assert_eq!(problems(&bad), ["package_name", "push_audience", "push_service_account", "subscription"]);
}

#[test]
fn pub_sub_reads_the_status() {
    let channel = build(&config(), None);
    for (outcome, status) in [(Outcome::Accepted, 204), (Outcome::Refused, 400), (Outcome::ComeBackLater, 503)] {
        assert_eq!(channel.acknowledge(outcome), Acknowledgement::empty(status));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn nothing_that_came_panics(body in ".*", token in ".*", status in 100_u16..600) {
        let channel = build(&config(), Some(vector("key_set")));
        let _ = post_at(&*channel, SIGNED_AT_MS, &[("authorization", vector("authorization"))], &body);
        prop_assert!(post_at(&*channel, SIGNED_AT_MS, &[("authorization", &token)], vector("purchased")).is_err());
        let headers = http::HeaderMap::new();
        let answer = Answer { status, headers: &headers, body: body.as_bytes() };
        prop_assert!(channel.read_answer(&question(), &answer).is_err());
    }
}
