//! Stores, brokers and what can be read from them.

use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
    sync::Arc,
    time::Duration,
};

use common::clock::{SystemClock, SystemRandom};
use ingest::{Ingest, IngestConfig, LimitsConfig, PartnerLimits, PartnerName, Push, RetentionConfig, parse};
use prometheus::Registry;
use rskafka::client::{
    ClientBuilder,
    partition::{OffsetAt, UnknownTopicHandling},
};
use serde_json::Value;
use shipper::{Shipper, ShipperConfig, ShipperMetrics};
use tokio::task::JoinHandle;

/// A shipper that runs, and what it counts.
pub(crate) struct Running {
    pub(crate) shipper: Shipper,
    pub(crate) task: JoinHandle<()>,
    registry: Registry,
}

/// A record that somebody has read.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub(crate) partition: i32,
    pub(crate) key: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) line: Value,
    pub(crate) timestamp: i64,
}

/// Ships to these brokers soon and tries again soon.
pub(crate) fn config(broker: String) -> ShipperConfig {
    ShipperConfig {
        brokers: vec![broker],
        look_every: Duration::from_millis(20),
        retry_min: Duration::from_millis(20),
        retry_max: Duration::from_millis(200),
        ..ShipperConfig::default()
    }
}

/// Ships what is stored in `data_dir`.
pub(crate) fn ship(data_dir: &Path, config: ShipperConfig) -> Running {
    let registry = Registry::new();
    let parts = shipper::Parts {
        name: "events",
        data_dir: data_dir.to_owned(),
        topic: config.topic.clone(),
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom),
        metrics: ShipperMetrics::register(&registry).unwrap(),
    };
    let shipper = Shipper::open(config, parts).unwrap();
    let running = shipper.clone();
    let task = tokio::spawn(async move { running.run().await });
    Running { shipper, task, registry }
}

impl Running {
    /// Ships what is there and ends in order.
    pub(crate) async fn close(self) {
        self.shipper.close().await;
        self.task.await.unwrap();
    }

    /// The sum of a metric over its labels; `with` is a label value it must have.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts of a test")]
    pub(crate) fn metric(&self, name: &str, with: &str) -> u64 {
        let families = self.registry.gather();
        let metrics = families.iter().filter(|family| family.name() == name).flat_map(|family| family.get_metric());
        let metrics =
            metrics.filter(|metric| with.is_empty() || metric.get_label().iter().any(|label| label.value() == with));
        let values = metrics.map(|metric| metric.get_counter().get_value() + metric.get_gauge().get_value());
        values.sum::<f64>().round() as u64
    }

    pub(crate) async fn until(&self, name: &str, with: &str, enough: impl Fn(u64) -> bool) {
        eventually(name, async || enough(self.metric(name, with)).then_some(())).await;
    }

    /// Waits until everything that is complete was acknowledged.
    pub(crate) async fn shipped(&self, records: usize) {
        let records = u64::try_from(records).unwrap();
        self.until("playgate_shipper_records_total", "", |shipped| shipped >= records).await;
        self.until("playgate_shipper_lag_bytes", "", |lag| lag == 0).await;
    }
}

/// Asks until there is an answer, for a minute.
pub(crate) async fn eventually<T>(what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
    for _ in 0..3000 {
        if let Some(answer) = ask().await {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never: {what}");
}

/// Opens the store, stores these events of partners, and completes their segment. What is older than this moment and may
/// be deleted is deleted.
pub(crate) async fn store(data_dir: &Path, events: &[(&str, String)]) {
    let parts = ingest::Parts {
        data_dir: data_dir.to_owned(),
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom),
        registry: Registry::new(),
    };
    let retention = RetentionConfig { keep_for: Duration::from_millis(1), ..RetentionConfig::default() };
    let config = IngestConfig { free_bytes_min: 0, retention, ..IngestConfig::default() };
    let (limits, dead) = (LimitsConfig::default(), config.dead);
    let store = Ingest::open(config, parts).unwrap();
    for of_partner in events.chunk_by(|(one, _), (other, _)| one == other) {
        let bodies = of_partner.iter().map(|(_, event_id)| format!(r#"{{"event_id":"{event_id}","n":1.50}}"#));
        let body = bodies.collect::<Vec<_>>().join("\n");
        let push = Push {
            partner: PartnerName::parse(of_partner[0].0).unwrap(),
            limits: PartnerLimits::default(),
            request_id: format!("request-{}", of_partner[0].1),
            events: parse::json_or_ndjson(body.as_bytes(), &limits, &dead).unwrap(),
        };
        assert_eq!(store.accept(push).await.unwrap().accepted, of_partner.len());
    }
    store.close().await;
}

/// Everything in a topic, partition by partition.
pub(crate) async fn read(broker: String, topic: &str) -> Vec<Read> {
    let client = ClientBuilder::new(vec![broker]).build().await.unwrap();
    let mut found = Vec::new();
    let Some(topic) = client.list_topics().await.unwrap().into_iter().find(|known| known.name == topic) else {
        return found;
    };
    for partition in topic.partitions {
        let lane = client.partition_client(topic.name.as_str(), partition, UnknownTopicHandling::Error).await.unwrap();
        let mut next = lane.get_offset(OffsetAt::Earliest).await.unwrap();
        loop {
            let (records, end) = lane.fetch_records(next, 1..64 << 20, 100).await.unwrap();
            for read in records.into_iter().filter(|read| read.offset >= next).collect::<Vec<_>>() {
                // A broker that was killed may have left out some.
                next = read.offset + 1;
                let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
                found.push(Read {
                    partition,
                    key: text(read.record.key.unwrap()),
                    headers: read.record.headers.into_iter().map(|(name, value)| (name, text(value))).collect(),
                    line: serde_json::from_slice(&read.record.value.unwrap()).unwrap(),
                    timestamp: read.record.timestamp.timestamp_millis(),
                });
            }
            if next >= end {
                break;
            }
        }
    }
    found
}

/// The events of a partner in the order in which they arrived first, and how often any arrived again.
pub(crate) fn first_of(read: &[Read], partner: &str) -> (Vec<String>, usize) {
    let ids = read.iter().filter(|read| read.key == partner).map(|read| read.headers["event_id"].clone());
    let (mut seen, mut first, mut again) = (HashSet::new(), Vec::new(), 0);
    for id in ids {
        if seen.insert(id.clone()) {
            first.push(id);
        } else {
            again += 1;
        }
    }
    (first, again)
}
