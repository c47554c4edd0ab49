//! Calls to the interfaces of payment channels: asking about a payment, giving money back.
//!
//! What is asked and what an answer means is the channels' own business (see [`crate::channels`]); here is how it goes over
//! the network: with a time limit, a limit on the answer, and to no address that is none of anybody's business.

use bytes::Bytes;
use common::{
    config::{Environment, Invalid},
    http::client::{AddressGuard, HttpCallError, HttpClient, HttpClientLimits},
};
use http::{Request, Response};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// `pay.channel_calls`: what one call to a channel may cost.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChannelCallsConfig {
    /// From the connection to the last byte of the answer.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// The longest answer that is read, in bytes. Protects memory.
    pub longest_answer: usize,
    /// Networks besides the public internet where a channel's interface may be. In development this machine may be called
    /// besides.
    pub allowed_networks: Vec<IpNet>,
}

/// Calls channels. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct ChannelCalls {
    client: HttpClient,
}

/// Channels can't be called.
#[derive(Debug, thiserror::Error)]
#[error("payment channels can't be called: {0}")]
pub(crate) struct ChannelCallsStartError(String);

impl Default for ChannelCallsConfig {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(5), longest_answer: 1024 * 1024, allowed_networks: Vec::new() }
    }
}

impl ChannelCallsConfig {
    pub(crate) fn validate(&self) -> Result<(), Invalid> {
        if self.timeout.is_zero() {
            return Err(Invalid::new("channel_calls.timeout", "must be longer than zero"));
        }
        if self.longest_answer < 1024 {
            return Err(Invalid::new("channel_calls.longest_answer", "must be at least 1024 bytes"));
        }
        Ok(())
    }
}

impl ChannelCalls {
    pub(crate) fn new(config: &ChannelCallsConfig, environment: Environment) -> Result<Self, ChannelCallsStartError> {
        let guard = AddressGuard::public_and(&config.allowed_networks, environment == Environment::Development);
        let limits = HttpClientLimits { timeout: config.timeout, longest_answer: config.longest_answer };
        let client = HttpClient::guarded(limits, guard).map_err(|error| ChannelCallsStartError(error.to_string()))?;
        Ok(Self { client })
    }

    /// Sends a request and reads the whole answer, whatever its status.
    pub(crate) async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpCallError> {
        self.client.send(request).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::HttpServer;

    #[tokio::test]
    async fn a_channel_is_called_within_limits_and_never_at_an_address_that_is_none_of_its_business() {
        let server = HttpServer::start(|_| (200, r#"{"code":"10000"}"#.to_owned())).await;
        let request =
            || Request::post(server.url("/gateway.do?a=1")).body(Bytes::from_static(b"x=1")).expect("a request");
        let config = ChannelCallsConfig::default();
        let calls = ChannelCalls::new(&config, Environment::Development).expect("starts");
        let answer = calls.send(request()).await.expect("an answer");
        assert_eq!((answer.status().as_u16(), &answer.body()[..]), (200, &br#"{"code":"10000"}"#[..]));
        let asked = server.received();
        assert!(asked[0].head.starts_with("POST /gateway.do?a=1 HTTP/1.1"), "{}", asked[0].head);
        assert_eq!(asked[0].body, "x=1");

        let calls = ChannelCalls::new(&config, Environment::Production).expect("starts");
        assert!(matches!(calls.send(request()).await, Err(HttpCallError::Forbidden)));
        assert_eq!(server.received().len(), 1);
    }

    #[test]
    fn limits_that_allow_nothing_are_refused_by_their_key() {
        let good = ChannelCallsConfig::default();
        assert!(good.validate().is_ok());
        let no_time = ChannelCallsConfig { timeout: Duration::ZERO, ..good.clone() };
        assert_eq!(no_time.validate().expect_err("refused").key, "channel_calls.timeout");
        let no_room = ChannelCallsConfig { longest_answer: 1, ..good };
        assert_eq!(no_room.validate().expect_err("refused").key, "channel_calls.longest_answer");
    }
}
