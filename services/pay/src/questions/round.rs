//! What is asked when, and what becomes of it: one round works through what is due, with as much under way as it may.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use common::{
    clock::{SharedClock, SharedRandom, Timestamp, new_uuid},
    sql::Tx,
};
use futures_util::{StreamExt, stream::FuturesUnordered};
use uuid::Uuid;

use super::{Asker, QueriesConfig, QuestionMetrics, asker::Outcome};
use crate::{
    apps::Apps,
    callbacks::alarm::Alarm,
    channel_book::ChannelBook,
    channel_calls::ChannelCalls,
    domain::{Breaker, BreakerRules, QuestionKind, QuestionPlan},
    jobs::{JobError, questions::Turn},
    store::{
        StoreError,
        orders::Orders,
        outbox::Claim,
        questions::{ClaimedQuestion, Lane, NextQuestion},
    },
};

/// What asking stands on.
#[derive(Debug)]
pub(crate) struct QuestionsParts {
    pub(crate) orders: Orders,
    pub(crate) channels: ChannelBook,
    pub(crate) apps: Apps,
    pub(crate) calls: ChannelCalls,
    pub(crate) config: QueriesConfig,
    pub(crate) metrics: QuestionMetrics,
    pub(crate) clock: SharedClock,
    pub(crate) random: SharedRandom,
}

/// Works through what channels have to be asked.
#[derive(Debug)]
pub(crate) struct Questions {
    asker: Asker,
    orders: Orders,
    config: QueriesConfig,
    plan: QuestionPlan,
    rules: BreakerRules,
    metrics: QuestionMetrics,
    clock: SharedClock,
    /// Under which this instance claims.
    name: Uuid,
    /// What channels have done lately.
    breakers: Mutex<HashMap<Lane, Breaker>>,
}

/// What one round has under way, and may still begin.
struct Room {
    /// How many questions it may still begin.
    left: usize,
    flying: HashMap<Lane, usize>,
    /// There may be more due than there was room for.
    more: bool,
}

impl Questions {
    pub(crate) fn new(parts: QuestionsParts) -> Self {
        let QuestionsParts { orders, channels, apps, calls, config, metrics, clock, random } = parts;
        let name = new_uuid(clock.as_ref(), random.as_ref());
        let rules = BreakerRules { failures: config.failures_before_pause.get(), open_for: config.pause };
        let asker = Asker {
            orders: orders.clone(),
            channels,
            apps,
            calls,
            clock: clock.clone(),
            random,
            alarm: Alarm::default(),
        };
        let (plan, breakers) = (config.plan(), Mutex::default());
        Self { asker, orders, config, plan, rules, metrics, clock, name, breakers }
    }

    pub(crate) fn asker(&self) -> &Asker {
        &self.asker
    }

    pub(crate) fn metrics(&self) -> &QuestionMetrics {
        &self.metrics
    }

    /// Asks what is due, up to `per_look`; answers how much was asked. What is under way is waited for, also after an
    /// error.
    pub(crate) async fn round(&self, turn: Turn<'_>) -> Result<usize, JobError> {
        let mut room = Room { left: self.config.per_look.get() as usize, flying: HashMap::new(), more: true };
        let (mut flights, mut asked, mut outcome) = (FuturesUnordered::new(), 0, Ok(()));
        loop {
            if outcome.is_ok() && room.more {
                let (flying, mut landed) = (flights.len(), Vec::new());
                let claimed = self.claim(turn, &mut room, flying);
                // What flies goes on meanwhile: it may hold what a claim waits for.
                match while_flying(claimed, &mut flights, &mut landed).await {
                    Ok(claimed) => {
                        asked += claimed.len();
                        flights.extend(claimed.into_iter().map(|claimed| self.fly(claimed)));
                    }
                    Err(error) => outcome = Err(error),
                }
                landed.iter().for_each(|lane| room.land(lane));
            }
            match flights.next().await {
                Some(landed) => room.land(&landed),
                None => return outcome.map(|()| asked),
            }
        }
    }

    /// Claims as much of every lane as there is room for, in one transaction.
    async fn claim(&self, turn: Turn<'_>, room: &mut Room, flying: usize) -> Result<Vec<ClaimedQuestion>, JobError> {
        let free = (self.config.concurrency.get() as usize).saturating_sub(flying);
        if free == 0 || room.left == 0 {
            return Ok(Vec::new());
        }
        room.more = false;
        let lanes = self.orders.due_lanes().await?;
        if lanes.is_empty() {
            return Ok(Vec::new());
        }
        let mut tx = turn.step().await?;
        let claimed = self.claim_lanes(&mut tx, &lanes, room, free).await?;
        tx.commit().await?;
        for question in &claimed {
            *room.flying.entry(question.lane.clone()).or_default() += 1;
        }
        room.left -= claimed.len();
        Ok(claimed)
    }

