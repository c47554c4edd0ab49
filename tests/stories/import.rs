//! A studio brings its players from another platform: they sign in with the passwords they have.

use serde_json::{Value, json};

use crate::support::{Answer, Channel, IssuerKey, Platform, Receiver, Role, Shape, in_every_shape};

in_every_shape!(
    an_imported_phone_gets_a_code_and_an_imported_player_of_a_channel_comes_through_it,
    imported_players_sign_in_and_their_hashes_are_replaced_once,
    a_line_that_is_no_account_is_named_without_what_stands_in_it,
);

/// The hashcat wiki's example hashes.
const PASSWORD: &str = "hashcat";
const BCRYPT: &str = "$2a$05$LhayLxezLhK1LhWvKxCyLOj0j1u.Kj0jZ0pEmm134uzrQlFvQJLF6";
const SALTED_MD5: &str = "$md5$f=md5pass-salt$568$16780ba78d2d5f02f3202901c1b6d975";

async fn imported_players_sign_in_and_their_hashes_are_replaced_once(shape: Shape) {
    let platform = Platform::start(shape).await;
    let accounts = [
        json!({ "external_id": "1", "username": "Ann", "password_hash": BCRYPT }),
        json!({ "external_id": "2", "username": "bob", "password_hash": SALTED_MD5, "created_at": 1_420_070_400_000_i64 }),
    ]
    .map(|account| account.to_string());
    let (status, summary) = import(&platform, &accounts.join("\n")).await;
    assert_eq!(status, Some(0));
    assert_eq!((&summary["lines"], &summary["imported"], &summary["rejects"]), (&json!(2), &json!(2), &Value::Null));

    for username in ["ann", "bob"] {
        login(&platform, username, "not the password").await.refused(4_010_101);
        let first = login(&platform, username, PASSWORD).await.ok();
        assert_eq!(first["is_new_account"], false);
        let token = first["access_token"].as_str().unwrap();
        assert_eq!(platform.verify(token).await.status, "valid");
        let again = login(&platform, username, PASSWORD).await.ok();
        assert_eq!(again["account_id"], first["account_id"]);
    }
    // Once each: the second time the hash is one of ours.
    let metrics = platform.metrics(account_role(shape)).await;
    let stored = "playgate_account_password_upgrades_total{outcome=\"stored\"} ";
    let upgrades: Vec<u64> =
        metrics.lines().filter_map(|line| line.strip_prefix(stored)).map(|count| count.parse().unwrap()).collect();
    assert_eq!(upgrades.into_iter().sum::<u64>(), 2, "{metrics}");
    platform.try_register("ann").await.refused(4_090_101);

    let (status, summary) = import(&platform, &accounts[0]).await;
    assert_eq!((status, &summary["imported"], &summary["skipped"]), (Some(0), &json!(0), &json!(1)));
    login(&platform, "ann", PASSWORD).await.ok();
}

