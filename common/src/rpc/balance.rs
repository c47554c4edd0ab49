//! Chooses the instance for a call: weighted round robin over what discovery knows.
//!
//! In place of volo's own balancer, which turns every lost connection into the same exception and repeats calls that
//! may have been carried out. Here the error keeps saying what happened, and another instance is tried only
//!
//! - when nothing was sent: always;
//! - when the answer is lost, or does not come: for a read, once.
//!
//! The choice by load (power of two choices) joins in `next`.

use std::{
    fmt::{self, Write as _},
    marker::PhantomData,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use motore::{Service, layer::Layer};
use prometheus::IntCounter;
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};
use volo::{context::Context, net::Address};
use volo_thrift::{ClientError, context::ClientContext};

use super::{
    client::ClientConfig,
    contract::{Contract, Effect},
    ejection::{Ejections, Rules},
    error::CallError,
    metrics::{ClientMetrics, EjectionReason},
};
use crate::{
    clock::SharedRandom,
    discovery::{Discovery, Instances},
};

/// Puts the choice above a socket transport.
pub(super) struct BalanceLayer<C> {
    balance: Arc<Balance>,
    contract: PhantomData<C>,
}

/// The transport with the choice above it.
pub(super) struct Balanced<C, S> {
    inner: S,
    balance: Arc<Balance>,
    contract: PhantomData<C>,
}

struct Balance {
    service: &'static str,
    instances: watch::Receiver<Arc<Instances>>,
    ejections: Mutex<Ejections>,
    /// Counts calls: where the next one starts in the ring of weights.
    turn: AtomicU64,
    max_attempts: usize,
    attempt_timeout: Duration,
    random: SharedRandom,
    moved_on: IntCounter,
    repeated: IntCounter,
    refusing: IntCounter,
    silent: IntCounter,
}

/// One call's way from instance to instance.
struct Walk {
    effect: Effect,
    untried: Vec<SocketAddr>,
    attempts_left: usize,
    /// Instances that took the request and did not answer it.
    unanswered: usize,
    /// For the log: who did what.
    story: String,
}

/// Where a call goes next.
struct Step {
    address: SocketAddr,
    /// How long it is waited for before the question goes to somebody else; absent, there is nobody else.
    patience: Option<Duration>,
}

/// What became of a call at one instance.
enum Attempt<T> {
    Answered(Result<T, ClientError>),
    /// Nothing was sent.
    Refused(String),
    /// It was sent, and the answer is lost or late.
    Unanswered(String),
}

/// An attempt under way. Dropped in the middle, because nobody waits for the call any more, it counts as unanswered if
/// it had its time.
struct UnderWay<'a> {
    balance: &'a Balance,
    address: SocketAddr,
    began: Instant,
    is_over: bool,
}

impl<C: Contract> BalanceLayer<C> {
    pub(super) fn new(
        discovery: &dyn Discovery,
        config: &ClientConfig,
        metrics: &ClientMetrics,
        random: SharedRandom,
    ) -> Self {
        let rules = Rules {
            shortest: config.ejection_time,
            longest: config.max_ejection_time,
            trial: config.connect_timeout.max(config.attempt_timeout),
            unanswered: config.max_unanswered,
        };
        // Clients that start together must not walk the instances in step.
        let first_turn = crate::clock::random_bytes(&*random);
        let balance = Balance {
            service: C::SERVICE,
            instances: discovery.watch(C::SERVICE),
            ejections: Mutex::new(Ejections::new(rules)),
            turn: AtomicU64::new(u64::from(u32::from_ne_bytes(first_turn))),
            max_attempts: config.max_attempts,
            attempt_timeout: config.attempt_timeout,
            random,
            moved_on: metrics.moved_on.with_label_values(&[C::SERVICE]),
            repeated: metrics.repeated.with_label_values(&[C::SERVICE]),
            refusing: metrics.ejections(C::SERVICE, EjectionReason::Refused),
            silent: metrics.ejections(C::SERVICE, EjectionReason::Unanswered),
        };
        Self { balance: Arc::new(balance), contract: PhantomData }
    }
}

impl<C, S> Layer<S> for BalanceLayer<C> {
    type Service = Balanced<C, S>;

