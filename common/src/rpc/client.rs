//! How the roles call each other: the client's list of layers, its order, and the choice of the transport.

use std::{fmt, sync::Arc, time::Duration};

use idl::{account::AccountServiceClient, pay::PayServiceClient, setting::SettingServiceClient};
use motore::layer::layer_fn;
use serde::{Deserialize, Serialize};
use volo::loadbalance::CustomLayer;
use volo_thrift::{client::ClientBuilder, transport::pool};

use super::{
    contract::Contract,
    contracts::{AccountContract, PayContract, SettingContract},
    frame::LimitedCodec,
    in_process::InProcess,
    layer::{ClientCalls, ClientDeadline, ClientTrace, PropagateContext, Unbox},
    metrics::ClientMetrics,
    outgoing::{MAX_TRIED, OutgoingLayer},
    server::ServerStack,
};
use crate::{
    clock::SharedRandom,
    config::{Invalid, Section},
    discovery::Discovery,
    governance::Governance,
};

/// Nobody waits longer for an answer.
const MAX_TIMEOUT: Duration = Duration::from_secs(3600);

/// The section `rpc`: how this process calls other roles.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClientConfig {
    /// The longest a call may take, connecting included. A call gets less when its own caller waits for less.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// The longest to wait for a connection. An instance that takes longer is treated as one that refused.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// Connections kept open per instance while nobody uses them. Beyond it they are closed after the call.
    pub max_idle_connections: usize,
    /// How long an unused connection is kept. Has to be shorter than `rpc_server.idle_timeout`, or a request may meet
    /// a connection that its server is just closing.
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
    /// Instances tried for one call, the first included, while nothing was sent: one that takes no connection costs no
    /// more than the time to find out. At most 16. Whether a call that was sent is sent again is in the rules
    /// (`callee.retry`).
    pub max_attempts: usize,
    /// How long an instance may take over a read before another one is asked, too, if the budget of `callee.retry`
    /// allows it; and how long nothing at all may be heard from it before its silence counts as a failure. Bounds what a
    /// hung instance costs; a good deal less than `gateway.verify_timeout`, or there is no time to ask.
    #[serde(with = "humantime_serde")]
    pub attempt_timeout: Duration,
    /// The largest answer that is read, in bytes. Beyond it the call fails and its connection is closed: protects this
    /// process's memory from a peer gone wrong.
    pub max_frame_bytes: usize,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(2),
            connect_timeout: Duration::from_millis(500),
            max_idle_connections: 256,
            idle_timeout: Duration::from_secs(15),
            max_attempts: 3,
            attempt_timeout: Duration::from_millis(300),
            max_frame_bytes: 16 * 1024 * 1024,
        }
    }
}

impl Section for ClientConfig {
    const NAME: &'static str = "rpc";

    fn validate(&self) -> Result<(), Invalid> {
        let positive = [
            ("timeout", self.timeout),
            ("connect_timeout", self.connect_timeout),
            ("idle_timeout", self.idle_timeout),
            ("attempt_timeout", self.attempt_timeout),
        ];
        for (key, value) in positive {
            if value.is_zero() {
                return Err(Invalid::new(key, "must be longer than zero"));
            }
        }
        if self.timeout > MAX_TIMEOUT {
            return Err(Invalid::new("timeout", "must not be longer than an hour"));
        }
        if self.connect_timeout > self.timeout {
            return Err(Invalid::new("connect_timeout", "must not be longer than `timeout`, which includes it"));
        }
        if !(1..=MAX_TRIED).contains(&self.max_attempts) {
            return Err(Invalid::new("max_attempts", "must be from 1 to 16"));
        }
        if self.max_frame_bytes < 64 * 1024 {
            return Err(Invalid::new("max_frame_bytes", "must be at least 65536, or errors can't be read"));
        }
        Ok(())
    }
}

/// What clients need from the process.
#[derive(Clone, Debug)]
pub struct ClientParts {
    /// The role that calls, for the callee's log.
    pub caller: &'static str,
    /// For trace ids of calls that belong to no request, and for jitter.
    pub random: SharedRandom,
    /// Where calls are counted.
    pub metrics: ClientMetrics,
    /// The rules that this is governed by.
    pub governance: Governance,
}

/// How a client reaches its service.
pub enum Transport<C: Contract> {
    /// The service runs in this process: no socket, nothing serialised, the semantics of the wire.
    InProcess(ServerStack<C>),
    /// Over TCP, to one of the instances that discovery knows.
    Wire(Arc<dyn Discovery>),
}

