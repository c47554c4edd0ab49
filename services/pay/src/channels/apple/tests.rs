use std::sync::LazyLock;

use aws_lc_rs::digest;
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::channels::testing::{channel, facts, malformed, post_at, problems};

/// Notifications and transactions as Apple documents them, made by Python's `cryptography` with keys that were thrown away:
/// a root (P-384), an intermediate (P-384) and a leaf (P-256) with Apple's two marker extensions, valid from 2025 to 2030;
/// tokens signed by `ec.ECDSA(hashes.SHA256())`, the signature as two numbers of 32 bytes. Those under `refused`,
/// `bad_signature`, `wrong_app` and `wrong_field` are signed as well as their names allow.
static VECTORS: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../vectors/apple.json")).expect("JSON"));

const SIGNED_AT_MS: i64 = 1_780_000_000_000;

/// 2030-01-01T00:00:00Z, when leaf and intermediate expire.
const EXPIRES_AT_MS: i64 = 1_893_456_000_000;

fn vector(name: &str) -> &'static str {
    VECTORS[name].as_str().expect("a text")
}

fn vectors(group: &str) -> impl Iterator<Item = (&'static String, &'static str)> {
    let group = VECTORS[group].as_object().expect("an object");
    group.iter().map(|(name, body)| (name, body.as_str().expect("a text")))
}

fn config() -> Value {
    json!({ "kind": "apple", "bundle_id": "com.example.game", "root_certificates": vector("root") })
}

fn verify_at(now: i64, body: &str) -> Result<Verdict, CallbackRefusal> {
    post_at(&*channel(&config()), now, &[], body)
}

fn verify(body: &str) -> Result<Verdict, CallbackRefusal> {
    verify_at(SIGNED_AT_MS, body)
}

fn paid() -> PaymentFacts {
    let currency = Currency::parse("EUR").expect("a currency");
    PaymentFacts {
        // The bits of 0193a7c0-5e4b-7a3c-8d2f-1b6e9a0c4d57.
        order_id: Some("01JEKW0QJBF8Y8TBRVDTD0RKAQ".to_owned()),
        channel_order_id: "2000000123456789".to_owned(),
        charged: Charged::StorePrice(Some(Money { amount: 99, currency })),
        paid_at: Some(Timestamp::from_millis(1_779_999_999_000)),
        is_test: false,
        channel_product_id: Some("gold_60".to_owned()),
        what: What::Paid,
    }
}

#[test]
fn a_charge_and_the_client_s_own_transaction_say_the_same() {
    for body in [vector("charge"), vector("transaction"), vector("charge")] {
        assert_eq!(facts(verify(body)), paid());
    }
    let without = facts(verify(vector("without_order")));
    assert_eq!(without, PaymentFacts { order_id: None, charged: Charged::StorePrice(None), ..paid() });
}

#[test]
fn a_refund_and_a_revocation_take_the_payment_back() {
    let refund = Refund {
        refund_id: None,
        extent: RefundExtent::Everything,
        refunded_at: Some(Timestamp::from_millis(SIGNED_AT_MS)),
    };
    for name in ["refund", "revoke"] {
        let expected = PaymentFacts { what: What::Refunded(refund.clone()), ..paid() };
        assert_eq!(facts(verify(vector(name))), expected, "{name}");
    }
}

#[test]
fn the_sandbox_is_taken_only_where_it_is_allowed_and_as_a_test() {
    assert_eq!(verify(vector("sandbox")), Err(CallbackRefusal::wrong_merchant("environment")));
    let mut allowing = config();
    allowing["allow_sandbox"] = json!(true);
    let test = facts(post_at(&*channel(&allowing), SIGNED_AT_MS, &[], vector("sandbox")));
    assert_eq!(test, PaymentFacts { is_test: true, ..paid() });
    assert_eq!(facts(post_at(&*channel(&allowing), SIGNED_AT_MS, &[], vector("charge"))), paid());
}

#[test]
fn what_says_nothing_about_money_is_ignored() {
    for body in [vector("test"), vector("consumption")] {
        assert!(matches!(verify(body), Ok(Verdict::Ignored(_))));
    }
    for (name, body) in vectors("ignored") {
        assert!(matches!(verify(body), Ok(Verdict::Ignored(_))), "{name}");
    }
}

