//! What a shipper promises, with a broker of its own each.

use std::{collections::BTreeSet, num::NonZeroUsize, path::Path, time::Duration};

use ingest::{Family, Line, Progress, segments};
use shipper::ShipperConfig;
use xtask::services::Kafka;

use crate::support::{config, first_of, read, ship, store};

const TOPIC: &str = "playgate.events";
const PARTNERS: [&str; 4] = ["ads", "shop", "forum", "crm"];

/// Events with these numbers for each partner, partner after partner.
fn events(numbers: std::ops::Range<usize>) -> Vec<(&'static str, String)> {
    let of = |partner| numbers.clone().map(move |number| (partner, format!("{partner}-{number}")));
    PARTNERS.into_iter().flat_map(of).collect()
}

/// What is expected of a partner after these.
fn ids(partner: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{partner}-{number}")).collect()
}

fn complete_segments(data_dir: &Path) -> usize {
    let files = segments(&Family::Events.directory(data_dir), Family::Events).unwrap();
    files.iter().filter(|file| file.is_complete).count()
}

/// Many small requests, and several reads.
fn in_small_steps(broker: String) -> ShipperConfig {
    let size = |bytes| NonZeroUsize::new(bytes).unwrap();
    ShipperConfig { batch_bytes: size(2000), in_flight_bytes: size(10_000), ..config(broker) }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_arrives_once_as_it_is_stored_and_those_of_a_partner_in_their_order() {
    let kafka = Kafka::start().unwrap();
    kafka.create_topic(TOPIC, 3).unwrap();
    let data_dir = tempfile::tempdir().unwrap();
    let running = ship(data_dir.path(), in_small_steps(kafka.address()));
    for segment in 0..3 {
        store(data_dir.path(), &events(segment * 50..(segment + 1) * 50)).await;
    }
    running.shipped(600).await;
    store(data_dir.path(), &events(150..160)).await;
    assert_eq!(running.metric("playgate_shipper_failures_total", ""), 0);
    // What was completed last is shipped by the end.
    running.close().await;

    let found = read(kafka.address(), TOPIC).await;
    assert_eq!(found.len(), 640);
    for partner in PARTNERS {
        assert_eq!(first_of(&found, partner), (ids(partner, 160), 0));
        let partitions: BTreeSet<_> =
            found.iter().filter(|read| read.key == partner).map(|read| read.partition).collect();
        assert_eq!(partitions.len(), 1, "{partner}");
    }
    let partitions: BTreeSet<_> = found.iter().map(|read| read.partition).collect();
    assert!(partitions.len() > 1, "side by side: {partitions:?}");
    for read in &found {
        assert_eq!(read.line["event"]["n"].to_string(), "1.5", "{read:?}");
        assert_eq!(
            (&read.line["partner"], &read.line["event_id"]),
            (&read.key.as_str().into(), &read.headers["event_id"].as_str().into())
        );
        assert_eq!(read.line["request_id"], read.headers["request_id"].as_str());
        assert_eq!(read.line["received_at"], read.timestamp);
        assert_eq!(read.headers["received_at"], read.timestamp.to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_killed_and_comes_back_misses_nothing() {
    let mut kafka = Kafka::start_durable().unwrap();
    kafka.create_topic(TOPIC, 2).unwrap();
    let data_dir = tempfile::tempdir().unwrap();
    store(data_dir.path(), &events(0..400)).await;
    let running = ship(data_dir.path(), in_small_steps(kafka.address()));
    for round in 1..=3 {
        // In the middle of it.
        running.until("playgate_shipper_records_total", "", |shipped| shipped > round * 80).await;
        kafka.kill().unwrap();
        let failed = running.metric("playgate_shipper_failures_total", "connection");
        running.until("playgate_shipper_failures_total", "connection", |failures| failures > failed + 2).await;
        kafka.restart().unwrap();
    }
    kafka.kill().unwrap();
    store(data_dir.path(), &events(400..420)).await;
    kafka.restart().unwrap();
    running.shipped(1680).await;
    running.close().await;
    let found = read(kafka.address(), TOPIC).await;
    for partner in PARTNERS {
        let (first, again) = first_of(&found, partner);
        assert_eq!(first, ids(partner, 420));
        assert!(again <= 4 * 30, "not more than what was on its way at each kill: {again}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_hangs_is_given_up_and_asked_again() {
    let mut kafka = Kafka::start().unwrap();
    kafka.create_topic(TOPIC, 1).unwrap();
    let data_dir = tempfile::tempdir().unwrap();
    let timeouts = |config| ShipperConfig {
        connect_timeout: Duration::from_millis(500),
        request_timeout: Duration::from_millis(500),
        ..config
    };
    let running = ship(data_dir.path(), timeouts(config(kafka.address())));
    store(data_dir.path(), &events(0..10)).await;
    running.shipped(40).await;
    kafka.freeze().unwrap();
    store(data_dir.path(), &events(10..20)).await;
    running.until("playgate_shipper_failures_total", "timeout", |failures| failures >= 3).await;
    // It ends all the same; what it had in hand is for the next one.
    running.close().await;
    kafka.thaw().unwrap();
    let running = ship(data_dir.path(), timeouts(config(kafka.address())));
    running.shipped(40).await;
    running.close().await;
    let found = read(kafka.address(), TOPIC).await;
    for partner in PARTNERS {
        assert_eq!(first_of(&found, partner).0, ids(partner, 20));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shipper_that_is_cut_off_anywhere_goes_on_from_what_was_acknowledged() {
    let kafka = Kafka::start().unwrap();
    kafka.create_topic(TOPIC, 2).unwrap();
    let data_dir = tempfile::tempdir().unwrap();
    // More than a fast machine ships in all the rounds.
    store(data_dir.path(), &events(0..2000)).await;
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..12 {
        let running = ship(data_dir.path(), in_small_steps(kafka.address()));
        let wanted = random.u64(0..90);
        running.until("playgate_shipper_records_total", "", |shipped| shipped >= wanted).await;
        // As a kill would: between any two waits.
        running.task.abort();
        let _ = running.task.await;
    }
    let running = ship(data_dir.path(), in_small_steps(kafka.address()));
    running.until("playgate_shipper_lag_bytes", "", |lag| lag == 0).await;
    store(data_dir.path(), &events(2000..2001)).await;
    running.until("playgate_shipper_lag_bytes", "", |lag| lag > 0).await;
    running.until("playgate_shipper_lag_bytes", "", |lag| lag == 0).await;
    running.close().await;
    let found = read(kafka.address(), TOPIC).await;
    for partner in PARTNERS {
        assert_eq!(first_of(&found, partner).0, ids(partner, 2001));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_does_not_exist_is_waited_for_and_not_made() {
    let kafka = Kafka::start().unwrap();
    kafka.create_topic("events.ads", 1).unwrap();
    let data_dir = tempfile::tempdir().unwrap();
    store(data_dir.path(), &[("ads", "ads-0".to_owned()), ("shop", "shop-0".to_owned())]).await;
    let topics = ShipperConfig { topic: "events.{partner}".parse().unwrap(), ..config(kafka.address()) };
    let running = ship(data_dir.path(), topics);
    running.until("playgate_shipper_failures_total", "no_topic", |failures| failures >= 3).await;
    assert_eq!(running.metric("playgate_shipper_records_total", ""), 0, "topics don't run apart");
    assert!(read(kafka.address(), "events.shop").await.is_empty());
    kafka.create_topic("events.shop", 1).unwrap();
    running.shipped(2).await;
    running.close().await;
    for (topic, partner) in [("events.ads", "ads"), ("events.shop", "shop")] {
        assert_eq!(first_of(&read(kafka.address(), topic).await, partner), (ids(partner, 1), 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_lets_nobody_in_is_asked_again_until_it_does() {
    let mut kafka = Kafka::start_durable().unwrap();
    kafka.create_topic(TOPIC, 1).unwrap();
    kafka.ask_for_a_login(true).unwrap();
    let data_dir = tempfile::tempdir().unwrap();
    store(data_dir.path(), &events(0..5)).await;
    let running = ship(data_dir.path(), config(kafka.address()));
    running.until("playgate_shipper_failures_total", "connection", |failures| failures >= 3).await;
    assert_eq!(running.metric("playgate_shipper_records_total", ""), 0);
    kafka.ask_for_a_login(false).unwrap();
    running.shipped(20).await;
    running.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_shipped_is_never_deleted_and_what_is_may_be() {
    let mut kafka = Kafka::start_durable().unwrap();
    kafka.create_topic(TOPIC, 1).unwrap();
    kafka.kill().unwrap();
    let data_dir = tempfile::tempdir().unwrap();
    let running = ship(data_dir.path(), config(kafka.address()));
    // Each of these deletes what may be deleted by its age, which is all that is complete.
    for segment in 0..3 {
        store(data_dir.path(), &events(segment..segment + 1)).await;
    }
    assert_eq!(complete_segments(data_dir.path()), 3);
    kafka.restart().unwrap();
    running.shipped(12).await;
    store(data_dir.path(), &events(3..4)).await;
    assert_eq!(complete_segments(data_dir.path()), 1, "the three that are shipped are gone");
    running.shipped(16).await;
    running.close().await;
    let found = read(kafka.address(), TOPIC).await;
    assert_eq!(first_of(&found, "ads").0, ids("ads", 4));
    let at = Progress::of(data_dir.path(), "kafka").unwrap().read().unwrap().unwrap();
    let files = segments(&Family::Events.directory(data_dir.path()), Family::Events).unwrap();
    assert_eq!((at.segment, at.offset), (files[0].name.clone(), files[0].bytes));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_line_is_passed_over_and_counted_and_holds_up_nothing() {
    let kafka = Kafka::start().unwrap();
    kafka.create_topic(TOPIC, 1).unwrap();
    let data_dir = tempfile::tempdir().unwrap();
    store(data_dir.path(), &events(0..3)).await;
    let file = &segments(&Family::Events.directory(data_dir.path()), Family::Events).unwrap()[0];
    let text = std::fs::read_to_string(&file.path).unwrap();
    Line::read(text.lines().next().unwrap().as_bytes()).unwrap();
    std::fs::write(&file.path, text.replace("ads-1", "ads-x")).unwrap();
    let running = ship(data_dir.path(), config(kafka.address()));
    running.shipped(11).await;
    assert_eq!(running.metric("playgate_shipper_damaged_lines_total", ""), 1);
    running.close().await;
    assert_eq!(first_of(&read(kafka.address(), TOPIC).await, "ads").0, ["ads-0", "ads-2"]);
}
