//! The limits and timeouts of an HTTP listener.

use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::config::Invalid;

/// The least header limit that still lets a token, a signature and a proxy's headers through.
const MIN_HEADER_LIMIT: usize = 8 * 1024;

/// The limits of one HTTP listener, embedded in the section of whoever opens it (`gateway.edge`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EdgeConfig {
    /// Connections that may be open at once; each costs a descriptor and up to `header_limit` of memory. Beyond it
    /// new connections wait in the kernel's queue until one closes. Keep it below the descriptor limit of the process.
    pub max_connections: usize,
    /// Connections that one client address (IPv6: one /64 network) may have open at once, so that a single client
    /// can't take all of them. Beyond it a new one is closed at once. Trusted proxies, loopback and the unix socket
    /// are exempt. A carrier's address may stand for thousands of players: do not set it low.
    pub max_connections_per_address: usize,
    /// Bytes of a request's head (request line and headers). Beyond it: 431 and the connection closes.
    pub header_limit: usize,
    /// Bytes of a request's body, declared or chunked. Beyond it: 413 and the connection closes.
    pub body_limit: usize,
    /// From the first byte of a head to its end. A slower sender is cut: it would hold a connection for nothing.
    #[serde(with = "humantime_serde")]
    pub header_timeout: Duration,
    /// How long a connection may stay open without a request. Set it above the keep-alive time of the load balancer
    /// in front, or the two race and the balancer reports errors.
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
    /// How long a client may refuse to take a byte of its answer. A slower reader is cut.
    #[serde(with = "humantime_serde")]
    pub write_timeout: Duration,
    /// From the end of the head to the start of the answer, the reading of the body included. Beyond it: 504 and the
    /// connection closes. It is also the deadline that RPC calls inherit.
    #[serde(with = "humantime_serde")]
    pub request_timeout: Duration,
    /// The networks our own proxies and callers live in. Only their `X-Forwarded-For`, `traceparent`, `baggage` and
    /// `X-Request-Timeout-Ms` are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// After accepting has stopped: how long a connection may go on before it counts as idle and is closed.
    /// Answers say `Connection: close` by then, so a busy connection ends by itself.
    #[serde(with = "humantime_serde")]
    pub drain_linger: Duration,
    /// After that: how long requests in flight may still take before their connections are cut.
    #[serde(with = "humantime_serde")]
    pub drain_timeout: Duration,
}

impl Default for EdgeConfig {
    fn default() -> Self {
        Self {
            max_connections: 10_000,
            max_connections_per_address: 1_000,
            header_limit: 64 * 1024,
            body_limit: 1024 * 1024,
            header_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(75),
            write_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(10),
            trusted_proxies: Vec::new(),
            drain_linger: Duration::from_millis(200),
            drain_timeout: Duration::from_secs(20),
        }
    }
}

impl EdgeConfig {
    /// Checks ranges and relations. `prefix` is where this table sits in its section (`edge`).
    pub fn validate(&self, prefix: &str) -> Result<(), Invalid> {
        let refuse = |key: &str, reason: &str| Err(Invalid::new(format!("{prefix}.{key}"), reason));
        for (key, limit) in [
            ("max_connections", self.max_connections),
            ("max_connections_per_address", self.max_connections_per_address),
            ("body_limit", self.body_limit),
        ] {
            if limit == 0 {
                return refuse(key, "must be at least 1");
            }
        }
        if self.max_connections > tokio::sync::Semaphore::MAX_PERMITS {
            return refuse("max_connections", "is more than can be counted");
        }
        if self.header_limit < MIN_HEADER_LIMIT {
            return refuse("header_limit", "must be at least 8192 bytes, or ordinary requests are refused");
        }
        for (key, timeout) in [
            ("header_timeout", self.header_timeout),
            ("write_timeout", self.write_timeout),
            ("request_timeout", self.request_timeout),
        ] {
            if timeout.is_zero() {
                return refuse(key, "must be longer than zero");
            }
        }
        if self.idle_timeout < self.header_timeout {
            return refuse("idle_timeout", "must not be shorter than header_timeout: it covers the head as well");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_each_bad_value_is_named() {
        assert_eq!(EdgeConfig::default().validate("edge"), Ok(()));
        let zero = Duration::ZERO;
        let bad = [
            ("max_connections", EdgeConfig { max_connections: 0, ..EdgeConfig::default() }),
            ("max_connections", EdgeConfig { max_connections: usize::MAX, ..EdgeConfig::default() }),
            ("max_connections_per_address", EdgeConfig { max_connections_per_address: 0, ..EdgeConfig::default() }),
            ("body_limit", EdgeConfig { body_limit: 0, ..EdgeConfig::default() }),
            ("header_limit", EdgeConfig { header_limit: 100, ..EdgeConfig::default() }),
            ("header_timeout", EdgeConfig { header_timeout: zero, ..EdgeConfig::default() }),
            ("write_timeout", EdgeConfig { write_timeout: zero, ..EdgeConfig::default() }),
            ("request_timeout", EdgeConfig { request_timeout: zero, ..EdgeConfig::default() }),
            ("idle_timeout", EdgeConfig { idle_timeout: Duration::from_secs(1), ..EdgeConfig::default() }),
        ];
        for (key, config) in bad {
            assert_eq!(config.validate("edge").unwrap_err().key, format!("edge.{key}"));
        }
    }

    #[test]
    fn durations_are_written_as_people_write_them() {
        let text =
            "max_connections = 5\nheader_timeout = '250ms'\nidle_timeout = '1m'\ntrusted_proxies = ['10.0.0.0/8']";
        let config: EdgeConfig = toml::from_str(text).unwrap();
        assert_eq!(config.header_timeout, Duration::from_millis(250));
        assert_eq!(config.idle_timeout, Duration::from_secs(60));
        assert_eq!(config.body_limit, 1024 * 1024);
        assert!(toml::from_str::<EdgeConfig>("no_such_key = 1").is_err());
    }
}
