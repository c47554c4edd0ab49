//! Against a real server: what is registered is found, what is published arrives, and the server's loss costs news only.
//!
//! Tests that only talk share the server of `PLAYGATE_TEST_NACOS`; tests that kill one start their own. The times that
//! are printed are measured, never asserted.

mod fixture;
mod outage;
mod tls;

use std::time::Duration;

use tokio::time::Instant;
use xtask::services::Nacos as Server;

use self::fixture::{Client, Documents, Leftover, address, ports};
use super::NacosConfig;
use crate::{
    config::{Secret, watch::DynamicConfig},
    rpc::tests::log::Log,
};

#[tokio::test]
async fn what_registers_is_seen_and_what_leaves_is_gone() {
    let (_server, config) = fixture::shared();
    let (caller, callee, other) = (Client::start(&config), Client::start(&config), Client::start(&config));
    let mut instances = caller.watch("account");
    other.register("account", 1);
    caller.wait(&mut instances, &[1]).await;

    let began = Instant::now();
    callee.register("account", 2);
    caller.wait(&mut instances, &[1, 2]).await;
    fixture::report("register -> seen", began);

    let began = Instant::now();
    callee.drain();
    caller.wait(&mut instances, &[1]).await;
    fixture::report("drain -> gone", began);
}

#[tokio::test]
async fn a_process_is_announced_only_once_it_is_ready() {
    let (_server, config) = fixture::shared();
    let (caller, callee) = (Client::start(&config), Client::start(&config));
    let mut instances = caller.watch("account");
    let gate = callee.lifecycle.readiness().gate("keys");
    callee.register("account", 1);
    // A ready one that comes later is seen first.
    caller.register("account", 2);
    caller.wait(&mut instances, &[2]).await;
    gate.open();
    caller.wait(&mut instances, &[1, 2]).await;
}

#[tokio::test]
async fn a_process_that_starts_where_a_dead_one_is_still_listed_announces_itself_and_outlives_that_entry() {
    let (_server, config) = fixture::shared();
    let (caller, restarted) = (Client::start(&config), Client::start(&config));
    let dead = Leftover::register(&config, 1).await;
    let mut instances = caller.watch("account");
    caller.wait_for_version(&mut instances, "").await;

    restarted.register("account", 1);
    caller.wait_for_version(&mut instances, "1.2.3").await;
    restarted.until_registered("account", true).await;
    caller.register("account", 2);
    caller.wait(&mut instances, &[1, 2]).await;

    dead.vanish().await;
    caller.until_refreshed_twice("account").await;
    restarted.until_registered("account", true).await;
    caller.wait(&mut instances, &[1, 2]).await;
}

#[tokio::test]
async fn weight_lane_and_version_travel_with_the_registration() {
    let (_server, config) = fixture::shared();
    let heavy = Client::start(&NacosConfig { weight: 3, lane: Some("canary".to_owned()), ..config.clone() });
    let light = Client::start(&config);
    let mut instances = light.watch("account");
    heavy.register("account", 1);
    light.register("account", 2);
    light.wait(&mut instances, &[1, 2]).await;
    let seen = instances.borrow().clone();
    let of = |port| seen.iter().find(|instance| instance.address == address(port)).expect("seen");
    assert_eq!((of(1).weight, of(2).weight), (3, 1));
    assert_eq!((of(1).lane.as_deref(), of(2).lane.as_deref()), (Some("canary"), None));
    assert_eq!(of(1).version, "1.2.3");
}

#[tokio::test]
async fn a_service_whose_last_instance_left_keeps_its_last_good_list() {
    let (_server, config) = fixture::shared();
    let (caller, callee) = (Client::start(&config), Client::start(&config));
    let mut instances = caller.watch("account");
    callee.register("account", 1);
    caller.wait(&mut instances, &[1]).await;
    callee.drain();
    callee.until_registered("account", false).await;
    // Read at least once since the service is empty.
    caller.until_refreshed_twice("account").await;
    assert_eq!(ports(&instances.borrow()), [1]);
}

#[tokio::test]
async fn groups_do_not_see_each_other() {
    let (_server, config) = fixture::shared();
    let (_other_server, other_config) = fixture::shared();
    let (here, there) = (Client::start(&config), Client::start(&other_config));
    let mut instances = here.watch("account");
    there.register("account", 1);
    there.until_registered("account", true).await;
    here.register("account", 2);
    here.wait(&mut instances, &[2]).await;
}

#[tokio::test]
async fn a_document_arrives_typed_and_a_bad_one_leaves_the_last_good_one_in_force() {
    let log = Log::default();
    let _guard = tracing::dispatcher::set_default(&log.dispatch());
    let (_server, config) = fixture::shared();
    let client = Client::start(&config);
    let publisher = Documents::of(&config).await;
    // Followed before it exists.
    let dynamic = DynamicConfig { interval: Duration::from_millis(200), ..DynamicConfig::default() };
    let mut watch = client.follow_log_document(&dynamic);

    let began = Instant::now();
    publisher.publish("level = 'debug'").await;
    assert_eq!(client.next_level(&mut watch).await.as_deref(), Some("debug"));
    fixture::report("publish -> in force, read every 200 ms", began);

    for (count, bad) in (1..).zip(["level = 'loud'", "levels = 'info'", "level ="]) {
        publisher.publish(bad).await;
        client.until_refused_documents(count).await;
        assert_eq!(watch.current().level.as_deref(), Some("debug"), "{bad}");
        let lines = log.text();
        let refusals = lines.lines().filter(|line| line.contains("the document is refused"));
        assert_eq!(u32::try_from(refusals.count()), Ok(count), "one line for each: {lines}");
    }
    publisher.publish("level = 'warn'").await;
    assert_eq!(client.next_level(&mut watch).await.as_deref(), Some("warn"));
}

#[tokio::test]
async fn a_server_with_authentication_lets_the_right_password_in_and_nobody_else() {
    let server = Server::start_with_login("playgate", "right").expect("a server");
    let config = fixture::config(&server.address());
    let login = |password: &str| NacosConfig {
        username: Some("playgate".to_owned()),
        password: Some(Secret::new(password)),
        ..config.clone()
    };
    let (caller, wrong, nobody) =
        (Client::start(&login("right")), Client::start(&login("wrong")), Client::start(&config));
    let mut instances = caller.watch("account");
    wrong.register("account", 1);
    nobody.register("account", 2);
    wrong.until_failures("naming", 2).await;
    nobody.until_failures("naming", 2).await;
    caller.register("account", 3);
    caller.wait(&mut instances, &[3]).await;
}
