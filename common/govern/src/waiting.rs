//! [`ClassQueues`]: one [`CodelQueue`] per class before a [`crate::priority::Gate`].
//!
//! Protects: a short burst from being refused although there is room in a moment, without letting the waiting of one
//! class delay another. When room comes free, the highest class that waits is asked first; if it may not go in, no lower
//! one may either, because the gate's shares only rise.

use std::time::Duration;

use crate::{
    codel::{CodelConfig, CodelQueue},
    moment::Moment,
    priority::Class,
};

/// Waiters of all classes. Keep it behind a mutex.
#[derive(Debug)]
pub struct ClassQueues<T> {
    /// In the order of shedding.
    queues: [CodelQueue<T>; Class::SHED_ORDER.len()],
}

impl<T> ClassQueues<T> {
    /// Empty queues, each of the configured capacity.
    pub fn new(config: CodelConfig) -> Self {
        Self { queues: std::array::from_fn(|_| CodelQueue::new(config)) }
    }

    /// Lets `item` wait. Returns whom that leaves no room for.
    #[must_use = "who is returned has to be refused"]
    pub fn push(&mut self, now: Moment, class: Class, item: T) -> Option<T> {
        self.queues[class.index()].push(now, item)
    }

    /// Other rules, for those that come from now on.
    pub fn configure(&mut self, config: CodelConfig) {
        self.queues.iter_mut().for_each(|queue| queue.configure(config));
    }

    /// How long a newcomer of a class may wait.
    pub fn patience(&self, now: Moment, class: Class) -> Duration {
        self.queues[class.index()].patience(now)
    }

    /// Takes out a waiter who has given up. Tells whether it was there.
    pub fn remove(&mut self, now: Moment, class: Class, is_it: impl Fn(&T) -> bool) -> bool {
        self.queues[class.index()].remove(now, is_it)
    }

    /// Serves the next one: of the highest class that has waiters, if `enter` lets that class in. What `enter` gives (the
    /// pass of a gate) is returned beside the waiter. Those whose time is over are handed to `refuse`.
    pub fn pop<P>(
        &mut self,
        now: Moment,
        enter: impl FnOnce(Class) -> Option<P>,
        mut refuse: impl FnMut(Class, T),
    ) -> Option<(Class, T, P)> {
        self.expire(now, &mut refuse);
        let class = *Class::SHED_ORDER.iter().rev().find(|class| !self.queues[class.index()].is_empty())?;
        let pass = enter(class)?;
        let item = self.queues[class.index()].pop(now, |item| refuse(class, item))?;
        Some((class, item, pass))
    }

    /// Hands those whose time is over to `refuse`.
    pub fn expire(&mut self, now: Moment, mut refuse: impl FnMut(Class, T)) {
        for (class, queue) in Class::SHED_ORDER.iter().zip(&mut self.queues) {
            queue.expire(now, |item| refuse(*class, item));
        }
    }

    /// When [`Self::expire`] has something to do at the earliest.
    pub fn next_expiry(&self) -> Option<Moment> {
        self.queues.iter().filter_map(CodelQueue::next_expiry).min()
    }

    /// Whether anybody of this class or a higher one waits: then a newcomer of it must wait too, and not overtake.
    pub fn has_waiting_from(&self, class: Class) -> bool {
        self.queues[class.index()..].iter().any(|queue| !queue.is_empty())
    }

    /// How many of a class wait.
    pub fn len(&self, class: Class) -> usize {
        self.queues[class.index()].len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.queues.iter().all(CodelQueue::is_empty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::priority::{Gate, PriorityConfig};

    const NOW: Moment = Moment::from_nanos(1_000_000_000);

    #[test]
    fn the_highest_class_that_waits_goes_first() {
        let mut queues = ClassQueues::new(CodelConfig::default());
        for class in [Class::Login, Class::Verify, Class::Ingest, Class::Verify] {
            assert_eq!(queues.push(NOW, class, class), None);
        }
        let served: Vec<_> = std::iter::from_fn(|| queues.pop(NOW, |_| Some(()), |_, _| ()))
            .map(|(class, _, ())| class.name())
            .collect();
        assert_eq!(served, ["verify", "verify", "login", "ingest"]);
    }

    #[test]
    fn nobody_overtakes_a_higher_class_that_may_not_go_in() {
        let gate = Gate::new(&PriorityConfig { pay_reserved: 0, ..PriorityConfig::default() }, 1);
        let mut queues = ClassQueues::new(CodelConfig::default());
        let first = gate.try_enter(Class::Verify).expect("room");
        let _ = queues.push(NOW, Class::Verify, "verify");
        let _ = queues.push(NOW, Class::Ingest, "ingest");
        assert!(queues.has_waiting_from(Class::Login) && !queues.has_waiting_from(Class::PayCallback));
        assert!(queues.pop(NOW, |class| gate.try_enter(class), |_, _| ()).is_none());
        gate.leave(first);
        let served = queues.pop(NOW, |class| gate.try_enter(class), |_, _| ()).expect("room");
        assert_eq!(served.1, "verify");
    }

    #[test]
    fn who_has_waited_too_long_takes_no_room() {
        let gate = Gate::new(&PriorityConfig::default(), 9);
        let (mut queues, mut refused) = (ClassQueues::new(CodelConfig::default()), Vec::new());
        let _ = queues.push(NOW, Class::Login, "late");
        let later = NOW + Duration::from_secs(1);
        assert_eq!(queues.next_expiry(), Some(NOW + CodelConfig::default().interval));
        let served = queues.pop(later, |class| gate.try_enter(class), |class, item| refused.push((class, item)));
        assert!(served.is_none() && queues.is_empty());
        assert_eq!((refused, gate.in_flight().general), (vec![(Class::Login, "late")], 0));
    }
}
