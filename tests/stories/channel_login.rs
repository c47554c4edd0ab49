//! A player who has an account with somebody else: their channel says who they are, and when it can't, nobody is told
//! that they are wrong.

use serde_json::{Value, json};

use crate::support::{
    Answer, Builder, Channel, IssuerKey, PATIENCE, Platform, Player, Shape, eventually, in_a_fleet, in_both_shapes,
    now_ms,
};

in_a_fleet!(an_id_token_signs_in_to_one_account_and_to_no_others);

in_both_shapes!(
    an_id_token_signs_in_to_one_account_and_to_no_others,
    a_new_key_of_the_issuer_is_found_and_a_withdrawn_one_ends,
    an_issuer_that_is_away_keeps_nobody_out_whose_key_is_known,
    a_channel_is_asked_about_a_token_and_is_believed,
    a_channel_that_is_slow_or_broken_is_never_a_wrong_credential,
    one_dead_channel_does_not_delay_the_others,
    a_guest_links_a_channel_and_comes_back_through_it,
    an_app_can_do_without_channels,
    a_document_is_checked_and_its_secrets_stay_inside,
    a_channel_can_not_be_pointed_at_the_inside,
    nothing_of_a_credential_is_ever_written,
);

/// Keys that rotate within a story: looked for every 100 ms.
fn impatient(shape: Shape) -> Builder {
    Platform::build(shape).set("account.channels.keys_refetch_after", "100ms")
}

async fn put(platform: &Platform, channel: &str, document: &Value) -> Answer {
    let path = format!("/admin/v1/apps/{}/channels/{channel}", platform.app().app_id);
    platform.admin().put(&path, document).await
}

async fn login(platform: &Platform, channel: &str, credential: Value) -> Answer {
    let app_id = platform.app().app_id;
    let body = json!({ "app_id": app_id, "kind": "channel", "channel": channel, "credential": credential });
    platform.client().post("/v1/sdk/login", &body).await
}

fn player(platform: &Platform, answer: &Answer) -> Player {
    Player::from_answer(platform.client().clone(), platform.app().app_id, "", answer)
}

async fn an_id_token_signs_in_to_one_account_and_to_no_others(shape: Shape) {
    let (channel, key, other_key) = (Channel::start().await, IssuerKey::new("one"), IssuerKey::new("two"));
    channel.publish(&[&key]);
    let platform = impatient(shape).start().await;
    put(&platform, "taptap", &channel.oidc()).await.ok();
    let present = |token: String| login(&platform, "taptap", json!({ "id_token": token }));

    let ann = player(&platform, &present(key.id_token("ann")).await);
    assert_eq!(ann.welcome["is_new_account"], true);
    assert_eq!(platform.verify(&ann.tokens.access_token).await.status, "valid");
    let again = player(&platform, &present(key.id_token("ann")).await);
    assert_eq!((again.tokens.account_id, &again.welcome["is_new_account"]), (ann.tokens.account_id, &json!(false)));
    let bob = player(&platform, &present(key.id_token("bob")).await);
    assert_ne!(bob.tokens.account_id, ann.tokens.account_id);
    assert_eq!(ann.me().await.ok()["credentials"], json!([{ "kind": "channel", "name": "taptap:a***n" }]));

    let (header, now) = (json!({ "alg": "EdDSA", "kid": "one" }), now_ms() / 1000);
    let claims = |audience: &str, expires: u128| json!({ "iss": "https://channel.example", "sub": "ann", "aud": audience, "iat": now - 900, "exp": expires });
    for bad in [
        key.sign(&header, &claims("another-game", now + 300)),
        key.sign(&header, &claims("my-game", now - 300)),
        key.sign(&json!({ "alg": "none", "kid": "one" }), &claims("my-game", now + 300)),
        other_key.sign(&header, &claims("my-game", now + 300)),
        "no token at all".to_owned(),
    ] {
        present(bad).await.refused(4_010_101);
    }
    login(&platform, "taptap", json!({})).await.refused_field(4_000_001, "credential.id_token");
    login(&platform, "nowhere", json!({})).await.refused_field(4_000_001, "channel");
}

