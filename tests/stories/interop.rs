//! Clients that nobody here wrote get along with the platform: PyJWT verifies ID tokens, Authlib introspects.

use serde_json::{Value, json};

use crate::support::{Platform, Player, Shape, ask_python, eventually, in_four_roles, now_ms};

// Four roles only: a run without servers is also one without Debian's packages.
in_four_roles!(
    pyjwt_verifies_an_id_token_and_refuses_one_that_is_not_for_it,
    pyjwt_refuses_a_token_that_was_tampered_with,
    pyjwt_with_keys_from_before_verifies_across_a_rotation,
    authlib_introspects_tokens_with_http_basic,
);

const ISSUER: &str = "https://login.example";

async fn start(shape: Shape) -> Platform {
    Platform::build(shape)
        .set("account.id_token.for_every_app", "true")
        .set("account.id_token.issuer", ISSUER)
        .set("account.id_token.keys_max_age", "1s")
        .set("account.id_token.key_announce", "3s")
        .set("account.follow.keys_every", "50ms")
        .start()
        .await
}

fn id_token(player: &Player) -> &str {
    player.tokens.id_token.as_deref().expect("an ID token")
}

/// What PyJWT makes of the tokens, with the keys it fetches from the gateway.
async fn verify(platform: &Platform, audience: i64, tokens: &[&str]) -> Value {
    let jwks_url = format!("http://{}/.well-known/jwks.json", platform.client().address());
    let question =
        json!({ "tokens": tokens, "issuer": ISSUER, "audience": audience.to_string(), "jwks_url": jwks_url });
    ask_python("verify_id_tokens.py", &question).await
}

async fn pyjwt_verifies_an_id_token_and_refuses_one_that_is_not_for_it(shape: Shape) {
    let platform = start(shape).await;
    let app_id = platform.app().app_id;
    let ann = platform.register("ann").await;
    let refreshed = ann.refresh().await.ok()["id_token"].as_str().expect("an ID token").to_owned();
    let verdicts = verify(&platform, app_id, &[id_token(&ann), &refreshed]).await;
    for verdict in [&verdicts[0], &verdicts[1]] {
        let claims = &verdict["claims"];
        assert_eq!(claims["sub"], ann.tokens.account_id.to_string(), "{verdict}");
        assert_eq!(claims["sid"], ann.tokens.session_id, "{verdict}");
        assert_eq!(claims["auth_time"], verdicts[0]["claims"]["iat"], "the refresh is no sign-in: {verdict}");
    }
    assert_eq!(verdicts[0]["claims"]["exp"], ann.tokens.access_expires_at / 1000);
    let anothers = verify(&platform, app_id + 1, &[id_token(&ann)]).await;
    assert_eq!(anothers, json!([{ "refused": "InvalidAudienceError" }]));
}

async fn pyjwt_refuses_a_token_that_was_tampered_with(shape: Shape) {
    let platform = start(shape).await;
    let (ann, bob) = (platform.register("ann").await, platform.register("bob").await);
    let parts = |player| id_token(player).split('.').map(str::to_owned).collect::<Vec<_>>();
    let (anns, bobs) = (parts(&ann), parts(&bob));
    let other_claims = format!("{}.{}.{}", anns[0], bobs[1], anns[2]);
    // {"alg":"none","typ":"JWT","kid":…} and no signature, {"alg":"HS256",…} and a signature of somebody else's.
    let unsigned = format!("{}.{}.", header(&platform, "none").await, anns[1]);
    let symmetric = format!("{}.{}.{}", header(&platform, "HS256").await, anns[1], anns[2]);
    let verdicts = verify(&platform, platform.app().app_id, &[&other_claims, &unsigned, &symmetric]).await;
    assert_eq!(verdicts[0]["refused"], "InvalidSignatureError");
    assert_eq!(verdicts[1]["refused"], "InvalidAlgorithmError");
    assert_eq!(verdicts[2]["refused"], "InvalidAlgorithmError");
}

/// The header of a token that names the published key and another algorithm.
async fn header(platform: &Platform, algorithm: &str) -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let key_id = platform.client().get("/.well-known/jwks.json").await.json()["keys"][0]["kid"].take();
    URL_SAFE_NO_PAD.encode(json!({ "alg": algorithm, "typ": "JWT", "kid": key_id }).to_string())
}

async fn pyjwt_with_keys_from_before_verifies_across_a_rotation(shape: Shape) {
    let platform = start(shape).await;
    let ann = platform.register("ann").await;
    let before_it = now_ms();
    let rotated = platform.rotate_key("id").await;
    let (key_id, signs_from) = (rotated["key_id"].as_str().unwrap(), rotated["signs_from"].as_u64().unwrap());
    assert!(u128::from(signs_from) >= before_it + 3000, "a key is announced before it signs: {rotated}");
    let announced = eventually("the new key is published", || async {
        let keys = platform.client().get("/.well-known/jwks.json").await.json();
        keys["keys"].as_array().unwrap().iter().any(|key| key["kid"] == key_id).then_some(keys)
    });
    let keys = announced.await;
    // Whoever fetched the keys when the new one was announced needs no others for its first token.
    let successor = eventually("the new key signs", || async {
        let player = ann.login().await;
        (header_of(id_token(&player))["kid"] == key_id).then_some(player)
    })
    .await;
    let (before, after) = (id_token(&ann), id_token(&successor));
    let question = json!({
        "tokens": [before, after], "issuer": ISSUER, "audience": platform.app().app_id.to_string(), "jwks": keys,
    });
    let with_keys_from_before = ask_python("verify_id_tokens.py", &question).await;
    let with_keys_of_now = verify(&platform, platform.app().app_id, &[before, after]).await;
    for verdicts in [with_keys_from_before, with_keys_of_now] {
        for verdict in verdicts.as_array().unwrap() {
            assert_eq!(verdict["claims"]["sub"], ann.tokens.account_id.to_string(), "{verdict}");
        }
    }
}

fn header_of(token: &str) -> Value {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let header = token.split('.').next().unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap()
}

async fn authlib_introspects_tokens_with_http_basic(shape: Shape) {
    let platform = start(shape).await;
    let ann = platform.register("ann").await;
    let signed_out = ann.login().await;
    signed_out.logout().await.ok();
    let ask = |secret: String| {
        let tokens = [ann.tokens.access_token.clone(), signed_out.tokens.access_token.clone(), "garbage".to_owned()];
        let url = format!("http://{}/oauth2/introspect", platform.client().address());
        let client_id = platform.app().app_id.to_string();
        async move {
            let question = json!({ "url": url, "client_id": client_id, "client_secret": secret, "tokens": tokens });
            ask_python("introspect_tokens.py", &question).await
        }
    };
    let answers = ask(platform.app().app_secret.clone()).await;
    assert_eq!(answers[0]["status"], 200);
    assert_eq!(answers[0]["answer"]["active"], true);
    assert_eq!(answers[0]["answer"]["sub"], ann.tokens.account_id.to_string());
    for inactive in [&answers[1], &answers[2]] {
        assert_eq!(*inactive, json!({ "status": 200, "answer": { "active": false } }));
    }
    let refused = ask("guess".to_owned()).await;
    assert_eq!(refused[0], json!({ "status": 401, "answer": { "error": "invalid_client" } }));
}
