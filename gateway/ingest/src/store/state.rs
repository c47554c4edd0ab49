//! What is decided under the lock: whether a push is taken, and what it has to wait for.

use std::{collections::HashMap, time::Duration};

use common::clock::Timestamp;
use tokio::{sync::watch, time::Instant};

use crate::{
    PartnerLimits, PartnerName,
    backlog::Backlog,
    line::Unplaced,
    metrics::Metrics,
    queue::{FairQueue, NoRoom, Queued},
    rate::Rates,
    window::{EventHash, Window},
};

/// Partners whose rates are remembered before those that have used nothing are forgotten.
const RATES_MAX: usize = 4096;

/// Where the store is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Takes pushes.
    Open,
    /// Writes what waits.
    Closing,
    /// Writes nothing any more.
    Ended,
}

/// What became of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Waiting,
    Durable,
    Failed(Failure),
}

/// Why a push is not durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    DiskFull,
    DiskFailed,
    Ended,
}

/// Why a push is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rejection {
    Closing,
    DiskFull,
    NoRoom,
    TooLarge,
    TooFast { wait: Duration },
}

/// A push, made into lines.
#[derive(Debug, Default)]
pub(crate) struct Offer {
    pub(crate) lines: Unplaced,
    /// One for each line, where the partner has named the event.
    pub(crate) hashes: Vec<Option<EventHash>>,
    pub(crate) dead: Unplaced,
    /// All events, for the rates.
    pub(crate) events: u64,
    pub(crate) event_bytes: u64,
}

/// A push that was taken.
#[derive(Debug)]
pub(crate) struct Admitted {
    /// What must be durable before it is acknowledged: itself, and what its duplicates are duplicates of.
    pub(crate) waits: Vec<watch::Receiver<Outcome>>,
    pub(crate) accepted: usize,
    pub(crate) duplicates: usize,
}

/// A push in the queue.
#[derive(Debug)]
pub(crate) struct Entry {
    number: u64,
    pub(crate) lines: Unplaced,
    pub(crate) dead: Unplaced,
    /// The named events among the lines.
    hashes: Vec<EventHash>,
}

/// What callers and the writer decide on.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) phase: Phase,
    /// There is no room on the disk.
    pub(crate) is_disk_full: bool,
    pub(crate) queue: FairQueue<Entry>,
    pub(crate) backlog: Backlog,
    pub(crate) window: Window,
    /// Named events that are not durable yet, and the pushes they are in.
    on_their_way: HashMap<EventHash, u64>,
    outcomes: HashMap<u64, watch::Sender<Outcome>>,
    next_number: u64,
    rates: HashMap<PartnerName, (PartnerLimits, Rates)>,
    #[cfg(test)]
    pub(crate) housekeeping_wanted: bool,
}

impl State {
    pub(crate) fn new(queue_bytes: u64, backlog: Backlog, window: Window) -> Self {
        Self {
            phase: Phase::Open,
            is_disk_full: false,
            queue: FairQueue::new(queue_bytes),
            backlog,
            window,
            on_their_way: HashMap::new(),
            outcomes: HashMap::new(),
            next_number: 0,
            rates: HashMap::new(),
            #[cfg(test)]
            housekeeping_wanted: false,
        }
    }

    /// Whether a push of `cost` bytes could be taken at all.
    pub(crate) fn check(&self, partner: &PartnerName, limits: &PartnerLimits, cost: u64) -> Result<(), Rejection> {
        if self.phase != Phase::Open {
            return Err(Rejection::Closing);
        }
        if self.is_disk_full {
            return Err(Rejection::DiskFull);
        }
        self.queue.room_for(partner, limits.share, cost).map_err(|no_room| match no_room {
            NoRoom::Full => Rejection::NoRoom,
            NoRoom::TooLarge => Rejection::TooLarge,
        })?;
        // Nearly always all of the queue is, and nobody has to look whose turns come before.
        if self.backlog.is_bearable(self.queue.held().saturating_add(cost)) {
            return Ok(());
        }
        match self.queue.ahead(partner, cost) {
            Some(ahead) if !self.backlog.is_bearable(ahead) => Err(Rejection::NoRoom),
            _ => Ok(()),
        }
    }

