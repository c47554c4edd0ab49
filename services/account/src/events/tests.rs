//! Events of what happens to accounts, on both databases.

use std::{num::NonZeroU32, time::Duration};

use common::{
    clock::Clock,
    error_code::ErrorCode,
    sql::{Database, Text},
};
use idl::{
    account::{AccountService, RequestDeletionRequest, TokenSet},
    account_admin::{BanAccountRequest, LiftBanRequest},
};
use serde_json::{Value, json};

use crate::{
    Config,
    jobs::{Job, run},
    testing::{GRACE, PASSWORD, Service, code, config, public},
};

/// The configuration of tests, with events.
fn publishing() -> Config {
    let mut config = config();
    config.events.publish = true;
    config
}

/// The events that wait, oldest first, without their ids, which have to be unique.
async fn told(database: &Database) -> Vec<Value> {
    let rows: Vec<(i64, Text)> =
        database.read("SELECT at, body FROM account_events ORDER BY id").all().await.expect("read");
    let mut ids = std::collections::BTreeSet::new();
    let event = |(at, body): (i64, Text)| {
        let mut event: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(event["at"], json!(at));
        let fields = event.as_object_mut().expect("an object");
        let id = fields.remove("event_id").expect("an id");
        assert!(ids.insert(id.as_str().expect("text").to_owned()), "an id of its own");
        event
    };
    rows.into_iter().map(event).collect()
}

/// What only their kinds and reasons are.
async fn kinds(database: &Database) -> Vec<String> {
    let kind = |event: Value| match event["reason"].as_str() {
        Some(reason) => format!("{}: {reason}", event["kind"].as_str().expect("text")),
        None => event["kind"].as_str().expect("text").to_owned(),
    };
    told(database).await.into_iter().map(kind).collect()
}

