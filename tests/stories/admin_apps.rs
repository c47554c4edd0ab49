//! An operator makes an app, says what it allows, and changes that while players play.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, App, Platform, Player, Shape, eventually, in_every_shape};

in_every_shape!(
    nobody_gets_in_without_the_token,
    an_app_is_made_shown_changed_and_listed,
    a_policy_that_cannot_be_is_refused_by_its_field,
    a_login_kind_that_is_switched_off_is_refused_and_sessions_go_on,
    closed_registration_makes_no_accounts_and_lets_the_others_in,
    a_disabled_app_lets_nobody_in_until_it_is_enabled,
    an_app_sets_the_lifetimes_of_its_tokens,
    a_rotated_secret_is_good_at_once_and_the_one_before_as_well,
    the_admin_contract_is_served_beside_it,
);

/// An app made over the admin API.
async fn make(platform: &Platform, body: &Value) -> App {
    platform.admin().post("/admin/v1/apps", body).await.ok_as()
}

async fn nobody_gets_in_without_the_token(shape: Shape) {
    let platform = Platform::start(shape).await;
    let operator = platform.operator(platform.front());
    let ask = |authorization: Option<String>| {
        let request = operator.request(Method::POST, "/admin/v1/apps").json(&json!({ "name": "x" }));
        let request = authorization.into_iter().fold(request, |request, value| request.header("authorization", value));
        operator.send(request)
    };
    assert_eq!(ask(None).await.refused(4_010_001).status, 401);
    let token = platform.admin().token().to_owned();
    for wrong in ["x".to_owned(), token[1..].to_owned(), format!("{token}x")] {
        assert_eq!(ask(Some(format!("Bearer {wrong}"))).await.refused(4_010_102).status, 401);
    }
    assert_eq!(ask(Some(format!("Basic {token}"))).await.status, 401);
    assert_eq!(platform.client().get("/admin/v1/apps").await.status, 404, "not on the public listener");
    ask(Some(format!("Bearer {token}"))).await.ok();
}

async fn an_app_is_made_shown_changed_and_listed(shape: Shape) {
    let platform = Platform::start(shape).await;
    let admin = platform.admin();
    let policy = json!({ "login_kinds": ["device"], "access_ttl_s": 600, "devices": { "web": { "max": 1, "on_excess": "kick_oldest" } } });
    let body =
        json!({ "name": "My Game", "app_id": 4242, "delivery_url": "https://game.example/pay", "policy": policy });
    let made = admin.post("/admin/v1/apps", &body).await.ok();
    assert_eq!((&made["app_id"], made["app_secret"].as_str().unwrap().len()), (&json!(4242), 64));
    admin.post("/admin/v1/apps", &body).await.refused(4_090_103);

    let shown = admin.get("/admin/v1/apps/4242").await.ok();
    assert!(shown.get("app_secret").is_none(), "{shown}");
    assert_eq!((&shown["name"], &shown["enabled"]), (&json!("My Game"), &json!(true)));
    assert_eq!(shown["policy"]["login_kinds"], json!(["device"]));
    assert_eq!(shown["policy"]["devices"], policy["devices"]);

    let change =
        json!({ "name": "Our Game", "delivery_url": null, "policy": { "access_ttl_s": null, "id_token": true } });
    let changed = admin.patch("/admin/v1/apps/4242", &change).await.ok();
    assert_eq!(admin.get("/admin/v1/apps/4242").await.ok(), changed);
    assert_eq!((&changed["name"], &changed["delivery_url"]), (&json!("Our Game"), &Value::Null));
    let policy = &changed["policy"];
    assert_eq!((&policy["access_ttl_s"], &policy["id_token"]), (&Value::Null, &json!(true)));
    assert_eq!(policy["login_kinds"], json!(["device"]), "what is not named stays");

    let mut listed = Vec::new();
    let mut path = "/admin/v1/apps?limit=1".to_owned();
    loop {
        let page = admin.get(&path).await.ok();
        listed.extend(page["apps"].as_array().unwrap().iter().map(|app| app["app_id"].as_i64().unwrap()));
        let Some(next) = page["next"].as_i64() else { break };
        path = format!("/admin/v1/apps?limit=1&after={next}");
    }
    assert!(listed.contains(&4242) && listed.contains(&platform.app().app_id) && listed.is_sorted(), "{listed:?}");
    assert_eq!(admin.get("/admin/v1/apps/4243").await.refused(4_040_102).status, 404);
    admin.patch("/admin/v1/apps/4243", &json!({})).await.refused(4_040_102);
    admin.get("/admin/v1/apps/one").await.refused_field(4_000_001, "app_id");
    admin.get("/admin/v1/apps?limit=201").await.refused_field(4_000_001, "limit");
}

