//! A game server keeps the published keys, and verifies without asking anybody.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, App, Platform, Player, Role, Shape, eventually, in_every_shape, in_four_roles};

in_every_shape!(
    a_player_gets_an_id_token_only_from_an_app_that_wants_one,
    an_operator_switches_id_tokens_on_for_one_app,
    the_published_keys_say_how_long_to_keep_them_and_whether_they_changed,
);

mod without_account {
    use super::*;

    in_four_roles!(
        while_account_is_gone_the_last_keys_are_still_published,
        a_gateway_that_never_knew_the_keys_says_that_it_cannot_tell,
    );
}

async fn keys(platform: &Platform) -> Answer {
    platform.client().get("/.well-known/jwks.json").await
}

fn max_age(answer: &Answer) -> u64 {
    let text = answer.header("cache-control");
    let seconds = text.strip_prefix("public, max-age=").unwrap_or_else(|| panic!("{answer:?}"));
    seconds.parse().unwrap()
}

async fn a_player_gets_an_id_token_only_from_an_app_that_wants_one(shape: Shape) {
    let without = Platform::start(shape).await;
    let ann = without.register("ann").await;
    assert!(ann.welcome.get("id_token").is_none(), "{}", ann.welcome);
    assert!(ann.refresh().await.ok().get("id_token").is_none());

    let with = Platform::build(shape).set("account.id_token.for_every_app", "true").start().await;
    let ann = with.register("ann").await;
    let refreshed = ann.refresh().await.ok();
    for token in [ann.tokens.id_token.as_deref(), refreshed["id_token"].as_str()] {
        assert_eq!(token.expect("an ID token").split('.').count(), 3, "a JWS in compact form");
    }
    // It proves a sign-in to game servers; here it opens nothing.
    let id_token = ann.tokens.id_token.as_deref().unwrap();
    assert_eq!(with.verify(id_token).await.status, "invalid");
    let me = with.client().request(Method::GET, "/v1/sdk/me").bearer_auth(id_token);
    with.client().send(me).await.refused(4_010_102);
}

async fn an_operator_switches_id_tokens_on_for_one_app(shape: Shape) {
    let platform = Platform::start(shape).await;
    let wanting = json!({ "name": "wanting", "policy": { "id_token": true } });
    let made: App = platform.admin().post("/admin/v1/apps", &wanting).await.ok_as();
    let ann = Player::register(platform.client(), made.app_id, "ann").await;
    assert!(ann.tokens.id_token.is_some(), "{}", ann.welcome);
    assert!(platform.register("bob").await.tokens.id_token.is_none());
}

async fn the_published_keys_say_how_long_to_keep_them_and_whether_they_changed(shape: Shape) {
    let platform = Platform::start(shape).await;
    let published = keys(&platform).await;
    assert_eq!(published.status, 200, "{published:?}");
    assert_eq!(published.header("content-type"), "application/jwk-set+json");
    // As long as a new key is announced, less the time since account looked.
    assert!((1..=300).contains(&max_age(&published)), "{published:?}");
    let set = published.json();
    let key = &set["keys"][0];
    for (member, value) in [("kty", "OKP"), ("crv", "Ed25519"), ("alg", "EdDSA"), ("use", "sig")] {
        assert_eq!(key[member], value, "{set}");
    }
    assert!(key.get("d").is_none(), "the secret half stays where it is");

    let tag = published.header("etag").to_owned();
    let again = platform.client().request(Method::GET, "/.well-known/jwks.json").header("if-none-match", &tag);
    let unchanged = platform.client().send(again).await;
    assert_eq!((unchanged.status, unchanged.text.as_str(), unchanged.header("etag")), (304, "", tag.as_str()));
    assert!(max_age(&unchanged) >= 1, "{unchanged:?}");

    platform.rotate_key("id").await;
    eventually("the rotation is seen", || async {
        let request = platform.client().request(Method::GET, "/.well-known/jwks.json").header("if-none-match", &tag);
        let answer = platform.client().send(request).await;
        (answer.status == 200).then(|| assert_eq!(answer.json()["keys"].as_array().map(Vec::len), Some(2)))
    })
    .await;
}

async fn while_account_is_gone_the_last_keys_are_still_published(shape: Shape) {
    let mut platform = Platform::build(shape).set("account.id_token.keys_max_age", "1s").start().await;
    let known = keys(&platform).await.json();
    platform.kill(Role::Account);
    eventually("account was asked in vain", || async {
        let published = keys(&platform).await;
        assert_eq!((published.status, published.json()), (200, known.clone()));
        let metrics = platform.metrics(Role::Gateway).await;
        let in_vain = |line: &str| {
            line.starts_with("playgate_rpc_client_requests_total")
                && line.contains("GetSigningKeys")
                && !line.contains("2000000")
        };
        metrics.lines().any(in_vain).then_some(())
    })
    .await;
    assert_eq!(max_age(&keys(&platform).await), 1, "not for long: a new key may come when account does");
}

async fn a_gateway_that_never_knew_the_keys_says_that_it_cannot_tell(shape: Shape) {
    let mut platform = Platform::start(shape).await;
    platform.kill(Role::Account);
    platform.kill(Role::Gateway);
    platform.restart(Role::Gateway).await;
    let answer = keys(&platform).await;
    assert_eq!((answer.status, answer.json().get("keys")), (503, None::<&Value>), "{answer:?}");
    platform.restart(Role::Account).await;
    eventually("the keys are published again", || async { (keys(&platform).await.status == 200).then_some(()) }).await;
}
