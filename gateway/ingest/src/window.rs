//! [`Window`]: the events that were seen lately, by their hashes.
//!
//! A ring of hashes in the order in which they came, and a table of places in that ring. An entry takes 16 bytes for the
//! hash, 4 for the time, and 5 in a table that is at most 7/8 full: about 31 bytes for the default of a million.

use std::{fmt, time::Duration};

use common::clock::{Random, Timestamp};
use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_128_with_secret;

use crate::partner::PartnerName;

/// Entries that are forgotten by age at once, at most: nobody waits for a million of them.
const FORGOTTEN_AT_ONCE: usize = 1024;

/// Hashes events with a secret of this process: nobody can look for two that collide.
pub(crate) struct EventHasher([u8; 192]);

/// The hash of a partner and one of its identifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct EventHash([u64; 2]);

impl EventHasher {
    pub(crate) fn new(random: &dyn Random) -> Self {
        Self(common::clock::random_bytes(random))
    }

    /// The same text for the same event only: names of partners have no slash. `text` is a buffer.
    pub(crate) fn hash(&self, partner: &PartnerName, event_id: &str, text: &mut Vec<u8>) -> EventHash {
        self.hash_text(partner.as_str(), event_id, text)
    }

    /// As [`Self::hash`], for a name that was read from a segment.
    pub(crate) fn hash_text(&self, partner: &str, event_id: &str, text: &mut Vec<u8>) -> EventHash {
        text.clear();
        text.extend_from_slice(partner.as_bytes());
        text.push(b'/');
        text.extend_from_slice(event_id.as_bytes());
        let bytes = xxh3_128_with_secret(text, &self.0).to_le_bytes();
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = bytes;
        EventHash([u64::from_le_bytes([a, b, c, d, e, f, g, h]), u64::from_le_bytes([i, j, k, l, m, n, o, p])])
    }
}

impl fmt::Debug for EventHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EventHasher")
    }
}

/// The events that were seen.
pub(crate) struct Window {
    capacity: usize,
    age_s: u32,
    /// The ring: it grows up to the capacity.
    hashes: Vec<EventHash>,
    /// When each was seen, in seconds since 1970; never smaller than the one before.
    times: Vec<u32>,
    oldest: usize,
    len: usize,
    /// Places in the ring.
    places: HashTable<u32>,
}

impl Window {
    /// Remembers `entries` for `age`. Takes the memory for all of them from the system at once, and uses it as they come.
    pub(crate) fn new(entries: u32, age: Duration) -> Self {
        let capacity = usize::try_from(entries).unwrap_or(0);
        Self {
            capacity,
            age_s: u32::try_from(age.as_secs()).unwrap_or(u32::MAX).max(1),
            hashes: Vec::with_capacity(capacity),
            times: Vec::with_capacity(capacity),
            oldest: 0,
            len: 0,
            places: HashTable::with_capacity(capacity),
        }
    }

    /// How many events are remembered.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether an event was seen within the window.
    pub(crate) fn contains(&self, hash: EventHash, now: Timestamp) -> bool {
        let place = self.places.find(hash.0[0], |place| self.hash_at(*place) == Some(hash));
        place.and_then(|place| self.time_at(*place)).is_some_and(|seen| !self.is_expired(seen, seconds(now)))
    }

    /// Remembers an event; the oldest one makes room.
    pub(crate) fn insert(&mut self, hash: EventHash, now: Timestamp) {
        if self.capacity == 0 {
            return;
        }
        self.forget_expired(now);
        if self.len == self.capacity {
            self.forget_oldest();
        }
        let index = (self.oldest + self.len) % self.capacity;
        let newest = self.len.checked_sub(1).and_then(|last| self.times.get((self.oldest + last) % self.capacity));
        let time = seconds(now).max(newest.copied().unwrap_or(0));
        if index == self.hashes.len() {
            self.hashes.push(hash);
            self.times.push(time);
        } else if let (Some(at), Some(then)) = (self.hashes.get_mut(index), self.times.get_mut(index)) {
            (*at, *then) = (hash, time);
        }
        self.len += 1;
        let Ok(place) = u32::try_from(index) else { return };
        let hashes = &self.hashes;
        let is_same = |known: &u32| hashes.get(*known as usize) == Some(&hash);
        match self.places.find_mut(hash.0[0], is_same) {
            // Seen before and expired: the old place in the ring is passed over when its turn comes.
            Some(known) => *known = place,
            None => {
                let rehash = |known: &u32| hashes.get(*known as usize).map_or(0, |hash| hash.0[0]);
                self.places.insert_unique(hash.0[0], place, rehash);
            }
        }
    }

