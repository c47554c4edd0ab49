//! The whole call: its attempts, and the second instance that is asked when the first one takes long.
//!
//! Only reads are asked twice, whatever happened; and a request that came in as a repeat is not repeated further down.
//! All repeats of a callee are paid from one budget. They tell those further down that they are repeats.

use std::{fmt, future::poll_fn, marker::PhantomData, pin::pin, sync::Arc, time::Duration};

use futures_util::future::{Either, select};
use govern::{
    Moment,
    breaker::Outcome,
    retry::{self, Retry, WhyNot, may_retry},
};
use motore::{Service, layer::Layer};
use pilota::thrift::TMessageType;
use tokio::time::{Instant, sleep};
use volo::{
    FastStr,
    context::{Context, Endpoint, Role, RpcInfo},
};
use volo_thrift::{
    ClientError,
    context::{ClientContext, Config},
};

use super::{
    super::{
        client::{ClientConfig, ClientParts},
        contract::Contract,
    },
    attempt::{Attempted, attempt},
    call::Call,
    callee::Callee,
    ending::Ending,
};
use crate::{discovery::Discovery, late_timer::poll_until};

/// Puts all of it above a socket transport.
pub(in crate::rpc) struct OutgoingLayer<C> {
    callee: Arc<Callee>,
    contract: PhantomData<C>,
}

/// The transport with all of it above.
pub(in crate::rpc) struct Outgoing<C, S> {
    transport: S,
    callee: Arc<Callee>,
    contract: PhantomData<C>,
}

/// What the context of a second attempt is made of: volo's can't be copied.
struct SecondContext {
    seq_id: i32,
    message_type: TMessageType,
    config: Config,
}

impl<C: Contract> OutgoingLayer<C> {
    pub(in crate::rpc) fn new(discovery: &dyn Discovery, config: &ClientConfig, parts: &ClientParts) -> Self {
        Self { callee: Callee::new::<C>(discovery, config, parts), contract: PhantomData }
    }
}

impl<C, S> Layer<S> for OutgoingLayer<C> {
    type Service = Outgoing<C, S>;

    fn layer(self, transport: S) -> Outgoing<C, S> {
        Outgoing { transport, callee: self.callee, contract: PhantomData }
    }
}

impl<C, S: Clone> Clone for Outgoing<C, S> {
    fn clone(&self) -> Self {
        Self { transport: self.transport.clone(), callee: Arc::clone(&self.callee), contract: PhantomData }
    }
}

impl<C, S> Service<ClientContext, C::RequestSend> for Outgoing<C, S>
where
    C: Contract,
    S: Service<ClientContext, C::RequestSend, Error = ClientError> + Send + Sync,
    S::Response: Send,
{
    type Response = S::Response;
    type Error = ClientError;

    async fn call(&self, cx: &mut ClientContext, request: C::RequestSend) -> Result<S::Response, ClientError> {
        let call = Call::begin(&self.callee, C::sent(&request));
        let (attempted, repeats) = match call.backup_after() {
            Some(delay) => self.with_backup(cx, &call, &request, delay).await,
            None => (attempt::<C, S>(&self.transport, cx, &call, &request, (None, call.began)).await, 0),
        };
        let attempted = self.retried(cx, &call, &request, attempted, repeats).await;
        call.learn_latency(attempted.ending, attempted.at);
        attempted.result
    }
}

impl<C: Contract, S> Outgoing<C, S>
where
    S: Service<ClientContext, C::RequestSend, Error = ClientError> + Send + Sync,
    S::Response: Send,
{
    /// The first attempt, and from `delay` on a second one beside it. The first answer wins; the other attempt is dropped,
    /// and its connection closed, so that the instance sees that nobody waits.
    async fn with_backup(
        &self,
        cx: &mut ClientContext,
        call: &Call<'_>,
        request: &C::RequestSend,
        delay: Duration,
    ) -> (Attempted<S::Response>, u32) {
        let second = SecondContext::of(cx);
        let mut first = pin!(attempt::<C, S>(&self.transport, cx, call, request, (None, call.began)));
        let (due, mut timer) = (Instant::now() + delay, pin!(None));
        let in_time = poll_fn(|task| poll_until(due, first.as_mut(), timer.as_mut(), task)).await;
        if let Some(attempted) = in_time {
            return (attempted, 0);
        }
        let now = call.callee.now();
        let Some(place) = call.place_of_backup(now) else { return (first.await, 0) };
        call.callee.metrics.backups_sent.inc();
        let mut cx = second.context(call);
        let backup = attempt::<C, S>(&self.transport, &mut cx, call, request, (Some(place), now));
        let backup = Box::pin(call.repeat_context().scope(backup));
        let (attempted, is_backups) = match select(first, backup).await {
            Either::Left((attempted, backup)) if attempted.ending != Ending::Answered => {
                // It may have failed where the other one will not.
                let other = backup.await;
                if other.ending == Ending::Answered { (other, true) } else { (attempted, false) }
            }
            Either::Left((attempted, _backup)) => (attempted, false),
            Either::Right((attempted, first)) if attempted.ending != Ending::Answered => (first.await, false),
            Either::Right((attempted, _first)) => (attempted, true),
        };
        if is_backups {
            call.callee.metrics.backups_won.inc();
        }
        (attempted, 1)
    }

    /// Further attempts, for as long as they fail and there may be more.
    async fn retried(
        &self,
        cx: &mut ClientContext,
        call: &Call<'_>,
        request: &C::RequestSend,
        mut attempted: Attempted<S::Response>,
        mut repeats: u32,
    ) -> Attempted<S::Response> {
        while let Some((place, pause)) = call.retry(attempted.ending, repeats) {
            if !pause.is_zero() {
                sleep(pause).await;
            }
            repeats += 1;
            call.callee.metrics.retries.inc();
            let begins = (Some(place), call.callee.now());
            let again = attempt::<C, S>(&self.transport, cx, call, request, begins);
            let again = call.repeat_context().scope(again).await;
            if again.ending == Ending::NotAsked {
                // Not let through: what is known is what the attempt before it ended with.
                return attempted;
            }
            attempted = again;
        }
        attempted
    }
}

