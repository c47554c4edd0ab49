//! The worker: claims what is due, sends it, writes down what came of it.
//!
//! Nothing of it is lost with the worker: what it had claimed is given back when it ends in order, and runs out when it
//! does not.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use common::{
    clock::{SharedClock, SharedRandom, new_uuid},
    lifecycle::RequestTasks,
};
use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    DeliveryConfig,
    sender::{Outcome, Sender},
    wake::{Ringing, Rung},
};
use crate::{
    domain::{Breaker, BreakerRules, Schedule},
    metrics::OrderMetrics,
    store::{
        StoreError,
        orders::Orders,
        outbox::{Claim, Claimed, Kind, Next},
    },
};

/// What a worker stands on.
#[derive(Clone, Debug)]
pub(crate) struct WorkerParts {
    pub(crate) orders: Orders,
    pub(crate) sender: Sender,
    pub(crate) config: DeliveryConfig,
    pub(crate) tasks: RequestTasks,
    pub(crate) metrics: Arc<OrderMetrics>,
    pub(crate) clock: SharedClock,
    pub(crate) random: SharedRandom,
}

/// One worker.
#[derive(Debug)]
pub(crate) struct Worker {
    parts: WorkerParts,
    name: Uuid,
    schedule: Schedule,
    rules: BreakerRules,
    apps: HashMap<Target, Lane>,
    flights: FuturesUnordered<BoxFuture<'static, Landed>>,
    /// What is due can't be read; said once.
    behind: bool,
}

/// An app, and what it is told: a game server that fails to take refunds takes payments all the same.
type Target = (i64, Kind);

/// What is under way to one target.
#[derive(Clone, Copy, Debug, Default)]
struct Lane {
    flying: usize,
    breaker: Breaker,
    /// There was more due than it had room for.
    more: bool,
}

/// An attempt that is over.
#[derive(Clone, Copy, Debug)]
struct Landed {
    target: Target,
    /// `None`: it panicked, which is a bug. Its claim runs out.
    outcome: Option<Outcome>,
}

impl Worker {
    pub(crate) fn new(parts: WorkerParts) -> Self {
        let config = &parts.config;
        Self {
            name: new_uuid(parts.clock.as_ref(), parts.random.as_ref()),
            schedule: Schedule::new(config.pauses(), config.jitter),
            rules: BreakerRules { failures: config.failures_before_pause.get(), open_for: config.pause },
            apps: HashMap::new(),
            flights: FuturesUnordered::new(),
            behind: false,
            parts,
        }
    }

