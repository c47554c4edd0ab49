//! [`FairQueue`]: what waits for the disk, partner by partner.
//!
//! Partners take turns by deficit round robin: a turn gives a partner bytes by its share, and what it can't use because
//! its next push is larger it keeps for its next turn. So a partner waits for what it pushed itself, and for one turn of
//! each other, however much those have pushed. Pushes of one partner leave in the order in which they came.

use std::collections::{HashMap, VecDeque};

use crate::partner::{PartnerName, Share};

/// What a turn gives a partner with the whole queue. The default share, a quarter, makes 64 KiB.
const TURN_BYTES: u64 = 256 << 10;

/// A bounded queue. What was taken counts until it is released: memory is bounded by it also while it is written.
#[derive(Debug)]
pub(crate) struct FairQueue<T> {
    capacity: u64,
    held: u64,
    lanes: HashMap<PartnerName, Lane<T>>,
    /// Partners with something to take, the one whose turn it is first.
    turns: VecDeque<PartnerName>,
    waiting: usize,
    waiting_bytes: u64,
}

#[derive(Debug)]
struct Lane<T> {
    share: Share,
    items: VecDeque<Queued<T>>,
    /// Bytes of what waits and of what was taken and not released.
    held: u64,
    /// Bytes it may still take.
    credit: u64,
    /// Whether the credit of this turn was given.
    is_in_turn: bool,
}

/// What was put in.
#[derive(Debug)]
pub(crate) struct Queued<T> {
    pub(crate) partner: PartnerName,
    pub(crate) cost: u64,
    pub(crate) item: T,
}

/// Why something does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRoom {
    /// Now.
    Full,
    /// Ever.
    TooLarge,
}

impl<T> FairQueue<T> {
    pub(crate) fn new(capacity: u64) -> Self {
        Self { capacity, held: 0, lanes: HashMap::new(), turns: VecDeque::new(), waiting: 0, waiting_bytes: 0 }
    }

    /// Bytes that are held.
    pub(crate) fn held(&self) -> u64 {
        self.held
    }

    /// Things that can be taken.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Bytes that can be taken.
    pub(crate) fn waiting_bytes(&self) -> u64 {
        self.waiting_bytes
    }

    /// Whether `cost` bytes of a partner fit. A partner that holds nothing may put in one thing larger than its share.
    pub(crate) fn room_for(&self, partner: &PartnerName, share: Share, cost: u64) -> Result<(), NoRoom> {
        if cost > self.capacity {
            return Err(NoRoom::TooLarge);
        }
        let own = self.lanes.get(partner).map_or(0, |lane| lane.held);
        let is_within_share = own == 0 || own.saturating_add(cost) <= share.of(self.capacity);
        if is_within_share && self.held.saturating_add(cost) <= self.capacity { Ok(()) } else { Err(NoRoom::Full) }
    }

    /// Bytes that leave before something of `cost` bytes of a partner has left, itself included: what the partner holds,
    /// and in the turns between what others may take meanwhile. `None`: it holds nothing, and waits for a turn at most.
    pub(crate) fn ahead(&self, partner: &PartnerName, cost: u64) -> Option<u64> {
        let lane = self.lanes.get(partner)?;
        let turns: u64 = self.lanes.values().map(|lane| lane.share.of(TURN_BYTES)).sum();
        let own = u128::from(lane.held.saturating_add(cost));
        let among_others = own * u128::from(turns) / u128::from(lane.share.of(TURN_BYTES));
        let all = self.held.saturating_add(cost);
        Some(u64::try_from(among_others).unwrap_or(u64::MAX).min(all))
    }

    /// Puts something in; whoever does so has asked whether there is room.
    pub(crate) fn put(&mut self, partner: &PartnerName, share: Share, cost: u64, item: T) {
        let lane = self.lanes.entry(partner.clone()).or_insert_with(|| Lane {
            share,
            items: VecDeque::new(),
            held: 0,
            credit: 0,
            is_in_turn: false,
        });
        lane.share = share;
        if lane.items.is_empty() {
            self.turns.push_back(partner.clone());
        }
        lane.items.push_back(Queued { partner: partner.clone(), cost, item });
        lane.held += cost;
        self.held += cost;
        self.waiting += 1;
        self.waiting_bytes += cost;
    }

