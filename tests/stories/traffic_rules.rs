//! An operator changes the rules of traffic of a running platform: where it takes effect, how soon, and what a mistake
//! does.

use std::{fs, time::Duration};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{Platform, Replica, Role, Shape, eventually, in_a_fleet, in_four_roles, in_one_process};

in_one_process!(
    every_role_shows_the_rules_it_is_governed_by,
    a_file_governs_the_process_from_its_start_and_while_it_runs,
);
in_four_roles!(every_role_shows_the_rules_it_is_governed_by);
in_a_fleet!(
    every_role_shows_the_rules_it_is_governed_by,
    a_change_holds_on_every_replica_within_a_second,
    a_document_with_mistakes_changes_nothing_and_all_of_them_are_told,
    a_process_that_starts_goes_by_the_document_before_it_is_ready,
);

const DOCUMENT: &str = "playgate-govern.toml";
const QUIET: &str = "[switches]\nshedding = false\n";

/// What is to hold everywhere within it. Printed beside what was measured; a busy machine fails no story.
const AIM: Duration = Duration::from_secs(1);

async fn rules(platform: &Platform, replica: Replica) -> Value {
    let answer = platform.operator(replica).get("/govern").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

async fn digests(platform: &Platform) -> Vec<Value> {
    join_all(platform.replicas().into_iter().map(|replica| rules(platform, replica)))
        .await
        .into_iter()
        .map(|mut shown| shown["digest"].take())
        .collect()
}

/// The digest that a document would have, as an operator finds out beforehand.
async fn digest_of(platform: &Platform, document: &str) -> Value {
    let validated = platform.admin().post("/admin/v1/govern/validate", &json!({ "toml": document })).await.ok();
    assert_eq!((&validated["valid"], &validated["problems"]), (&json!(true), &json!([])), "{validated}");
    validated["effective"]["digest"].clone()
}

/// How long it took from `began` until a replica goes by these rules.
async fn goes_by(platform: &Platform, replica: Replica, digest: &Value, began: Instant) -> Duration {
    eventually("it goes by the rules", || async {
        (rules(platform, replica).await["digest"] == *digest).then(|| began.elapsed())
    })
    .await
}

async fn every_role_shows_the_rules_it_is_governed_by(shape: Shape) {
    let platform = Platform::start(shape).await;
    let defaults = digest_of(&platform, "").await;
    for replica in platform.replicas() {
        let shown = rules(&platform, replica).await;
        assert_eq!((&shown["origin"], &shown["digest"]), (&json!("defaults"), &defaults), "{replica:?}");
        assert_eq!(shown["rules"]["switches"]["shedding"], true, "{replica:?}");
        let info = format!("playgate_govern_rules_info{{digest={defaults},origin=\"defaults\"}} 1");
        assert!(platform.metrics(replica).await.lines().any(|line| line == info), "{replica:?}: no {info}");
    }
    let shown = platform.admin().get("/admin/v1/govern").await.ok();
    assert_eq!((&shown["digest"], &shown["origin"]), (&defaults, &json!("defaults")));
    assert_eq!(digest_of(&platform, shown["toml"].as_str().unwrap()).await, defaults);
    let wrong = json!({ "toml": "callee.breaker.k = 0.5\nnonsense = 1" });
    let validated = platform.admin().post("/admin/v1/govern/validate", &wrong).await.ok();
    let paths: Vec<_> = validated["problems"].as_array().unwrap().iter().map(|problem| &problem["path"]).collect();
    assert_eq!((&validated["valid"], json!(paths)), (&json!(false), json!(["callee.breaker.k", "nonsense"])));
    assert_eq!(rules(&platform, platform.replicas()[0]).await["digest"], defaults, "looking changes nothing");
}

#[expect(clippy::print_stdout, reason = "how long it takes is shown by `cargo test -- --nocapture`")]
async fn a_file_governs_the_process_from_its_start_and_while_it_runs(shape: Shape) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(DOCUMENT);
    fs::write(&file, QUIET).unwrap();
    let platform = Platform::build(shape)
        .set("dynamic.kind", "file")
        .set("dynamic.directory", directory.path().to_str().unwrap())
        .start()
        .await;
    let all = Role::All.replica(0);
    let shown = rules(&platform, all).await;
    assert_eq!((&shown["origin"], &shown["rules"]["switches"]["shedding"]), (&json!("file"), &json!(false)));

    let digest = digest_of(&platform, "").await;
    let began = Instant::now();
    fs::write(&file, "").unwrap();
    let took = goes_by(&platform, all, &digest, began).await;
    println!("file written -> in force: {} ms (aim: {} ms)", took.as_millis(), AIM.as_millis());
}

