//! Pay is killed at every step of its work, and its database in the middle of it: no paid order is lost, and none counts
//! twice.

use std::{collections::HashSet, os::unix::process::ExitStatusExt as _, time::Duration};

use serde_json::json;

use crate::support::{
    Books, Builder, Buyers, PATIENCE, Platform, Player, Role, Shape, Shop, Studio, eventually, in_four_roles,
};

in_four_roles!(
    every_acknowledged_payment_is_delivered_wherever_pay_is_killed,
    every_acknowledged_payment_is_delivered_however_often_its_database_is_killed,
    while_pay_is_away_no_channel_is_told_that_all_is_well,
    a_worker_that_ends_gives_back_what_it_had,
);

/// Purchases under way at once.
const BUYERS: usize = 6;

/// Where pay dies, in the order in which an order comes there. Then it is killed once more from outside, the moment a
/// channel was told that all is well.
const PLACES: [&str; 24] = [
    "requested",
    "created",
    "called_back",
    "judged",
    "locked",
    "transition.paid",
    "journal.paid",
    "balance",
    "ledger",
    "outbox",
    "committing",
    "committed",
    "acknowledging",
    "woken",
    "transition.delivery_started",
    "journal.delivery_started",
    "claiming",
    "claimed",
    "sent",
    "noted",
    "transition.acknowledged",
    "journal.acknowledged",
    "settling",
    "settled",
];

/// How often each of them is tried: once, or as often as `PLAYGATE_CRASH_ROUNDS` says.
fn rounds() -> usize {
    std::env::var("PLAYGATE_CRASH_ROUNDS").map_or(1, |rounds| rounds.parse().expect("a number of rounds"))
}

async fn every_acknowledged_payment_is_delivered_wherever_pay_is_killed(shape: Shape) {
    let (mut platform, studio) = (impatient(Platform::build(shape)).start().await, Studio::start().await);
    let (shop, ann) = (Shop::open(&platform, &studio).await, platform.register("ann").await);
    let buyers = Buyers::start(&shop, &ann, BUYERS);
    let mut kills = 0;
    for round in 0..rounds() {
        for (index, place) in PLACES.iter().enumerate() {
            // Not always the first that comes there: the others are elsewhere then.
            let time = 1 + (5 * round + 3 * index) % 7;
            platform.restart_to_die(Role::Pay, &format!("{place}#{time}"));
            let ended = platform.ends_within(Role::Pay, PATIENCE).await;
            let ended = ended.unwrap_or_else(|| panic!("pay never comes to {place} for the {time}th time"));
            // By its own hand, and not because it could not start.
            assert_eq!(ended.signal(), Some(9), "{place}: {ended:?}");
            kills += 1;
        }
        platform.restart(Role::Pay).await;
        buyers.pay_for(1 + round % 5).await;
        platform.kill(Role::Pay);
        kills += 1;
    }
    platform.restart(Role::Pay).await;
    assert_eq!(kills, rounds() * (PLACES.len() + 1));
    nothing_is_lost(&platform, &studio, &ann, buyers.stop().await, 2 * kills).await;
}

async fn every_acknowledged_payment_is_delivered_however_often_its_database_is_killed(shape: Shape) {
    let builder = impatient(Platform::build(shape).with_own_mariadb());
    let (mut platform, studio) = (builder.start().await, Studio::start().await);
    let (shop, ann) = (Shop::open(&platform, &studio).await, platform.register("ann").await);
    let buyers = Buyers::start(&shop, &ann, BUYERS);
    let kills = 4 * rounds();
    for kill in 0..kills {
        // Once while it still recovers from the last time.
        buyers.pay_for([30, 1, 10, 20][kill % 4]).await;
        platform.mariadb().kill().unwrap();
        platform.mariadb().restart().unwrap();
    }
    buyers.pay_for(10).await;
    nothing_is_lost(&platform, &studio, &ann, buyers.stop().await, 15 * kills).await;
}

