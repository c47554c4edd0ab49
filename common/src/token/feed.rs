//! The revocations in the order in which they are followed: what one instance has read of the feed, and what it tells
//! whoever follows it.
//!
//! A row gets its sequence number when it is inserted but is seen when its transaction commits, so a lower number can
//! appear after a higher one. What has settled, because everything up to it is certain to have been seen, is therefore
//! told apart from what is known; whoever follows begins each round at what has settled and is told again what lies
//! behind it. Hearing of a revocation twice changes nothing.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use super::revocation::Revocation;
use crate::clock::Timestamp;

/// Revocations that are known here but have not been read yet, and are told nevertheless. Protects the size of a page;
/// beyond it they are told when they have been read.
const MOST_UNREAD: usize = 1000;

/// A place in the feed. It is named by its row, and recognised by when that row was made: in another database, or one
/// that was restored, the same number is another row. The default is the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The row's number; 0 is before the first.
    pub sequence: i64,
    /// When the row was made.
    pub created_at: Timestamp,
}

/// A row of the feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What was revoked.
    pub revocation: Revocation,
    /// When.
    pub created_at: Timestamp,
    /// From when on no living token needs it.
    pub expires_at: Timestamp,
}

/// A read of the feed that has begun.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    began: Instant,
    settled: i64,
    unread_before: u64,
}

/// What follows a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// What was revoked, and until when that matters.
    pub entries: Vec<(Revocation, Timestamp)>,
    /// Where the page ends.
    pub last: Place,
    /// Whether something follows it.
    pub more: bool,
    /// Where to begin the next round.
    pub settled: Place,
}

/// What one instance has read of the feed.
#[derive(Debug)]
pub struct RevocationFeed {
    overlap: Duration,
    /// The newest number known at each moment, oldest first. The front has settled.
    marks: VecDeque<(Instant, i64)>,
    rows: BTreeMap<i64, Row>,
    /// Known because this instance made them or heard of them, each with a number of its own.
    unread: VecDeque<(u64, Revocation, Timestamp)>,
    next_unread: u64,
    as_of: Instant,
}

impl RevocationFeed {
    /// Starts with nothing read. A row is seen at most `overlap` after its number was given out.
    pub fn new(overlap: Duration, now: Instant) -> Self {
        Self {
            overlap,
            marks: VecDeque::from([(now, 0)]),
            rows: BTreeMap::new(),
            unread: VecDeque::new(),
            next_unread: 0,
            as_of: now,
        }
    }

    /// Begins a read of everything [`after`](Reading::after) what has settled.
    pub fn begin(&self, now: Instant) -> Reading {
        Reading { began: now, settled: self.settled(), unread_before: self.next_unread }
    }

    /// Adds a row that was read.
    pub fn add(&mut self, sequence: i64, row: Row) {
        self.rows.insert(sequence, row);
    }

    /// Ends a read that was complete. Without this what was added counts, but nothing settles.
    ///
    /// What was the newest number one overlap before the read began has settled: every lower number was given out before
    /// it, was seen when the read began, and lay behind the place where it started. It is the time of the read that
    /// counts and not the present: an instance that could not read for a while has not seen what appeared meanwhile.
    pub fn end(&mut self, reading: Reading, now: Instant) {
        let Reading { began, unread_before, .. } = reading;
        while self.marks.get(1).is_some_and(|(noted, _)| began.saturating_duration_since(*noted) >= self.overlap) {
            self.marks.pop_front();
        }
        let newest = self.rows.last_key_value().map_or(0, |(sequence, _)| *sequence);
        if self.marks.back().is_none_or(|(_, known)| newest > *known) {
            // Now, after the read: every number up to the newest was given out before.
            self.marks.push_back((now, newest));
        }
        // What was known before the read began had been committed, so the read has found it.
        self.unread.retain(|(number, ..)| *number >= unread_before);
        self.as_of = self.as_of.max(began);
    }