async fn a_new_key_of_the_issuer_is_found_and_a_withdrawn_one_ends(shape: Shape) {
    let (channel, old, new) = (Channel::start().await, IssuerKey::new("old"), IssuerKey::new("new"));
    channel.publish(&[&old]);
    let platform = impatient(shape).start().await;
    put(&platform, "taptap", &channel.oidc()).await.ok();
    login(&platform, "taptap", json!({ "id_token": old.id_token("ann") })).await.ok();
    channel.publish(&[&old, &new]);
    eventually("a token of the new key is good", || async {
        let answer = login(&platform, "taptap", json!({ "id_token": new.id_token("ann") })).await;
        // Until the issuer may be asked again nobody knows, and nobody says that the token is wrong.
        if answer.status == 200 {
            return Some(());
        }
        answer.could_not_tell();
        None
    })
    .await;
    login(&platform, "taptap", json!({ "id_token": old.id_token("ann") })).await.ok();
    channel.publish(&[&new]);
    // A new version of the document begins with keys of its own.
    put(&platform, "taptap", &channel.oidc()).await.ok();
    login(&platform, "taptap", json!({ "id_token": new.id_token("ann") })).await.ok();
    eventually("a token of the withdrawn key is refused", || async {
        let answer = login(&platform, "taptap", json!({ "id_token": old.id_token("ann") })).await;
        if answer.status == 401 {
            answer.refused(4_010_101);
            return Some(());
        }
        answer.could_not_tell();
        None
    })
    .await;
}

async fn an_issuer_that_is_away_keeps_nobody_out_whose_key_is_known(shape: Shape) {
    let (channel, known, unknown) = (Channel::start().await, IssuerKey::new("known"), IssuerKey::new("unknown"));
    channel.publish(&[&known]);
    let platform = impatient(shape).set("account.channels.timeout", "300ms").start().await;
    put(&platform, "taptap", &channel.oidc()).await.ok();
    login(&platform, "taptap", json!({ "id_token": known.id_token("ann") })).await.ok();
    for trouble in [500, 404] {
        channel.answer(trouble);
        login(&platform, "taptap", json!({ "id_token": known.id_token("ann") })).await.ok();
        login(&platform, "taptap", json!({ "id_token": unknown.id_token("ann") })).await.could_not_tell();
    }
    channel.fall_silent();
    login(&platform, "taptap", json!({ "id_token": known.id_token("ann") })).await.ok();
    login(&platform, "taptap", json!({ "id_token": unknown.id_token("ann") })).await.could_not_tell();
}

async fn a_channel_is_asked_about_a_token_and_is_believed(shape: Shape) {
    let channel = Channel::start().await;
    let platform = Platform::start(shape).await;
    put(&platform, "u8", &channel.signed_http()).await.ok();
    let ann = player(&platform, &login(&platform, "u8", json!({ "token": "token-of-ann" })).await);
    let again = player(&platform, &login(&platform, "u8", json!({ "token": "token-of-ann" })).await);
    assert_eq!(again.tokens.account_id, ann.tokens.account_id);
    assert_eq!(platform.verify(&again.tokens.access_token).await.status, "valid");
    login(&platform, "u8", json!({ "token": "nobodys" })).await.refused(4_010_101);
    login(&platform, "u8", json!({ "uid": "ann" })).await.refused_field(4_000_001, "credential.token");

    // A question that we sign wrongly is our mistake and not the player's.
    let mut wrong_secret = channel.signed_http();
    wrong_secret["login"]["secrets"]["key"] = "another".into();
    put(&platform, "u8", &wrong_secret).await.ok();
    login(&platform, "u8", json!({ "token": "token-of-ann" })).await.could_not_tell();
}

async fn a_channel_that_is_slow_or_broken_is_never_a_wrong_credential(shape: Shape) {
    let channel = Channel::start().await;
    let platform = Platform::build(shape)
        .set("account.channels.timeout", "300ms")
        .set("account.channels.breaker_pause", "200ms")
        .start()
        .await;
    put(&platform, "u8", &channel.signed_http()).await.ok();
    for trouble in [500, 502, 503, 429, 302] {
        channel.answer(trouble);
        for token in ["token-of-ann", "nobodys"] {
            login(&platform, "u8", json!({ "token": token })).await.could_not_tell();
        }
    }
    channel.answer(200);
    eventually("the channel is asked again", || async {
        let answer = login(&platform, "u8", json!({ "token": "token-of-ann" })).await;
        if answer.status == 200 {
            return Some(());
        }
        answer.could_not_tell();
        None
    })
    .await;
    channel.fall_silent();
    login(&platform, "u8", json!({ "token": "token-of-ann" })).await.could_not_tell();
    drop(channel);
    login(&platform, "u8", json!({ "token": "token-of-ann" })).await.could_not_tell();
}

