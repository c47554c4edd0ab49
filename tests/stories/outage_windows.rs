//! The platform works under load while what it is made of and what it depends on dies, hangs and comes back, one at a
//! time. A good token is good all the while; whoever is told to come back later is not told so twice.
//!
//! Each story prints what was seen: `cargo test -p playgate --test stories -- outage_windows --nocapture`.

#![expect(clippy::print_stdout, reason = "how long an outage is felt is shown by `cargo test -- --nocapture`")]

use std::time::Duration;

use tokio::{
    sync::{Mutex, MutexGuard},
    task::block_in_place,
};
use xtask::services::{Nacos, Redis};

use crate::support::{Load, Platform, Report, Role, Shape, eventually, in_a_fleet};

in_a_fleet!(
    an_account_replica_dies_or_hangs_and_no_verify_fails_for_longer_than_its_hint,
    redis_dies_or_hangs_and_no_request_fails,
    the_registry_dies_or_hangs_and_no_request_fails,
    the_database_dies_or_hangs_and_no_verify_fails_for_longer_than_its_hint,
);

async fn an_account_replica_dies_or_hangs_and_no_verify_fails_for_longer_than_its_hint(shape: Shape) {
    let _alone = alone().await;
    let mut platform = Platform::start(shape).await;
    let one = Role::Account.replica(0);

    let outage = Outage::begins("an account replica is killed", &platform).await;
    block_in_place(|| platform.kill(one));
    let outage = outage.lasts().await;
    platform.restart(one).await;
    outage.ends().await;
    takes_part(&platform).await;

    let outage = Outage::begins("an account replica hangs", &platform).await;
    block_in_place(|| platform.freeze(one));
    let outage = outage.lasts().await;
    block_in_place(|| platform.thaw(one));
    outage.ends().await;
    takes_part(&platform).await;
}

async fn redis_dies_or_hangs_and_no_request_fails(shape: Shape) {
    let _alone = alone().await;
    let mut redis = Redis::start().unwrap();
    let platform = Platform::build(shape).set("redis.url", &redis.url()).start().await;

    let outage = Outage::begins("Redis is killed", &platform).await;
    block_in_place(|| redis.kill().unwrap());
    let outage = outage.lasts().await;
    block_in_place(|| redis.restart().unwrap());
    outage.ends_and_tells().await.nothing_failed();

    let outage = Outage::begins("Redis hangs", &platform).await;
    block_in_place(|| redis.freeze().unwrap());
    let outage = outage.lasts().await;
    block_in_place(|| redis.thaw().unwrap());
    outage.ends_and_tells().await.nothing_failed();
}

async fn the_registry_dies_or_hangs_and_no_request_fails(shape: Shape) {
    let _alone = alone().await;
    let mut nacos = Nacos::start().unwrap();
    let platform = Platform::build(shape).set("nacos.server", &nacos.address()).start().await;

    let outage = Outage::begins("Nacos is killed", &platform).await;
    block_in_place(|| nacos.kill().unwrap());
    let outage = outage.lasts().await;
    block_in_place(|| nacos.restart().unwrap());
    // It has forgotten everybody. The load goes on until all have registered again.
    everybody_is_registered(&platform).await;
    outage.ends_and_tells().await.nothing_failed();

    let outage = Outage::begins("Nacos hangs", &platform).await;
    block_in_place(|| nacos.freeze().unwrap());
    let outage = outage.lasts().await;
    block_in_place(|| nacos.thaw().unwrap());
    outage.ends_and_tells().await.nothing_failed();
}

async fn the_database_dies_or_hangs_and_no_verify_fails_for_longer_than_its_hint(shape: Shape) {
    let _alone = alone().await;
    let mut platform = Platform::build(shape).with_own_mariadb().start().await;

    let outage = Outage::begins("MariaDB is killed", &platform).await;
    block_in_place(|| platform.mariadb().kill().unwrap());
    let outage = outage.lasts().await;
    block_in_place(|| platform.mariadb().restart().unwrap());
    outage.ends().await;

    let outage = Outage::begins("MariaDB hangs", &platform).await;
    block_in_place(|| platform.mariadb().freeze().unwrap());
    let outage = outage.lasts().await;
    block_in_place(|| platform.mariadb().thaw().unwrap());
    outage.ends().await;
}

/// Waits until Nacos lists every instance of every service.
async fn everybody_is_registered(platform: &Platform) {
    let registry = platform.registry();
    for service in [Role::Account, Role::Setting, Role::Pay] {
        let instances = platform.replicas().iter().filter(|replica| replica.role == service).count();
        eventually("they are registered", || async {
            (registry.instances(service.name()).await.len() == instances).then_some(())
        })
        .await;
    }
}

/// Verifies before something breaks, while it is broken and after it is mended: about three seconds each.
const A_WHILE: usize = 300;

/// Something breaks under load. Breaking and mending block their thread; the load goes on beside them.
struct Outage {
    what: &'static str,
    load: Load,
    broken: Duration,
    mending: Duration,
}

impl Outage {
    /// Everything works, under load; the story breaks something next.
    async fn begins(what: &'static str, platform: &Platform) -> Self {
        let load = Load::start(platform).await;
        load.goes_on_for(A_WHILE).await;
        let broken = load.now();
        Self { what, load, broken, mending: broken }
    }

    /// It stays broken for a while; the story mends it next.
    async fn lasts(self) -> Self {
        self.load.goes_on_for(A_WHILE).await;
        Self { mending: self.load.now(), ..self }
    }

    /// It is mended: all has to be well again by itself. Holds what was seen against what is promised.
    async fn ends(self) {
        self.ends_and_tells().await;
    }

    /// The same, and what was seen, for further promises.
    async fn ends_and_tells(self) -> Report {
        let Self { what, load, broken, mending } = self;
        let mended = load.now();
        load.is_well_again(mended).await;
        let well = load.now();
        load.goes_on_for(A_WHILE).await;
        let report = load.stop().await;
        println!(
            "{what} at {broken:.1?}; mending begins at {mending:.1?} and ends at {mended:.1?}; all is well at \
             {well:.1?}\n{report}"
        );
        report
            .nothing_good_was_called_bad()
            .every_refusal_said_when_to_come_back()
            .verifies_failed_no_longer_than_their_hint()
            .went_on(broken, well);
        report
    }
}

/// Two loads at once would tell more about the machine than about the platform.
async fn alone() -> MutexGuard<'static, ()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());
    ONE_AT_A_TIME.lock().await
}

/// Expects that the replica that was away gets calls again.
async fn takes_part(platform: &Platform) {
    let calls = async || {
        let metrics = platform.metrics(Role::Account.replica(0)).await;
        let samples = metrics.lines().filter(|line| line.starts_with("playgate_token_verdicts_total"));
        samples.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>()
    };
    let before = calls().await;
    eventually("the replica that was away is asked again", || async {
        // Any question will do, so that there is something to be asked.
        platform.game_server().ask("no token").await;
        (calls().await > before).then_some(())
    })
    .await;
}