    fn layer(self, inner: S) -> Balanced<C, S> {
        Balanced { inner, balance: self.balance, contract: PhantomData }
    }
}

impl<C, S: Clone> Clone for Balanced<C, S> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), balance: Arc::clone(&self.balance), contract: PhantomData }
    }
}

impl<C, S> Service<ClientContext, C::RequestSend> for Balanced<C, S>
where
    C: Contract,
    S: Service<ClientContext, C::RequestSend, Error = ClientError> + Send + Sync,
    S::Response: Send,
{
    type Response = S::Response;
    type Error = ClientError;

    async fn call(&self, cx: &mut ClientContext, request: C::RequestSend) -> Result<S::Response, ClientError> {
        let mut walk = self.balance.walk(C::sent(&request).effect);
        while let Some(step) = self.balance.next(&mut walk) {
            match self.attempt(cx, &step, request.clone()).await {
                Attempt::Answered(result) => return result,
                Attempt::Refused(why) => walk.note(step.address, &why),
                Attempt::Unanswered(why) => {
                    walk.unanswered += 1;
                    walk.note(step.address, &why);
                }
            }
        }
        Err(walk.failure(self.balance.service).into())
    }
}

impl<C: Contract, S> Balanced<C, S>
where
    S: Service<ClientContext, C::RequestSend, Error = ClientError> + Send + Sync,
    S::Response: Send,
{
    async fn attempt(&self, cx: &mut ClientContext, step: &Step, request: C::RequestSend) -> Attempt<S::Response> {
        cx.rpc_info_mut().callee_mut().set_address(Address::from(step.address));
        // What volo has noted of the attempt before this one.
        cx.stats.reset();
        let under_way = self.balance.begin(step.address);
        let outcome = match step.patience {
            None => Ok(self.inner.call(cx, request).await),
            Some(patience) => timeout(patience, self.inner.call(cx, request)).await,
        };
        let (is_sent, silence) = (was_sent(cx), "silence");
        match outcome {
            Ok(Err(ClientError::Transport(lost))) => under_way.failed(is_sent, lost.kind().to_string()),
            Ok(result) => under_way.answered(result),
            Err(_elapsed) => under_way.failed(is_sent, silence.to_owned()),
        }
    }
}

/// Whether a connection was there to send on: volo notes the time once it has one.
fn was_sent(cx: &ClientContext) -> bool {
    cx.stats.make_transport_end_at().is_some()
}

impl Walk {
    fn note(&mut self, address: SocketAddr, why: &str) {
        // Writing to a string does not fail.
        let _ = write!(self.story, "{address}: {why}; ");
    }

    fn failure(self, service: &str) -> CallError {
        let cause = if self.story.is_empty() { format!("no instance of {service} is known") } else { self.story };
        if self.unanswered > 0 { CallError::LostAfterSend { cause } } else { CallError::NotSent { cause } }
    }
}

impl Balance {
    fn walk(&self, effect: Effect) -> Walk {
        let (untried, attempts_left) = (self.instances_in_turn(), self.max_attempts);
        Walk { effect, untried, attempts_left, unanswered: 0, story: String::new() }
    }

    /// The next instance to try. As long as nothing was sent that is the first in good standing, else the first of
    /// all, because trying one that refused lately is better than not trying. A read that was left unanswered goes to
    /// one more that answers; a write that was, to none.
    fn next(&self, walk: &mut Walk) -> Option<Step> {
        let (now, mut ejections) = (Instant::now(), self.ejections());
        if walk.untried.is_empty() || walk.attempts_left == 0 {
            return None;
        }
        let place = match (walk.unanswered, walk.effect) {
            (0, effect) => {
                let good = |address: &SocketAddr| ejections.admits(*address, effect, now);
                walk.untried.iter().position(good).unwrap_or(0)
            }
            (1, Effect::Read) => walk.untried.iter().position(|address| ejections.answers(*address))?,
            _ => return None,
        };
        if walk.unanswered > 0 {
            self.repeated.inc();
        } else if walk.attempts_left < self.max_attempts {
            self.moved_on.inc();
        }
        walk.attempts_left -= 1;
        let address = walk.untried.remove(place);
        let may_repeat = walk.effect == Effect::Read && walk.unanswered == 0 && walk.attempts_left > 0;
        let has_other = may_repeat && walk.untried.iter().any(|address| ejections.answers(*address));
        Some(Step { address, patience: has_other.then_some(self.attempt_timeout) })
    }

