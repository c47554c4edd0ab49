//! Which list holds, given what Nacos answered. Values only: no time is read and nothing is asked here.

use std::time::Duration;

use tokio::time::Instant;

use crate::discovery::Instances;

/// The list that holds, and how far what Nacos says is believed.
#[derive(Debug)]
pub(super) struct LastGood {
    instances: Instances,
    /// Until then an instance that is missing is taken for one that has not found Nacos again yet.
    keep_missing_until: Option<Instant>,
    keep_missing_for: Duration,
}

impl LastGood {
    /// What is known from an earlier run. Nacos may have lost its memory since then, and the others may still be on
    /// their way back, so the first answers are believed no more than those after an outage.
    pub(super) fn new(instances: Instances, keep_missing_for: Duration, now: Instant) -> Self {
        let mut known = Self { instances, keep_missing_until: None, keep_missing_for };
        if !known.instances.is_empty() {
            known.unanswered(now);
        }
        known
    }

    /// Nacos did not answer. The list holds, and when answers come again they will be incomplete for a while.
    pub(super) fn unanswered(&mut self, now: Instant) {
        self.keep_missing_until = Some(now + self.keep_missing_for);
    }

    /// Nacos answered. Returns the list that holds from now on.
    ///
    /// An empty answer is not followed: somebody registered there once, so it is either a registry that has lost its
    /// memory or a service of which no instance is left, and then calling the old ones fails as surely as calling none.
    pub(super) fn answered(&mut self, found: Instances, now: Instant) -> &Instances {
        if found.is_empty() && !self.instances.is_empty() {
            self.unanswered(now);
        } else if self.keep_missing_until.is_some_and(|until| now < until) {
            let missing = self.instances.iter().cloned();
            self.instances = Instances::unordered(found.iter().cloned().chain(missing).collect());
        } else {
            self.keep_missing_until = None;
            self.instances = found;
        }
        &self.instances
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::discovery::Instance;

    const KEEP: Duration = Duration::from_secs(30);

    fn list(ports: &[u16]) -> Instances {
        Instances::new(ports.iter().map(|port| Instance::at(SocketAddr::from(([10, 0, 0, 1], *port)))).collect())
    }

    /// What is known of a service after this answer, in a process that has run for long.
    fn known(ports: &[u16]) -> (LastGood, Instant) {
        let mut known = LastGood::new(list(&[]), KEEP, Instant::now());
        known.answered(list(ports), Instant::now());
        (known, Instant::now())
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_replaces_the_list() {
        let (mut known, now) = known(&[1, 2]);
        assert_eq!(*known.answered(list(&[2, 3]), now), list(&[2, 3]));
    }

    #[tokio::test(start_paused = true)]
    async fn the_list_of_an_earlier_run_only_grows_until_everybody_had_time_to_register_again() {
        let now = Instant::now();
        let mut known = LastGood::new(list(&[1, 2]), KEEP, now);
        assert_eq!(*known.answered(list(&[2]), now), list(&[1, 2]));
        assert_eq!(*known.answered(list(&[2, 3]), now + KEEP / 2), list(&[1, 2, 3]));
        assert_eq!(*known.answered(list(&[2, 3]), now + KEEP), list(&[2, 3]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_without_a_list_of_an_earlier_run_believes_every_answer() {
        let now = Instant::now();
        let mut known = LastGood::new(list(&[]), KEEP, now);
        assert_eq!(*known.answered(list(&[1, 2]), now), list(&[1, 2]));
        assert_eq!(*known.answered(list(&[2]), now), list(&[2]));
    }

    #[tokio::test(start_paused = true)]
    async fn an_empty_answer_keeps_the_list_however_often_it_comes() {
        let (mut known, now) = known(&[1, 2]);
        for later in 0..10 {
            assert_eq!(*known.answered(list(&[]), now + KEEP * later), list(&[1, 2]));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn after_an_outage_a_list_only_grows_until_everybody_had_time_to_register_again() {
        let (mut known, now) = known(&[1, 2]);
        known.unanswered(now);
        assert_eq!(*known.answered(list(&[2]), now + KEEP / 2), list(&[1, 2]));
        assert_eq!(*known.answered(list(&[2, 3]), now + KEEP / 2), list(&[1, 2, 3]));
        assert_eq!(*known.answered(list(&[2, 3]), now + KEEP), list(&[2, 3]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_registry_that_has_lost_its_memory_is_treated_like_one_that_was_away() {
        let (mut known, now) = known(&[1, 2]);
        known.answered(list(&[]), now);
        assert_eq!(*known.answered(list(&[1]), now + KEEP / 2), list(&[1, 2]));
        assert_eq!(*known.answered(list(&[1]), now + KEEP), list(&[1]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_never_had_an_instance_has_none() {
        let mut known = LastGood::new(list(&[]), KEEP, Instant::now());
        assert!(known.answered(list(&[]), Instant::now()).is_empty());
    }
}
