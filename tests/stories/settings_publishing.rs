//! An operator publishes settings, looks at what others have published, and takes it back when it was wrong.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{Answer, Platform, Role, Shape, eventually, in_every_shape};

in_every_shape!(
    what_is_published_is_answered_by_every_gateway_within_a_second,
    of_publishers_who_race_one_wins_and_the_others_are_told,
    what_is_wrong_with_a_document_is_told_by_place_and_the_old_settings_stay,
    rolling_back_under_load_never_mixes_two_answers,
    every_version_says_who_what_and_why_and_is_in_the_audit,
    an_operator_sees_before_publishing_what_it_would_do,
    an_app_that_there_is_not_has_no_settings,
);

fn document(drop_rate: f64) -> Value {
    json!({ "settings": { "drop_rate": { "type": "number", "value": drop_rate } } })
}

async fn what_is_published_is_answered_by_every_gateway_within_a_second(shape: Shape) {
    let platform = Platform::start(shape).await;
    platform.publish(&document(0.0)).await;
    let mut took = Vec::new();
    for round in 1..=5 {
        let before = platform.settings("").await;
        let revision = platform.publisher().publish(&document(f64::from(round) / 10.0)).await;
        let published = Instant::now();
        platform.is_answered_everywhere(revision).await;
        took.push(published.elapsed());
        let after = platform.settings_unless(before.header("etag"), "").await;
        assert_eq!(after.ok()["settings"], json!({ "drop_rate": f64::from(round) / 10.0 }));
        assert_eq!(platform.settings_unless(after.header("etag"), "").await.status, 304);
        assert_eq!(after.header("age"), "", "it is as good as new");
    }
    // A machine that is busy holds one round up; a promise that is broken holds all of them up.
    took.sort_unstable();
    assert!(took[2] < Duration::from_secs(1), "{took:?}");
}

async fn of_publishers_who_race_one_wins_and_the_others_are_told(shape: Shape) {
    let platform = Platform::start(shape).await;
    let publisher = platform.publisher();
    let base = publisher.publish(&document(0.1)).await;
    let [one, other] = [document(0.2), document(0.3)];
    let (first, second) = tokio::join!(publisher.try_publish(base, &one), publisher.try_publish(base, &other));
    let (won, lost, document) = if first.status == 200 { (first, second, one) } else { (second, first, other) };
    assert_eq!(won.ok()["revision"], base + 1);
    assert_eq!(lost.refused(4_090_201).status, 409);
    let current = publisher.get("").await.ok();
    assert_eq!((&current["revision"], &current["document"]), (&json!(base + 1), &document));
    // And likewise whoever comes too late by far.
    for wrong in [0, base, base + 2] {
        publisher.try_publish(wrong, &json!({ "settings": {} })).await.refused(4_090_201);
    }
    // The answer of the winner was lost: the same once more is answered the same.
    assert_eq!(publisher.try_publish(base, &document).await.ok()["revision"], base + 1);
    assert_eq!(publisher.revision().await, base + 1);
}

async fn what_is_wrong_with_a_document_is_told_by_place_and_the_old_settings_stay(shape: Shape) {
    let platform = Platform::start(shape).await;
    let (publisher, base) = (platform.publisher(), platform.publish(&document(0.1)).await);
    let declared = json!({ "a": { "type": "number", "value": 1 } });
    let rule = |when: Value| json!([{ "setting": "a", "value": 2, "when": when }]);
    let cycle = json!({ "x": { "any": ["y"] }, "y": { "any": ["x"] } });
    for (wrong, place) in [
        (json!({ "settings": { "a": { "type": "colour", "value": 1 } } }), "document.settings.a.type"),
        (json!({ "settings": { "a": { "type": "number", "value": "1" } } }), "document.settings.a.value"),
        (json!({ "settings": declared, "rules": rule(json!({ "percent": 130 })) }), "document.rules[0].when.percent"),
        (json!({ "settings": declared, "segments": cycle }), "document.segments"),
        (json!([]), "document"),
    ] {
        let refused = publisher.try_publish(base, &wrong).await;
        assert_eq!(refused.refused(4_000_001).status, 400);
        let details = refused.json()["details"].clone();
        let told = details.as_object().is_some_and(|details| details.keys().any(|key| key.starts_with(place)));
        assert!(told, "{place}: {refused:?}");
    }
    for (body, field) in [
        (json!({ "document": document(0.2), "note": "n" }), "base_revision"),
        (json!({ "base_revision": base, "note": "n" }), "document"),
        (json!({ "base_revision": "x", "document": document(0.2), "note": "n" }), "base_revision"),
        (json!({ "base_revision": base, "document": document(0.2) }), "note"),
    ] {
        publisher.post("", &body).await.refused_field(4_000_001, field);
    }
    let text = "x".repeat(20 * 1024 * 1024);
    let huge = json!({ "settings": { "a": { "type": "string", "value": text } } });
    let refused = too_large(&platform, base, &huge).await;
    assert!(refused.is_none_or(|answer| answer.refused(4_130_001).status == 413));
    let large = json!({ "settings": { "a": { "type": "string", "value": text[..1_500_000] } } });
    publisher.try_publish(base, &large).await.refused(4_130_001);
    // The whole document may have a megabyte.
    let allowed = json!({ "settings": { "a": { "type": "string", "value": text[..1_000_000] } } });
    assert_eq!(publisher.post("/validate", &json!({ "document": allowed })).await.ok()["valid"], true);
    assert_eq!(platform.settings("").await.ok(), json!({ "settings": { "drop_rate": 0.1 }, "revision": base }));
    assert_eq!(publisher.revision().await, base);
}

