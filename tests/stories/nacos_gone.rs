//! The registry dies. The roles go on calling each other where they last were, and are found again when it is back.

use std::time::Instant;

use xtask::services::Nacos;

use crate::support::{Platform, Role, Shape, eventually, in_four_roles};

in_four_roles!(
    on_nacos_roles_find_each_other_and_no_call_is_lost_when_it_is_killed_under_load,
    on_nacos_a_role_that_stops_takes_itself_off_the_list_first,
);

const SERVICES: [(Role, &str); 3] = [(Role::Account, "account"), (Role::Setting, "setting"), (Role::Pay, "pay")];

async fn start(shape: Shape, nacos: &Nacos) -> Platform {
    let found_with = Platform::build(shape)
        .set("discovery.kind", "nacos")
        .set("nacos.server", &nacos.address())
        .set("nacos.refresh_interval", "500ms");
    let platform = found_with.start().await;
    for (role, service) in SERVICES {
        eventually("the role is registered", || registered(&platform, role, service, true)).await;
        let listed = format!("playgate_discovery_instances{{service=\"{service}\"}} 1");
        eventually("the gateway has found it", || shows(&platform, Role::Gateway, &listed)).await;
    }
    platform
}

async fn registered(platform: &Platform, role: Role, service: &str, expected: bool) -> Option<()> {
    let sample = format!("playgate_nacos_registered{{service=\"{service}\"}} {}", u8::from(expected));
    shows(platform, role, &sample).await
}

async fn shows(platform: &Platform, role: Role, sample: &str) -> Option<()> {
    let metrics = platform.operator(role).get("/metrics").await.text;
    metrics.lines().any(|line| line == sample).then_some(())
}

#[expect(clippy::print_stdout, reason = "how long it takes is shown by `cargo test -- --nocapture`")]
async fn on_nacos_roles_find_each_other_and_no_call_is_lost_when_it_is_killed_under_load(shape: Shape) {
    let mut nacos = Nacos::start().unwrap();
    let platform = start(shape, &nacos).await;
    let ann = platform.register("ann").await;
    let mut answers = 0;
    let asking = async {
        loop {
            assert_eq!(platform.verify(&ann.tokens.access_token).await.status, "valid");
            ann.me().await.ok();
            answers += 1;
        }
    };
    let outage = async {
        nacos.kill().unwrap();
        for (role, _) in [(Role::Gateway, ""), (Role::Account, "")] {
            let away = "playgate_nacos_connected{api=\"naming\"} 0";
            eventually("its loss is noticed", || shows(&platform, role, away)).await;
        }
        // Beside the questions, which go on.
        let restarting = tokio::task::spawn_blocking(move || nacos.restart().map(|()| nacos));
        let _nacos = restarting.await.unwrap().unwrap();
        let began = Instant::now();
        for (role, service) in SERVICES {
            let back = "playgate_nacos_connected{api=\"naming\"} 1";
            eventually("it is noticed again", || shows(&platform, role, back)).await;
            eventually("the registration heals", || registered(&platform, role, service, true)).await;
        }
        println!("restart -> all registrations healed: {:?}", began.elapsed());
    };
    tokio::select! {
        () = asking => {}
        () = outage => {}
    }
    println!("answers during the outage, all of them good: {answers}");
    assert!(answers > 0);
}

#[expect(clippy::print_stdout, reason = "how long it takes is shown by `cargo test -- --nocapture`")]
async fn on_nacos_a_role_that_stops_takes_itself_off_the_list_first(shape: Shape) {
    let nacos = Nacos::start().unwrap();
    let found_with = Platform::build(shape)
        .set("discovery.kind", "nacos")
        .set("nacos.server", &nacos.address())
        // Long enough to look at it.
        .set("lifecycle.drain_delay", "30s");
    let mut platform = found_with.start().await;
    eventually("pay is registered", || registered(&platform, Role::Pay, "pay", true)).await;
    platform.terminate(Role::Pay);
    let began = Instant::now();
    eventually("pay is no longer registered", || registered(&platform, Role::Pay, "pay", false)).await;
    println!("SIGTERM -> deregistered: {:?}", began.elapsed());
}