async fn a_policy_that_cannot_be_is_refused_by_its_field(shape: Shape) {
    let platform = Platform::start(shape).await;
    let admin = platform.admin();
    for (policy, field) in [
        (json!({ "login_kinds": [] }), "policy.login_kinds"),
        (json!({ "login_kinds": ["magic"] }), "policy.login_kinds[0]"),
        (json!({ "access_ttl_s": 0 }), "policy.access_ttl_s"),
        (json!({ "access_ttl_s": "60" }), "policy.access_ttl_s"),
        (json!({ "access_ttl_s": 86_401 }), "policy.access_ttl_s"),
        (json!({ "refresh_ttl_s": 20_000_000_000_i64 }), "policy.refresh_ttl_s"),
        (json!({ "refresh_ttl_s": 60, "refresh_absolute_ttl_s": 59 }), "policy.refresh_ttl_s"),
        (json!({ "devices": { "web": { "max": 0, "on_excess": "kick_oldest" } } }), "policy.devices.web.max"),
        (json!({ "devices": { "web": { "max": 1, "on_excess": "shrug" } } }), "policy.devices.web.on_excess"),
        (json!({ "devices": { "fridge": { "max": 1, "on_excess": "kick_oldest" } } }), "policy.devices"),
    ] {
        let refused = admin.post("/admin/v1/apps", &json!({ "name": "x", "policy": policy })).await;
        refused.refused_field(4_000_001, field);
    }
    admin.post("/admin/v1/apps", &json!({})).await.refused_field(4_000_001, "name");
    admin
        .post("/admin/v1/apps", &json!({ "name": "x", "delivery_url": "ftp://x" }))
        .await
        .refused_field(4_000_001, "delivery_url");
    let records = admin.get("/admin/v1/audit").await.ok();
    assert!(!records.to_string().contains("operator"), "what was refused is not written down: {records}");
}

/// Asks until every instance answers with this code: one that did not make the change itself follows within a second
/// or two.
async fn until(what: &'static str, code: i64, ask: impl AsyncFn() -> Answer) {
    /// So many answers in a row come from every instance.
    const ENOUGH: usize = 8;
    eventually(what, || async {
        for _ in 0..ENOUGH {
            if ask().await.code() != code {
                return None;
            }
        }
        Some(())
    })
    .await;
}

async fn a_login_kind_that_is_switched_off_is_refused_and_sessions_go_on(shape: Shape) {
    let platform = Platform::start(shape).await;
    let ann = platform.register("ann").await;
    platform.admin().set_policy(platform.app().app_id, &json!({ "login_kinds": ["device"] })).await;
    until("passwords are refused", 4_030_103, || ann.try_login()).await;
    platform.try_register("bob").await.refused(4_030_103);
    ann.refresh().await.ok();
    assert_eq!(platform.verify(&ann.tokens.access_token).await.status, "valid");
    platform.admin().set_policy(platform.app().app_id, &json!({ "login_kinds": ["device", "password"] })).await;
    until("passwords are good again", 2_000_000, || ann.try_login()).await;
}