    fn begin(&self, address: SocketAddr) -> UnderWay<'_> {
        UnderWay { balance: self, address, began: Instant::now(), is_over: false }
    }

    /// What discovery knows now, from the instance whose turn it is.
    fn instances_in_turn(&self) -> Vec<SocketAddr> {
        let instances = Arc::clone(&self.instances.borrow());
        self.ejections().follow(&instances);
        in_turn(&instances, self.turn.fetch_add(1, Ordering::Relaxed))
    }

    fn refused(&self, address: SocketAddr) {
        let (known, spread) = (self.known(), self.spread());
        if self.ejections().refused(address, &known, spread, Instant::now()) {
            self.refusing.inc();
        }
    }

    fn left_unanswered(&self, address: SocketAddr, began: Instant) {
        let (known, spread) = (self.known(), self.spread());
        if self.ejections().left_unanswered(address, began, &known, spread, Instant::now()) {
            self.silent.inc();
        }
    }

    fn known(&self) -> Vec<SocketAddr> {
        self.instances.borrow().iter().map(|instance| instance.address).collect()
    }

    fn spread(&self) -> f64 {
        0.8 + 0.4 * self.random.fraction()
    }

    fn ejections(&self) -> MutexGuard<'_, Ejections> {
        // Bookkeeping that a panic interrupted is still good enough to choose by.
        self.ejections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl UnderWay<'_> {
    fn answered<T>(mut self, result: Result<T, ClientError>) -> Attempt<T> {
        self.is_over = true;
        self.balance.ejections().answered(self.address, Instant::now());
        Attempt::Answered(result)
    }

    fn failed<T>(mut self, is_sent: bool, why: String) -> Attempt<T> {
        self.is_over = true;
        if is_sent {
            self.balance.left_unanswered(self.address, self.began);
            Attempt::Unanswered(why)
        } else {
            self.balance.refused(self.address);
            Attempt::Refused(why)
        }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if !self.is_over && self.began.elapsed() >= self.balance.attempt_timeout {
            self.balance.left_unanswered(self.address, self.began);
        }
    }
}

/// The addresses with a weight, from the one that has this turn, each once. Over as many turns as there is weight,
/// each is first as often as its weight says.
///
/// Where none has a weight, all have the same: whoever knows the instances is believed about who is there, never about
/// nobody being there.
fn in_turn(instances: &Instances, turn: u64) -> Vec<SocketAddr> {
    let mut weighted: Vec<_> =
        instances.iter().map(|instance| (instance.address, u64::from(instance.weight))).collect();
    if weighted.iter().all(|(_, weight)| *weight == 0) {
        weighted.iter_mut().for_each(|(_, weight)| *weight = 1);
    }
    weighted.retain(|(_, weight)| *weight > 0);
    let total: u64 = weighted.iter().map(|(_, weight)| weight).sum();
    let mut rest = turn.checked_rem(total).unwrap_or(0);
    let first = weighted.iter().position(|(_, weight)| {
        let found = rest < *weight;
        rest = rest.saturating_sub(*weight);
        found
    });
    let (before, from) = weighted.split_at(first.unwrap_or(0));
    from.iter().chain(before).map(|(address, _)| *address).collect()
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
    fn where_no_instance_has_a_weight_all_get_calls_alike() {
        let instances = Instances::new(vec![instance(1, 0), instance(2, 0), instance(3, 0)]);
        let firsts: Vec<_> = (0..6).map(|turn| in_turn(&instances, turn)[0].port()).collect();
        assert_eq!(firsts, [1, 2, 3, 1, 2, 3]);
        assert_eq!(in_turn(&instances, 0).len(), 3);
    }

    #[test]
    fn every_instance_with_a_weight_is_tried_once() {
        let instances = Instances::new(vec![instance(1, 1), instance(2, 1), instance(3, 0), instance(4, 1)]);
        let ports: Vec<_> = in_turn(&instances, 1).iter().map(SocketAddr::port).collect();
        assert_eq!(ports, [2, 4, 1]);
        assert!(in_turn(&Instances::default(), 7).is_empty());
    }
}
