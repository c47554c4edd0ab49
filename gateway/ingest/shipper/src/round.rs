//! Lines that are on their way together, made into records, and which of them are acknowledged.

use std::collections::BTreeMap;

use ingest::{Damage, Line, read::Position};
use rskafka::{chrono::DateTime, record::Record};

use crate::{
    broker::Failure,
    topic::{TopicTemplate, partition_of},
};

/// What was read and is not wholly acknowledged yet.
#[derive(Debug)]
pub(crate) struct Round {
    records: Vec<Outgoing>,
    /// The place behind the last line.
    pub(crate) end: Option<Position>,
    /// Lines that are damaged, and were passed over.
    pub(crate) damaged: u64,
}

/// A record, and whether the broker has it.
#[derive(Debug)]
struct Outgoing {
    topic: String,
    record: Record,
    is_acknowledged: bool,
}

/// Where records of a partition go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Target {
    pub(crate) topic: String,
    pub(crate) partition: usize,
}

/// The records of one partition in their order, by their index in the round, in requests that a broker takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lane {
    pub(crate) target: Target,
    pub(crate) requests: Vec<Vec<usize>>,
}

impl Round {
    pub(crate) fn new() -> Self {
        Self { records: Vec::new(), end: None, damaged: 0 }
    }

    /// Adds a line as it stands in its segment.
    pub(crate) fn add(&mut self, line: Vec<u8>, topic: &TopicTemplate) {
        match outgoing(line, topic) {
            Ok(outgoing) => self.records.push(outgoing),
            Err(_damage) => self.damaged += 1,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// What is not acknowledged, by partition. `partitions` knows how many a topic has.
    ///
    /// # Errors
    /// [`Failure::NoTopic`]: then nothing is sent, so that topics don't run apart.
    pub(crate) fn lanes(
        &self,
        partitions: impl Fn(&str) -> Option<usize>,
        batch_bytes: usize,
    ) -> Result<Vec<Lane>, Failure> {
        let mut lanes: BTreeMap<Target, (Vec<Vec<usize>>, usize)> = BTreeMap::new();
        for (index, outgoing) in self.records.iter().enumerate().filter(|(_, outgoing)| !outgoing.is_acknowledged) {
            let topic = &outgoing.topic;
            let count = partitions(topic).ok_or_else(|| Failure::NoTopic(topic.clone()))?;
            let partition = partition_of(outgoing.record.key.as_deref().unwrap_or_default(), count);
            let (requests, bytes) = lanes.entry(Target { topic: topic.clone(), partition }).or_default();
            let size = outgoing.record.approximate_size();
            match requests.last_mut().filter(|_| bytes.saturating_add(size) <= batch_bytes) {
                Some(request) => {
                    request.push(index);
                    *bytes += size;
                }
                None => {
                    requests.push(vec![index]);
                    *bytes = size;
                }
            }
        }
        Ok(lanes.into_iter().map(|(target, (requests, _))| Lane { target, requests }).collect())
    }

    /// The records of a request, to be sent.
    pub(crate) fn copies(&self, request: &[usize]) -> Vec<Record> {
        let found = request.iter().filter_map(|index| self.records.get(*index));
        found.map(|outgoing| outgoing.record.clone()).collect()
    }

    /// The broker has the records of this request. Answers how many bytes of lines these were.
    pub(crate) fn acknowledge(&mut self, request: &[usize]) -> u64 {
        let mut bytes = 0;
        for index in request {
            if let Some(outgoing) = self.records.get_mut(*index) {
                outgoing.is_acknowledged = true;
                bytes += outgoing.record.value.as_ref().map_or(0, Vec::len);
            }
        }
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

/// A record: the line as it is, under its partner's name, at the time when the event came in.
fn outgoing(line: Vec<u8>, topic: &TopicTemplate) -> Result<Outgoing, Damage> {
    let read = Line::read(&line)?;
    let headers = [
        ("event_id".to_owned(), read.event_id.as_bytes().to_vec()),
        ("received_at".to_owned(), read.received_at.to_string().into_bytes()),
        ("request_id".to_owned(), read.request_id.as_bytes().to_vec()),
    ];
    let (topic, key) = (topic.of(&read.partner), read.partner.as_bytes().to_vec());
    let timestamp = DateTime::from_timestamp_millis(read.received_at).unwrap_or_default();
    let record = Record { key: Some(key), value: Some(line), headers: headers.into(), timestamp };
    Ok(Outgoing { topic, record, is_acknowledged: false })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::source::testing::line;

    fn round(lines: impl IntoIterator<Item = (&'static str, usize)>, topic: &str) -> Round {
        let topic = topic.parse().unwrap();
        let mut round = Round::new();
        for (seq, (partner, size)) in lines.into_iter().enumerate() {
            round.add(line(partner, seq, size), &topic);
        }
        round
    }

    #[test]
    fn a_record_is_the_line_under_its_partners_name() {
        let text = line("ads", 7, 0);
        let Outgoing { topic, record, .. } = outgoing(text.clone(), &"raw.{partner}".parse().unwrap()).unwrap();
        assert_eq!((topic.as_str(), record.key.as_deref()), ("raw.ads", Some(&b"ads"[..])));
        assert_eq!(record.value, Some(text));
        assert_eq!(record.timestamp.timestamp_millis(), 1_796_033_702_123);
        let headers: Vec<_> = record.headers.iter().map(|(name, value)| (name.as_str(), &value[..])).collect();
        assert_eq!(headers, [("event_id", &b"e-7"[..]), ("received_at", b"1796033702123"), ("request_id", b"r-7")]);
    }

    #[test]
    fn what_is_damaged_is_passed_over_and_counted() {
        let mut round = Round::new();
        round.add(b"{}".to_vec(), &TopicTemplate::default());
        assert!(round.is_empty());
        assert_eq!(round.damaged, 1);
    }

    #[test]
    fn a_topic_that_is_missing_holds_up_the_others() {
        let round = round([("ads", 0), ("shop", 0)], "{partner}");
        let failed = round.lanes(|topic| (topic == "ads").then_some(1), 1000).unwrap_err();
        assert!(matches!(failed, Failure::NoTopic(topic) if topic == "shop"));
    }

    #[test]
    fn a_line_larger_than_a_request_goes_alone() {
        let round = round([("ads", 10), ("ads", 5000), ("ads", 10), ("ads", 10)], "t");
        let lanes = round.lanes(|_| Some(1), 1000).unwrap();
        assert_eq!(lanes.len(), 1);
        assert_eq!(lanes[0].requests, [vec![0], vec![1], vec![2, 3]]);
    }

    proptest! {
        #[test]
        fn every_record_is_sent_until_it_is_acknowledged_and_those_of_a_partner_in_their_order(
            partners in proptest::collection::vec(0_usize..5, 0..60),
            sizes in proptest::collection::vec(0_usize..900, 60),
            partitions in 1_usize..8,
            batch_bytes in 300_usize..3000,
            mut fates in proptest::collection::vec(any::<bool>(), 200),
        ) {
            const NAMES: [&str; 5] = ["ads", "shop", "forum", "crm", "bi"];
            let lines = partners.iter().zip(&sizes).map(|(partner, size)| (NAMES[*partner], *size));
            let mut round = round(lines, "t");
            let mut sent: Vec<usize> = Vec::new();
            // Each attempt ends in a lane with the first request that fails.
            loop {
                let lanes = round.lanes(|_| Some(partitions), batch_bytes).unwrap();
                if lanes.is_empty() {
                    break;
                }
                for lane in lanes {
                    for request in lane.requests {
                        let size: usize = round.copies(&request).iter().map(Record::approximate_size).sum();
                        prop_assert!(request.len() == 1 || size <= batch_bytes);
                        if fates.pop().unwrap_or(true) {
                            round.acknowledge(&request);
                            sent.extend(request);
                        } else {
                            break;
                        }
                    }
                }
            }
            for partner in 0..NAMES.len() {
                let of_partner: Vec<_> = sent.iter().copied().filter(|index| partners[*index] == partner).collect();
                let expected: Vec<_> = (0..partners.len()).filter(|index| partners[*index] == partner).collect();
                prop_assert_eq!(of_partner, expected);
            }
        }
    }
}
