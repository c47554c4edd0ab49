//! Which instances get no calls for a while: those that refused a connection, and those that leave calls unanswered.
//!
//! Pure bookkeeping: what counts as a refusal or as unanswered, and what is done with the rest, is decided in
//! `balance.rs`.

use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::contract::Effect;
use crate::discovery::Instances;

/// What is known of the instances, and which of them are left out.
#[derive(Debug)]
pub(super) struct Ejections {
    rules: Rules,
    standings: HashMap<SocketAddr, Standing>,
    /// The list that the standings were last held against.
    list: Arc<Instances>,
}

/// When an instance is left out, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// The first time it is left out.
    pub(super) shortest: Duration,
    /// However often it has been.
    pub(super) longest: Duration,
    /// How long one caller may try an instance whose time is over, before the next one does.
    pub(super) trial: Duration,
    /// Calls in a row that it may leave unanswered.
    pub(super) unanswered: u32,
}

/// How an instance has done lately. One that nothing is known of is in good standing.
#[derive(Debug, Default)]
struct Standing {
    last_answer: Option<Instant>,
    /// Calls it took and left unanswered, none of them sent before its last answer.
    unanswered: u32,
    ejected: Option<Ejected>,
}

#[derive(Clone, Copy, Debug)]
struct Ejected {
    in_a_row: u32,
    until: Instant,
    on_trial: bool,
    /// Because it left calls unanswered, and not because it refused connections.
    was_silent: bool,
}

impl Ejections {
    pub(super) fn new(rules: Rules) -> Self {
        Self { rules, standings: HashMap::new(), list: Arc::default() }
    }

    /// Forgets the instances that are on the list no longer, if it is another list than the last time. Where instances
    /// come and go at ever new addresses, that is what keeps this from growing.
    pub(super) fn follow(&mut self, list: &Arc<Instances>) {
        if !Arc::ptr_eq(&self.list, list) {
            self.standings.retain(|address, _| list.iter().any(|instance| instance.address == *address));
            self.list = Arc::clone(list);
        }
    }

    /// Whether the instance may be called now. When its time is over, the first to ask may; the others wait to see
    /// what becomes of that.
    ///
    /// Where calls were left unanswered a trial costs its caller something, so the trial is a read, which can be
    /// repeated elsewhere. Only if no read comes for a long time a write has to do.
    pub(super) fn admits(&mut self, address: SocketAddr, effect: Effect, now: Instant) -> bool {
        let Rules { longest, trial, .. } = self.rules;
        let Some(ejected) = self.standings.get_mut(&address).and_then(|standing| standing.ejected.as_mut()) else {
            return true;
        };
        let leave_it_to_reads = ejected.was_silent && effect == Effect::Write;
        let over = if leave_it_to_reads { ejected.until + longest } else { ejected.until };
        if over > now {
            return false;
        }
        ejected.until = now + trial;
        ejected.on_trial = true;
        true
    }

    /// Whether nothing is known of the instance that speaks against asking it a question that another has left
    /// unanswered. One that is silent itself gets no such question: when all are overloaded, repeats are the last
    /// thing they need.
    pub(super) fn answers(&self, address: SocketAddr) -> bool {
        self.standings.get(&address).is_none_or(|standing| standing.unanswered == 0)
    }

    /// The instance answered: all is forgotten.
    pub(super) fn answered(&mut self, address: SocketAddr, now: Instant) {
        let standing = self.standings.entry(address).or_default();
        *standing = Standing { last_answer: Some(now), ..Standing::default() };
    }

    /// The instance refused a connection: it is left out. Returns whether it was ejected now.
    pub(super) fn refused(&mut self, address: SocketAddr, known: &[SocketAddr], spread: f64, now: Instant) -> bool {
        self.eject(address, known, spread, now, false)
    }