/// A client of the account service. Needs a running tokio runtime.
pub fn account_client(
    transport: Transport<AccountContract>,
    config: &ClientConfig,
    parts: &ClientParts,
) -> AccountServiceClient {
    client(transport, config, parts)
}

/// A client of the setting service. Needs a running tokio runtime.
pub fn setting_client(
    transport: Transport<SettingContract>,
    config: &ClientConfig,
    parts: &ClientParts,
) -> SettingServiceClient {
    client(transport, config, parts)
}

/// A client of the pay service. Needs a running tokio runtime.
pub fn pay_client(transport: Transport<PayContract>, config: &ClientConfig, parts: &ClientParts) -> PayServiceClient {
    client(transport, config, parts)
}

/// The layers around every call, outermost first.
fn client<C: Contract>(transport: Transport<C>, config: &ClientConfig, parts: &ClientParts) -> C::Client {
    let ClientParts { caller, random, metrics, .. } = parts.clone();
    let timeout = config.timeout;
    let calls = metrics.calls;
    let builder = ClientBuilder::<_, _, C::MakeClient, C::RequestSend, C::ResponseRecv, _, _, _>::new(
        C::SERVICE,
        C::make_client(),
    )
    .caller_name(caller)
    // volo sets no limit where none is given, whatever its documentation says: each is given or known to be elsewhere.
    .connect_timeout(Some(config.connect_timeout))
    // Only marks sockets in a way that has no effect on non-blocking ones; the deadline covers reading and writing.
    .read_write_timeout(None)
    // Replaced by our deadline, whose expiry is an outcome of its own and not the text of an exception.
    .rpc_timeout(None)
    .disable_timeout_layer()
    .pool_config(pool::Config::new(config.max_idle_connections, config.idle_timeout))
    .make_codec(LimitedCodec::new(config.max_frame_bytes, None))
    // Outermost: every outcome is counted, those of the layers below included.
    .layer_outer(layer_fn(move |service| ClientCalls::<C, _>::new(service, &calls)))
    // Outside the deadline, so that its expiry is the end of the span, and outside the choice of the instance, so that
    // the callee's span hangs on this one whichever it is.
    .layer_outer(layer_fn(ClientTrace::<C, _>::new))
    // Around everything that can take time: waiting for a permit or for a second instance is on the caller's clock.
    .layer_outer(layer_fn(move |service| ClientDeadline::new(service, timeout, Arc::clone(&random))))
    // The last of ours: what is below knows nothing of the box that `ClientCalls` puts the request into.
    .layer_outer(layer_fn(Unbox::new))
    // Below the choice of the instance, on the wire only: in process the context is a value that is simply there.
    .layer_inner(layer_fn(PropagateContext::new));
    match transport {
        // Nothing in between: there is no other instance to ask, a breaker could only refuse what a function call would
        // have answered, and how many requests the process takes at once is for its servers to say, who shed.
        Transport::InProcess(stack) => builder.mk_load_balance(CustomLayer(InProcess::new(stack))).build(),
        // Repeats, breaker, bulkhead and the choice of the instance, in the order that is written there.
        Transport::Wire(discovery) => {
            let outgoing = OutgoingLayer::<C>::new(&*discovery, config, parts);
            builder.mk_load_balance(CustomLayer(outgoing)).build()
        }
    }
}

impl<C: Contract> fmt::Debug for Transport<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InProcess(stack) => f.debug_tuple("InProcess").field(stack).finish(),
            Self::Wire(_) => f.debug_tuple("Wire").field(&C::SERVICE).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_each_impossible_value_is_named() {
        let defaults = ClientConfig::default();
        assert_eq!(defaults.validate(), Ok(()));
        let second = Duration::from_secs(1);
        let impossible = [
            ("timeout", ClientConfig { timeout: Duration::ZERO, ..defaults.clone() }),
            ("timeout", ClientConfig { timeout: Duration::MAX, ..defaults.clone() }),
            ("connect_timeout", ClientConfig { connect_timeout: 3 * second, ..defaults.clone() }),
            ("max_attempts", ClientConfig { max_attempts: 0, ..defaults.clone() }),
            ("attempt_timeout", ClientConfig { attempt_timeout: Duration::ZERO, ..defaults.clone() }),
            ("max_attempts", ClientConfig { max_attempts: 17, ..defaults.clone() }),
            ("max_frame_bytes", ClientConfig { max_frame_bytes: 1, ..defaults }),
        ];
        for (key, config) in impossible {
            assert_eq!(config.validate().map_err(|invalid| invalid.key), Err(key.to_owned()));
        }
    }
}
