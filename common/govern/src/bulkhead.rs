//! [`Bulkhead`]: how many calls to one callee may be under way.
//!
//! Protects: everything else from one callee that has become slow. Its calls hold memory, connections and file
//! descriptors; without a cap a slow dependency takes all of them. (The RPC client's pool has no cap of its own.)
//!
//! Source: the bulkhead of "Release It!" (Nygard 2007) as in resilience4j's `SemaphoreBulkhead`, with `maxWaitDuration`
//! 0: who finds it full is told at once, because a queue before a slow callee is only more of the same.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::Relaxed},
};

/// The calls to one callee that are under way.
#[derive(Debug)]
pub struct Bulkhead {
    limit: AtomicU32,
    in_flight: AtomicU32,
}

/// A call that may be made. It counts until it is dropped, whatever becomes of the task that holds it.
#[derive(Debug)]
#[must_use = "dropping it gives the room back"]
pub struct Berth(Arc<Bulkhead>);

impl Bulkhead {
    /// A callee to which at most `limit` calls may be under way.
    pub fn new(limit: u32) -> Arc<Self> {
        Arc::new(Self { limit: AtomicU32::new(limit), in_flight: AtomicU32::new(0) })
    }

    /// Room for one more call, if there is some. Never waits.
    pub fn try_enter(self: &Arc<Self>) -> Option<Berth> {
        let limit = self.limit.load(Relaxed);
        let room = |in_flight| (in_flight < limit).then(|| in_flight + 1);
        self.in_flight.fetch_update(Relaxed, Relaxed, room).ok()?;
        Some(Berth(Arc::clone(self)))
    }

    /// Another limit, from the next call on. Calls beyond it run to their end.
    pub fn set_limit(&self, limit: u32) {
        self.limit.store(limit, Relaxed);
    }

    /// Calls that are under way.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }
}

impl Drop for Berth {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_most_as_many_are_under_way_as_allowed() {
        let bulkhead = Bulkhead::new(2);
        let berths = (bulkhead.try_enter(), bulkhead.try_enter());
        assert!(bulkhead.try_enter().is_none());
        drop(berths);
        assert!(bulkhead.try_enter().is_some());
    }

    #[test]
    fn a_task_that_panics_gives_its_room_back() {
        let bulkhead = Bulkhead::new(1);
        let berth = bulkhead.try_enter().expect("room");
        let panicked = std::thread::spawn(move || {
            let _berth = berth;
            panic!("a bug");
        });
        assert!(panicked.join().is_err());
        assert_eq!(bulkhead.in_flight(), 0);
    }

    #[test]
    fn a_lower_limit_lets_what_is_under_way_end() {
        let bulkhead = Bulkhead::new(3);
        let mut berths: Vec<_> = (0..3).filter_map(|_| bulkhead.try_enter()).collect();
        bulkhead.set_limit(2);
        berths.pop();
        assert!(bulkhead.try_enter().is_none());
        berths.pop();
        assert!(bulkhead.try_enter().is_some());
    }

    #[test]
    fn threads_that_meet_never_exceed_it_and_leave_nothing_behind() {
        let bulkhead = Bulkhead::new(3);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2000 {
                        let berth = bulkhead.try_enter();
                        assert!(bulkhead.in_flight() <= 3);
                        drop(berth);
                    }
                });
            }
        });
        assert_eq!(bulkhead.in_flight(), 0);
    }
}
