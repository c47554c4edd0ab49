//! An operator looks a player up and signs them out, and sees who changed what.

use serde_json::{Value, json};

use crate::support::{Platform, Shape, eventually, in_every_shape};

in_every_shape!(
    a_player_is_found_by_name_and_id_and_shown_without_secrets,
    a_player_who_is_signed_out_by_an_operator_is_told_so,
    every_change_is_written_down_with_its_request,
    the_log_level_changes_while_the_process_runs,
);

async fn a_player_is_found_by_name_and_id_and_shown_without_secrets(shape: Shape) {
    let platform = Platform::start(shape).await;
    let (admin, ann) = (platform.admin(), platform.register("annabelle").await);
    ann.try_login_with(json!({ "device_id": "phone-1", "device_class": "console" })).await.ok();
    let by_name = admin.get("/admin/v1/accounts?username=Annabelle").await;
    let found = by_name.ok();
    assert_eq!(found["account"]["account_id"], ann.tokens.account_id);
    assert_eq!(found["account"]["credentials"][0]["kind"], "password");
    let sessions = found["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 2, "{found}");
    assert!(sessions.iter().any(|session| session["device"] == "phone-1" && session["device_class"] == "console"));
    assert!(
        sessions.iter().all(|session| session["app_id"] == platform.app().app_id && session["address"].is_string())
    );
    for secret in ["annabelle", &ann.password, &ann.tokens.access_token, &ann.tokens.refresh_token] {
        assert!(!by_name.text.contains(secret), "{}", by_name.text);
    }
    let by_id = admin.get(&format!("/admin/v1/accounts?account_id={}", ann.tokens.account_id)).await.ok();
    assert_eq!(by_id, found);
    for nobody in ["username=nobody", "account_id=1", "account_id=-1"] {
        assert_eq!(admin.get(&format!("/admin/v1/accounts?{nobody}")).await.refused(4_040_101).status, 404);
    }
    for unclear in ["", "?username=ann&account_id=1"] {
        admin.get(&format!("/admin/v1/accounts{unclear}")).await.refused_field(4_000_001, "account_id");
    }
}

async fn a_player_who_is_signed_out_by_an_operator_is_told_so(shape: Shape) {
    let platform = Platform::start(shape).await;
    let (admin, here) = (platform.admin(), platform.register("ann").await);
    let there = here.login().await;
    let path = format!("/admin/v1/accounts/{}/revoke-sessions", here.tokens.account_id);
    admin.post(&path, &json!({})).await.refused_field(4_000_001, "reason");
    assert_eq!(admin.post(&path, &json!({ "reason": "ticket 7" })).await.ok()["revoked"], 2);
    for ended in [&here, &there] {
        platform.is_revoked(&ended.tokens.access_token).await;
        for told in [ended.refresh().await, ended.me().await, ended.logout().await] {
            assert_eq!(told.refused(4_010_104).json()["details"]["reason"], "operator");
            assert!(!told.text.contains("ticket"), "{told:?}");
        }
    }
    assert_eq!(platform.verify(&here.login().await.tokens.access_token).await.status, "valid");
    admin.post("/admin/v1/accounts/1/revoke-sessions", &json!({ "reason": "x" })).await.refused(4_040_101);
}

async fn every_change_is_written_down_with_its_request(shape: Shape) {
    let platform = Platform::start(shape).await;
    let (admin, ann) = (platform.admin(), platform.register("ann").await);
    let app = format!("/admin/v1/apps/{}", platform.app().app_id);
    let made = admin.post("/admin/v1/apps", &json!({ "name": "audited" })).await;
    let changed = admin.patch(&app, &json!({ "policy": { "access_ttl_s": 60 } })).await;
    let rotated = admin.post(&format!("{app}/rotate-secret"), &json!({})).await;
    let revoke = format!("/admin/v1/accounts/{}/revoke-sessions", ann.tokens.account_id);
    let revoked = admin.post(&revoke, &json!({ "reason": "ticket 7" })).await;
    let page = admin.get("/admin/v1/audit?limit=4").await;
    for secret in [&made, &rotated].map(|answer| answer.ok()["app_secret"].as_str().unwrap().to_owned()) {
        assert!(!page.text.contains(&secret), "{}", page.text);
    }
    let answered = [
        (&revoked, "account.revoke_sessions", "account"),
        (&rotated, "app.rotate_secret", "app"),
        (&changed, "app.update", "app"),
        (&made, "app.create", "app"),
    ];
    let page = page.ok();
    for (record, (answer, action, kind)) in page["records"].as_array().unwrap().iter().zip(answered) {
        assert_eq!((&record["action"], &record["target_kind"]), (&json!(action), &json!(kind)), "{record}");
        assert_eq!(record["actor"], "operator");
        assert_eq!(record["request_id"].as_str(), Some(answer.header("x-request-id")), "{record}");
    }
    assert_eq!(page["records"][0]["details"], json!({ "reason": "ticket 7", "revoked": 1 }));
    let difference = json!({ "policy.access_ttl_s": { "before": null, "after": 60 } });
    assert_eq!(page["records"][2]["details"], difference);
    let older = admin.get(&format!("/admin/v1/audit?before={}", page["next"])).await.ok();
    let by_command_line = |record: &&Value| record["actor"] == "command line" && record["action"] == "app.create";
    assert!(older["records"].as_array().unwrap().iter().find(by_command_line).is_some(), "{older}");
}

async fn the_log_level_changes_while_the_process_runs(shape: Shape) {
    let platform = Platform::start(shape).await;
    let admin = platform.admin();
    let answer = admin.put("/admin/v1/log-level", &json!({ "level": "debug" })).await.ok();
    assert_eq!(answer, json!({ "level": "debug", "previous": "info", "audited": true }));
    let records = admin.get("/admin/v1/audit?limit=1").await.ok();
    assert_eq!(records["records"][0]["action"], "log_level.set");
    assert_eq!(records["records"][0]["details"]["level"], json!({ "before": "info", "after": "debug" }));
    for wrong in ["loud", "", &"x=info,".repeat(200)] {
        admin.put("/admin/v1/log-level", &json!({ "level": wrong })).await.refused_field(4_000_001, "level");
    }
    let answer = admin.put("/admin/v1/log-level", &json!({ "level": "info" })).await.ok();
    assert_eq!(answer["previous"], "debug");
    eventually("the change is in the log", || async {
        platform.logs().contains("log level was changed").then_some(())
    })
    .await;
    let asked = |line: &str| line.contains("\"log\":\"access\"") && line.contains("/admin/v1/log-level");
    eventually("it is in the access log", || async { platform.logs().lines().any(asked).then_some(()) }).await;
    assert!(!platform.logs().lines().any(|line| line.contains("\"log\":\"access\"") && line.contains("/readyz")));
}
