//! A bounded map whose entries expire: what [`MemoryState`](super::MemoryState) is made of.
//!
//! Expired entries are found through a heap ordered by expiry, a few per operation: nothing scans the whole map. A
//! ticket in the heap is only a hint. The entry knows the number of the one ticket that speaks for it; other tickets
//! are stale and are thrown away when they come up, or all at once when they outnumber the entries.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    sync::Arc,
};

/// Tickets that one operation looks at: more than it can add, so that the map shrinks to what is alive.
const LOOKED_AT_PER_OPERATION: usize = 4;

/// Below this, stale tickets are not worth a rebuild.
const FEW_TICKETS: usize = 64;

/// A bounded, expiring map from keys to numbers. Times are microseconds since the Unix epoch.
#[derive(Debug)]
pub(super) struct Expiring {
    entries: HashMap<Arc<str>, Slot>,
    tickets: BinaryHeap<Reverse<Ticket>>,
    next_ticket: u64,
    capacity: usize,
}

/// What a key stands for, until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) value: u64,
    pub(super) expires_us: u64,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    entry: Entry,
    ticket: u64,
}

/// Ordered by time first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Ticket {
    /// Not later than the entry's expiry: a prolonged entry keeps its ticket until it comes up.
    at_us: u64,
    number: u64,
    key: Arc<str>,
}

impl Expiring {
    pub(super) fn new(capacity: usize) -> Self {
        Self { entries: HashMap::new(), tickets: BinaryHeap::new(), next_ticket: 0, capacity }
    }

    /// The entry, if it is alive.
    pub(super) fn get(&self, key: &str, now_us: u64) -> Option<Entry> {
        self.entries.get(key).map(|slot| slot.entry).filter(|entry| entry.expires_us > now_us)
    }

    /// Whether a further key finds room without another giving way.
    pub(super) fn has_room(&mut self, now_us: u64) -> bool {
        self.remove_expired(now_us, LOOKED_AT_PER_OPERATION);
        self.entries.len() < self.capacity
    }

    /// Sets an entry. Without room, the entry that expires first gives way.
    pub(super) fn set(&mut self, key: &str, entry: Entry, now_us: u64) {
        self.remove_expired(now_us, LOOKED_AT_PER_OPERATION);
        match self.entries.get_mut(key) {
            Some(slot) if slot.entry.expires_us <= entry.expires_us => slot.entry = entry,
            Some(_) => self.insert(key.into(), entry),
            None => {
                if self.entries.len() >= self.capacity {
                    self.remove_first_to_expire();
                }
                self.insert(key.into(), entry);
            }
        }
    }

    /// Forgets a key.
    pub(super) fn remove(&mut self, key: &str) {
        self.entries.remove(key);
        self.drop_stale_tickets();
    }

    #[cfg(test)]
    pub(super) fn sizes(&self) -> (usize, usize) {
        (self.entries.len(), self.tickets.len())
    }

    fn insert(&mut self, key: Arc<str>, entry: Entry) {
        let number = self.next_ticket;
        self.next_ticket += 1;
        self.tickets.push(Reverse(Ticket { at_us: entry.expires_us, number, key: Arc::clone(&key) }));
        self.entries.insert(key, Slot { entry, ticket: number });
        self.drop_stale_tickets();
    }

    fn remove_expired(&mut self, now_us: u64, most: usize) {
        for _ in 0..most {
            match self.tickets.peek() {
                Some(Reverse(ticket)) if ticket.at_us <= now_us => {}
                _ => return,
            }
            let Some(Reverse(ticket)) = self.tickets.pop() else { return };
            self.settle(ticket, |expires_us| expires_us <= now_us);
        }
    }

    fn remove_first_to_expire(&mut self) {
        while let Some(Reverse(ticket)) = self.tickets.pop() {
            let at_us = ticket.at_us;
            if self.settle(ticket, |expires_us| expires_us <= at_us) {
                return;
            }
        }
    }

    /// Removes the ticket's entry if `over` says so; a prolonged entry gets its ticket back with its new time, a
    /// stale ticket vanishes.
    fn settle(&mut self, ticket: Ticket, over: impl Fn(u64) -> bool) -> bool {
        let Some(slot) = self.entries.get(&ticket.key).filter(|slot| slot.ticket == ticket.number) else {
            return false;
        };
        let expires_us = slot.entry.expires_us;
        if over(expires_us) {
            self.entries.remove(&ticket.key);
            return true;
        }
        self.tickets.push(Reverse(Ticket { at_us: expires_us, ..ticket }));
        false
    }

    /// Costs as much as the removals and shortenings that made it necessary.
    fn drop_stale_tickets(&mut self) {
        if self.tickets.len() > 2 * self.entries.len() + FEW_TICKETS {
            let entries = &self.entries;
            self.tickets
                .retain(|Reverse(ticket)| entries.get(&ticket.key).is_some_and(|slot| slot.ticket == ticket.number));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn entry(value: u64, expires_us: u64) -> Entry {
        Entry { value, expires_us }
    }

    #[test]
    fn an_entry_ends_at_its_expiry_and_makes_room() {
        let mut map = Expiring::new(1);
        map.set("a", entry(1, 100), 0);
        assert_eq!(map.get("a", 99), Some(entry(1, 100)));
        assert_eq!(map.get("a", 100), None);
        assert!(!map.has_room(99));
        assert!(map.has_room(100));
    }

    #[test]
    fn without_room_the_first_to_expire_gives_way_even_if_others_were_prolonged() {
        let mut map = Expiring::new(2);
        map.set("a", entry(1, 10), 0);
        map.set("b", entry(2, 20), 0);
        map.set("a", entry(1, 30), 0);
        map.set("c", entry(3, 40), 0);
        assert_eq!((map.get("a", 0), map.get("b", 0)), (Some(entry(1, 30)), None));
        assert_eq!(map.get("c", 0), Some(entry(3, 40)));
    }

    #[test]
    fn keys_that_come_and_go_leave_no_growing_trail() {
        let mut map = Expiring::new(10);
        for round in 0..10_000 {
            map.set("key", entry(round, 1_000_000), 0);
            map.remove("key");
        }
        let (entries, tickets) = map.sizes();
        assert_eq!(entries, 0);
        assert!(tickets <= FEW_TICKETS + 2, "{tickets}");
    }

    proptest! {
        /// With room for everything it is a plain map with expiry, whatever is set, shortened, removed, and when.
        #[test]
        fn it_behaves_like_a_map_that_is_searched(
            steps in prop::collection::vec((0_u8..3, 0_u8..6, 0_u64..50, 0_u64..20), 1..300),
        ) {
            let (mut map, mut model, mut now) = (Expiring::new(6), BTreeMap::new(), 0);
            for (what, key, lifetime, passed) in steps {
                now += passed;
                let key = key.to_string();
                match what {
                    0 => { map.remove(&key); model.remove(&key); }
                    _ => {
                        map.set(&key, entry(lifetime, now + lifetime), now);
                        model.insert(key, entry(lifetime, now + lifetime));
                    }
                }
                for key in (0_u8..6).map(|key| key.to_string()) {
                    let expected = model.get(&key).copied().filter(|entry: &Entry| entry.expires_us > now);
                    prop_assert_eq!(map.get(&key, now), expected);
                }
                prop_assert!(map.sizes().0 <= 6);
            }
        }
    }
}
