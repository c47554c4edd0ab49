//! One attempt: past the breaker and the bulkhead to an instance, and on to another one while nothing was sent.

use std::fmt::Write as _;

use govern::{
    Moment,
    breaker::{self, Breaker, Outcome},
    bulkhead::Berth,
};
use motore::Service;
use prometheus::IntGauge;
use tokio::time::Instant;
use volo::{context::Context, net::Address};
use volo_thrift::{ClientError, context::ClientContext};

use super::{
    super::{contract::Contract, error::CallError},
    call::Call,
    callee::Callee,
    ending::Ending,
    under_way::UnderWay,
};

/// What became of an attempt.
pub(super) struct Attempted<T> {
    pub(super) ending: Ending,
    pub(super) result: Result<T, ClientError>,
    /// When it ended.
    pub(super) at: Moment,
}

impl<T> Attempted<T> {
    fn failed(ending: Ending, error: CallError, at: Moment) -> Self {
        Self { ending, result: Err(error.into()), at }
    }
}

/// What an attempt passes, outermost first. It begins at `began`; at a place that was chosen already, or at one that is
/// chosen now.
pub(super) async fn attempt<C, S>(
    transport: &S,
    cx: &mut ClientContext,
    call: &Call<'_>,
    request: &C::RequestSend,
    (place, began): (Option<usize>, Moment),
) -> Attempted<S::Response>
where
    C: Contract,
    S: Service<ClientContext, C::RequestSend, Error = ClientError> + Send + Sync,
    S::Response: Send,
{
    // Outside the bulkhead, because a callee that is down should not cost berths; inside the repeats, because each attempt
    // is evidence.
    let Some(asked) = Asked::past_breaker(call, began) else {
        return Attempted::failed(Ending::NotAsked, CallError::Rejected, began);
    };
    // A full one is not the callee's failure, and the breaker hears nothing of it. An attempt has a connection of its own,
    // so that this is the limit of the connections in use, too: volo's pool has none.
    let Some(_room) = Room::in_bulkhead(call) else {
        return Attempted::failed(Ending::NotAsked, CallError::NoRoom, began);
    };
    // Last, so that what the choice knows is of this moment.
    let attempted = walk::<C, S>(transport, cx, call, request, (place, began)).await;
    asked.ended(attempted.ending, attempted.at);
    attempted
}

/// From instance to instance until one takes the request. Moving on costs no budget: nothing was sent, the callee has no
/// work of it, and how often is bounded by `rpc.max_attempts`. So gRPC's transparent retries, and Finagle's of what was
/// never written.
async fn walk<C, S>(
    transport: &S,
    cx: &mut ClientContext,
    call: &Call<'_>,
    request: &C::RequestSend,
    (place, began): (Option<usize>, Moment),
) -> Attempted<S::Response>
where
    C: Contract,
    S: Service<ClientContext, C::RequestSend, Error = ClientError> + Send + Sync,
    S::Response: Send,
{
    let (mut next, mut now) = (place.or_else(|| call.next(began)), began);
    // For the log: who did what.
    let (mut story, mut ending) = (String::new(), Ending::NotAsked);
    while let Some(place) = next {
        call.tried.note(place);
        let under_way = UnderWay::begin(call, place, now);
        let address = under_way.address();
        cx.rpc_info_mut().callee_mut().set_address(Address::from(address));
        // What volo has noted of the attempt before this one, its refusal included.
        cx.stats.reset();
        cx.common_stats.reset();
        match transport.call(cx, request.clone()).await {
            Err(ClientError::Transport(lost)) if was_sent(cx) => {
                let at = under_way.ended(Ending::Lost);
                let cause = format!("{story}{address}: {}", lost.kind());
                return Attempted::failed(Ending::Lost, CallError::LostAfterSend { cause }, at);
            }
            Err(ClientError::Transport(refused)) => {
                let missed = Ending::of_no_connection(refused.kind());
                now = under_way.ended(missed);
                ending = if ending == Ending::Unreachable { ending } else { missed };
                // Writing to a string does not fail.
                let _ = write!(story, "{address}: {}; ", refused.kind());
            }
            result => {
                let ending = Ending::of(&result);
                let at = under_way.ended(ending);
                return Attempted { ending, result, at };
            }
        }
        next = if call.tried.count() < call.callee.max_attempts { call.next(now) } else { None };
        if next.is_some() {
            call.callee.metrics.moved_on.inc();
        }
    }
    if story.is_empty() {
        let cause = format!("no instance of {} is known", call.callee.service);
        return Attempted::failed(Ending::NotAsked, CallError::NotSent { cause }, now);
    }
    Attempted::failed(ending, CallError::NotSent { cause: story }, now)
}

/// Whether a connection was there to send on: volo notes the time once it has one.
fn was_sent(cx: &ClientContext) -> bool {
    cx.stats.make_transport_end_at().is_some()
}

/// A call that the breaker let through. Dropped in the middle it counts as failed if its time was over and the callee had
/// its share of it; if its caller just went away, or another instance was quicker, it says nothing.
struct Asked<'a> {
    call: &'a Call<'a>,
    /// There until it is over, and while the breaker is on.
    let_through: Option<breaker::Call>,
    began: Moment,
}

impl<'a> Asked<'a> {
    fn past_breaker(call: &'a Call<'a>, began: Moment) -> Option<Self> {
        let Call { callee, method, applied, .. } = call;
        if !applied.switches.breaker {
            return Some(Self { call, let_through: None, began });
        }
        match applied.breakers[method.index].check(began, callee.random.fraction()) {
            Ok(let_through) => Some(Self { call, let_through: Some(let_through), began }),
            Err(rejected) => {
                callee.metrics.rejected(method, rejected.probability);
                None
            }
        }
    }

    fn ended(mut self, ending: Ending, at: Moment) {
        let let_through = self.let_through.take();
        if let (Some(let_through), Some(outcome)) = (let_through, ending.for_breaker()) {
            self.count(let_through, at, outcome);
        }
    }

    fn count(&self, let_through: breaker::Call, now: Moment, outcome: Outcome) {
        let Call { callee, method, .. } = self.call;
        self.breaker().ended(let_through, now, outcome);
        if callee.metrics.shows_rejections(method) {
            callee.metrics.show(method, self.breaker().probability(now));
        }
    }

    fn breaker(&self) -> &Breaker {
        &self.call.applied.breakers[self.call.method.index]
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let Some(let_through) = self.let_through.take() else { return };
        let is_late = self.call.context.deadline.is_some_and(|deadline| deadline <= Instant::now());
        let now = self.call.callee.now();
        if is_late && now.since(self.began) >= self.call.callee.patience {
            self.count(let_through, now, Outcome::Failed);
        }
    }
}

/// Room for an attempt, given back when it is over.
struct Room<'a> {
    _berth: Option<Berth>,
    attempts: &'a IntGauge,
}

impl<'a> Room<'a> {
    fn in_bulkhead(call: &'a Call<'_>) -> Option<Self> {
        let Callee { bulkhead, metrics, .. } = call.callee;
        let berth = if call.applied.switches.bulkhead {
            let Some(berth) = bulkhead.try_enter() else {
                metrics.bulkhead_refusals.inc();
                return None;
            };
            Some(berth)
        } else {
            None
        };
        metrics.attempts.inc();
        Some(Self { _berth: berth, attempts: &metrics.attempts })
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.attempts.dec();
    }
}