    async fn claim_lanes(
        &self,
        tx: &mut Tx,
        lanes: &[Lane],
        room: &mut Room,
        free: usize,
    ) -> Result<Vec<ClaimedQuestion>, StoreError> {
        let now = self.clock.now();
        let claim = Claim { worker: self.name, until: now + self.config.lease };
        let (per_channel, mut claimed) = (self.config.per_channel.get() as usize, Vec::new());
        for lane in lanes {
            let cap = self.breakers().get(lane).copied().unwrap_or_default().room(per_channel, now);
            let flying = room.flying.get(lane).copied().unwrap_or_default();
            let most = cap.saturating_sub(flying).min(free.min(room.left).saturating_sub(claimed.len()));
            // One that is left alone has nothing for this round.
            room.more |= cap > 0 && most == 0;
            if most > 0 {
                let of_lane = self.orders.claim_questions(tx, lane, most, claim).await?;
                room.more |= of_lane.len() == most;
                claimed.extend(of_lane);
            }
        }
        Ok(claimed)
    }

    /// One question, from the network to the database.
    async fn fly(&self, claimed: ClaimedQuestion) -> Lane {
        let outcome = self.asker.ask(&claimed).await;
        // What is no channel of the app may have any name.
        let channel = Some(&*claimed.lane.channel).filter(|_| outcome != Outcome::NotAsked);
        self.metrics.asked(channel, claimed.kind, outcome.as_str());
        self.judge(&claimed.lane, &outcome);
        let next = self.next(&claimed, outcome);
        let settled = self.orders.settle_question(&claimed, self.name, &next).await;
        if let Err(error) = settled {
            // The claim runs out, and the channel is asked again.
            let order_id = claimed.order.order_id;
            tracing::warn!(%order_id, %error, "what came of a question to a channel could not be written down");
        }
        claimed.lane
    }

    /// What the outcome says of the channel.
    fn judge(&self, lane: &Lane, outcome: &Outcome) {
        let now = self.clock.now();
        let mut breakers = self.breakers();
        match outcome {
            Outcome::NoAnswer => breakers.entry(lane.clone()).or_default().failed(now, self.rules),
            // Neither is the channel's doing.
            Outcome::CannotTell | Outcome::NotAsked => {}
            _ => drop(breakers.remove(lane)),
        }
    }

    fn next(&self, claimed: &ClaimedQuestion, outcome: Outcome) -> NextQuestion {
        let now = self.clock.now();
        match (claimed.kind, outcome) {
            (QuestionKind::Payment, Outcome::NotPaid | Outcome::Unknown) => {
                self.plan.next(claimed.order.lifetime(), now).map_or(NextQuestion::Never, NextQuestion::At)
            }
            (
                QuestionKind::Payment,
                Outcome::NoAnswer | Outcome::NotBelieved | Outcome::CannotTell | Outcome::Declined,
            ) => self.again(claimed, now),
            (QuestionKind::Payment, _) => NextQuestion::Never,
            (QuestionKind::Refund, Outcome::Refunded) => NextQuestion::Never,
            (QuestionKind::Refund, Outcome::RefundRefused(code)) => NextQuestion::Parked(code),
            (QuestionKind::Refund, Outcome::RefundNoted) => NextQuestion::Parked("not_in_books".to_owned()),
            (QuestionKind::Refund, Outcome::NotAsked) => NextQuestion::Parked("can_not_be_asked".to_owned()),
            (QuestionKind::Refund, Outcome::UnderWay) => NextQuestion::At(now + self.plan.refund_pause(claimed.asked)),
            (QuestionKind::Refund, _) => NextQuestion::Again(now + self.plan.refund_pause(claimed.asked)),
        }
    }

    /// A question about an order that failed.
    fn again(&self, claimed: &ClaimedQuestion, now: Timestamp) -> NextQuestion {
        let order = &claimed.order;
        match self.plan.again(order.lifetime(), claimed.failures.saturating_add(1), now) {
            Some(at) => NextQuestion::Again(at),
            None => {
                tracing::error!(
                    channel = claimed.lane.channel,
                    app_id = claimed.lane.app_id,
                    order_id = %order.order_id,
                    asked = claimed.asked,
                    "a channel never said what has become of an order: look into it there"
                );
                NextQuestion::Never
            }
        }
    }

    fn breakers(&self) -> MutexGuard<'_, HashMap<Lane, Breaker>> {
        self.breakers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drives `work` to its end, and `flights` with it; those that land meanwhile are `landed`.
async fn while_flying<T, F: Future<Output = Lane>>(
    work: impl Future<Output = T>,
    flights: &mut FuturesUnordered<F>,
    landed: &mut Vec<Lane>,
) -> T {
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            Some(lane) = flights.next(), if !flights.is_empty() => landed.push(lane),
        }
    }
}

impl Room {
    fn land(&mut self, lane: &Lane) {
        if let Some(flying) = self.flying.get_mut(lane) {
            *flying = flying.saturating_sub(1);
        }
    }
}
