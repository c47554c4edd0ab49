//! Chooses the instance for a call: weighted round robin over what discovery knows.
//!
//! In place of volo's own balancer, which turns every lost connection into the same exception and repeats calls that
//! may have been carried out. Here the error keeps saying what happened, and another instance is tried only when
//! nothing was sent. The choice by load (power of two choices) joins in `take_next`.

use std::{
    fmt,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use motore::{Service, layer::Layer};
use prometheus::IntCounter;
use tokio::{sync::watch, time::Instant};
use volo::{context::Context, net::Address};
use volo_thrift::{ClientError, context::ClientContext};

use super::{client::ClientConfig, ejection::Ejections, error::CallError, metrics::ClientMetrics};
use crate::{
    clock::SharedRandom,
    discovery::{Discovery, Instances},
};

/// Puts the choice above a socket transport.
pub(super) struct BalanceLayer(Arc<Balance>);

/// The transport with the choice above it.
#[derive(Clone)]
pub(super) struct Balanced<S> {
    inner: S,
    balance: Arc<Balance>,
}

struct Balance {
    service: &'static str,
    instances: watch::Receiver<Arc<Instances>>,
    ejections: Mutex<Ejections>,
    /// Counts calls: where the next one starts in the ring of weights.
    turn: AtomicU64,
    max_attempts: usize,
    random: SharedRandom,
    moved_on: IntCounter,
    ejected: IntCounter,
}

impl BalanceLayer {
    pub(super) fn new(
        service: &'static str,
        discovery: &dyn Discovery,
        config: &ClientConfig,
        metrics: &ClientMetrics,
        random: SharedRandom,
    ) -> Self {
        let ejections = Ejections::new(config.ejection_time, config.max_ejection_time, config.connect_timeout);
        // Clients that start together must not walk the instances in step.
        let first_turn = crate::clock::random_bytes(&*random);
        Self(Arc::new(Balance {
            service,
            instances: discovery.watch(service),
            ejections: Mutex::new(ejections),
            turn: AtomicU64::new(u64::from(u32::from_ne_bytes(first_turn))),
            max_attempts: config.max_attempts,
            random,
            moved_on: metrics.moved_on.with_label_values(&[service]),
            ejected: metrics.ejections.with_label_values(&[service]),
        }))
    }
}

impl<S> Layer<S> for BalanceLayer {
    type Service = Balanced<S>;

    fn layer(self, inner: S) -> Balanced<S> {
        Balanced { inner, balance: self.0 }
    }
}

impl<S, Request> Service<ClientContext, Request> for Balanced<S>
where
    S: Service<ClientContext, Request, Error = ClientError> + Send + Sync,
    S::Response: Send,
    Request: Clone + Send + Sync,
{
    type Response = S::Response;
    type Error = ClientError;

    async fn call(&self, cx: &mut ClientContext, request: Request) -> Result<S::Response, ClientError> {
        let balance = &*self.balance;
        let mut untried = balance.instances_in_turn();
        let mut refusals = String::new();
        for attempt in 0..balance.max_attempts {
            let Some(address) = balance.take_next(&mut untried) else { break };
            if attempt > 0 {
                balance.moved_on.inc();
            }
            cx.rpc_info_mut().callee_mut().set_address(Address::from(address));
            match self.inner.call(cx, request.clone()).await {
                Err(ClientError::Transport(refusal)) if !was_sent(cx) => {
                    balance.refused(address);
                    refusals = format!("{refusals}{address}: {}; ", refusal.kind());
                }
                Err(ClientError::Transport(lost)) => {
                    balance.accepted(address);
                    return Err(CallError::LostAfterSend { cause: format!("{address}: {}", lost.kind()) }.into());
                }
                result => {
                    balance.accepted(address);
                    return result;
                }
            }
        }
        let none = || format!("no instance of {} is known", balance.service);
        Err(CallError::NotSent { cause: if refusals.is_empty() { none() } else { refusals } }.into())
    }
}

/// Whether a connection was there to send on. volo notes the time once it has one; the context is new for every call,
/// and a call ends with its first attempt that gets this far.
fn was_sent(cx: &ClientContext) -> bool {
    cx.stats.make_transport_end_at().is_some()
}

impl Balance {
    /// What discovery knows now, from the instance whose turn it is.
    fn instances_in_turn(&self) -> Vec<SocketAddr> {
        let instances = Arc::clone(&self.instances.borrow());
        in_turn(&instances, self.turn.fetch_add(1, Ordering::Relaxed))
    }

    /// The next instance to try: the first in good standing, else the first of all, because trying one that refused
    /// lately is better than not trying.
    fn take_next(&self, untried: &mut Vec<SocketAddr>) -> Option<SocketAddr> {
        let (now, mut ejections) = (Instant::now(), self.ejections());
        let good = untried.iter().position(|address| ejections.admits(*address, now));
        (!untried.is_empty()).then(|| untried.remove(good.unwrap_or(0)))
    }

    fn accepted(&self, address: SocketAddr) {
        self.ejections().accepted(address);
    }

    fn refused(&self, address: SocketAddr) {
        let known: Vec<_> = self.instances.borrow().iter().map(|instance| instance.address).collect();
        let spread = 0.8 + 0.4 * self.random.fraction();
        if self.ejections().refused(address, &known, spread, Instant::now()) {
            self.ejected.inc();
        }
    }

    fn ejections(&self) -> MutexGuard<'_, Ejections> {
        // Bookkeeping that a panic interrupted is still good enough to choose by.
        self.ejections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The addresses with a weight, from the one that has this turn, each once. Over as many turns as there is weight,
/// each is first as often as its weight says.
fn in_turn(instances: &Instances, turn: u64) -> Vec<SocketAddr> {
    let weighted: Vec<_> = instances.iter().filter(|instance| instance.weight > 0).collect();
    let total: u64 = weighted.iter().map(|instance| u64::from(instance.weight)).sum();
    let mut rest = turn.checked_rem(total).unwrap_or(0);
    let first = weighted.iter().position(|instance| {
        let found = rest < u64::from(instance.weight);
        rest = rest.saturating_sub(u64::from(instance.weight));
        found
    });
    let (before, from) = weighted.split_at(first.unwrap_or(0));
    from.iter().chain(before).map(|instance| instance.address).collect()
}

impl fmt::Debug for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Balance").field("service", &self.service).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discovery::Instance;

    fn instance(port: u16, weight: u32) -> Instance {
        Instance { weight, ..Instance::at(SocketAddr::from(([127, 0, 0, 1], port))) }
    }

    #[test]
    fn each_instance_is_first_as_often_as_its_weight_says() {
        let instances = Instances::new(vec![instance(1, 1), instance(2, 3), instance(3, 0)]);
        let firsts: Vec<_> = (0..8).map(|turn| in_turn(&instances, turn)[0].port()).collect();
        assert_eq!(firsts, [1, 2, 2, 2, 1, 2, 2, 2]);
    }

    #[test]
    fn every_instance_with_a_weight_is_tried_once() {
        let instances = Instances::new(vec![instance(1, 1), instance(2, 1), instance(3, 0), instance(4, 1)]);
        let ports: Vec<_> = in_turn(&instances, 1).iter().map(SocketAddr::port).collect();
        assert_eq!(ports, [2, 4, 1]);
        assert!(in_turn(&Instances::default(), 7).is_empty());
    }
}