async fn one_dead_channel_does_not_delay_the_others(shape: Shape) {
    let (dead, alive) = (Channel::start().await, Channel::start().await);
    dead.fall_silent();
    let platform = Platform::build(shape)
        .set("account.channels.timeout", "1s")
        .set("account.channels.concurrency", "4")
        .start()
        .await;
    put(&platform, "dead", &dead.signed_http()).await.ok();
    put(&platform, "alive", &alive.signed_http()).await.ok();
    let crowd = (0..24).map(|_| login(&platform, "dead", json!({ "token": "token-of-ann" })));
    let waiting = futures_util::future::join_all(crowd);
    let others = async {
        for _ in 0..8 {
            login(&platform, "alive", json!({ "token": "token-of-ann" })).await.ok();
        }
    };
    let (answers, ()) = tokio::join!(waiting, others);
    for answer in answers {
        answer.could_not_tell();
    }
    assert!(dead.calls() <= 8, "{} questions reached a channel that answers none", dead.calls());
}

async fn a_guest_links_a_channel_and_comes_back_through_it(shape: Shape) {
    let channel = Channel::start().await;
    let platform = Platform::start(shape).await;
    put(&platform, "u8", &channel.signed_http()).await.ok();
    let guest = |device: &'static str| {
        let body = json!({ "app_id": platform.app().app_id, "kind": "device", "device_id": device });
        let client = platform.client().clone();
        async move { client.post("/v1/sdk/login", &body).await }
    };
    let ann = player(&platform, &guest("tablet").await);
    let link = json!({ "kind": "channel", "channel": "u8", "credential": { "token": "token-of-ann" } });
    let linked = ann.link(link.clone()).await.ok();
    let channels: Vec<&Value> =
        linked["credentials"].as_array().unwrap().iter().filter(|c| c["kind"] == "channel").collect();
    assert_eq!(channels, [&json!({ "kind": "channel", "name": "u8:a***n" })]);
    assert_eq!(ann.link(link.clone()).await.ok(), linked, "a repeat changes nothing");
    let back = player(&platform, &login(&platform, "u8", json!({ "token": "token-of-ann" })).await);
    assert_eq!((back.tokens.account_id, &back.welcome["is_new_account"]), (ann.tokens.account_id, &json!(false)));

    let bob = player(&platform, &guest("phone").await);
    bob.link(link.clone()).await.refused(4_090_102);
    let wrong = json!({ "kind": "channel", "channel": "u8", "credential": { "token": "nobodys" } });
    bob.link(wrong).await.refused(4_010_101);
    channel.answer(500);
    bob.link(link).await.could_not_tell();
}

async fn an_app_can_do_without_channels(shape: Shape) {
    let channel = Channel::start().await;
    let platform = Platform::start(shape).await;
    put(&platform, "u8", &channel.signed_http()).await.ok();
    login(&platform, "u8", json!({ "token": "token-of-ann" })).await.ok();
    let app_id = platform.app().app_id;
    platform.admin().set_policy(app_id, &json!({ "registration_open": false })).await;
    login(&platform, "u8", json!({ "token": "token-of-bob" })).await.refused(4_030_103);
    login(&platform, "u8", json!({ "token": "token-of-ann" })).await.ok();
    platform.admin().set_policy(app_id, &json!({ "login_kinds": ["password"] })).await;
    login(&platform, "u8", json!({ "token": "token-of-ann" })).await.refused(4_030_103);
}