    /// Ends the first read: rows made up to `settled_before` are so old that none with a lower number can still appear.
    pub fn end_first(&mut self, reading: Reading, settled_before: Timestamp, now: Instant) {
        let settled =
            self.rows.iter().filter(|(_, row)| row.created_at <= settled_before).map(|(sequence, _)| *sequence);
        self.marks = VecDeque::from([(now, settled.max().unwrap_or(0))]);
        self.end(reading, now);
    }

    /// Notes what is known without having been read, so that whoever follows hears of it before it is.
    pub fn note_unread(&mut self, revocation: Revocation, expires_at: Timestamp) {
        if self.unread.len() < MOST_UNREAD {
            self.unread.push_back((self.next_unread, revocation, expires_at));
        }
        self.next_unread += 1;
    }

    /// Up to `most` rows after a place, and with the last of them what is known without having been read. `None` when
    /// the place is not known here: whoever asks has to begin anew.
    pub fn page(&self, after: Place, most: usize) -> Option<Page> {
        if after != Place::default() && self.place_at(after.sequence) != Some(after) {
            return None;
        }
        let mut following = self.rows.range(after.sequence.saturating_add(1)..);
        let mut last = after;
        let mut entries = Vec::new();
        for (&sequence, row) in following.by_ref().take(most) {
            last = Place { sequence, created_at: row.created_at };
            entries.push((row.revocation.clone(), row.expires_at));
        }
        let more = following.next().is_some();
        if !more {
            entries.extend(self.unread.iter().map(|(_, revocation, expires_at)| (revocation.clone(), *expires_at)));
        }
        let settled = self.rows.range(..=self.settled()).next_back();
        let settled =
            settled.map_or(Place::default(), |(&sequence, row)| Place { sequence, created_at: row.created_at });
        Some(Page { entries, last, more, settled })
    }

    /// Everything that could be seen in the database at this moment is known here.
    pub fn as_of(&self) -> Instant {
        self.as_of
    }

    /// Drops rows that no living token can need.
    pub fn forget_expired(&mut self, now: Timestamp) {
        // Nearly in the order in which they expire: one that is out of order waits for those before it.
        while self.rows.first_entry().is_some_and(|first| first.get().expires_at <= now) {
            self.rows.pop_first();
        }
    }

    fn settled(&self) -> i64 {
        self.marks.front().map_or(0, |(_, sequence)| *sequence)
    }

    fn place_at(&self, sequence: i64) -> Option<Place> {
        self.rows.get(&sequence).map(|row| Place { sequence, created_at: row.created_at })
    }
}