    /// Takes about `budget` bytes in turns: at least one thing if there is one, and no more than fits otherwise.
    pub(crate) fn take(&mut self, budget: u64) -> Vec<Queued<T>> {
        let (mut taken, mut bytes) = (Vec::new(), 0_u64);
        while let Some(lane) = self.turns.front().and_then(|partner| self.lanes.get_mut(partner)) {
            if !lane.is_in_turn {
                lane.is_in_turn = true;
                lane.credit = lane.credit.saturating_add(lane.share.of(TURN_BYTES));
            }
            let Some(next) = lane.items.front().map(|queued| queued.cost) else {
                lane.leave();
                self.turns.pop_front();
                continue;
            };
            if next > lane.credit {
                lane.is_in_turn = false;
                self.turns.rotate_left(1);
                continue;
            }
            if !taken.is_empty() && bytes.saturating_add(next) > budget {
                // Its turn goes on in the next round.
                break;
            }
            lane.credit -= next;
            bytes = bytes.saturating_add(next);
            taken.extend(lane.items.pop_front());
            self.waiting -= 1;
            self.waiting_bytes -= next;
        }
        // Whoever was emptied by the last one has no turn any more.
        if let Some(lane) = self.turns.front().and_then(|partner| self.lanes.get_mut(partner))
            && lane.items.is_empty()
        {
            lane.leave();
            self.turns.pop_front();
        }
        taken
    }

    /// Gives the memory of something that was taken back.
    pub(crate) fn release(&mut self, partner: &PartnerName, cost: u64) {
        self.held = self.held.saturating_sub(cost);
        if let Some(lane) = self.lanes.get_mut(partner) {
            lane.held = lane.held.saturating_sub(cost);
            if lane.held == 0 && lane.items.is_empty() {
                self.lanes.remove(partner);
            }
        }
    }
}

