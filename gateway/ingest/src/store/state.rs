//! What is decided under the lock: whether a push is taken, and what it has to wait for.

use std::{collections::HashMap, time::Duration};

use common::clock::Timestamp;
use tokio::{
    sync::{oneshot, watch},
    time::Instant,
};

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

impl Outcome {
    /// What whoever has waited is told. Who is still waiting when nobody is left to tell it has waited in vain.
    pub(crate) fn durable(self) -> Result<(), Failure> {
        match self {
            Self::Durable => Ok(()),
            Self::Failed(failure) => Err(failure),
            Self::Waiting => Err(Failure::Ended),
        }
    }
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
    pub(crate) waits: Waits,
    pub(crate) accepted: usize,
    pub(crate) duplicates: usize,
    /// The writer sleeps, and this is what it waits for.
    pub(crate) wakes_writer: bool,
}

/// What must be durable before a push is acknowledged.
#[derive(Debug)]
pub(crate) struct Waits {
    /// Itself, if there is something in it that is to be written.
    pub(crate) own: Option<oneshot::Receiver<Outcome>>,
    /// Those that its duplicates are duplicates of.
    pub(crate) others: Vec<watch::Receiver<Outcome>>,
}

/// When the writer is to be woken: waking it costs as much as all else about a push that is taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Alarm {
    /// As soon as so many pushes wait,
    pub(crate) pushes: usize,
    /// or so many bytes.
    pub(crate) bytes: u64,
}

/// Pushes that are done with, and those who wait for them.
#[derive(Debug)]
pub(crate) struct Settled {
    batch: Vec<Queued<Entry>>,
    followed: Vec<watch::Sender<Outcome>>,
}

/// A push in the queue.
#[derive(Debug)]
pub(crate) struct Entry {
    number: u64,
    pub(crate) lines: Unplaced,
    pub(crate) dead: Unplaced,
    /// The named events among the lines.
    hashes: Vec<EventHash>,
    /// Tells whoever pushed it.
    owner: oneshot::Sender<Outcome>,
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
    /// Pushes of which others wait for the outcome, because they have pushed the same events. Most have no such followers.
    followed: HashMap<u64, watch::Sender<Outcome>>,
    next_number: u64,
    /// Set while the writer sleeps.
    alarm: Option<Alarm>,
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
            followed: HashMap::new(),
            next_number: 0,
            alarm: None,
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
        let others = others.into_iter().map(|other| self.follow(other)).collect();
        let Offer { lines, dead, .. } = offer;
        let accepted = lines.len();
        let mut own = None;
        if !lines.is_empty() || !dead.is_empty() {
            let (owner, outcome) = oneshot::channel();
            own = Some(outcome);
            let cost = lines.cost() + dead.cost();
            self.queue.put(partner, limits.share, cost, Entry { number, lines, dead, hashes, owner });
        }
        let wakes_writer = self.alarm.take_if(|alarm| alarm.rings(&self.queue)).is_some();
        Ok(Admitted { waits: Waits { own, others }, accepted, duplicates, wakes_writer })
    }

    /// Waits for a push that is on its way.
    fn follow(&mut self, number: u64) -> watch::Receiver<Outcome> {
        self.followed.entry(number).or_insert_with(|| watch::Sender::new(Outcome::Waiting)).subscribe()
    }

    /// The writer goes to sleep, or has woken.
    pub(crate) fn set_alarm(&mut self, alarm: Option<Alarm>) {
        self.alarm = alarm;
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

    /// Notes what became of pushes that were taken out of the queue. They are to be told and given up outside of the lock:
    /// both take longer than all that is done here, and everybody who pushes would wait for it.
    #[must_use]
    pub(crate) fn settle(&mut self, batch: Vec<Queued<Entry>>, outcome: Outcome, now: Timestamp) -> Settled {
        let mut followed = Vec::new();
        for Queued { partner, cost, item } in &batch {
            for hash in &item.hashes {
                self.on_their_way.remove(hash);
                if outcome == Outcome::Durable {
                    self.window.insert(*hash, now);
                }
            }
            if !self.followed.is_empty() {
                followed.extend(self.followed.remove(&item.number));
            }
            self.queue.release(partner, *cost);
        }
        Settled { batch, followed }
    }

    pub(crate) fn show(&self, metrics: &Metrics) {
        metrics.queue_bytes.set(i64::try_from(self.queue.held()).unwrap_or(i64::MAX));
        metrics.dedupe_entries.set(i64::try_from(self.window.len()).unwrap_or(i64::MAX));
    }
}

impl Alarm {
    /// Whether there is what it waits for.
    pub(crate) fn rings<T>(self, queue: &FairQueue<T>) -> bool {
        queue.waiting() >= self.pushes || queue.waiting_bytes() >= self.bytes
    }
}

impl Settled {
    /// Tells everybody who still waits.
    pub(crate) fn tell(self, outcome: Outcome) {
        for Queued { item, .. } in self.batch {
            // A caller that has gone needs no answer.
            let _ = item.owner.send(outcome);
        }
        for followed in self.followed {
            followed.send_replace(outcome);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::Origin;

    const NOW: Timestamp = Timestamp::from_millis(1_750_000_000_000);

    fn admits(state: &mut State, event: &str) -> Admitted {
        let partner = PartnerName::parse("ads").unwrap();
        let mut lines = Unplaced::default();
        lines.event(Origin { partner: &partner, received_at: NOW.as_millis(), request_id: "r-1" }, "e-1", event);
        let offer = Offer { lines, hashes: vec![None], events: 1, event_bytes: 2, ..Offer::default() };
        state.admit(&partner, &PartnerLimits::default(), offer, (NOW, Instant::now())).unwrap()
    }

    fn wakes_writer(state: &mut State, event: &str) -> bool {
        admits(state, event).wakes_writer
    }

    fn state() -> State {
        let backlog = Backlog::new(256 << 10, Duration::from_secs(5));
        State::new(1 << 20, backlog, Window::new(0, Duration::from_secs(1)))
    }

    #[test]
    fn a_writer_that_works_is_not_woken_and_one_that_sleeps_is_woken_once_when_enough_pushes_wait() {
        let mut state = state();
        assert!(!wakes_writer(&mut state, "{}"), "it looks by itself");
        state.set_alarm(Some(Alarm { pushes: 3, bytes: u64::MAX }));
        assert_eq!([(); 3].map(|()| wakes_writer(&mut state, "{}")), [false, true, false]);
    }

    #[test]
    fn enough_bytes_wake_the_writer_however_few_the_pushes_are() {
        let mut state = state();
        state.set_alarm(Some(Alarm { pushes: usize::MAX, bytes: 2000 }));
        let large = format!("{{\"a\":\"{}\"}}", "x".repeat(2000));
        assert_eq!(["{}", &large, "{}"].map(|event| wakes_writer(&mut state, event)), [false, true, false]);
    }

    #[test]
    fn everybody_who_waits_for_a_push_is_told_what_became_of_it() {
        let mut state = state();
        let mut own = admits(&mut state, "{}").waits.own.unwrap();
        let follower = state.follow(0);
        let batch = state.queue.take(u64::MAX);
        let failed = Outcome::Failed(Failure::DiskFull);
        state.settle(batch, failed, NOW).tell(failed);
        assert_eq!((own.try_recv(), *follower.borrow()), (Ok(failed), failed));
        assert!(state.followed.is_empty(), "nobody is remembered for longer");
    }
}