/// The answer, unless the connection was closed while the body was still on its way.
async fn too_large(platform: &Platform, base: i64, document: &Value) -> Option<Answer> {
    let operator = platform.operator(platform.front());
    let path = format!("/admin/v1/apps/{}/settings", platform.app().app_id);
    let body = json!({ "base_revision": base, "document": document, "note": "too large" });
    let request = operator.request(reqwest::Method::POST, &path).bearer_auth(platform.admin().token()).json(&body);
    operator.try_send(request).await.ok()
}

async fn rolling_back_under_load_never_mixes_two_answers(shape: Shape) {
    /// Readers at once.
    const READERS: usize = 8;
    let mut platform = Platform::start(shape).await;
    if shape == Shape::FleetOnNacos {
        // Replicas that know differently much, on one store.
        platform.add(Role::Setting).await;
        platform.has_found_everybody().await;
    }
    let publisher = platform.publisher();
    let pair = |value: i64| {
        let number = |value: i64| json!({ "type": "number", "value": value });
        json!({ "settings": { "left": number(value), "right": number(value) }, "channels": { "tv": { "left": -value } } })
    };
    let first = platform.publish(&pair(1)).await;
    let second = platform.publish(&pair(2)).await;
    let (platform, fronts, done) = (&platform, &platform.fronts(), &AtomicBool::new(false));
    // Each at a gateway of its own, where nothing older may ever follow.
    let readers = (0..READERS).map(|reader| async move {
        let (mut seen, mut newest) = (HashMap::new(), 0);
        let (front, on_tv) = (&fronts[reader / 2 % fronts.len()], reader % 2);
        while !done.load(Ordering::Relaxed) {
            let answer = platform.settings_at(front, if on_tv == 1 { "&channel=tv" } else { "" }).await;
            let data = answer.ok();
            let (settings, revision) = (&data["settings"], data["revision"].as_i64().expect("a revision"));
            let right = settings["right"].as_i64().expect("a number");
            assert_eq!(settings["left"], if on_tv == 1 { -right } else { right }, "{data}");
            assert_eq!(right, if revision == second { 2 } else { 1 }, "{data}");
            let body = seen.entry(answer.header("etag").to_owned()).or_insert_with(|| data.clone());
            assert_eq!(*body, data, "one tag, one answer");
            assert!(revision >= newest, "back from {newest} to {revision}");
            newest = revision;
        }
        newest
    });
    let operator = async {
        let back = publisher.roll_back(first).await;
        platform.is_answered_everywhere(back).await;
        done.store(true, Ordering::Relaxed);
        back
    };
    let (back, newest) = tokio::join!(operator, futures_util::future::join_all(readers));
    assert_eq!(back, second + 1, "a roll-back is a revision of its own");
    assert!(newest.into_iter().all(|revision| revision <= back));
    let current = publisher.get("").await.ok();
    assert_eq!((&current["document"], &current["info"]["rolled_back_to"]), (&pair(1), &json!(first)));
    publisher.post("/rollback", &json!({ "to_version": 4711, "note": "n" })).await.refused(4_040_201);
    let late = json!({ "to_version": second, "note": "n", "base_revision": second });
    publisher.post("/rollback", &late).await.refused(4_090_201);
}

