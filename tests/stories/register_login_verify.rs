//! A player registers and signs in; the game server asks whether the token is good.

use futures_util::future::join_all;
use serde_json::json;

use crate::support::{Platform, Player, Shape, Verdict, in_every_shape};

in_every_shape!(
    a_registered_player_signs_in_and_the_game_server_accepts_the_token,
    the_verdict_names_the_channel_and_device_the_session_began_with,
    a_username_that_normalises_to_anothers_is_taken,
    of_many_who_want_one_username_at_once_one_gets_it,
    a_wrong_password_and_an_unknown_user_get_the_same_answer,
    a_password_that_everybody_would_try_is_refused_by_field,
    a_token_of_another_app_is_invalid_and_tells_nothing_else,
    a_token_that_was_tampered_with_is_invalid_and_tells_nothing_else,
    an_unknown_app_is_refused_by_name,
    a_channel_that_cannot_be_is_refused_by_name,
);

/// The largest integer that survives JavaScript and Lua.
const MAX_SAFE_INTEGER: i64 = 1 << 53;

async fn a_registered_player_signs_in_and_the_game_server_accepts_the_token(shape: Shape) {
    let platform = Platform::start(shape).await;
    let registered = platform.register("ann").await;
    let ann = registered.login().await;
    assert_ne!(ann.tokens.session_id, registered.tokens.session_id);
    assert!((1..MAX_SAFE_INTEGER).contains(&ann.tokens.account_id));
    assert!(ann.tokens.access_token.starts_with("pg1."));
    for (field, empty) in
        [("settings", json!({})), ("wallet", json!({})), ("notices", json!([])), ("degraded", json!([]))]
    {
        assert_eq!(ann.welcome[field].is_object(), empty.is_object(), "{field} of {}", ann.welcome);
        assert_eq!(ann.welcome[field].is_array(), empty.is_array(), "{field} of {}", ann.welcome);
    }
    assert_eq!(ann.welcome["degraded"], json!([]));

    for session in [&registered, &ann] {
        let verdict = platform.verify(&session.tokens.access_token).await;
        assert_eq!(verdict.status, "valid");
        assert_eq!(verdict.account_id, Some(session.tokens.account_id));
        assert_eq!(verdict.session_id.as_deref(), Some(session.tokens.session_id.as_str()));
        assert_eq!(verdict.app_id, Some(platform.app().app_id));
        assert_eq!(verdict.expires_at, Some(session.tokens.access_expires_at));
        assert!(verdict.issued_at < verdict.expires_at);
        assert!(!verdict.degraded);
    }
}

async fn the_verdict_names_the_channel_and_device_the_session_began_with(shape: Shape) {
    let platform = Platform::start(shape).await;
    let ann = platform.register("ann").await;
    let client =
        json!({ "channel": "huawei", "device_id": "ann's phone", "package": "com.example", "sdk_version": "3.1" });
    let tokens = ann.try_login_with(client).await.ok();
    let verdict = platform.verify(tokens["access_token"].as_str().unwrap()).await;
    assert_eq!((verdict.channel.as_deref(), verdict.device_id.as_deref()), (Some("huawei"), Some("ann's phone")));
}

async fn a_username_that_normalises_to_anothers_is_taken(shape: Shape) {
    let platform = Platform::start(shape).await;
    let ann = platform.register("Ann_01").await;
    for same in ["Ann_01", "ann_01", "ANN_01", "Ａｎｎ＿０１"] {
        platform.try_register(same).await.refused(4_090_101);
        let tokens = ann.try_login_with(json!({ "username": same })).await.ok();
        assert_eq!(tokens["account_id"], ann.tokens.account_id, "{same} is the same player");
    }
}

async fn of_many_who_want_one_username_at_once_one_gets_it(shape: Shape) {
    let platform = Platform::start(shape).await;
    let answers = join_all((0..8).map(|_| platform.try_register("ann"))).await;
    let taken = answers.iter().filter(|answer| answer.code() == 4_090_101).count();
    let created = answers.iter().filter(|answer| answer.code() == 2_000_000).count();
    assert_eq!((created, taken), (1, 7), "{answers:?}");
}

async fn a_wrong_password_and_an_unknown_user_get_the_same_answer(shape: Shape) {
    let platform = Platform::start(shape).await;
    let ann = platform.register("ann").await;
    let wrong_password = ann.try_login_with(json!({ "password": "not the password" })).await;
    let unknown_user = ann.try_login_with(json!({ "username": "nobody" })).await;
    let without_id = |answer: &crate::support::Answer| {
        let mut envelope = answer.refused(4_010_101).json();
        envelope["request_id"].take();
        envelope
    };
    assert_eq!(without_id(&wrong_password), without_id(&unknown_user));
}

async fn a_password_that_everybody_would_try_is_refused_by_field(shape: Shape) {
    let platform = Platform::start(shape).await;
    for password in ["short", "password", "PassWord1!", "12345678", "ann-from-mars1", "1ann-from-mars"] {
        let body = json!({ "app_id": platform.app().app_id, "username": "ann-from-mars", "password": password });
        platform.client().post("/v1/sdk/register", &body).await.refused_field(4_000_001, "password");
    }
}

async fn a_token_of_another_app_is_invalid_and_tells_nothing_else(shape: Shape) {
    let platform = Platform::start(shape).await;
    let ann = platform.register("ann").await;
    let other = platform.game_server_of(platform.create_app("other").await);
    assert_eq!(other.verify(&ann.tokens.access_token).await, nothing_but_invalid());
    assert_eq!(platform.verify(&ann.tokens.access_token).await.status, "valid");
}

async fn a_token_that_was_tampered_with_is_invalid_and_tells_nothing_else(shape: Shape) {
    let platform = Platform::start(shape).await;
    let token = platform.register("ann").await.tokens.access_token;
    let changed_at = |at: usize| {
        let other = if token.as_bytes()[at] == b'A' { "B" } else { "A" };
        [&token[..at], other, &token[at + 1..]].concat()
    };
    let mut forged: Vec<String> = (0..token.len()).step_by(7).map(changed_at).collect();
    forged.extend([String::new(), "pg1.".to_owned(), token[..token.len() - 1].to_owned(), format!("{token}A")]);
    for forged in forged {
        assert_eq!(platform.verify(&forged).await, nothing_but_invalid(), "{forged}");
    }
}

async fn an_unknown_app_is_refused_by_name(shape: Shape) {
    let platform = Platform::start(shape).await;
    let nobodys = platform.app().app_id + 1_000_000;
    Player::try_register(platform.client(), nobodys, "ann").await.refused_field(4_000_001, "app_id");
}

fn nothing_but_invalid() -> Verdict {
    Verdict {
        status: "invalid".to_owned(),
        account_id: None,
        session_id: None,
        app_id: None,
        issued_at: None,
        expires_at: None,
        channel: None,
        device_id: None,
        ban: None,
        degraded: false,
    }
}

async fn a_channel_that_cannot_be_is_refused_by_name(shape: Shape) {
    let platform = Platform::start(shape).await;
    let ann = platform.register("ann").await;
    for channel in ["../../etc", "App Store", "", "a/b"] {
        let answer = ann.try_login_with(json!({ "channel": channel })).await;
        answer.refused_field(4_000_001, "channel");
    }
}
