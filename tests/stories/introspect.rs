//! A game server that speaks OAuth 2.0 asks by the standard (RFC 7662).

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, App, Platform, Shape, in_every_shape};

in_every_shape!(
    a_good_token_is_active,
    a_token_that_is_not_good_is_inactive_and_nothing_more,
    a_caller_who_is_not_the_app_is_refused,
    a_question_without_a_token_is_refused,
    credentials_may_be_form_encoded,
    tokens_that_are_not_for_game_servers_are_inactive_whatever_the_hint,
);

async fn introspect(platform: &Platform, app: &App, form: String) -> Answer {
    let request = platform
        .client()
        .request(Method::POST, "/oauth2/introspect")
        .basic_auth(app.app_id, Some(&app.app_secret))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form);
    platform.client().send(request).await
}

async fn a_good_token_is_active(shape: Shape) {
    let platform = Platform::start(shape).await;
    let ann = platform.register("ann").await;
    for form in [
        format!("token={}", ann.tokens.access_token),
        format!("token={}&token_type_hint=access_token&unknown=1", ann.tokens.access_token),
    ] {
        let answer = introspect(&platform, platform.app(), form).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.header("content-type").starts_with("application/json"), "{answer:?}");
        let told = answer.json();
        assert_eq!(told["active"], true);
        assert_eq!(told["sub"], ann.tokens.account_id.to_string(), "a subject is a string: {told}");
        assert_eq!(told["exp"], ann.tokens.access_expires_at / 1000, "seconds, as the standard has it: {told}");
        assert_eq!(told["aud"], platform.app().app_id.to_string(), "the token is for this app: {told}");
        assert_eq!(answer.header("cache-control"), "no-store", "the answer is about one moment");
        assert!(told.get("code").is_none(), "the standard's answer has no envelope: {told}");
    }
}

async fn a_token_that_is_not_good_is_inactive_and_nothing_more(shape: Shape) {
    let platform = Platform::start(shape).await;
    let ann = platform.register("ann").await;
    let signed_out = ann.login().await;
    signed_out.logout().await.ok();
    platform.is_revoked(&signed_out.tokens.access_token).await;
    let inactive = json!({ "active": false });
    for token in ["garbage", "pg1.AAAA", &signed_out.tokens.access_token] {
        assert_eq!(introspect(&platform, platform.app(), format!("token={token}")).await.json(), inactive);
    }
    let other = platform.create_app("other").await;
    let anothers = introspect(&platform, &other, format!("token={}", ann.tokens.access_token)).await;
    assert_eq!((anothers.status, anothers.json()), (200, inactive));
}

async fn a_caller_who_is_not_the_app_is_refused(shape: Shape) {
    let platform = Platform::start(shape).await;
    let token = platform.register("ann").await.tokens.access_token;
    let form = format!("token={token}");
    let wrong_secret = App { app_id: platform.app().app_id, app_secret: "guess".to_owned() };
    let nobody = App { app_id: 987_654_321, app_secret: platform.app().app_secret.clone() };
    let anonymous =
        platform.client().post_bytes("/oauth2/introspect", "application/x-www-form-urlencoded", form.clone());
    for refused in [
        introspect(&platform, &wrong_secret, form.clone()).await,
        introspect(&platform, &nobody, form).await,
        anonymous.await,
    ] {
        assert_eq!(refused.status, 401, "{refused:?}");
        assert!(refused.header("www-authenticate").starts_with("Basic"), "{refused:?}");
        assert!(!refused.text.contains("active"), "{refused:?}");
    }
}

async fn a_question_without_a_token_is_refused(shape: Shape) {
    let platform = Platform::start(shape).await;
    for form in ["", "token", "tok=x", "token_type_hint=access_token"] {
        let answer = introspect(&platform, platform.app(), form.to_owned()).await;
        assert!(answer.status == 400 || answer.json() == json!({ "active": false }), "{answer:?}");
    }
    let as_json = platform
        .client()
        .request(Method::POST, "/oauth2/introspect")
        .basic_auth(platform.app().app_id, Some(&platform.app().app_secret))
        .json(&Value::Null);
    assert_eq!(platform.client().send(as_json).await.status, 415);
}

async fn credentials_may_be_form_encoded(shape: Shape) {
    let platform = Platform::start(shape).await;
    let ann = platform.register("ann").await;
    // RFC 6749 section 2.3.1; a client may encode every character.
    let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let App { app_id, app_secret } = platform.app();
    let request = platform
        .client()
        .request(Method::POST, "/oauth2/introspect")
        .basic_auth(encode(&app_id.to_string()), Some(encode(app_secret)))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("token={}", ann.tokens.access_token));
    assert_eq!(platform.client().send(request).await.json()["active"], true);
}

async fn tokens_that_are_not_for_game_servers_are_inactive_whatever_the_hint(shape: Shape) {
    let platform = Platform::build(shape).set("account.id_token.for_every_app", "true").start().await;
    let ann = platform.register("ann").await;
    let inactive = json!({ "active": false });
    for token in [&ann.tokens.refresh_token, ann.tokens.id_token.as_ref().unwrap()] {
        for hint in ["access_token", "refresh_token", "nonsense"] {
            let answer = introspect(&platform, platform.app(), format!("token={token}&token_type_hint={hint}")).await;
            assert_eq!((answer.status, answer.json()), (200, inactive.clone()));
        }
    }
    // A wrong hint misleads nobody.
    let form = format!("token={}&token_type_hint=refresh_token", ann.tokens.access_token);
    assert_eq!(introspect(&platform, platform.app(), form).await.json()["active"], true);
}