    /// Works until `stopping`; then finishes what is under way and gives back the rest.
    pub(crate) async fn run(mut self, mut ringing: Ringing, stopping: CancellationToken) {
        let mut ticks = interval(self.parts.config.look_every);
        // After a stall one look is enough.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                // In this order: an end is an end, and what has landed makes room for what is to fly.
                biased;
                () = stopping.cancelled() => break,
                Some(landed) = self.flights.next(), if !self.flights.is_empty() => self.land_and_follow(landed).await,
                rung = ringing.next() => self.take(rung).await,
                _ = ticks.tick() => self.look().await,
            }
        }
        while let Some(landed) = self.flights.next().await {
            self.land(landed);
        }
        match self.parts.orders.give_back(self.name).await {
            Ok(0) => {}
            Ok(deliveries) => tracing::info!(deliveries, "deliveries were given back"),
            Err(error) => {
                tracing::warn!(%error, "deliveries could not be given back; they are taken after their lease");
            }
        }
    }

    /// Takes one order that has just become due.
    pub(crate) async fn take(&mut self, Rung { app_id, order_id, kind }: Rung) {
        common::crash_point!("woken");
        if self.room((app_id, kind)) == 0 {
            self.apps.entry((app_id, kind)).or_default().more = true;
            return;
        }
        let claimed = self.parts.orders.claim_one(order_id, kind, self.claim()).await;
        self.launch(claimed);
    }

    /// Takes what is due, of every app as much as there is room for.
    pub(crate) async fn look(&mut self) {
        let apps = match self.parts.orders.due_apps().await {
            Ok(apps) => apps,
            Err(error) => return self.is_behind(&error),
        };
        for target in apps {
            self.take_of(target).await;
        }
        self.forget_calm_apps();
    }

    /// Waits until nothing is under way.
    #[cfg(test)]
    pub(crate) async fn settle(&mut self) -> usize {
        let mut landed = 0;
        while let Some(flight) = self.flights.next().await {
            self.land(flight);
            landed += 1;
        }
        landed
    }

    async fn take_of(&mut self, target: Target) {
        let room = self.room(target);
        if room == 0 {
            return;
        }
        let claimed = self.parts.orders.claim_due(target, room, self.claim()).await;
        let more = claimed.as_ref().is_ok_and(|claimed| claimed.len() == room);
        self.apps.entry(target).or_default().more = more;
        self.launch(claimed);
    }

    fn launch(&mut self, claimed: Result<Vec<Claimed>, StoreError>) {
        let claimed = match claimed {
            Ok(claimed) => claimed,
            Err(error) => return self.is_behind(&error),
        };
        self.behind = false;
        for claimed in claimed {
            let target = (claimed.order.app_id, claimed.kind());
            self.apps.entry(target).or_default().flying += 1;
            let (parts, name, schedule) = (self.parts.clone(), self.name, self.schedule.clone());
            // A task of its own: an attempt goes on while the worker waits for the database.
            let flight = self.parts.tasks.spawn_in_context(deliver(parts, name, schedule, claimed));
            self.flights.push(Box::pin(async move { Landed { target, outcome: flight.await.ok() } }));
        }
    }

    async fn land_and_follow(&mut self, landed: Landed) {
        self.land(landed);
        if self.apps.get(&landed.target).is_some_and(|lane| lane.more) {
            self.take_of(landed.target).await;
        }
    }

    fn land(&mut self, Landed { target, outcome }: Landed) {
        let (now, rules) = (self.parts.clock.now(), self.rules);
        let lane = self.apps.entry(target).or_default();
        lane.flying = lane.flying.saturating_sub(1);
        match outcome {
            Some(Outcome::Acknowledged) => lane.breaker.succeeded(),
            Some(Outcome::Refused | Outcome::NoAnswer | Outcome::Forbidden | Outcome::NoTarget) => {
                lane.breaker.failed(now, rules);
            }
            // Not the game server's doing.
            Some(Outcome::Unknown | Outcome::NotWanted) => {}
            None => tracing::error!(app_id = target.0, "a delivery broke off"),
        }
    }

    /// How many more may fly there. Never more than half of what the others leave: many that hang at once don't take all
    /// the room there is.
    fn room(&self, target: Target) -> usize {
        let config = &self.parts.config;
        let free = (config.concurrency.get() as usize).saturating_sub(self.flights.len());
        let lane = self.apps.get(&target).copied().unwrap_or_default();
        let cap = lane.breaker.room(config.per_app.get() as usize, self.parts.clock.now());
        let share = (free + lane.flying).div_ceil(2);
        free.min(cap.min(share).saturating_sub(lane.flying))
    }

    fn claim(&self) -> Claim {
        Claim { worker: self.name, until: self.parts.clock.now() + self.parts.config.lease }
    }

    fn is_behind(&mut self, error: &StoreError) {
        if !self.behind {
            tracing::warn!(%error, "deliveries wait: what is due can't be claimed");
        }
        self.behind = true;
    }

    fn forget_calm_apps(&mut self) {
        self.apps.retain(|_, lane| lane.flying > 0 || lane.more || !lane.breaker.is_calm());
        let now = self.parts.clock.now();
        let paused = self.apps.iter().filter(|(_, lane)| lane.breaker.room(1, now) == 0);
        let paused: HashSet<i64> = paused.map(|((app_id, _), _)| *app_id).collect();
        self.parts.metrics.open_breakers(paused.len());
    }
}

/// One attempt, from the network to the database.
async fn deliver(parts: WorkerParts, worker: Uuid, schedule: Schedule, claimed: Claimed) -> Outcome {
    let (outcome, attempt) = parts.sender.send(&claimed).await;
    common::crash_point!("sent");
    parts.metrics.attempted(outcome.as_str(), attempt.duration);
    let now = parts.clock.now();
    let next = match outcome {
        Outcome::Acknowledged => Next::Done,
        Outcome::NotWanted => Next::NotWanted,
        Outcome::Refused | Outcome::NoAnswer | Outcome::NoTarget | Outcome::Forbidden | Outcome::Unknown => {
            let pause: Option<Duration> = schedule.pause(claimed.failures.saturating_add(1), parts.random.fraction());
            pause.map_or(Next::Dead, |pause| Next::At(now + pause))
        }
    };
    let order_id = claimed.order.order_id;
    if let Err(error) = parts.orders.settle(&claimed, worker, &attempt, next).await {
        // The claim runs out, and another attempt is made: a game server tells repetitions by the order's number.
        tracing::warn!(%order_id, %error, "what came of a delivery could not be written down");
        return outcome;
    }
    match next {
        Next::Done if claimed.kind() == Kind::Payment => parts.metrics.acknowledged(now.since(claimed.since)),
        Next::Done | Next::NotWanted => {}
        Next::At(_) => {
            tracing::debug!(%order_id, attempt = attempt.attempt, outcome = %attempt.outcome, "a delivery failed");
        }
        Next::Dead if claimed.kind() == Kind::Refund => {
            parts.metrics.refund_given_up();
            tracing::error!(
                %order_id,
                app_id = claimed.order.app_id,
                attempts = attempt.attempt,
                outcome = %attempt.outcome,
                "a game server could not be told of a refund and is told no more: send it again when it is well"
            );
        }
        Next::Dead => {
            parts.metrics.given_up();
            tracing::error!(
                %order_id,
                app_id = claimed.order.app_id,
                attempts = attempt.attempt,
                outcome = %attempt.outcome,
                "a paid order could not be delivered and is given up: send it again when the game server is well"
            );
        }
    }
    outcome
}