async fn an_imported_phone_gets_a_code_and_an_imported_player_of_a_channel_comes_through_it(shape: Shape) {
    const PHONE: &str = "+8613812345678";
    let (receiver, channel, key) = (Receiver::start().await, Channel::start().await, IssuerKey::new("one"));
    channel.publish(&[&key]);
    let platform = Platform::build(shape)
        .set("account.phone.webhook.url", &receiver.url())
        .set("account.phone.webhook.secret", Receiver::secret())
        .start()
        .await;
    let app_id = platform.app().app_id;
    let player = |uid: &str| json!({ "app_id": app_id, "channel": "taptap", "channel_uid": uid });
    let accounts = [
        json!({ "external_id": "1", "phone": PHONE, "channels": [player("ann")] }),
        json!({ "external_id": "2", "username": "bob", "password_hash": BCRYPT, "channels": [player("bob")] }),
        json!({ "external_id": "3", "phone": "138 1234 5678" }),
        json!({ "external_id": "4", "channels": [player("ann")] }),
    ]
    .map(|account| account.to_string());
    // Before the app has the channel, as whoever moves does it.
    let (status, summary) = import(&platform, &accounts.join("\n")).await;
    assert_eq!((status, &summary["imported"], &summary["rejected"]), (Some(65), &json!(2), &json!(2)));
    let rejects = std::fs::read_to_string(platform.directory().join(summary["rejects"].as_str().unwrap())).unwrap();
    let fields: Vec<Value> =
        rejects.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["field"].clone()).collect();
    assert_eq!(fields, ["phone", "channels"]);

    let code = json!({ "app_id": app_id, "phone": PHONE, "scene": "login" });
    platform.client().post("/v1/sdk/phone-codes", &code).await.ok();
    let code = receiver.code(PHONE, "login", None).await;
    let by_phone = json!({ "app_id": app_id, "kind": "phone", "phone": PHONE, "code": code });
    let ann = platform.client().post("/v1/sdk/login", &by_phone).await.ok();
    assert_eq!(ann["is_new_account"], false);

    let document = format!("/admin/v1/apps/{app_id}/channels/taptap");
    platform.admin().put(&document, &channel.oidc()).await.ok();
    let through_channel = async |name: &str| {
        let credential = json!({ "id_token": key.id_token(name) });
        let body = json!({ "app_id": app_id, "kind": "channel", "channel": "taptap", "credential": credential });
        platform.client().post("/v1/sdk/login", &body).await.ok()
    };
    let again = through_channel("ann").await;
    assert_eq!((&again["account_id"], &again["is_new_account"]), (&ann["account_id"], &json!(false)));
    let bob = login(&platform, "bob", PASSWORD).await.ok();
    assert_eq!(through_channel("bob").await["account_id"], bob["account_id"]);
    assert_eq!(through_channel("cid").await["is_new_account"], true);
}

async fn a_line_that_is_no_account_is_named_without_what_stands_in_it(shape: Shape) {
    let platform = Platform::start(shape).await;
    let ann = platform.register("ann").await;
    let lines = [
        json!({ "external_id": "1", "username": "ann", "password_hash": SALTED_MD5 }).to_string(),
        json!({ "username": "bob", "password_hash": "5f4dcc3b5aa765d61d8327deb882cf99" }).to_string(),
        json!({ "username": "cid", "password_hash": SALTED_MD5 }).to_string(),
    ];
    let (status, summary) = import(&platform, &lines.join("\n")).await;
    assert_eq!((status, &summary["imported"], &summary["rejected"]), (Some(65), &json!(1), &json!(2)));
    let rejects = std::fs::read_to_string(platform.directory().join(summary["rejects"].as_str().unwrap())).unwrap();
    let mut named: Vec<Value> = rejects.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    named.sort_by_key(|reject| reject["line"].as_i64());
    assert_eq!((&named[0]["line"], &named[1]["line"]), (&json!(1), &json!(2)));
    assert_eq!(named[1]["field"], "password_hash");
    assert!(!rejects.contains("5f4dcc3b") && !rejects.contains("16780ba7"), "{rejects}");
    ann.try_login().await.ok();
    login(&platform, "cid", PASSWORD).await.ok();
}

/// The exit status and the summary.
async fn import(platform: &Platform, accounts: &str) -> (Option<i32>, Value) {
    std::fs::write(platform.directory().join("accounts.ndjson"), accounts).unwrap();
    let output = platform.run_account(&["import", "accounts.ndjson", "--source", "old"]).await;
    let shown = String::from_utf8_lossy(&output.stderr);
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {shown}")))
}

async fn login(platform: &Platform, username: &str, password: &str) -> Answer {
    let app_id = platform.app().app_id;
    let body = json!({ "app_id": app_id, "kind": "password", "username": username, "password": password });
    platform.client().post("/v1/sdk/login", &body).await
}

fn account_role(shape: Shape) -> Role {
    match shape {
        Shape::AllInOne => Role::All,
        Shape::FourRolesMariadb | Shape::FleetOnNacos => Role::Account,
    }
}