async fn a_document_is_checked_and_its_secrets_stay_inside(shape: Shape) {
    let channel = Channel::start().await;
    let platform = Platform::start(shape).await;
    let app_id = platform.app().app_id;
    let first = put(&platform, "u8", &channel.signed_http()).await;
    assert!(!first.text.contains(Channel::secret()), "{}", first.text);
    assert_eq!((&first.ok()["version"], &first.ok()["login"]["secrets"]), (&json!(1), &json!({ "key": "***" })));
    // What is shown can be changed and sent back.
    let mut again = json!({ "login": first.ok()["login"] });
    again["login"]["request"]["headers"] = json!([{ "name": "X-Game", "value": "{app_id}" }]);
    assert_eq!(put(&platform, "u8", &again).await.ok()["version"], 2);
    login(&platform, "u8", json!({ "token": "token-of-ann" })).await.ok();

    let mut unknown = channel.signed_http();
    unknown["login"]["signature"]["key"] = "{secrets.none}".into();
    put(&platform, "u8", &unknown).await.refused_field(4_000_001, "login.signature.key");
    let mut misspelt = channel.oidc();
    misspelt["login"]["audience"] = "my-game".into();
    put(&platform, "u8", &misspelt).await.refused_field(4_000_001, "login.audience");
    put(&platform, "U8", &channel.oidc()).await.refused_field(4_000_001, "channel");
    let nowhere = "/admin/v1/apps/4242/channels/u8";
    platform.admin().put(nowhere, &channel.oidc()).await.refused(4_040_102);
    login(&platform, "u8", json!({ "token": "token-of-ann" })).await.ok();

    let list = platform.admin().get(&format!("/admin/v1/apps/{app_id}/channels")).await;
    assert_eq!((list.ok()["channels"].as_array().unwrap().len(), &list.ok()["channels"][0]["version"]), (1, &json!(2)));
    let audit = platform.admin().get("/admin/v1/audit").await;
    assert_eq!(audit.ok()["records"][0]["action"], "app.put_channel");
    assert!(!format!("{}{}", list.text, audit.text).contains(Channel::secret()));

    put(&platform, "u8", &json!({ "login": null })).await.ok();
    login(&platform, "u8", json!({ "token": "token-of-ann" })).await.refused_field(4_000_001, "channel");
}

async fn a_channel_can_not_be_pointed_at_the_inside(shape: Shape) {
    let channel = Channel::start().await;
    let platform = Platform::start(shape).await;
    for inside in ["http://169.254.169.254/latest/", "http://10.0.0.1/", "http://[fd00::1]/", "http://0.0.0.0/"] {
        let mut document = channel.signed_http();
        document["login"]["request"]["url"] = inside.into();
        put(&platform, "u8", &document).await.refused_field(4_000_001, "login.request.url");
    }
    // A number that resolvers read as an address.
    let mut disguised = channel.signed_http();
    disguised["login"]["request"]["url"] = "http://167772161/".into();
    put(&platform, "u8", &disguised).await.ok();
    login(&platform, "u8", json!({ "token": "token-of-ann" })).await.could_not_tell();
    eventually("the log says why", || async {
        platform.logs().contains("leads to no address that may be called").then_some(())
    })
    .await;
}

async fn nothing_of_a_credential_is_ever_written(shape: Shape) {
    let (channel, key) = (Channel::start().await, IssuerKey::new("one"));
    channel.publish(&[&key]);
    let mut platform =
        Platform::build(shape).set("log.level", "trace,volo_thrift=trace,hyper=trace,sqlx=trace").start().await;
    put(&platform, "taptap", &channel.oidc()).await.ok();
    let mut in_the_url = channel.signed_http();
    in_the_url["login"]["request"]["method"] = "GET".into();
    in_the_url["login"]["request"]["send_as"] = "query".into();
    put(&platform, "quick", &in_the_url).await.ok();
    let token = key.id_token("ann");
    login(&platform, "taptap", json!({ "id_token": token })).await.ok();
    login(&platform, "taptap", json!({ "id_token": "hunter2-hunter2" })).await.refused(4_010_101);
    login(&platform, "quick", json!({ "token": "hunter2-hunter2" })).await.could_not_tell();
    channel.answer(500);
    login(&platform, "quick", json!({ "token": "hunter2-hunter2" })).await.could_not_tell();
    let mut shown = String::new();
    for replica in platform.replicas() {
        shown.push_str(&platform.metrics(replica).await);
        platform.terminate(replica);
        platform.ends_within(replica, PATIENCE).await;
    }
    shown.push_str(&platform.logs());
    assert!(
        shown.contains("could not tell") && shown.contains("playgate_channel_checks_total"),
        "it is told what happened"
    );
    for secret in [token.as_str(), "hunter2-hunter2", Channel::secret()] {
        let bytes = format!("{:?}", secret.as_bytes());
        let bytes = bytes.trim_matches(['[', ']']);
        let line = shown.lines().find(|line| line.contains(secret) || line.contains(bytes));
        assert!(line.is_none(), "a secret is written: {line:?}");
    }
}
