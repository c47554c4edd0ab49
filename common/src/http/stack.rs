//! The order of everything around a handler, written once.

use std::sync::Arc;

use prometheus::Registry;

use super::{
    AccessLog, AccountOfRequest, BodyLimit, EdgeLimits, Front, RouteClasses, TrustedNetworks, body_limit::LargerBodies,
    edge::EdgeConfig,
};
use crate::{
    clock::{SharedClock, SharedRandom},
    governance::{Governance, limits::Limits},
};

/// What the layers need from outside.
#[derive(Clone, Debug)]
pub struct HttpParts {
    /// Tells the time of access records.
    pub clock: SharedClock,
    /// Seeds the request ids.
    pub random: SharedRandom,
    /// Where the metrics are registered.
    pub registry: Registry,
    /// Where requests are recorded.
    pub access_log: Arc<dyn AccessLog>,
    /// Which listener this is (`public`, `operator`): a label of the metrics.
    pub listener: &'static str,
    /// Paths whose bodies may be larger than [`EdgeConfig::body_limit`].
    pub larger_bodies: Vec<LargerBodies>,
    /// The rules that this is governed by.
    pub governance: Governance,
    /// Knows whose a request is, for rules that send accounts to lanes. Absent: nobody's account is known here.
    pub accounts: Option<Arc<dyn AccountOfRequest>>,
    /// Who may ask how often; none for listeners of operators, who must get in when everything else is refused.
    pub limits: Option<Limits>,
    /// What the routes are for, as far as limits ask.
    pub classes: RouteClasses,
}

/// A service with everything around it.
pub type HttpStack<S> = Front<EdgeLimits<BodyLimit<S>>>;

/// Everything that happens around a handler. Written as it is wrapped: innermost first, so read it from the bottom for
/// the way of a request.
///
/// `service` is the router ([`Routes::into_router`](super::Routes::into_router)), inside whatever `Extension`s its
/// handlers take. The connection itself (caps, timeouts, drain) is the business of [`edge`](super::edge), outside of
/// all this.
///
/// # Errors
/// When the registry already has the metrics of a listener of that name.
pub fn http_stack<S>(service: S, config: &EdgeConfig, parts: &HttpParts) -> Result<HttpStack<S>, prometheus::Error> {
    // Limits per account, device, app and partner stand where the caller has shown who it is: inside of the extractors and
    // handlers.

    // Shedding by priority stands at the head of each route (`Routes::behind`), where the class of a request is known and
    // nothing of its body is read; so inside the limits per address, which keep one flooder from filling its queues, and
    // outside those that have to know who asks.

    // Counted bytes and not declared ones, inside everything that answers early: a refusal below costs no reading.
    let service = BodyLimit::new(service, config.body_limit).with_larger(&parts.larger_bodies);

    // Needs the client address of the front layer and nothing of the body: whoever floods costs the least.
    let proxies = TrustedNetworks::new(&config.trusted_proxies);
    let service = EdgeLimits::new(service, parts.limits.clone(), parts.classes.clone(), proxies);

    // CORS joins here, outside all refusals: a browser may only show an error whose headers allow it to.

    // Outermost. It gives the request its identity, so that every refusal below carries the request id; its deadline,
    // so that nothing below outlives it; its lane, which every call below goes by; and it counts and records what finally
    // goes out, a panic of any layer included.
    Front::new(service, config, parts)
}