async fn closed_registration_makes_no_accounts_and_lets_the_others_in(shape: Shape) {
    let platform = Platform::start(shape).await;
    let ann = platform.register("ann").await;
    platform.admin().set_policy(platform.app().app_id, &json!({ "registration_open": false })).await;
    until("registration is closed", 4_030_103, || platform.try_register("bob")).await;
    let guest = json!({ "app_id": platform.app().app_id, "kind": "device", "device_id": "new" });
    platform.client().post("/v1/sdk/login", &guest).await.refused(4_030_103);
    ann.login().await;
}

async fn a_disabled_app_lets_nobody_in_until_it_is_enabled(shape: Shape) {
    let platform = Platform::start(shape).await;
    let (admin, ann) = (platform.admin(), platform.register("ann").await);
    let path = format!("/admin/v1/apps/{}", platform.app().app_id);
    admin.patch(&path, &json!({ "enabled": false })).await.ok();
    until("nobody signs in", 4_030_104, || ann.try_login()).await;
    until("no session goes on", 4_030_104, || ann.refresh()).await;
    let ask = async || platform.game_server().ask(&ann.tokens.access_token).await;
    until("no signature is accepted", 4_030_104, ask).await;
    admin.patch(&path, &json!({ "enabled": true })).await.ok();
    until("they are back", 2_000_000, || ann.try_login()).await;
    until("and so are the signatures", 2_000_000, ask).await;
    assert_eq!(platform.verify(&ann.tokens.access_token).await.status, "valid", "no session was lost");
}

async fn an_app_sets_the_lifetimes_of_its_tokens(shape: Shape) {
    let platform = Platform::start(shape).await;
    let policy = json!({ "access_ttl_s": 100, "refresh_ttl_s": 1000, "refresh_absolute_ttl_s": 2000 });
    let app = make(&platform, &json!({ "name": "short", "policy": policy })).await;
    let ann = Player::register(platform.client(), app.app_id, "ann").await;
    let verdict = platform.game_server_of(app).verify(&ann.tokens.access_token).await;
    let issued_at = verdict.issued_at.unwrap();
    let life = ann.tokens.access_expires_at - issued_at;
    assert!((95_000..=100_000).contains(&life), "{life}");
    assert!((999_000..=1_001_000).contains(&(ann.tokens.refresh_expires_at - issued_at)), "{:?}", ann.tokens);
    let renew_after = ann.welcome["renew_after_at"].as_i64().unwrap() - issued_at;
    assert!(renew_after * 2 >= life - 2 && renew_after * 10 <= life * 8, "{renew_after} of {life}");
    let refreshed = ann.refresh().await.ok();
    assert!(refreshed["renew_after_at"].as_i64().unwrap() < refreshed["access_expires_at"].as_i64().unwrap());
}

async fn a_rotated_secret_is_good_at_once_and_the_one_before_as_well(shape: Shape) {
    let platform = Platform::start(shape).await;
    let ann = platform.register("ann").await;
    let path = format!("/admin/v1/apps/{}/rotate-secret", platform.app().app_id);
    let rotated: App = platform.admin().post(&path, &json!({})).await.ok_as();
    assert_ne!(rotated.app_secret, platform.app().app_secret);
    for server in [platform.game_server_of(rotated), platform.game_server()] {
        assert_eq!(server.verify(&ann.tokens.access_token).await.status, "valid");
    }
    platform.admin().post("/admin/v1/apps/4242/rotate-secret", &json!({})).await.refused(4_040_102);
}

async fn the_admin_contract_is_served_beside_it(shape: Shape) {
    let platform = Platform::start(shape).await;
    let operator = platform.operator(platform.front());
    let document = operator.get("/admin/openapi.json").await.json();
    assert!(document["paths"]["/admin/v1/apps"]["post"].is_object(), "{document}");
    let public = platform.client().get("/openapi.json").await;
    assert!(!public.text.contains("/admin/"), "the public contract does not tell of it");
    for role in platform.roles().into_iter().filter(|role| *role != platform.front()) {
        assert_eq!(platform.operator(role).get("/admin/v1/apps").await.status, 404, "{role:?}");
    }
}