#[test]
fn certificates_that_do_not_lead_to_the_root_are_refused() {
    for (name, body) in vectors("refused") {
        assert!(matches!(verify(body), Err(CallbackRefusal::UntrustedCertificate { .. })), "{name}");
    }
    let mut other = config();
    other["root_certificates"] = json!(vector("other_root"));
    let refused = post_at(&*channel(&other), SIGNED_AT_MS, &[], vector("charge"));
    assert!(matches!(refused, Err(CallbackRefusal::UntrustedCertificate { .. })), "{refused:?}");
    // The root may change: both are trusted meanwhile.
    other["root_certificates"] = json!(format!("{}{}", vector("other_root"), vector("root")));
    assert_eq!(facts(post_at(&*channel(&other), SIGNED_AT_MS, &[], vector("charge"))), paid());
}

#[test]
fn certificates_count_while_they_are_valid() {
    assert_eq!(facts(verify_at(EXPIRES_AT_MS, vector("charge"))), paid());
    let expired = CallbackRefusal::UntrustedCertificate { reason: "a certificate has expired" };
    assert_eq!(verify_at(EXPIRES_AT_MS + 1000, vector("charge")), Err(expired));
    let early = CallbackRefusal::UntrustedCertificate { reason: "a certificate is not valid yet" };
    assert_eq!(verify_at(1_000, vector("charge")), Err(early));
}

/// Apple's own certificates, which are public: the one that signed for the App Store from September 2025 on, "Worldwide
/// Developer Relations" G6, and Apple Root CA - G3, whose fingerprint is the one in `docs/pay-channels.md`.
#[test]
fn apple_s_own_certificates_are_trusted_under_apple_s_own_root() {
    let certificates: Value = serde_json::from_str(include_str!("../vectors/apple_certificates.json")).expect("JSON");
    let text = |name: &str| certificates[name].as_str().expect("a text").to_owned();
    let root = BASE64_STANDARD.decode(text("root")).expect("base64");
    let fingerprint: Vec<_> =
        digest::digest(&digest::SHA256, &root).as_ref().iter().map(|b| format!("{b:02X}")).collect();
    assert!(include_str!("../../../../../docs/pay-channels.md").contains(&fingerprint.join(":")));
    let pem = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", text("root"));
    let x5c = [text("leaf"), text("intermediate"), text("root")];
    // 2025-11-01T02:09:35Z and 2027-10-14T00:00:00Z.
    let at = |millis| AppleRoots::parse(&pem).expect("a root").leaf_key(&x5c, Timestamp::from_millis(millis)).map(drop);
    assert_eq!(at(1_761_962_975_000), Ok(()));
    let expired = CallbackRefusal::UntrustedCertificate { reason: "a certificate has expired" };
    assert_eq!(at(1_823_472_000_000), Err(expired));
    // A test's chain is worth nothing under the real root.
    let mut real = config();
    real["root_certificates"] = json!(pem);
    let refused = post_at(&*channel(&real), SIGNED_AT_MS, &[], vector("charge"));
    assert!(matches!(refused, Err(CallbackRefusal::UntrustedCertificate { .. })), "{refused:?}");
}

#[test]
fn a_token_from_the_future_is_refused() {
    assert_eq!(verify(vector("from_the_future")), Err(CallbackRefusal::StaleTimestamp));
    assert!(verify_at(SIGNED_AT_MS + 1, vector("from_the_future")).is_ok());
}

