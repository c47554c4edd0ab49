//! Reading from a Kafka broker what arrived there.

use rskafka::client::{
    ClientBuilder,
    partition::{OffsetAt, UnknownTopicHandling},
};
use serde_json::Value;

/// The lines in a topic with one partition, in their order.
pub(crate) async fn lines_in(broker: &str, topic: &str) -> Vec<Value> {
    let client = ClientBuilder::new(vec![broker.to_owned()]).build().await.unwrap();
    let lane = client.partition_client(topic, 0, UnknownTopicHandling::Error).await.unwrap();
    let (mut next, mut lines) = (lane.get_offset(OffsetAt::Earliest).await.unwrap(), Vec::new());
    loop {
        let (records, end) = lane.fetch_records(next, 1..64 << 20, 100).await.unwrap();
        for read in records {
            if read.offset >= next {
                next = read.offset + 1;
                lines.push(serde_json::from_slice(&read.record.value.unwrap()).unwrap());
            }
        }
        if next >= end {
            return lines;
        }
    }
}
