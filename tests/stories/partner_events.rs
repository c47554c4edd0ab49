//! Partners push events: whatever is acknowledged is on the disk, once, and nobody else's events are.

use std::{
    collections::BTreeSet,
    io::Write,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use flate2::{Compression, write::GzEncoder};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{
    Partner, Platform, Role, Shape, eventually, in_four_roles, in_one_process, stored_lines, times_stored,
};

in_one_process!(
    every_way_of_signing_is_taken_and_nothing_else,
    events_come_as_objects_arrays_and_lines_plain_or_as_gzip,
    what_can_not_be_taken_is_told_by_its_place_and_the_rest_is_stored,
    bodies_that_are_no_push_say_why,
    clicks_are_events,
    what_comes_again_is_stored_once_also_after_a_restart,
    operators_limit_disable_and_rotate,
    nothing_acknowledged_is_lost_however_often_the_gateway_is_killed,
    a_gateway_for_partners_alone_knows_no_other_route,
    an_operator_looks_into_the_segments,
);
in_four_roles!(
    every_way_of_signing_is_taken_and_nothing_else,
    while_account_is_away_known_partners_go_on_and_others_are_an_open_question,
    gateways_store_apart,
    nothing_acknowledged_is_lost_however_often_the_gateway_is_killed,
);

/// Where the gateway that is asked keeps what it takes.
fn data_dir(platform: &Platform) -> PathBuf {
    match platform.front() {
        Role::All => platform.directory().join("data"),
        front => platform.data_dir_of(front.replica(0)),
    }
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// What a push was answered: accepted, duplicates, refused.
#[track_caller]
fn counts(answer: &crate::support::Answer) -> (u64, u64, usize) {
    assert_eq!(answer.status, 202, "{answer:?}");
    let data = answer.ok();
    (
        data["accepted"].as_u64().unwrap(),
        data["duplicates"].as_u64().unwrap(),
        data["refused"].as_array().unwrap().len(),
    )
}

async fn every_way_of_signing_is_taken_and_nothing_else(shape: Shape) {
    let platform = Platform::start(shape).await;
    let hmac = Partner::join(&platform, "ads", "hmac").await;
    let md5 = Partner::join(&platform, "old-net", "md5-sorted").await;
    let open = Partner::join(&platform, "collector", "none").await;
    let event = |id: &str| json!({ "event_id": id, "kind": "install", "amount": 1.50 });
    for partner in [&hmac, &md5, &open] {
        assert_eq!(counts(&partner.push(&event("e-1")).await), (1, 0, 0), "{}", partner.name);
        assert_eq!(partner.click(&[("click_id", "c-1"), ("campaign", "spring")]).await.status, 204);
        assert_eq!(partner.click_by_form(&[("click_id", "c-2"), ("campaign", "spring")]).await.status, 204);
    }
    for partner in [&hmac, &md5] {
        partner.signing_as("none").push(&event("e-2")).await.refused(4_010_001);
        partner.signing_with("another").push(&event("e-2")).await.refused(4_010_002);
        partner.signing_as("none").click(&[("click_id", "c-3")]).await.refused(4_010_001);
        partner.signing_with("another").click(&[("click_id", "c-3")]).await.refused(4_010_002);
    }
    md5.signing_as("hmac").push(&event("e-2")).await.refused(4_010_002);
    let nobody = hmac.named("nobody");
    nobody.push(&event("e-2")).await.refused(4_010_002);
    nobody.signing_as("none").push(&event("e-2")).await.refused(4_010_001);

    let lines = stored_lines(&data_dir(&platform));
    for partner in ["ads", "old-net", "collector"] {
        let of_partner: Vec<_> = lines.iter().filter(|line| line["partner"] == partner).collect();
        assert_eq!(of_partner.len(), 3, "{partner}: {lines:?}");
        let line = of_partner[0];
        assert_eq!((&line["event_id"], &line["event"]), (&json!("e-1"), &event("e-1")));
        assert!(line["received_at"].as_i64().is_some_and(|at| at > 1_700_000_000_000), "{line}");
        assert_eq!(of_partner[1]["event"], json!({ "campaign": "spring", "click_id": "c-1", "event_id": "c-1" }));
    }
    assert_eq!(lines.len(), 9, "and nothing of what was refused");
}

async fn events_come_as_objects_arrays_and_lines_plain_or_as_gzip(shape: Shape) {
    let platform = Platform::start(shape).await;
    let ads = Partner::join(&platform, "ads", "hmac").await;
    let forms: [(&str, &str, u64); 3] = [
        ("application/json", r#"{"event_id":"FORM-1"}"#, 1),
        ("application/json; charset=utf-8", r#"[{"event_id":"FORM-1"},{"event_id":"FORM-2"}]"#, 2),
        ("application/x-ndjson", "{\"event_id\":\"FORM-1\"}\n{\"event_id\":\"FORM-2\"}\n{\"event_id\":3}\n", 3),
    ];
    for (number, (content_type, body, count)) in forms.into_iter().enumerate() {
        let body = body.replace("FORM", &format!("plain-{number}")).replace(":3}", &format!(":{number}3}}"));
        assert_eq!(counts(&ads.send(content_type, None, body.clone().into_bytes()).await), (count, 0, 0), "{body}");
        let body = body.replace("plain", "gzip").replace("3}", "4}");
        let answer = ads.send(content_type, Some("gzip"), gzip(body.as_bytes())).await;
        assert_eq!(counts(&answer), (count, 0, 0), "{body}");
    }
    let many: Vec<_> =
        (0..5000).map(|number| json!({ "event_id": format!("many-{number}"), "text": "x".repeat(300) })).collect();
    let body = many.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
    assert!(body.len() > 1024 * 1024, "more than other routes take");
    assert_eq!(counts(&ads.send("application/x-ndjson", None, body.into_bytes()).await), (5000, 0, 0));
    let order: Vec<_> =
        stored_lines(&data_dir(&platform)).into_iter().skip(12).map(|line| line["event"].clone()).collect();
    assert_eq!(order, many, "in the order of the push, as they came");
}

async fn what_can_not_be_taken_is_told_by_its_place_and_the_rest_is_stored(shape: Shape) {
    let platform = Platform::start(shape).await;
    let ads = Partner::join(&platform, "ads", "hmac").await;
    let body = "{\"event_id\":\"a\"}\n{broken\n[1]\n{\"event_id\":\"b\"}\n{\"event_id\":{}}\n";
    let answer = ads.send("application/x-ndjson", None, body.as_bytes().to_vec()).await;
    assert_eq!(counts(&answer), (2, 0, 3));
    let expected = json!([
        { "index": 1, "reason": "malformed" },
        { "index": 2, "reason": "not_an_object" },
        { "index": 4, "reason": "event_id" },
    ]);
    assert_eq!(answer.ok()["refused"], expected);
    let stored: BTreeSet<_> = times_stored(&data_dir(&platform), "ads").into_keys().collect();
    assert_eq!(stored, BTreeSet::from(["a".to_owned(), "b".to_owned()]));
    for (body, code) in [("{broken", 4_000_002), ("[1,2]", 4_000_001), ("[{}", 4_000_002), ("", 4_000_001)] {
        ads.send("application/json", None, body.as_bytes().to_vec()).await.refused(code);
    }
}

async fn bodies_that_are_no_push_say_why(shape: Shape) {
    let platform = Platform::start(shape).await;
    let ads = Partner::join(&platform, "ads", "hmac").await;
    let bomb = gzip(&vec![b' '; 64 << 20]);
    assert!(bomb.len() < 100 << 10);
    ads.send("application/json", Some("gzip"), bomb).await.refused(4_130_001);
    ads.send("application/json", None, vec![b' '; 17 << 20]).await.refused(4_130_001);
    let events = format!("[{}]", vec!["{}"; 10_001].join(","));
    ads.send("application/json", None, events.into_bytes()).await.refused(4_130_001);
    ads.send("application/json", Some("gzip"), b"{}".to_vec()).await.refused(4_000_002);
    ads.send("application/json", Some("br"), b"{}".to_vec()).await.refused(4_150_001);
    ads.send("text/plain", None, b"{}".to_vec()).await.refused(4_150_001);
    let wrong = platform.client().send(platform.client().request(Method::GET, &ads.events_path())).await;
    wrong.refused(4_050_001);
    assert_eq!(counts(&ads.push(&json!({ "after": "all" })).await), (1, 0, 0), "and the next one is taken");
}

async fn clicks_are_events(shape: Shape) {
    let platform = Platform::start(shape).await;
    let ads = Partner::join(&platform, "ads", "none").await;
    for _ in 0..2 {
        assert_eq!(ads.click(&[("event_id", "e-1"), ("click_id", "c-1")]).await.status, 204);
    }
    let answer = ads.click_by_form(&[("a", "1"), ("a", "2%E4%BD%A0+x"), ("click_id", "c-2")]).await;
    assert_eq!((answer.status, answer.text.as_str()), (204, ""));
    ads.click(&[("event_id", "")]).await.refused_field(4_000_001, "events[0]");
    platform.client().get(&ads.clicks_path()).await.refused(4_000_001);
    platform.client().post_bytes(&ads.clicks_path(), "application/json", "{}").await.refused(4_150_001);
    let looked_at = platform.client().request(Method::HEAD, &format!("{}?click_id=c-3", ads.clicks_path()));
    assert_eq!(looked_at.send().await.unwrap().status(), 204);
    let events: Vec<_> = stored_lines(&data_dir(&platform)).into_iter().map(|line| line["event"].clone()).collect();
    let expected = [
        json!({ "click_id": "c-1", "event_id": "e-1" }),
        json!({ "a": ["1", "2\u{4f60} x"], "click_id": "c-2", "event_id": "c-2" }),
    ];
    assert_eq!(events, expected);
}

async fn what_comes_again_is_stored_once_also_after_a_restart(shape: Shape) {
    let mut platform = Platform::start(shape).await;
    let (ads, logs) = (Partner::join(&platform, "ads", "hmac").await, Partner::join(&platform, "logs", "hmac").await);
    let events = json!([{ "event_id": "a" }, { "event_id": "b" }, { "event_id": "a" }]);
    assert_eq!(counts(&ads.push(&events).await), (2, 1, 0));
    assert_eq!(counts(&ads.push(&events).await), (0, 3, 0));
    assert_eq!(counts(&logs.push(&events).await), (2, 1, 0), "another partner's ids are others");
    assert_eq!(counts(&ads.push(&json!([{}, {}])).await), (2, 0, 0), "without an id every event is its own");
    platform.restart_all().await;
    assert_eq!(counts(&ads.push(&events).await), (0, 3, 0));
    platform.kill(platform.front());
    platform.restart(platform.front()).await;
    assert_eq!(counts(&ads.push(&events).await), (0, 3, 0));
    assert_eq!(stored_lines(&data_dir(&platform)).len(), 6);
}

async fn operators_limit_disable_and_rotate(shape: Shape) {
    let platform = Platform::start(shape).await;
    let (admin, ads) = (platform.admin(), Partner::join(&platform, "ads", "hmac").await);
    admin.post("/admin/v1/partners", &json!({ "partner": "ads", "signing": "none" })).await.refused(4_090_104);
    admin
        .post("/admin/v1/partners", &json!({ "partner": "Ads", "signing": "none" }))
        .await
        .refused_field(4_000_001, "partner");
    admin.get("/admin/v1/partners/nobody").await.refused(4_040_103);
    counts(&ads.push(&json!({})).await);

    let path = "/admin/v1/partners/ads";
    let second =
        admin.post(&format!("{path}/rotate-secret"), &json!({})).await.ok()["secret"].as_str().unwrap().to_owned();
    counts(&ads.signing_with(&second).push(&json!({})).await);
    counts(&ads.push(&json!({})).await);

    let slow = json!({ "limits": { "events_per_second": 1, "burst": 3 } });
    assert_eq!(
        admin.patch(path, &slow).await.ok()["limits"],
        json!({ "events_per_second": 1, "burst": 3, "share": null })
    );
    let refused = eventually("the limit is in force", || async {
        let answer = ads.push(&json!([{}, {}, {}, {}])).await;
        (answer.status == 429).then_some(answer)
    })
    .await;
    refused.refused(4_290_003);

    admin.patch(path, &json!({ "enabled": false, "limits": { "events_per_second": null, "burst": null } })).await.ok();
    eventually("the partner is disabled", || async {
        let answer = ads.push(&json!({})).await;
        (answer.status == 403).then(|| answer.refused(4_030_106).status)
    })
    .await;
    ads.signing_with("guess").push(&json!({})).await.refused(4_010_002);
    let listed = admin.get("/admin/v1/partners").await.ok();
    assert_eq!(listed["partners"][0]["partner"], "ads");
    assert_eq!((&listed["partners"][0]["enabled"], &listed["partners"][0]["secrets"]), (&json!(false), &json!(2)));
    let audit = admin.get("/admin/v1/audit?target_kind=partner&target_id=ads").await.ok().to_string();
    for action in ["partner.create", "partner.rotate_secret", "partner.update"] {
        assert!(audit.contains(action), "{audit}");
    }
    assert!(!audit.contains(&second) && !platform.logs().contains(&second), "no secret is written down");
}

async fn nothing_acknowledged_is_lost_however_often_the_gateway_is_killed(shape: Shape) {
    const PUSHERS: usize = 4;
    const KILLS: usize = 3;
    let mut platform = Platform::start(shape).await;
    let ads = Partner::join(&platform, "ads", "hmac").await;
    let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::<String>::new())));
    let mut pushers = JoinSet::new();
    for pusher in 0..PUSHERS {
        let (ads, stop, acknowledged) = (ads.clone(), Arc::clone(&stop), Arc::clone(&acknowledged));
        pushers.spawn(async move {
            let mut number = 0;
            while !stop.load(Ordering::Relaxed) {
                number += 1;
                let ids: Vec<_> = (0..3).map(|event| format!("{pusher}-{number}-{event}")).collect();
                let events = json!(ids.iter().map(|id| json!({ "event_id": id })).collect::<Vec<_>>());
                // As a partner does: the same events until they are acknowledged.
                loop {
                    match ads.try_push(&events).await {
                        Some(answer) if answer.status == 202 => break,
                        Some(answer) => assert!([503, 504].contains(&answer.status), "{answer:?}"),
                        None => {}
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                acknowledged.lock().unwrap().extend(ids);
            }
        });
    }
    let so_far = || acknowledged.lock().unwrap().len();
    for _ in 0..KILLS {
        let before = so_far();
        eventually("pushes go on", || async { (so_far() > before + 100).then_some(()) }).await;
        platform.kill(platform.front());
        platform.restart(platform.front()).await;
    }
    stop.store(true, Ordering::Relaxed);
    pushers.join_all().await;
    let stored = times_stored(&data_dir(&platform), "ads");
    let acknowledged = acknowledged.lock().unwrap();
    let lost: Vec<_> = acknowledged.iter().filter(|id| !stored.contains_key(*id)).collect();
    assert!(lost.is_empty(), "{} of {} are lost: {lost:?}", lost.len(), acknowledged.len());
    let twice: Vec<_> = stored.iter().filter(|(_, times)| **times != 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
}

async fn a_gateway_for_partners_alone_knows_no_other_route(shape: Shape) {
    let platform = Platform::build(shape).set("gateway.routes", r#"["partner"]"#).start().await;
    let ads = Partner::join(&platform, "ads", "hmac").await;
    assert_eq!(counts(&ads.push(&json!({ "event_id": "a" })).await), (1, 0, 0));
    for path in ["/v1/sdk/login", "/v1/server/tokens/verify", "/oauth2/introspect"] {
        platform.client().post(path, &json!({})).await.refused(4_040_001);
    }
    let without = Platform::build(shape).set("gateway.routes", r#"["sdk"]"#).start().await;
    without.client().post("/v1/partner/ads/events", &json!({})).await.refused(4_040_001);
    assert!(!data_dir(&without).join("segments").exists(), "and has no store");
}

async fn an_operator_looks_into_the_segments(shape: Shape) {
    let platform = Platform::start(shape).await;
    let made = platform.run(&["partner", "create", "--name", "ads", "--signing", "none"]).await;
    assert_eq!(made, json!({ "partner": "ads" }));
    let ads = Partner::join(&platform, "logs", "none").await;
    let of_ads = ads.named("ads");
    counts(&ads.push(&json!([{ "event_id": "a" }, { "event_id": "b" }])).await);
    counts(&of_ads.push(&json!({ "event_id": "c" })).await);
    let inspected = platform.run(&["ingest", "inspect"]).await;
    assert_eq!((&inspected["lines"], &inspected["complete"]), (&json!(3), &json!(false)));
    assert_eq!((&inspected["partners"], &inspected["torn"]), (&json!({ "ads": 1, "logs": 2 }), &Value::Null));
    let mut platform = platform;
    platform.terminate(platform.front());
    assert!(
        platform.ends_within(platform.front(), crate::support::PATIENCE).await.is_some_and(|status| status.success())
    );
    let inspected = platform.run(&["ingest", "inspect"]).await;
    assert_eq!(
        (&inspected["lines"], &inspected["complete"]),
        (&json!(3), &json!(true)),
        "an end in order completes it"
    );
    let replayed = platform.run(&["ingest", "replay", "--partner", "ads"]).await;
    assert_eq!((&replayed["partner"], &replayed["event"]), (&json!("ads"), &json!({ "event_id": "c" })));
}

async fn while_account_is_away_known_partners_go_on_and_others_are_an_open_question(shape: Shape) {
    let mut platform = Platform::start(shape).await;
    let (ads, quiet) = (Partner::join(&platform, "ads", "hmac").await, Partner::join(&platform, "quiet", "none").await);
    counts(&ads.push(&json!({})).await);
    platform.kill(Role::Account);
    for _ in 0..20 {
        counts(&ads.push(&json!({})).await);
        assert_eq!(quiet.push(&json!({})).await.not_now().status, 503);
        ads.signing_with("perhaps new").push(&json!({})).await.refused(5_030_002);
    }
    platform.restart(Role::Account).await;
    eventually("the other one is known again", || async { (quiet.push(&json!({})).await.status == 202).then_some(()) })
        .await;
}

async fn gateways_store_apart(shape: Shape) {
    let mut platform = Platform::start(shape).await;
    let ads = Partner::join(&platform, "ads", "hmac").await;
    let second = platform.add(Role::Gateway).await;
    let there = ads.at(platform.client_of(second));
    assert_eq!(counts(&ads.push(&json!({ "event_id": "a" })).await), (1, 0, 0));
    assert_eq!(counts(&there.push(&json!({ "event_id": "b" })).await), (1, 0, 0));
    let ids = |lines: Vec<Value>| lines.iter().map(|line| line["event_id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(stored_lines(&data_dir(&platform))), [json!("a")]);
    assert_eq!(ids(stored_lines(&platform.data_dir_of(second))), [json!("b")]);
}