#[test]
fn whatever_was_altered_on_the_way_is_refused() {
    for (name, body) in vectors("bad_signature") {
        assert_eq!(verify(body), Err(CallbackRefusal::BadSignature), "{name}");
    }
    let body: Value = serde_json::from_str(vector("transaction")).expect("JSON");
    let token = body["signedTransactionInfo"].as_str().expect("a token");
    let parts: Vec<_> = token.split('.').collect();
    let payload = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(parts[1]).expect("base64")).expect("JSON");
    for (from, to) in [
        ("gold_60", "gold_6000"),
        ("0193a7c0-5e4b", "0193a7c0-5e4c"),
        ("2000000123456789", "2000000123456780"),
        ("990", "1"),
        ("com.example.game", "com.example.gamf"),
    ] {
        assert!(payload.contains(from), "{from}");
        let altered = BASE64_URL_SAFE_NO_PAD.encode(payload.replace(from, to));
        let token = [parts[0], &altered, parts[2]].join(".");
        let refused = verify(&json!({ "signedTransactionInfo": token }).to_string());
        assert_eq!(refused, Err(CallbackRefusal::BadSignature), "{from} -> {to}");
    }
    let empty = [parts[0], parts[1], ""].join(".");
    assert_eq!(verify(&json!({ "signedTransactionInfo": empty }).to_string()), Err(CallbackRefusal::BadSignature));
}

#[test]
fn a_token_for_somebody_else_is_refused_although_it_is_signed() {
    for (field, body) in vectors("wrong_app") {
        assert_eq!(verify(body), Err(CallbackRefusal::wrong_merchant(field.as_str())));
    }
}

#[test]
fn a_token_that_is_wrong_is_refused_by_its_field() {
    for (field, body) in vectors("wrong_field") {
        assert_eq!(malformed(&verify(body)), field);
    }
    for (body, field) in [
        ("", "body"),
        ("{}", "signedPayload"),
        (r#"{"signedPayload":"a.b.c"}"#, "signedPayload"),
        (r#"{"signedPayload":"x"}"#, "signedPayload"),
        (r#"{"signedPayload":"e30.e30.e30"}"#, "alg"),
        (r#"{"signedPayload":"e30.e30.e30","signedPayload":"e30.e30.e30"}"#, "signedPayload"),
        (r#"{"signedPayload":"e30.e30.e30","signedTransactionInfo":"e30.e30.e30"}"#, "signedPayload"),
    ] {
        assert_eq!(malformed(&verify(body)), field, "{body}");
    }
}

#[test]
fn a_configuration_that_cannot_work_is_refused_by_its_places() {
    for pem in ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let bad = json!({ "kind": "apple", "bundle_id": "", "root_certificates": pem });
        assert_eq!(problems(&bad), ["bundle_id", "root_certificates"], "{pem}");
    }
}

#[test]
fn apple_reads_the_status() {
    let channel = channel(&config());
    for (outcome, status) in [(Outcome::Accepted, 200), (Outcome::Refused, 400), (Outcome::ComeBackLater, 503)] {
        assert_eq!(channel.acknowledge(outcome), Acknowledgement::empty(status));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn nothing_that_came_panics_or_is_believed(body in ".*", at in 0_usize..100_000, byte: u8, pem in ".*") {
        prop_assert!(verify(&body).is_err());
        let mut header = json!({ "alg": "ES256", "x5c": [body, pem, "AAAA"] }).to_string();
        let token = format!("{}.e30.AAAA", BASE64_URL_SAFE_NO_PAD.encode(&header));
        let body = json!({ "signedPayload": token }).to_string();
        prop_assert!(verify(&body).is_err());
        // One byte of a real chain: the certificates' own forms are parsed deeply.
        let real: Value = serde_json::from_str(vector("transaction")).expect("JSON");
        let real = real["signedTransactionInfo"].as_str().expect("a token");
        let (head, rest) = real.split_once('.').expect("a token");
        header = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(head).expect("base64")).expect("JSON");
        let mut header: Value = serde_json::from_str(&header).expect("JSON");
        let decoded = BASE64_STANDARD.decode(header["x5c"][0].as_str().expect("a text"));
        let mut der = decoded.expect("base64");
        let at = at % der.len();
        let differs = der[at] != byte;
        der[at] = byte;
        header["x5c"][0] = json!(BASE64_STANDARD.encode(der));
        let token = format!("{}.{rest}", BASE64_URL_SAFE_NO_PAD.encode(header.to_string()));
        let verdict = verify(&json!({ "signedTransactionInfo": token }).to_string());
        prop_assert!(!differs || verdict.is_err());
        let _ = AppleRoots::parse(&pem);
    }
}