#[expect(clippy::print_stdout, reason = "how long it takes is shown by `cargo test -- --nocapture`")]
async fn a_change_holds_on_every_replica_within_a_second(shape: Shape) {
    let platform = Platform::start(shape).await;
    let registry = platform.registry();
    for shedding in [false, true, false] {
        let document = format!("[switches]\nshedding = {shedding}\nretry = false\n");
        let digest = digest_of(&platform, &document).await;
        let began = Instant::now();
        registry.publish(DOCUMENT, &document).await;
        let replicas = platform.replicas();
        let took = join_all(replicas.iter().map(|replica| goes_by(&platform, *replica, &digest, began))).await;
        for (replica, took) in replicas.iter().zip(took) {
            println!("published -> in force at {replica:?}: {} ms (aim: {} ms)", took.as_millis(), AIM.as_millis());
        }
    }
    let shown = rules(&platform, Role::Pay.replica(0)).await;
    assert_eq!((&shown["origin"], &shown["document"]["state"]), (&json!("nacos"), &json!("in-force")));
    assert_eq!(shown["rules"]["switches"]["shedding"], false);
}

async fn a_document_with_mistakes_changes_nothing_and_all_of_them_are_told(shape: Shape) {
    let platform = Platform::start(shape).await;
    let registry = platform.registry();
    let digest = digest_of(&platform, QUIET).await;
    registry.publish(DOCUMENT, QUIET).await;
    for replica in platform.replicas() {
        goes_by(&platform, replica, &digest, Instant::now()).await;
    }

    let wrong = "[switches]\nsheding = true\n[callee.breaker]\nk = 0.5\n[queue]\ntarget = 'soon'\n";
    registry.publish(DOCUMENT, wrong).await;
    for replica in platform.replicas() {
        let shown = eventually("it is refused", || async {
            let shown = rules(&platform, replica).await;
            (shown["document"]["state"] == "refused").then_some(shown)
        })
        .await;
        assert_eq!((&shown["digest"], &shown["origin"]), (&digest, &json!("nacos")), "{replica:?}");
        assert_eq!(shown["document"]["problems"].as_array().map(Vec::len), Some(3), "{shown}");
        let refused = format!("playgate_config_documents_refused_total{{document=\"{DOCUMENT}\"}} 1");
        assert!(platform.metrics(replica).await.lines().any(|line| line == refused), "{replica:?}");
        // The log is written beside what it tells of.
        let said = eventually("it is in the log", || async {
            let log = platform.log_of(replica);
            let said: Vec<_> =
                log.lines().filter(|line| line.contains("the document is refused")).map(str::to_owned).collect();
            (!said.is_empty()).then_some(said)
        })
        .await;
        assert_eq!(said.len(), 1, "{replica:?}: {said:?}");
        for path in ["switches.sheding: ", "callee.breaker.k: ", "queue.target: "] {
            assert!(said[0].contains(path), "{path}: {}", said[0]);
        }
    }
    // Whoever plays has not noticed.
    let ann = platform.register("ann").await;
    assert_eq!(platform.verify(&ann.tokens.access_token).await.status, "valid");
    assert_eq!(digests(&platform).await, vec![digest; platform.replicas().len()]);
}

async fn a_process_that_starts_goes_by_the_document_before_it_is_ready(shape: Shape) {
    let mut platform = Platform::start(shape).await;
    platform.registry().publish(DOCUMENT, QUIET).await;
    let digest = digest_of(&platform, QUIET).await;
    for replica in [Role::Account.replica(1), Role::Gateway.replica(1), Role::Setting.replica(0)] {
        platform.kill(replica);
        platform.restart(replica).await;
        assert_eq!(rules(&platform, replica).await["digest"], digest, "{replica:?}");
    }
}