impl Call<'_> {
    /// When a second instance is asked: after the usual time of a method that has a backup, and of every read once its
    /// instance seems to hang. Nothing: never.
    fn backup_after(&self) -> Option<Duration> {
        let has_others = self.instances.known().len() > 1;
        if !has_others || !self.is_repeatable() || self.context.is_repeat {
            return None;
        }
        let switches = self.applied.switches;
        let usual = self.applied.backups[self.method.index].as_ref().filter(|_| switches.backup);
        let usual = usual.and_then(|backup| backup.delay(self.began));
        let hanging = (switches.retry && self.applied.rules.retry.attempts > 0).then_some(self.callee.patience);
        match (usual, hanging) {
            (Some(usual), Some(hanging)) => Some(usual.min(hanging)),
            (one, other) => one.or(other),
        }
    }

    /// Where the second attempt goes, paid for. Nothing if there is nobody else, or it can't be paid.
    fn place_of_backup(&self, now: Moment) -> Option<usize> {
        let place = self.next_for_backup(now)?;
        if self.applied.budget.withdraw(now) {
            return Some(place);
        }
        self.callee.metrics.not_retried(WhyNot::Budget);
        None
    }

    /// Where the next attempt goes, and after which pause; paid for. Nothing if there is none.
    fn retry(&self, ending: Ending, repeats: u32) -> Option<(usize, Duration)> {
        if !ending.is_worth_repeating() || !self.applied.switches.retry {
            return None;
        }
        if !self.is_repeatable() {
            self.callee.metrics.not_retried(WhyNot::NotRepeatable);
            return None;
        }
        let (applied, now) = (&self.applied, self.callee.now());
        let same = || if ending.only_elsewhere() { None } else { self.any(now) };
        let place = self.next(now).or_else(same)?;
        let endpoint = &self.instances.known()[place].0.endpoint;
        let call = retry::Attempted {
            retries: repeats,
            repeatable: true,
            called_by_retry: self.context.is_repeat,
            left: self.left(),
            usual: endpoint.expected(applied.balance(), now).unwrap_or_default(),
        };
        match may_retry(&applied.rules.retry, &applied.budget, &call, now, self.callee.random.fraction()) {
            Retry::After(pause) => Some((place, pause)),
            Retry::No(why) => {
                self.callee.metrics.not_retried(why);
                None
            }
        }
    }

    /// From the beginning of the call, whoever answered it: of attempts that were dropped nobody knows how long they would
    /// have taken, and leaving them out would make the usual time ever shorter.
    fn learn_latency(&self, ending: Ending, at: Moment) {
        let Some(backup) = &self.applied.backups[self.method.index] else { return };
        if ending.for_breaker() == Some(Outcome::Answered) {
            backup.learn(at.since(self.began));
        }
    }
}

impl SecondContext {
    fn of(first: &ClientContext) -> Self {
        Self { seq_id: first.seq_id, message_type: first.message_type, config: *first.rpc_info().config() }
    }

    fn context(&self, call: &Call<'_>) -> ClientContext {
        let named = |name: &'static str| FastStr::from_static_str(name);
        let (caller, callee) = (Endpoint::new(named(call.callee.caller)), Endpoint::new(named(call.callee.service)));
        let info = RpcInfo::new(Role::Client, named(call.method.name), caller, callee, self.config);
        ClientContext::new(self.seq_id, info, self.message_type)
    }
}

impl<C> fmt::Debug for OutgoingLayer<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutgoingLayer").field("callee", &self.callee).finish()
    }
}
