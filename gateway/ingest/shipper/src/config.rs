//! The `[shipper]` section.

use std::{fs, num::NonZeroUsize, path::PathBuf, time::Duration};

use common::config::{Invalid, Secret, Section};
use serde::{Deserialize, Serialize};

use crate::topic::TopicTemplate;

/// Whether and how stored events are shipped to Kafka.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShipperConfig {
    /// `HOST:PORT` of some brokers of a cluster; the others are learnt from them. None: nothing is shipped.
    pub brokers: Vec<String>,

    /// The topic of partners' events. `{partner}` in it becomes the partner's name: a topic for each, which all must exist,
    /// as one that is missing holds up the others.
    pub topic: TopicTemplate,

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

    /// How long connecting and logging in to a broker may take.
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

    /// How this process proves who it is. Absent: it does not.
    pub sasl: Option<SaslConfig>,
}

/// How this process proves to brokers who it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SaslConfig {
    /// `scram-sha-256`, `scram-sha-512` or `plain`. The connection is not encrypted: `plain` shows the password to
    /// everybody on the way.
    pub mechanism: SaslMechanism,
    /// The name.
    pub username: String,
    /// The password.
    pub password: Option<Secret>,
    /// A file with the password, as secrets are mounted, instead of `password`; white space around it is ignored. Read at the
    /// start only.
    pub password_file: Option<PathBuf>,
}

/// The ways to prove it that are known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SaslMechanism {
    /// RFC 4616.
    Plain,
    /// RFC 7677.
    #[serde(rename = "scram-sha-256")]
    ScramSha256,
    /// As RFC 7677, with SHA-512.
    #[serde(rename = "scram-sha-512")]
    ScramSha512,
}

impl ShipperConfig {
    /// Whether anything is shipped.
    pub fn is_on(&self) -> bool {
        !self.brokers.is_empty()
    }
}

impl SaslConfig {
    /// The password, from wherever it is.
    ///
    /// # Errors
    /// What the operating system says of the file.
    pub(crate) fn secret(&self) -> std::io::Result<Secret> {
        match (&self.password, &self.password_file) {
            (Some(password), _) => Ok(password.clone()),
            (None, Some(file)) => Ok(Secret::new(fs::read_to_string(file)?.trim())),
            (None, None) => Ok(Secret::new("")),
        }
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
            sasl: None,
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
        match &self.sasl {
            Some(sasl) if sasl.username.is_empty() => Err(Invalid::new("sasl.username", "must not be empty")),
            Some(SaslConfig { password: Some(_), password_file: Some(_), .. }) => {
                Err(Invalid::new("sasl.password_file", "must not be set beside sasl.password"))
            }
            Some(SaslConfig { password: None, password_file: None, .. }) => {
                Err(Invalid::new("sasl.password", "must be set, or sasl.password_file"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_work_is_refused_by_its_key() {
        assert_eq!(ShipperConfig::default().validate(), Ok(()));
        assert!(!ShipperConfig::default().is_on());
        let sasl = || SaslConfig {
            mechanism: SaslMechanism::ScramSha256,
            username: "playgate".to_owned(),
            password: Some(Secret::new("p")),
            password_file: None,
        };
        let check = |change: &dyn Fn(&mut ShipperConfig), key: &str| {
            let mut config = ShipperConfig { sasl: Some(sasl()), ..ShipperConfig::default() };
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
        check(&|config| config.sasl = Some(SaslConfig { username: String::new(), ..sasl() }), "sasl.username");
        check(&|config| config.sasl = Some(SaslConfig { password: None, ..sasl() }), "sasl.password");
        let both = || SaslConfig { password_file: Some("/run/p".into()), ..sasl() };
        check(&|config| config.sasl = Some(both()), "sasl.password_file");
    }

    #[test]
    fn a_password_may_lie_in_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "s3cret\n").unwrap();
        let sasl = SaslConfig {
            mechanism: SaslMechanism::Plain,
            username: "playgate".to_owned(),
            password: None,
            password_file: Some(file.path().to_owned()),
        };
        assert_eq!(sasl.secret().unwrap().expose(), "s3cret");
    }
}