    fn forget_expired(&mut self, now: Timestamp) {
        for _ in 0..FORGOTTEN_AT_ONCE {
            let expired = self.times.get(self.oldest).is_some_and(|seen| self.is_expired(*seen, seconds(now)));
            if self.len == 0 || !expired {
                return;
            }
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let (Some(hash), Ok(place)) = (self.hashes.get(self.oldest), u32::try_from(self.oldest))
            && let Ok(known) = self.places.find_entry(hash.0[0], |known| *known == place)
        {
            known.remove();
        }
        self.oldest = (self.oldest + 1) % self.capacity;
        self.len -= 1;
    }

    fn is_expired(&self, seen: u32, now: u32) -> bool {
        now.saturating_sub(seen) >= self.age_s
    }

    fn hash_at(&self, place: u32) -> Option<EventHash> {
        self.hashes.get(place as usize).copied()
    }

    fn time_at(&self, place: u32) -> Option<u32> {
        self.times.get(place as usize).copied()
    }
}

impl fmt::Debug for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Window").field("len", &self.len).field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

fn seconds(at: Timestamp) -> u32 {
    u32::try_from(at.as_millis().max(0) / 1000).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use common::clock::testing::SeededRandom;
    use proptest::prelude::*;

    use super::*;

    const AGE: Duration = Duration::from_secs(100);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn hash(n: u64) -> EventHash {
        // Few values of the part that the table looks at first: they meet in it.
        EventHash([n % 3, n])
    }

    #[test]
    fn the_same_event_of_another_partner_is_another_event() {
        let hasher = EventHasher::new(&SeededRandom::new(1));
        let of = |partner: &str, id: &str| hasher.hash(&PartnerName::parse(partner).unwrap(), id, &mut Vec::new());
        assert_eq!(of("a", "1"), of("a", "1"));
        assert_ne!(of("a", "1"), of("b", "1"));
        assert_ne!(of("a", "b/1"), of("a", "b1"));
        let elsewhere = EventHasher::new(&SeededRandom::new(2));
        assert_ne!(of("a", "1"), elsewhere.hash_text("a", "1", &mut Vec::new()), "nobody knows it beforehand");
    }

    #[test]
    fn a_window_of_nothing_remembers_nothing() {
        let mut window = Window::new(0, AGE);
        window.insert(hash(1), at(0));
        assert!(!window.contains(hash(1), at(0)));
    }

    #[test]
    fn what_was_seen_again_after_its_time_is_remembered_for_as_long_as_a_new_one() {
        let mut window = Window::new(10_000, AGE);
        // More than are forgotten at once, so that the old place is still in the ring.
        for n in 0..3000 {
            window.insert(hash(n), at(0));
        }
        assert!(!window.contains(hash(2999), at(100)));
        window.insert(hash(2999), at(100));
        for n in 3000..6000 {
            window.insert(hash(n), at(101));
        }
        assert!(window.contains(hash(2999), at(199)));
        assert!(!window.contains(hash(2999), at(200)));
    }

    #[test]
    fn the_entry_of_the_documentation_is_what_it_takes() {
        let window = Window::new(1_000_000, AGE);
        let bytes = window.hashes.capacity() * size_of::<EventHash>()
            + window.times.capacity() * size_of::<u32>()
            + window.places.allocation_size();
        assert!(bytes / 1_000_000 <= 31, "{bytes}");
    }

    proptest! {
        #[test]
        fn it_remembers_what_a_list_would(
            capacity in 1..20_u32, steps in proptest::collection::vec((0..30_u64, 0..60_i64), 0..300),
        ) {
            let mut window = Window::new(capacity, AGE);
            let mut list = VecDeque::<(u64, i64)>::new();
            let mut now = 0;
            for (n, passed) in steps {
                now += passed;
                let known = list.iter().any(|(seen, when)| *seen == n && now - when < 100);
                prop_assert_eq!(window.contains(hash(n), at(now)), known);
                if !known {
                    list.retain(|(_, when)| now - when < 100);
                    if list.len() == usize::try_from(capacity).unwrap() {
                        list.pop_front();
                    }
                    list.push_back((n, now));
                    window.insert(hash(n), at(now));
                }
                prop_assert!(window.len() <= usize::try_from(capacity).unwrap());
            }
        }
    }
}
