//! The `[shipper]` section.

use std::{num::NonZeroUsize, time::Duration};

use common::config::{Invalid, Section};
use serde::{Deserialize, Serialize};

use crate::topic::TopicTemplate;

/// Whether and how stored events are shipped to Kafka: by listeners that ask neither for TLS nor for a login.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShipperConfig {
    /// `HOST:PORT` of some brokers of a cluster; the others are learnt from them. None: nothing is shipped.
    pub brokers: Vec<String>,

    /// The topic of partners' events. `{partner}` in it becomes the partner's name: a topic for each, which all must exist,
    /// as one that is missing holds up the others.
    pub topic: TopicTemplate,

    /// The topic of the platform's own events, where account and pay publish them. `{partner}` in it becomes
    /// `playgate.account` and `playgate.pay`.
    pub platform_topic: TopicTemplate,

    /// How this process calls itself to brokers, for their logs and quotas.
    pub client_id: String,

    /// Bytes of lines in one request to a partition. Less than the brokers' `message.max.bytes`, which is about a million
    /// unless they say otherwise; a single larger line is sent alone.
    pub batch_bytes: NonZeroUsize,

    /// Bytes of lines that are read and not acknowledged yet. Protects memory, which holds them up to three times.
    pub in_flight_bytes: NonZeroUsize,

    /// How often new segments are looked for once everything is shipped.
    #[serde(with = "humantime_serde")]
    pub look_every: Duration,

    /// How long connecting to a broker, and learning what it has, may take.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,

    /// How long a broker may take to acknowledge one request. Beyond it the connection is given up and the request sent
    /// again on a new one, so that records may be there twice: not less than the replicas of the topic need.
    #[serde(with = "humantime_serde")]
    pub request_timeout: Duration,

    /// The wait after a first failure. It doubles with each further one, spread by half.
    #[serde(with = "humantime_serde")]
    pub retry_min: Duration,

    /// The longest wait after a failure. Protects brokers that come back from everybody at once.
    #[serde(with = "humantime_serde")]
    pub retry_max: Duration,

    /// How long the end of the process waits for what was completed last to be shipped, at most. What is left then is
    /// shipped by the next start. Not more than `lifecycle.flush_timeout`, which ends it in any case.
    #[serde(with = "humantime_serde")]
    pub drain_timeout: Duration,

    /// With more bytes than this behind, a warning is logged and `playgate_shipper_is_behind` is 1. Nothing is refused or
    /// deleted for it: what is not shipped stays until the disk is full.
    pub lag_bytes_max: u64,

    /// The same for the age of the oldest segment that is not wholly shipped.
    #[serde(with = "humantime_serde")]
    pub lag_age_max: Duration,
}

impl ShipperConfig {
    /// Whether anything is shipped.
    pub fn is_on(&self) -> bool {
        !self.brokers.is_empty()
    }
}

const fn size(count: usize) -> NonZeroUsize {
    NonZeroUsize::MIN.saturating_add(count - 1)
}

impl Default for ShipperConfig {
    fn default() -> Self {
        Self {
            brokers: Vec::new(),
            topic: TopicTemplate::default(),
            platform_topic: TopicTemplate::of_the_platform(),
            client_id: "playgate".to_owned(),
            batch_bytes: size(512 << 10),
            in_flight_bytes: size(4 << 20),
            look_every: Duration::from_secs(1),
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            retry_min: Duration::from_millis(200),
            retry_max: Duration::from_secs(30),
            drain_timeout: Duration::from_millis(1500),
            lag_bytes_max: 1 << 30,
            lag_age_max: Duration::from_secs(15 * 60),
        }
    }
}

impl Section for ShipperConfig {
    const NAME: &'static str = "shipper";

    fn validate(&self) -> Result<(), Invalid> {
        let is_address = |broker: &String| {
            broker.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
        };
        if !self.brokers.iter().all(is_address) {
            return Err(Invalid::new("brokers", "must be a list of HOST:PORT"));
        }
        for (key, value) in [
            ("look_every", self.look_every),
            ("connect_timeout", self.connect_timeout),
            ("request_timeout", self.request_timeout),
            ("retry_min", self.retry_min),
            ("lag_age_max", self.lag_age_max),
        ] {
            if value < Duration::from_millis(1) {
                return Err(Invalid::new(key, "must be at least 1ms"));
            }
        }
        if self.retry_max < self.retry_min {
            return Err(Invalid::new("retry_max", "must be at least retry_min"));
        }
        if self.in_flight_bytes.get() < self.batch_bytes.get() {
            return Err(Invalid::new("in_flight_bytes", "must be at least batch_bytes"));
        }
        if self.in_flight_bytes.get() > 256 << 20 {
            return Err(Invalid::new("in_flight_bytes", "must be at most 268435456"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_work_is_refused_by_its_key() {
        assert_eq!(ShipperConfig::default().validate(), Ok(()));
        assert!(!ShipperConfig::default().is_on());
        let check = |change: &dyn Fn(&mut ShipperConfig), key: &str| {
            let mut config = ShipperConfig::default();
            assert_eq!(config.validate(), Ok(()));
            change(&mut config);
            assert_eq!(config.validate().map_err(|invalid| invalid.key), Err(key.to_owned()));
        };
        for bad in ["kafka", "kafka:", ":9092", "kafka:99999"] {
            check(&|config| config.brokers = vec!["kafka:9092".to_owned(), bad.to_owned()], "brokers");
        }
        check(&|config| config.look_every = Duration::ZERO, "look_every");
        check(&|config| config.request_timeout = Duration::ZERO, "request_timeout");
        check(&|config| config.retry_max = Duration::from_millis(199), "retry_max");
        check(&|config| config.in_flight_bytes = size(1000), "in_flight_bytes");
        check(&|config| config.in_flight_bytes = size((256 << 20) + 1), "in_flight_bytes");
    }
}
