//! What happens around every handler, on both transports: the server's list of layers and its order.

use std::{fmt, sync::Arc};

use motore::service::BoxService;
use tokio_util::task::TaskTracker;
use volo_thrift::{ServerError, context::ServerContext};

use super::{
    contract::{Contract, Handler},
    layer::{CatchPanic, Seal, ServerCalls, ServerDeadline, ServerTrace, Shed, Unbox},
    metrics::ServerMetrics,
};
use crate::{
    clock::SharedRandom,
    governance::{Governance, shedding::Gates},
};

/// What servers need from the process.
#[derive(Clone, Debug)]
pub struct ServerParts {
    /// For the trace ids of callers that send none.
    pub random: SharedRandom,
    /// Where calls are counted.
    pub metrics: ServerMetrics,
    /// Tracks writes that go on after their caller has given up, so that the process waits for them before it ends.
    pub tasks: TaskTracker,
    /// The rules that this is governed by.
    pub governance: Governance,
    /// Where the gates of services come from that are called over the wire. None for those that are called in process:
    /// what calls them was let in already, by the gate of the edge.
    pub gates: Option<Gates>,
}

/// The service inside a [`ServerStack`].
pub(super) type StackService<C> =
    Arc<BoxService<ServerContext, Box<<C as Contract>::RequestRecv>, <C as Contract>::ResponseSend, ServerError>>;

/// A handler with everything that happens around it. Cloned cheaply; served on the wire by [`serve`](super::serve()) and
/// called directly through [`Transport::InProcess`](super::Transport).
pub struct ServerStack<C: Contract> {
    pub(super) service: StackService<C>,
    pub(super) parts: ServerParts,
}

/// Builds the stack around `handler`. Read from the bottom up, it is the way of a request.
pub fn server_stack<C: Contract, H: Handler<C>>(handler: H, parts: &ServerParts) -> ServerStack<C> {
    let service = handler.into_service();
    // Innermost: every layer around it holds a pointer to the request instead of the request.
    let service = Unbox::new(service);
    // The per-app quotas join here, nearest the handler: only here is the caller's identity known.
    // Nearest the handler: time spent in the layers above counts, and no layer above sees a call cut in the middle.
    let service = ServerDeadline::<C, _>::new(service);
    // Outside the deadline: what is cut off there has left in order, and a deadline that ran out while waiting for room is
    // found there before any work is done. Inside the counting, because refusals are what one looks for when things are
    // slow. A rate limit joins here.
    let service = Shed::<C, _>::new(service, parts.gates.as_ref().map(|gates| gates.open(C::SERVICE)));
    // Outside everything that can refuse or fail, so that every outcome is counted.
    let service = ServerCalls::<C, _>::new(service, &parts.metrics.calls);
    // Around the counting, so that what a call waits for is inside its span, and a refusal of any layer below is one.
    let service = ServerTrace::<C, _>::new(service);
    // Around everything of ours that runs per call: a bug in any layer is an answer, not a dropped connection.
    let service = CatchPanic::<C, _>::new(service, parts.metrics.panics.clone());
    // Outermost: whatever any layer answered, what leaves is a result or a business error, the same on both transports.
    let service = Seal::new(service);
    ServerStack { service: Arc::new(BoxService::new(service)), parts: parts.clone() }
}

impl<C: Contract> Clone for ServerStack<C> {
    fn clone(&self) -> Self {
        Self { service: Arc::clone(&self.service), parts: self.parts.clone() }
    }
}

impl<C: Contract> fmt::Debug for ServerStack<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerStack").field("service", &C::SERVICE).finish_non_exhaustive()
    }
}
