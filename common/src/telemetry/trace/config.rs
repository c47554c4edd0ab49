//! The `[otlp]` section.

use std::time::Duration;

use http::Uri;
use serde::{Deserialize, Serialize};

use crate::config::{Invalid, Section};

/// Where traces are sent, which requests are traced, and how much memory and time that may take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OtlpConfig {
    /// The collector: `http://host:4317`, OTLP over gRPC. Absent: nothing is recorded. There is no TLS towards it: put
    /// a collector beside the process and let that one carry the spans further.
    pub endpoint: Option<String>,
    /// The share of requests that are traced, 0 to 1. A request with a `traceparent` from a trusted network is traced
    /// when that says so, whatever stands here.
    pub sample_ratio: f64,
    /// A request that was not chosen and takes at least this long is recorded afterwards, and so is a single SQL
    /// statement, read or wait that does. The same holds for requests that are answered with a 5xx.
    #[serde(with = "humantime_serde")]
    pub slow_threshold: Duration,
    /// How many spans per second may be recorded afterwards. Protects the process during an outage, when every request
    /// is slow or an error; beyond it they are dropped and counted.
    pub late_spans_per_second: u32,
    /// Spans that may wait to be sent, about 1 KiB each. Protects memory when the collector is slow or gone; beyond it
    /// spans are dropped and counted in `playgate_trace_spans_dropped_total`.
    pub queue_size: usize,
    /// Spans sent in one call.
    pub batch_size: usize,
    /// How long a span waits for others to be sent with.
    #[serde(with = "humantime_serde")]
    pub batch_delay: Duration,
    /// The longest a call to the collector may take, retries included. Beyond it its spans are dropped and counted.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
}

impl Default for OtlpConfig {
    fn default() -> Self {
        Self {
            endpoint: None,
            sample_ratio: 0.01,
            slow_threshold: Duration::from_millis(500),
            late_spans_per_second: 100,
            queue_size: 4096,
            batch_size: 512,
            batch_delay: Duration::from_secs(1),
            timeout: Duration::from_secs(5),
        }
    }
}

impl Section for OtlpConfig {
    const NAME: &'static str = "otlp";

    fn validate(&self) -> Result<(), Invalid> {
        if let Some(endpoint) = &self.endpoint {
            check_endpoint(endpoint).map_err(|reason| Invalid::new("endpoint", reason))?;
        }
        if !(0.0..=1.0).contains(&self.sample_ratio) {
            return Err(Invalid::new("sample_ratio", "must be a share from 0 to 1"));
        }
        for (key, count) in [("queue_size", self.queue_size), ("batch_size", self.batch_size)] {
            if count == 0 || count > MAX_SPANS {
                return Err(Invalid::new(key, format!("must be from 1 to {MAX_SPANS}")));
            }
        }
        if self.batch_size > self.queue_size {
            return Err(Invalid::new("batch_size", "must not be larger than `queue_size`, or no batch is ever full"));
        }
        for (key, time) in [("batch_delay", self.batch_delay), ("timeout", self.timeout)] {
            if time.is_zero() || time > MAX_TIME {
                return Err(Invalid::new(key, "must be longer than zero and at most 1h"));
            }
        }
        Ok(())
    }
}

/// A gigabyte of spans: more is a slip of the unit.
const MAX_SPANS: usize = 1_000_000;

/// More than anybody waits for a trace.
const MAX_TIME: Duration = Duration::from_secs(3600);

fn check_endpoint(endpoint: &str) -> Result<(), &'static str> {
    const FORM: &str = "must be of the form http://host:4317";
    let uri: Uri = endpoint.parse().map_err(|_| FORM)?;
    match (uri.scheme_str(), uri.host()) {
        (Some("http"), Some(_)) => Ok(()),
        (Some("https"), _) => Err("TLS is not supported here: use http:// to a collector beside this process"),
        _ => Err(FORM),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_send_nothing_anywhere() {
        assert_eq!(OtlpConfig::default().validate(), Ok(()));
        assert_eq!(OtlpConfig::default().endpoint, None);
    }

    #[test]
    fn each_impossible_value_is_named() {
        let defaults = OtlpConfig::default;
        let endpoint = |text: &str| OtlpConfig { endpoint: Some(text.to_owned()), ..defaults() };
        assert_eq!(endpoint("http://127.0.0.1:4317").validate(), Ok(()));
        let impossible = [
            ("endpoint", endpoint("https://collector:4317")),
            ("endpoint", endpoint("collector:4317")),
            ("endpoint", endpoint("")),
            ("sample_ratio", OtlpConfig { sample_ratio: 1.1, ..defaults() }),
            ("sample_ratio", OtlpConfig { sample_ratio: f64::NAN, ..defaults() }),
            ("queue_size", OtlpConfig { queue_size: 0, ..defaults() }),
            ("batch_size", OtlpConfig { batch_size: 4097, ..defaults() }),
            ("batch_delay", OtlpConfig { batch_delay: Duration::ZERO, ..defaults() }),
            ("timeout", OtlpConfig { timeout: Duration::MAX, ..defaults() }),
        ];
        for (key, config) in impossible {
            assert_eq!(config.validate().map_err(|invalid| invalid.key), Err(key.to_owned()));
        }
    }
}
