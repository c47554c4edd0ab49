//! What partners push arrives in Kafka, whoever is killed meanwhile.

use std::{collections::HashSet, time::Duration};

use serde_json::json;
use xtask::services::Kafka;

use crate::support::{Partner, Platform, Shape, eventually, in_one_process, lines_in};

in_one_process!(
    every_acknowledged_event_arrives_in_kafka_however_often_the_gateway_is_killed,
    a_topic_that_is_missing_is_told_once_and_nobody_is_refused_for_it,
    what_happens_on_the_platform_arrives_in_a_topic_of_its_own,
);

const TOPIC: &str = "playgate.events";
const KILLS: usize = 4;

/// Segments of a moment, so that there is something to ship all the time.
async fn shipping_to(shape: Shape, kafka: &Kafka) -> Platform {
    Platform::build(shape)
        .set("shipper.brokers", &format!("[\"{}\"]", kafka.address()))
        .set("shipper.look_every", "20ms")
        .set("shipper.retry_max", "200ms")
        .set("ingest.segment_age", "200ms")
        .start()
        .await
}

async fn every_acknowledged_event_arrives_in_kafka_however_often_the_gateway_is_killed(shape: Shape) {
    let kafka = Kafka::start().unwrap();
    kafka.create_topic(TOPIC, 1).unwrap();
    let mut platform = shipping_to(shape, &kafka).await;
    let ads = Partner::join(&platform, "ads", "hmac").await;
    let mut acknowledged = Vec::new();
    for round in 0..=KILLS {
        for number in 0..40 {
            let id = format!("e-{round}-{number}");
            assert_eq!(ads.push(&json!({ "event_id": id, "pad": "x".repeat(200) })).await.status, 202);
            acknowledged.push(id);
            // Some pushes last longer than a segment: they are completed and shipped while it goes on.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        if round < KILLS {
            platform.kill(platform.front());
            platform.restart(platform.front()).await;
        }
    }
    let arrived = eventually("everything has arrived", || async {
        let lines = lines_in(&kafka.address(), TOPIC).await;
        let ids: Vec<String> = lines.iter().map(|line| line["event_id"].as_str().unwrap().to_owned()).collect();
        let distinct: HashSet<_> = ids.iter().collect();
        (distinct.len() == acknowledged.len()).then_some(ids)
    })
    .await;
    let mut seen = HashSet::new();
    let first: Vec<_> = arrived.into_iter().filter(|id| seen.insert(id.clone())).collect();
    assert_eq!(first, acknowledged, "in the order in which they were acknowledged");

    let lag = eventually("an operator sees that nothing is behind", || async {
        let lag = platform.run(&["ingest", "lag"]).await;
        (lag["lag_bytes"] == 0).then_some(lag)
    })
    .await;
    assert_eq!((&lag["destination"], &lag["lag_events"]), (&json!("kafka"), &json!(0)));
    let metrics = platform.metrics(platform.front()).await;
    assert!(metrics.contains("playgate_shipper_lag_bytes{source=\"events\"} 0"), "{metrics}");
}

async fn a_topic_that_is_missing_is_told_once_and_nobody_is_refused_for_it(shape: Shape) {
    let kafka = Kafka::start().unwrap();
    let platform = shipping_to(shape, &kafka).await;
    let ads = Partner::join(&platform, "ads", "hmac").await;
    let failures = async || {
        let metrics = platform.metrics(platform.front()).await;
        let line = metrics.lines().find(|line| line.contains("shipper_failures_total{reason=\"no_topic\"")).unwrap();
        line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
    };
    for number in 0..5 {
        assert_eq!(ads.push(&json!({ "event_id": format!("e-{number}") })).await.status, 202);
        let before = failures().await;
        eventually("it is tried again", || async { (failures().await > before + 1).then_some(()) }).await;
    }
    let told = |what: &str| platform.logs().lines().filter(|line| line.contains(what)).count();
    assert_eq!(told("events are not shipped to Kafka"), 1, "{}", platform.logs());
    assert_eq!(told("the topic playgate.events does not exist"), 1);
    assert_eq!(told("rskafka"), 0, "the client is quiet");
    kafka.create_topic(TOPIC, 1).unwrap();
    eventually("everything has arrived", || async {
        (lines_in(&kafka.address(), TOPIC).await.len() == 5).then_some(())
    })
    .await;
    eventually("it is told that it works again", || async {
        (told("events are shipped to Kafka again") == 1).then_some(())
    })
    .await;
}

async fn what_happens_on_the_platform_arrives_in_a_topic_of_its_own(shape: Shape) {
    let kafka = Kafka::start().unwrap();
    kafka.create_topic("playgate.platform", 1).unwrap();
    let platform = Platform::build(shape)
        .set("shipper.brokers", &format!("[\"{}\"]", kafka.address()))
        .set("shipper.look_every", "20ms")
        .set("ingest.segment_age", "200ms")
        .set("account.events.publish", "true")
        .set("account.events.every", "50ms")
        .start()
        .await;
    let ann = platform.register("ann").await;
    ann.login().await;
    let wanted = json!(["account.registered", "account.login"]);
    let of_ann = eventually("both have arrived", || async {
        let lines = lines_in(&kafka.address(), "playgate.platform").await;
        let events = lines.iter().map(|line| &line["event"]);
        let of_ann: Vec<_> = events.filter(|event| event["account_id"] == ann.tokens.account_id).cloned().collect();
        let kinds: Vec<_> = of_ann.iter().map(|event| event["kind"].clone()).collect();
        wanted.as_array().unwrap().iter().all(|kind| kinds.contains(kind)).then_some(of_ann)
    })
    .await;
    let ids: HashSet<String> = of_ann.iter().map(|event| event["event_id"].to_string()).collect();
    assert_eq!(ids.len(), of_ann.len(), "{of_ann:?}");
}