/// What a worker that died had claimed is sent by the next one soon, and what failed is tried again soon.
fn impatient(builder: Builder) -> Builder {
    let builder = builder.set("pay.delivery.lease", "2s").set("pay.delivery.timeout", "1s");
    builder.set("pay.delivery.schedule", r#"["100ms","100ms","100ms","100ms","100ms","1s","1s","1s","10s","10s"]"#)
}

/// Expects that each of these orders, of which the channel was told that all is well, is delivered and in the books once,
/// and that nothing else is.
async fn nothing_is_lost(platform: &Platform, studio: &Studio, player: &Player, paid: Vec<String>, at_least: usize) {
    assert!(paid.len() >= at_least, "{} payments are too few to say anything", paid.len());
    let mut books = Books::open(platform).await;
    let give_up = tokio::time::Instant::now() + PATIENCE;
    while books.count("SELECT COUNT(*) FROM pay_outbox").await > 0 {
        assert!(tokio::time::Instant::now() < give_up, "what was paid is delivered in the end");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    books.are_right().await;
    let told: HashSet<String> =
        studio.deliveries().iter().map(|told| told["order_id"].as_str().unwrap().to_owned()).collect();
    let untold: Vec<&String> = paid.iter().filter(|order_id| !told.contains(*order_id)).collect();
    assert!(untold.is_empty(), "the game server never heard of {untold:?}");
    // However often one was asked for, it was made once; and what was made was paid, moved step by step, and is told.
    for (question, of_each) in [
        ("SELECT COUNT(*) FROM pay_orders", 1),
        ("SELECT COUNT(*) FROM pay_orders WHERE state = 5", 1),
        ("SELECT COUNT(*) FROM pay_order_journal", 4),
        ("SELECT COUNT(DISTINCT order_id, event) FROM pay_order_journal", 4),
        ("SELECT COUNT(*) FROM pay_ledger_transactions", 1),
        ("SELECT COUNT(*) FROM pay_callbacks WHERE verdict = 'paid'", 1),
    ] {
        assert_eq!(books.count(question).await, of_each * paid.len(), "{question}");
    }
    eventually("the wallet is there", || async {
        let answer = player.try_login().await;
        let welcome = answer.json()["data"].take();
        (welcome["degraded"] == json!([])).then(|| assert_eq!(welcome["wallet"], json!({ "CNY": 600 * paid.len() })))
    })
    .await;
}

async fn while_pay_is_away_no_channel_is_told_that_all_is_well(shape: Shape) {
    let (mut platform, studio) = (Platform::start(shape).await, Studio::start().await);
    let (shop, ann) = (Shop::open(&platform, &studio).await, platform.register("ann").await);
    let order_id = shop.create(&ann, "k-1").await;
    platform.kill(Role::Pay);
    let (status, body) = shop.call_back(&Shop::payment(&order_id)).await.expect("an answer");
    assert_eq!(status, 503, "{body}");
    assert!(!body.to_uppercase().contains("SUCCESS"), "{body}");
    platform.restart(Role::Pay).await;
    eventually("pay is asked again", || async {
        (shop.call_back(&Shop::payment(&order_id)).await? == (200, "SUCCESS".to_owned())).then_some(())
    })
    .await;
    studio.is_told_of(&order_id).await;
    platform.kill(Role::Account);
    let second = Shop::payment("01JXT21Q00C5Z0E8T3Y6A9B2DK");
    let (status, _) = shop.call_back(&second).await.expect("an answer");
    assert!([400, 503].contains(&status), "{status}");
}

async fn a_worker_that_ends_gives_back_what_it_had(shape: Shape) {
    let builder = Platform::build(shape).set("pay.delivery.lease", "10m").set("pay.delivery.timeout", "1s");
    let builder = builder.set("pay.delivery.schedule", r#"["100ms","100ms","100ms"]"#);
    let (mut platform, studio) = (builder.start().await, Studio::start().await);
    let (shop, ann) = (Shop::open(&platform, &studio).await, platform.register("ann").await);
    let order_id = shop.create(&ann, "k-1").await;
    studio.hang();
    shop.pay(&order_id).await;
    studio.is_told_of(&order_id).await;
    platform.terminate(Role::Pay);
    assert!(platform.ends_within(Role::Pay, Duration::from_secs(20)).await.is_some_and(|status| status.success()));
    studio.answer(200, "SUCCESS");
    platform.restart(Role::Pay).await;
    shop.is(&order_id, "delivered").await;
}