impl Reading {
    /// The number to read after.
    pub fn after(&self) -> i64 {
        self.settled
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::token::ids::SessionId;

    const OVERLAP: Duration = Duration::from_secs(10);

    fn row(number: u8) -> Row {
        let revocation = Revocation::Session(SessionId::from_bytes([number; 16]));
        let created_at = Timestamp::from_millis(i64::from(number));
        Row { revocation, created_at, expires_at: created_at + Duration::from_secs(3600) }
    }

    fn place(number: u8) -> Place {
        Place { sequence: i64::from(number), created_at: Timestamp::from_millis(i64::from(number)) }
    }

    fn numbers(page: &Page) -> Vec<u8> {
        let first_byte = |(revocation, _): &(Revocation, Timestamp)| match revocation {
            Revocation::Session(id) => id.as_bytes()[0],
            Revocation::Account { .. } | Revocation::Ban { .. } => 0,
        };
        page.entries.iter().map(first_byte).collect()
    }

    /// A feed that has read rows 1 to `newest`, at `start` and again one overlap later.
    fn feed_of(newest: u8, start: Instant) -> RevocationFeed {
        let mut feed = RevocationFeed::new(OVERLAP, start);
        let reading = feed.begin(start);
        (1..=newest).for_each(|number| feed.add(i64::from(number), row(number)));
        feed.end(reading, start);
        let later = start + OVERLAP;
        feed.end(feed.begin(later), later);
        feed
    }

    #[test]
    fn a_follower_is_told_page_by_page_what_follows_its_place() {
        let feed = feed_of(5, Instant::now());
        let first = feed.page(Place::default(), 2).expect("the beginning is known");
        assert_eq!((numbers(&first), first.last, first.more), (vec![1, 2], place(2), true));
        let second = feed.page(first.last, 2).expect("known");
        assert_eq!((numbers(&second), second.last, second.more), (vec![3, 4], place(4), true));
        let third = feed.page(second.last, 2).expect("known");
        assert_eq!((numbers(&third), third.last, third.more), (vec![5], place(5), false));
        assert_eq!(third.settled, place(5));
        let nothing = feed.page(third.last, 2).expect("known");
        assert_eq!((numbers(&nothing), nothing.last, nothing.more), (vec![], place(5), false));
    }

    #[test]
    fn a_place_of_another_history_and_one_that_is_too_old_are_not_known() {
        let mut feed = feed_of(5, Instant::now());
        let moved = Place { created_at: Timestamp::from_millis(99), ..place(5) };
        for unknown in [moved, place(6)] {
            assert_eq!(feed.page(unknown, 9), None);
        }
        feed.forget_expired(row(5).expires_at);
        assert_eq!(feed.page(place(5), 9), None);
        let empty = feed.page(Place::default(), 9).expect("the beginning is always known");
        assert_eq!((numbers(&empty), empty.settled), (vec![], Place::default()));
    }

    #[test]
    fn what_is_known_without_having_been_read_is_told_until_a_read_that_began_later_has_found_it() {
        let start = Instant::now();
        let mut feed = feed_of(1, start);
        let began_before = feed.begin(start + OVERLAP);
        feed.note_unread(row(2).revocation, row(2).expires_at);
        feed.end(began_before, start + OVERLAP);
        assert_eq!(numbers(&feed.page(place(1), 9).expect("known")), [2]);
        let began_after = feed.begin(start + OVERLAP);
        feed.add(2, row(2));
        feed.end(began_after, start + OVERLAP);
        assert_eq!(numbers(&feed.page(place(1), 9).expect("known")), [2], "once, as a row");
    }

    proptest! {
        /// Rows get their numbers in order and commit up to an overlap later, in any order; reads come at any moment, and
        /// some fail. Nothing is missed, neither by the instance that reads nor by whoever follows it.
        #[test]
        fn a_row_that_commits_within_the_overlap_is_never_skipped(
            delays in prop::collection::vec(0..=10_u64, 1..40),
            reads in prop::collection::vec((1..25_u64, any::<bool>()), 1..30),
        ) {
            let start = Instant::now();
            let at = |seconds: u64| start + Duration::from_secs(seconds);
            let mut feed = RevocationFeed::new(OVERLAP, start);
            let mut follower = Place::default();
            let mut followed = std::collections::BTreeSet::new();
            // Row n is inserted in second n and becomes visible `delay` seconds later.
            let rows: Vec<(u8, u64)> = (1_u8..).zip(&delays).map(|(n, delay)| (n, u64::from(n) + delay)).collect();
            let mut second = 0;
            for (wait, works) in reads.into_iter().chain([(60, true), (20, true), (20, true)]) {
                second += wait;
                let reading = feed.begin(at(second));
                if !works {
                    continue;
                }
                for (n, _) in rows.iter().filter(|(n, visible)| i64::from(*n) > reading.after() && *visible <= second) {
                    feed.add(i64::from(*n), row(*n));
                }
                feed.end(reading, at(second));
                let page = feed.page(follower, 1000).expect("known");
                followed.extend(numbers(&page));
                if page.settled.sequence > follower.sequence {
                    follower = page.settled;
                }
            }
            prop_assert_eq!(followed.len(), rows.len());
            prop_assert_eq!(feed.rows.len(), rows.len());
            prop_assert_eq!(follower.sequence, i64::try_from(rows.len()).expect("small"));
        }
    }
}
