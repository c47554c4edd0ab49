//! Quotas that four gateways share over a real Redis.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use prometheus::Registry;
use tokio::{task::JoinSet, time::Instant};
use xtask::services::Redis as Server;

use super::Gateway;
use crate::{
    clock::SystemClock,
    shared::{FallbackState, Redis, SharedConfig, redis::testing},
};

const GATEWAYS: u32 = 4;
const APP: i64 = 7;

/// What all gateways may admit together.
const RATE: f64 = 1000.0;

/// 1 000 a second, 200 of them at once.
const RULES: &str = r#"keys.app.rate = { limit = 1000, per = "1s", burst = 200 }"#;

/// What each gateway is asked a second.
const OFFERED: f64 = 500.0;

/// How often requests are sent. Pauses that the machine makes between them and that are longer than `STALL` are no time
/// in which the quota could have been used.
const TICK: Duration = Duration::from_millis(5);
const STALL: Duration = Duration::from_millis(100);

/// What a time of flooding came to.
#[derive(Debug)]
struct Flood {
    admitted: f64,
    seconds: f64,
    stalled: f64,
}

impl Flood {
    /// What the rate allows in that time.
    fn allowed(&self) -> f64 {
        RATE * self.seconds
    }

    #[track_caller]
    fn admitted_about_the_rate(&self) {
        let (least, most) = (0.95 * RATE * (self.seconds - self.stalled), 1.05 * self.allowed());
        assert!((least..=most).contains(&self.admitted), "{self:?}: not within {least:.0} and {most:.0}");
    }
}

async fn gateways(server: &Server) -> (Vec<Arc<Gateway>>, Vec<Redis>) {
    let config = testing::config_for(&server.url());
    let (mut gateways, mut connections) = (Vec::new(), Vec::new());
    for _ in 0..GATEWAYS {
        let redis = testing::opened(&config).await;
        let state = FallbackState::new(&redis, SharedConfig::default(), Arc::new(SystemClock), &Registry::new());
        gateways.push(Arc::new(Gateway::new(RULES, Arc::new(state.expect("a new registry")), GATEWAYS)));
        connections.push(redis);
    }
    (gateways, connections)
}

/// Offers all gateways twice what they may admit.
async fn flood(gateways: &[Arc<Gateway>], time: Duration) -> Flood {
    let admitted = Arc::new(AtomicU32::new(0));
    let (start, mut last, mut offered, mut stalled) = (Instant::now(), Instant::now(), 0.0, Duration::ZERO);
    let mut requests = JoinSet::new();
    while start.elapsed() < time {
        tokio::time::sleep(TICK).await;
        stalled += last.elapsed().saturating_sub(STALL);
        last = Instant::now();
        while offered < start.elapsed().as_secs_f64() * OFFERED {
            offered += 1.0;
            for gateway in gateways {
                let (gateway, admitted) = (Arc::clone(gateway), Arc::clone(&admitted));
                requests.spawn(async move {
                    if gateway.limits.app(APP).await.is_ok() {
                        admitted.fetch_add(1, Relaxed);
                    }
                });
            }
        }
        while requests.try_join_next().is_some() {}
    }
    let seconds = start.elapsed().as_secs_f64();
    requests.join_all().await;
    Flood { admitted: f64::from(admitted.load(Relaxed)), seconds, stalled: stalled.as_secs_f64() }
}

fn questions(gateways: &[Arc<Gateway>]) -> f64 {
    gateways.iter().map(|gateway| gateway.counted("playgate_limit_lease_questions_total", ("kind", "app"))).sum()
}

fn alone(gateways: &[Arc<Gateway>]) -> f64 {
    gateways.iter().map(|gateway| gateway.counted("playgate_limit_alone_total", ("kind", "app"))).sum()
}

/// The slow one: ten seconds, as long as it takes to tell a rate from a burst.
#[tokio::test(flavor = "multi_thread")]
async fn four_gateways_together_admit_the_rate_and_ask_for_few_of_their_requests() {
    let server = Server::start().unwrap();
    let (gateways, _connections) = gateways(&server).await;
    let flood = flood(&gateways, Duration::from_secs(10)).await;
    let per_admitted = questions(&gateways) / flood.admitted;
    println!("{flood:?}, allowed {:.0}, {per_admitted:.3} questions to Redis for each", flood.allowed());
    flood.admitted_about_the_rate();
    assert!(per_admitted < 0.1, "{per_admitted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_each_gateway_admits_its_part_and_with_it_again_they_share() {
    let mut server = Server::start().unwrap();
    let (gateways, connections) = gateways(&server).await;
    flood(&gateways, Duration::from_secs(1)).await;

    server.kill().unwrap();
    for redis in &connections {
        redis.is_up(false).await;
    }
    let before = alone(&gateways);
    let away = flood(&gateways, Duration::from_secs(5)).await;
    println!("away: {away:?}, allowed {:.0}", away.allowed());
    away.admitted_about_the_rate();
    assert!(alone(&gateways) > before, "they knew that they were alone");

    server.restart().unwrap();
    for redis in &connections {
        redis.is_up(true).await;
    }
    flood(&gateways, Duration::from_secs(1)).await;
    let (before, alone_before) = (questions(&gateways), alone(&gateways));
    let back = flood(&gateways, Duration::from_secs(5)).await;
    let per_admitted = (questions(&gateways) - before) / back.admitted;
    println!("back: {back:?}, allowed {:.0}, {per_admitted:.3} questions to Redis for each", back.allowed());
    back.admitted_about_the_rate();
    assert!(per_admitted < 0.1, "{per_admitted}");
    assert!(alone(&gateways) <= alone_before, "nobody decided alone any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_hangs_a_request_waits_no_longer_than_it_is_patient() {
    let mut server = Server::start().unwrap();
    let (gateways, _connections) = gateways(&server).await;
    server.freeze().unwrap();
    let asked = Instant::now();
    let answers = futures_util::future::join_all((0..20).map(|_| gateways[0].limits.app(APP))).await;
    println!("20 first requests were decided after {:?}", asked.elapsed());
    assert!(answers.iter().any(Result::is_ok), "it decides alone");
    assert!(alone(&gateways) > 0.0);
    server.thaw().unwrap();
}