    /// Whether a push of so many events and bytes is no faster than its partner may. Takes nothing of its rates.
    pub(crate) fn check_rate(
        &self,
        partner: &PartnerName,
        limits: &PartnerLimits,
        (events, bytes): (u64, u64),
        now: Instant,
    ) -> Result<(), Rejection> {
        let Some((_, rates)) = self.rates.get(partner) else { return Ok(()) };
        rates.would_take(limits, events, bytes, now).map_err(|wait| Rejection::TooFast { wait })
    }

    /// Takes a push into the queue, without the events that are known. All or nothing, and what is refused changes nothing.
    pub(crate) fn admit(
        &mut self,
        partner: &PartnerName,
        limits: &PartnerLimits,
        mut offer: Offer,
        (now, instant): (Timestamp, Instant),
    ) -> Result<Admitted, Rejection> {
        self.check(partner, limits, offer.lines.cost() + offer.dead.cost())?;
        self.charge(partner, limits, &offer, instant)?;

        let number = self.next_number;
        self.next_number += 1;
        let (mut hashes, mut others, mut duplicates) = (Vec::new(), Vec::new(), 0);
        for (index, hash) in offer.hashes.iter().enumerate() {
            let Some(hash) = *hash else { continue };
            let other = self.on_their_way.get(&hash).copied();
            if other.is_none() && !self.window.contains(hash, now) {
                self.on_their_way.insert(hash, number);
                hashes.push(hash);
                continue;
            }
            duplicates += 1;
            offer.lines.leave_out(index);
            others.extend(other.filter(|other| *other != number && !others.contains(other)));
        }
        let mut waits: Vec<_> =
            others.iter().filter_map(|other| self.outcomes.get(other)).map(watch::Sender::subscribe).collect();
        let Offer { lines, dead, .. } = offer;
        let accepted = lines.len();
        if !lines.is_empty() || !dead.is_empty() {
            let (sender, own) = watch::channel(Outcome::Waiting);
            waits.push(own);
            self.outcomes.insert(number, sender);
            let cost = lines.cost() + dead.cost();
            self.queue.put(partner, limits.share, cost, Entry { number, lines, dead, hashes });
        }
        Ok(Admitted { waits, accepted, duplicates })
    }

    fn charge(
        &mut self,
        partner: &PartnerName,
        limits: &PartnerLimits,
        offer: &Offer,
        now: Instant,
    ) -> Result<(), Rejection> {
        if self.rates.len() >= RATES_MAX && !self.rates.contains_key(partner) {
            self.rates.retain(|_, (limits, rates)| !rates.is_full(limits, now));
        }
        let (known, rates) = self.rates.entry(partner.clone()).or_insert_with(|| (*limits, Rates::new(limits, now)));
        *known = *limits;
        rates.take(limits, offer.events, offer.event_bytes, now).map_err(|wait| Rejection::TooFast { wait })
    }

    /// Notes what became of pushes that were taken out of the queue. The senders are to be told outside of the lock.
    #[must_use]
    pub(crate) fn settle(
        &mut self,
        batch: Vec<Queued<Entry>>,
        outcome: Outcome,
        now: Timestamp,
    ) -> Vec<watch::Sender<Outcome>> {
        let mut told = Vec::with_capacity(batch.len());
        for Queued { partner, cost, item } in batch {
            for hash in item.hashes {
                self.on_their_way.remove(&hash);
                if outcome == Outcome::Durable {
                    self.window.insert(hash, now);
                }
            }
            told.extend(self.outcomes.remove(&item.number));
            self.queue.release(&partner, cost);
        }
        told
    }

    pub(crate) fn show(&self, metrics: &Metrics) {
        metrics.queue_bytes.set(i64::try_from(self.queue.held()).unwrap_or(i64::MAX));
        metrics.dedupe_entries.set(i64::try_from(self.window.len()).unwrap_or(i64::MAX));
    }
}