impl<T> Lane<T> {
    /// Credit is for those who wait: nobody saves it up.
    fn leave(&mut self) {
        self.credit = 0;
        self.is_in_turn = false;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COMMIT: u64 = 256 << 10;

    fn partner(name: &str) -> PartnerName {
        PartnerName::parse(name).unwrap()
    }

    #[test]
    fn what_is_ahead_is_what_a_partner_holds_and_the_turns_of_others_in_between() {
        let (hot, small, new) = (partner("hot"), partner("small"), partner("new"));
        let mut queue = FairQueue::new(1000);
        queue.put(&hot, Share::default(), 500, ());
        queue.put(&small, Share::default(), 10, ());
        assert_eq!(queue.ahead(&small, 10), Some(40), "as much of the other as of its own");
        assert_eq!(queue.ahead(&hot, 10), Some(520), "no more than there is");
        assert_eq!(queue.ahead(&new, 10), None, "the next turn is its own");
    }

    /// Which things were taken, and what is in the queue given back.
    fn take(queue: &mut FairQueue<u32>, budget: u64) -> Vec<(String, u32)> {
        let taken = queue.take(budget);
        for queued in &taken {
            queue.release(&queued.partner, queued.cost);
        }
        taken.into_iter().map(|queued| (queued.partner.to_string(), queued.item)).collect()
    }

    #[test]
    fn a_partner_waits_for_one_turn_of_another_however_much_that_one_has_pushed() {
        let mut queue = FairQueue::new(1 << 30);
        let (hot, cold) = (partner("hot"), partner("cold"));
        for n in 0..20_000 {
            queue.put(&hot, Share::default(), 1024, n);
        }
        assert_eq!(take(&mut queue, COMMIT).len(), 256, "alone it has the whole disk");
        queue.put(&cold, Share::default(), 1024, 0);
        let commit = take(&mut queue, COMMIT);
        let before = commit.iter().position(|(name, _)| name == "cold").expect("in the very next commit");
        assert!(before <= 64, "after at most one turn of the other, not {before}");
    }

    #[test]
    fn two_that_always_wait_get_their_shares() {
        let mut queue = FairQueue::new(1 << 30);
        let (half, tenth) = (partner("half"), partner("tenth"));
        for n in 0..20_000 {
            queue.put(&half, Share::percent(50).unwrap(), 1000, n);
            queue.put(&tenth, Share::percent(10).unwrap(), 1000, n);
        }
        let taken: Vec<_> = (0..20).flat_map(|_| take(&mut queue, COMMIT)).collect();
        let of_half = taken.iter().filter(|(name, _)| name == "half").count();
        let ratio = of_half as f64 / (taken.len() - of_half) as f64;
        assert!((4.5..5.5).contains(&ratio), "{ratio}");
    }

    #[test]
    fn a_push_larger_than_a_turn_waits_for_enough_turns_and_goes_alone_if_it_must() {
        let mut queue = FairQueue::new(1 << 30);
        let (large, small) = (partner("large"), partner("small"));
        queue.put(&large, Share::percent(1).unwrap(), 10 << 20, 0);
        assert_eq!(take(&mut queue, COMMIT), [("large".to_owned(), 0)]);
        queue.put(&large, Share::percent(1).unwrap(), 100 << 10, 1);
        for n in 0..1000 {
            queue.put(&small, Share::percent(1).unwrap(), 1 << 10, n);
        }
        let before = (0..).find(|_| take(&mut queue, COMMIT).contains(&("large".to_owned(), 1)));
        assert_eq!(before, Some(0), "40 turns of the other fit into one commit");
    }

    #[test]
    fn a_partner_has_its_share_of_the_memory_and_nobody_has_more_than_there_is() {
        let mut queue = FairQueue::new(1000);
        let (a, b, c) = (partner("a"), partner("b"), partner("c"));
        let share = Share::percent(40).unwrap();
        assert_eq!(queue.room_for(&a, share, 1001), Err(NoRoom::TooLarge));
        assert_eq!(queue.room_for(&a, share, 500), Ok(()), "the first may be larger than its share");
        queue.put(&a, share, 300, 0);
        assert_eq!(queue.room_for(&a, share, 100), Ok(()));
        assert_eq!(queue.room_for(&a, share, 101), Err(NoRoom::Full));
        assert_eq!(queue.room_for(&b, share, 701), Err(NoRoom::Full));
        queue.put(&b, share, 700, 0);
        assert_eq!(queue.room_for(&c, share, 1), Err(NoRoom::Full));
        let taken = queue.take(u64::MAX);
        assert_eq!((queue.waiting(), queue.held()), (0, 1000), "what is being written still counts");
        assert_eq!(queue.room_for(&c, share, 1), Err(NoRoom::Full));
        for queued in taken {
            queue.release(&queued.partner, queued.cost);
        }
        assert_eq!((queue.held(), queue.lanes.len()), (0, 0));
        assert_eq!(queue.room_for(&c, share, 1000), Ok(()));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_the_order_of_a_partner_is_kept(
            puts in proptest::collection::vec((0..4_u8, 1..100_000_u64, 1..=100_u8), 0..200), budget in 1..500_000_u64,
        ) {
            let mut queue = FairQueue::new(u64::MAX);
            let mut expected: HashMap<String, Vec<u32>> = HashMap::new();
            let mut taken: HashMap<String, Vec<u32>> = HashMap::new();
            let mut note = |batch: Vec<(String, u32)>| {
                for (name, n) in batch {
                    taken.entry(name).or_default().push(n);
                }
            };
            for (n, (who, cost, share)) in (0..).zip(&puts) {
                let name = format!("p{who}");
                queue.put(&partner(&name), Share::percent(*share).unwrap(), *cost, n);
                expected.entry(name).or_default().push(n);
                if n % 3 == 0 {
                    note(take(&mut queue, budget));
                }
            }
            while queue.waiting() > 0 {
                let batch = take(&mut queue, budget);
                prop_assert!(!batch.is_empty());
                note(batch);
            }
            prop_assert_eq!(taken, expected);
            prop_assert_eq!((queue.held(), queue.lanes.len(), queue.turns.len()), (0, 0, 0));
        }
    }
}