common::on_each_database! {
    async fn whoever_signs_in_is_told_of_once_and_nothing_secret_is(database: TestDatabase) {
        let service = Service::start_with(database, publishing()).await;
        let now = service.clock.now().as_millis();
        let made = service.register("zebediah").await.expect("registered").tokens;
        let here = service.login("zebediah", PASSWORD).await.expect("signed in").tokens;
        assert_eq!(code(service.login("zebediah", "wrong password").await), ErrorCode::WRONG_CREDENTIALS);
        let guest = service.device_login("some-device-of-mine", None).await.expect("a guest").tokens;
        let event = |kind: &str, credential: &str, tokens: &TokenSet| {
            json!({ "kind": kind, "at": now, "app_id": service.app_id(), "account_id": tokens.account_id,
                "session_id": *tokens.session_id, "credential": credential, "device_class": "mobile",
                "channel": "taptap", "sdk_version": "1.0.0" })
        };
        let expected = [
            event("account.registered", "password", &made),
            event("account.login", "password", &here),
            event("account.registered", "device", &guest),
        ];
        let events = told(&service.database).await;
        assert_eq!(events, expected);
        let all = serde_json::to_string(&events).expect("text");
        for never in ["zebediah", "some-device-of-mine", "device-1", PASSWORD, "127.0.0.1", "203.0.113"] {
            assert!(!all.contains(never), "{never}: {all}");
        }
    }

    async fn without_a_session_there_is_no_event_and_without_an_event_no_session(database: TestDatabase) {
        let service = Service::start_with(database, publishing()).await;
        service.register("ann").await.expect("registered");
        let before = service.count("SELECT COUNT(*) FROM account_sessions").await;
        // The session is written first, and goes with the event that can't be.
        service.database.write("ALTER TABLE account_events RENAME TO elsewhere").execute().await.expect("gone");
        assert!(service.login("ann", PASSWORD).await.is_err());
        assert!(service.register("bob").await.is_err());
        assert_eq!(service.count("SELECT COUNT(*) FROM account_sessions").await, before);
        service.database.write("ALTER TABLE elsewhere RENAME TO account_events").execute().await.expect("back");
        service.database.write("ALTER TABLE account_sessions RENAME TO elsewhere").execute().await.expect("gone");
        assert!(service.register("bob").await.is_err());
        service.database.write("ALTER TABLE elsewhere RENAME TO account_sessions").execute().await.expect("back");
        assert_eq!(kinds(&service.database).await, ["account.registered"]);
        service.login("ann", PASSWORD).await.expect("signed in");
        assert_eq!(kinds(&service.database).await, ["account.registered", "account.login"]);
    }

    async fn however_sessions_end_it_is_told_with_the_reason_that_their_owner_is_told(database: TestDatabase) {
        let service = Service::start_with(database, publishing()).await;
        let first = service.register("ann").await.expect("registered").tokens;
        let here = service.login("ann", PASSWORD).await.expect("signed in").tokens;
        service.logout(&here.access_token, false).await.expect("signed out");
        service.logout(&here.access_token, false).await.expect("once more");
        service.refresh(&first.refresh_token).await.expect("refreshed");
        service.clock.advance(GRACE + Duration::from_secs(1));
        assert_eq!(code(service.refresh(&first.refresh_token).await), ErrorCode::REFRESH_TOKEN_REUSED);
        service.login("ann", PASSWORD).await.expect("signed in");
        let last = service.login("ann", PASSWORD).await.expect("signed in").tokens;
        service.logout(&last.access_token, true).await.expect("signed out");
        let ended = |event: &Value| event["kind"] == "account.sessions_ended";
        let events: Vec<Value> = told(&service.database).await.into_iter().filter(ended).collect();
        let of = |event: &Value| (event["reason"].clone(), event["count"].clone(), event["session_id"].clone());
        let expected = [
            (json!("logout"), json!(1), json!(*here.session_id)),
            (json!("refresh_token_reused"), json!(1), json!(*first.session_id)),
            (json!("logout_everywhere"), json!(2), Value::Null),
        ];
        assert_eq!(events.iter().map(of).collect::<Vec<_>>(), expected);
        assert!(events.iter().all(|event| event["account_id"] == json!(first.account_id)));
    }

    async fn bans_and_deletions_are_told_when_they_happen_and_not_when_nothing_does(database: TestDatabase) {
        let service = Service::start_with(database, publishing()).await;
        let ann = service.register("ann").await.expect("registered").tokens;
        let ban = BanAccountRequest {
            account_id: ann.account_id,
            reason: "cheating".into(),
            note: Some("seen by Tom".into()),
            actor: "tom".into(),
            ..BanAccountRequest::default()
        };
        public(service.account.admin_ban_account(ban).await).expect("banned");
        let lift = || LiftBanRequest { account_id: ann.account_id, actor: "tom".into() };
        public(service.account.admin_lift_ban(lift()).await).expect("lifted");
        let _ = public(service.account.admin_lift_ban(lift()).await);
        for _ in 0..2 {
            let request = RequestDeletionRequest { access_token: ann.access_token.clone() };
            public(service.account.request_deletion(request).await).expect("requested");
        }
        let parts = service.account.parts();
        let account = crate::domain::ids::AccountId::parse(ann.account_id).expect("an id");
        for _ in 0..2 {
            assert!(parts.deletions.cancel(account, service.clock.now()).await.expect("kept"));
        }
        let request = RequestDeletionRequest { access_token: ann.access_token.clone() };
        public(service.account.request_deletion(request).await).expect("requested");
        service.clock.advance(config().deletion.cooling_off);
        run(parts, Job::Deletions).await.expect("deleted");
        let expected = [
            "account.registered",
            "account.banned: cheating",
            "account.ban_lifted",
            "account.deletion_requested",
            "account.deletion_cancelled",
            "account.deletion_requested",
            "account.deleted",
        ];
        assert_eq!(kinds(&service.database).await, expected);
        assert!(!serde_json::to_string(&told(&service.database).await).expect("text").contains("Tom"));
    }

    async fn a_full_outbox_keeps_nobody_from_signing_in(database: TestDatabase) {
        let mut full = publishing();
        full.events.rows_max = NonZeroU32::MIN;
        let service = Service::start_with(database, full).await;
        service.register("ann").await.expect("registered");
        let here = service.login("ann", PASSWORD).await.expect("signed in").tokens;
        service.logout(&here.access_token, false).await.expect("signed out");
        assert_eq!(kinds(&service.database).await, ["account.registered"]);
    }

    async fn unless_they_are_wanted_there_are_no_events(database: TestDatabase) {
        let service = Service::start(database).await;
        service.register("ann").await.expect("registered");
        let here = service.login("ann", PASSWORD).await.expect("signed in").tokens;
        service.logout(&here.access_token, true).await.expect("signed out");
        assert!(told(&service.database).await.is_empty());
    }
}
