//! What a replica learns of what others publish, by looking.

use std::time::Duration;

use tokio::task::JoinSet;

use crate::{
    Config,
    testing::{Service, running},
};

const ONE: &str = r#"{"settings":{"n":{"type":"number","value":1}}}"#;
const TWO: &str = r#"{"settings":{"n":{"type":"number","value":2}}}"#;

/// Nothing but following brings a publish here within the time a test has.
fn followed_only() -> Config {
    let hour = Duration::from_secs(3600);
    Config {
        fresh_for: hour,
        forget_idle_after: 2 * hour,
        follow_every: Duration::from_millis(20),
        ..Config::default()
    }
}

#[tokio::test]
async fn a_publish_is_seen_by_a_replica_that_only_looks() {
    let service = Service::start_with(followed_only(), None);
    service.publish(1, 0, ONE).await.expect("published");
    let other = service.replica();
    let _running: JoinSet<()> = running(&other);
    assert_eq!(other.revision(1).await, 1);
    service.publish(1, 1, TWO).await.expect("published");
    other.eventually(async || other.revision(1).await == 2).await;
    assert!(other.parts().metrics.oldest_copy_seconds.get() < 30.0);
}

#[tokio::test]
async fn a_publish_that_ended_half_way_is_seen_by_a_replica_that_only_looks() {
    let service = Service::start_with(followed_only(), None);
    service.publish(1, 0, ONE).await.expect("published");
    let _running: JoinSet<()> = running(&service);
    // What a publisher leaves behind that is killed before it writes the pointer.
    let versions = service.root().join("apps/1/versions");
    let version = std::fs::read_to_string(versions.join("1.json")).expect("reads");
    let next = version.replace(r#"{"version":1,"#, r#"{"version":2,"#).replace(ONE, TWO);
    std::fs::write(versions.join("unfinished"), next).expect("writes");
    std::fs::rename(versions.join("unfinished"), versions.join("2.json")).expect("renames");
    service.eventually(async || service.revision(1).await == 2).await;
    let pointer = std::fs::read_to_string(service.root().join("apps/1/current.json")).expect("reads");
    assert_eq!(pointer, r#"{"revision":2}"#);
}