    /// The instance took a call at `began` and did not answer it. One that has answered anything since is slow with
    /// that call and not gone; one that has not is left out after several such calls. Returns whether it was ejected
    /// now.
    pub(super) fn left_unanswered(
        &mut self,
        address: SocketAddr,
        began: Instant,
        known: &[SocketAddr],
        spread: f64,
        now: Instant,
    ) -> bool {
        let standing = self.standings.entry(address).or_default();
        if standing.last_answer.is_some_and(|answer| answer >= began) {
            return false;
        }
        standing.unanswered = standing.unanswered.saturating_add(1);
        let is_gone = standing.ejected.is_some() || standing.unanswered >= self.rules.unanswered;
        is_gone && self.eject(address, known, spread, now, true)
    }

    /// Leaves the instance out, twice as long as the last time (times `spread`), unless half of the `known` instances
    /// already are.
    fn eject(
        &mut self,
        address: SocketAddr,
        known: &[SocketAddr],
        spread: f64,
        now: Instant,
        was_silent: bool,
    ) -> bool {
        self.standings.retain(|address, _| known.contains(address));
        let out = self.standings.values().filter(|standing| standing.ejected.is_some()).count();
        let standing = self.standings.entry(address).or_default();
        let in_a_row = match standing.ejected {
            // Others were on their way when it was ejected: they saw the same.
            Some(ejected) if ejected.until > now && !ejected.on_trial => return false,
            Some(ejected) => ejected.in_a_row.saturating_add(1),
            None => 1,
        };
        if in_a_row == 1 && 2 * (out + 1) > known.len() {
            // Leaving out more would drive the rest down next; and who refuses costs no more than a moment.
            return false;
        }
        let Rules { shortest, longest, .. } = self.rules;
        let doublings = (in_a_row - 1).min(16);
        let time = shortest.saturating_mul(1 << doublings).min(longest).mul_f64(spread);
        standing.ejected = Some(Ejected { in_a_row, until: now + time, on_trial: false, was_silent });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discovery::Instance;

    const SECOND: Duration = Duration::from_secs(1);

    fn addresses<const N: usize>() -> [SocketAddr; N] {
        std::array::from_fn(|n| SocketAddr::from(([10, 0, 0, 1], u16::try_from(n).expect("few") + 1)))
    }

    fn ejections() -> Ejections {
        Ejections::new(Rules { shortest: SECOND, longest: 10 * SECOND, trial: SECOND / 2, unanswered: 3 })
    }

    fn read_admitted(ejections: &mut Ejections, address: SocketAddr, now: Instant) -> bool {
        ejections.admits(address, Effect::Read, now)
    }

    #[tokio::test(start_paused = true)]
    async fn an_instance_that_refuses_is_left_out_and_each_time_longer() {
        let (mut ejections, all) = (ejections(), addresses::<4>());
        let mut now = Instant::now();
        for expected in [SECOND, 2 * SECOND, 4 * SECOND, 8 * SECOND, 10 * SECOND, 10 * SECOND] {
            assert!(ejections.refused(all[0], &all, 1.0, now));
            assert!(!read_admitted(&mut ejections, all[0], now + expected - Duration::from_millis(1)));
            now += expected;
            assert!(read_admitted(&mut ejections, all[0], now), "after {expected:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn calls_that_meet_the_same_refusal_count_once() {
        let (mut ejections, all, now) = (ejections(), addresses::<2>(), Instant::now());
        let ejected = (0..64).filter(|_| ejections.refused(all[0], &all, 1.0, now)).count();
        assert_eq!(ejected, 1);
        assert!(read_admitted(&mut ejections, all[0], now + SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn one_caller_at_a_time_tries_an_instance_whose_time_is_over() {
        let (mut ejections, all, now) = (ejections(), addresses::<2>(), Instant::now());
        ejections.refused(all[0], &all, 1.0, now);
        assert!(read_admitted(&mut ejections, all[0], now + SECOND));
        assert!(!read_admitted(&mut ejections, all[0], now + SECOND));
        assert!(read_admitted(&mut ejections, all[0], now + 2 * SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn an_instance_that_answers_again_is_as_good_as_any() {
        let (mut ejections, all, now) = (ejections(), addresses::<2>(), Instant::now());
        ejections.refused(all[0], &all, 1.0, now);
        ejections.answered(all[0], now);
        assert!(read_admitted(&mut ejections, all[0], now));
    }

    #[tokio::test(start_paused = true)]
    async fn never_more_than_half_of_the_instances_are_left_out() {
        for (all, most) in
            [(addresses::<5>().to_vec(), 2), (addresses::<2>().to_vec(), 1), (addresses::<1>().to_vec(), 0)]
        {
            let (mut ejections, now) = (ejections(), Instant::now());
            let ejected = all.iter().filter(|address| ejections.refused(**address, &all, 1.0, now)).count();
            assert_eq!(ejected, most, "of {}", all.len());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn of_an_instance_that_has_left_the_list_nothing_is_kept() {
        let (mut ejections, all, now) = (ejections(), addresses::<4>(), Instant::now());
        let list =
            |addresses: &[SocketAddr]| Arc::new(Instances::new(addresses.iter().copied().map(Instance::at).collect()));
        let before = list(&all);
        ejections.follow(&before);
        for address in all {
            ejections.answered(address, now);
        }
        ejections.refused(all[3], &all, 1.0, now);
        ejections.follow(&before);
        assert_eq!(ejections.standings.len(), 4, "the same list");
        ejections.follow(&list(&all[2..]));
        assert_eq!(ejections.standings.len(), 2);
        assert!(!read_admitted(&mut ejections, all[3], now), "who stays keeps its standing");
    }

    #[tokio::test(start_paused = true)]
    async fn an_instance_that_is_gone_does_not_count_among_those_left_out() {
        let (mut ejections, all, now) = (ejections(), addresses::<4>(), Instant::now());
        ejections.refused(all[0], &all[..2], 1.0, now);
        assert!(ejections.refused(all[2], &all[1..3], 1.0, now));
    }

    #[tokio::test(start_paused = true)]
    async fn an_instance_is_left_out_after_several_unanswered_calls_and_after_one_while_on_trial() {
        let (mut ejections, all, began) = (ejections(), addresses::<2>(), Instant::now());
        let now = began + SECOND;
        let ejected = [(); 4].map(|()| ejections.left_unanswered(all[0], began, &all, 1.0, now));
        assert_eq!(ejected, [false, false, true, false]);
        let over = now + SECOND;
        assert!(read_admitted(&mut ejections, all[0], over));
        assert!(ejections.left_unanswered(all[0], over, &all, 1.0, over + SECOND / 2));
    }

    #[tokio::test(start_paused = true)]
    async fn an_instance_that_has_answered_since_is_slow_and_not_gone() {
        let (mut ejections, all, began) = (ejections(), addresses::<2>(), Instant::now());
        ejections.answered(all[0], began + SECOND / 2);
        for _ in 0..64 {
            assert!(!ejections.left_unanswered(all[0], began, &all, 1.0, began + SECOND));
        }
        assert!(ejections.answers(all[0]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_that_was_left_unanswered_goes_to_no_instance_that_is_silent_itself() {
        let (mut ejections, all, began) = (ejections(), addresses::<2>(), Instant::now());
        assert!(ejections.answers(all[0]), "nothing is known against it");
        ejections.left_unanswered(all[0], began, &all, 1.0, began + SECOND);
        assert!(!ejections.answers(all[0]));
        ejections.answered(all[0], began + 2 * SECOND);
        assert!(ejections.answers(all[0]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_is_not_sent_to_find_out_whether_an_instance_answers_again() {
        let (mut ejections, all, began) = (ejections(), addresses::<2>(), Instant::now());
        for _ in 0..3 {
            ejections.left_unanswered(all[0], began, &all, 1.0, began);
        }
        assert!(!ejections.admits(all[0], Effect::Write, began + 2 * SECOND));
        assert!(ejections.admits(all[0], Effect::Write, began + 11 * SECOND), "unless no read comes");
        ejections.refused(all[1], &all[1..], 1.0, began);
        assert!(ejections.admits(all[1], Effect::Write, began + SECOND), "a refusal costs a write nothing");
    }
}