async fn every_version_says_who_what_and_why_and_is_in_the_audit(shape: Shape) {
    let platform = Platform::start(shape).await;
    let publisher = platform.publisher();
    let empty = publisher.get("").await.ok();
    assert_eq!((&empty["revision"], empty.get("info")), (&json!(0), None));
    for (base, drop_rate) in [(0, 0.1), (1, 0.2), (2, 0.3)] {
        let body =
            json!({ "base_revision": base, "document": document(drop_rate), "note": format!("rate {drop_rate}") });
        publisher.post("", &body).await.ok();
    }
    publisher.roll_back(1).await;
    let page = publisher.get("/versions?limit=3").await.ok();
    let told = |version: &Value| (version["version"].clone(), version["note"].clone(), version["author"].clone());
    let versions: Vec<_> = page["versions"].as_array().expect("versions").iter().map(told).collect();
    let by = |version: i64, note: &str| (json!(version), json!(note), json!("operator"));
    assert_eq!(versions, [by(4, "a story"), by(3, "rate 0.3"), by(2, "rate 0.2")]);
    assert_eq!(page["versions"][0]["rolled_back_to"], 1);
    assert!(page["versions"][1]["bytes"].as_i64().is_some_and(|bytes| bytes > 50), "{page}");
    let last = publisher.get(&format!("/versions?before={}", page["next_before"])).await.ok();
    assert_eq!((told(&last["versions"][0]), last.get("next_before")), (by(1, "rate 0.1"), None));
    publisher.get("/versions?limit=101").await.refused_field(4_000_001, "limit");

    let earlier = publisher.get("?revision=2").await.ok();
    assert_eq!((&earlier["document"], &earlier["info"]["note"]), (&document(0.2), &json!("rate 0.2")));
    publisher.get("?revision=9").await.refused(4_040_201);
    let diff = publisher.get("/diff?from=1&to=3").await.ok();
    let change = json!({ "path": "settings.drop_rate.value", "kind": "changed", "before": 0.1, "after": 0.3 });
    assert_eq!((&diff["changes"], &diff["truncated"]), (&json!([change]), &json!(false)));
    assert_eq!(publisher.get("/diff?from=1&to=4").await.ok()["changes"], json!([]));

    let audit = format!("/admin/v1/audit?target_kind=app&target_id={}", platform.app().app_id);
    let records = eventually("the changes are in the audit", || async {
        let records = platform.admin().get(&audit).await.ok()["records"].take();
        (records.as_array()?.len() >= 4).then_some(records)
    })
    .await;
    let actions: Vec<_> = (0..4).map(|place| records[place]["action"].as_str().expect("an action")).collect();
    assert_eq!(actions, ["settings.rollback", "settings.publish", "settings.publish", "settings.publish"]);
    assert_eq!(records[0]["details"], json!({ "revision": 4, "to_version": 1, "note": "a story" }));
    assert_eq!(records[1]["details"], json!({ "revision": 3, "base_revision": 2, "note": "rate 0.3" }));
    assert_eq!((&records[1]["actor"], records[1]["request_id"].is_string()), (&json!("operator"), true));
}

async fn an_operator_sees_before_publishing_what_it_would_do(shape: Shape) {
    let platform = Platform::start(shape).await;
    let (publisher, base) = (platform.publisher(), platform.publish(&document(0.1)).await);
    let mut next = document(0.2);
    next["channels"] = json!({ "tv": { "drop_rate": 0.5 } });
    next["rules"] = json!([{ "setting": "drop_rate", "value": 1, "when": { "accounts": [100_001] } }]);
    let judged = publisher.post("/validate", &json!({ "document": next })).await.ok();
    assert_eq!(
        (&judged["valid"], &judged["current_revision"], &judged["problems"]),
        (&json!(true), &json!(base), &json!([]))
    );
    let changes = judged["changes"].as_array().expect("changes");
    assert!(changes.iter().any(|change| change["path"] == "settings.drop_rate.value"), "{judged}");
    let wrong = json!({ "settings": { "a": { "type": "colour", "value": 1 } } });
    let judged = publisher.post("/validate", &json!({ "document": wrong })).await.ok();
    assert_eq!((&judged["valid"], &judged["changes"]), (&json!(false), &json!([])));
    assert!(judged["problems"][0]["path"].as_str().is_some_and(|path| path.starts_with("settings.a")), "{judged}");
    assert_eq!(publisher.revision().await, base, "nothing is published by looking");

    let explained = |body: Value| {
        let publisher = &publisher;
        async move { publisher.post("/explain", &body).await.ok()["settings"][0].take() }
    };
    let on_tv = explained(json!({ "document": next, "channel": "tv" })).await;
    assert_eq!(
        (&on_tv["name"], &on_tv["value"], &on_tv["source"]),
        (&json!("drop_rate"), &json!(0.5), &json!("channels.tv"))
    );
    let rule = on_tv["candidates"].as_array().expect("candidates").last().expect("the rule").clone();
    assert_eq!((&rule["source"], &rule["applies"]), (&json!("rules[0]"), &json!(false)));
    assert!(rule["why_not"].is_string(), "{rule}");
    let player = explained(json!({ "document": next, "channel": "tv", "account_id": 100_001 })).await;
    assert_eq!((&player["value"], &player["source"]), (&json!(1), &json!("rules[0]")));
    assert_eq!(explained(json!({})).await["value"], 0.1, "what is published");
}

async fn an_app_that_there_is_not_has_no_settings(shape: Shape) {
    let platform = Platform::start(shape).await;
    let admin = platform.admin();
    let path = |below: &str| format!("/admin/v1/apps/4711/settings{below}");
    for below in ["", "/versions", "/diff?from=1&to=2"] {
        admin.get(&path(below)).await.refused(4_040_102);
    }
    let publishing = json!({ "base_revision": 0, "document": document(0.1), "note": "n" });
    admin.post(&path(""), &publishing).await.refused(4_040_102);
    admin.post(&path("/rollback"), &json!({ "to_version": 1, "note": "n" })).await.refused(4_040_102);
    for below in ["/validate", "/explain"] {
        admin.post(&path(below), &json!({ "document": document(0.1) })).await.refused(4_040_102);
    }
}
