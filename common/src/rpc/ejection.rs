//! Which instances get no calls for a while, because they refused a connection.
//!
//! Pure bookkeeping: what counts as a refusal, and what is done with the rest, is decided in `balance.rs`.

use std::{collections::HashMap, net::SocketAddr, time::Duration};

use tokio::time::Instant;

/// The instances that refused lately.
#[derive(Debug)]
pub(super) struct Ejections {
    shortest: Duration,
    longest: Duration,
    /// How long one caller may try an instance whose time is over, before the next one does.
    trial: Duration,
    refused: HashMap<SocketAddr, Refused>,
}

#[derive(Debug)]
struct Refused {
    in_a_row: u32,
    until: Instant,
    on_trial: bool,
}

impl Ejections {
    pub(super) fn new(shortest: Duration, longest: Duration, trial: Duration) -> Self {
        Self { shortest, longest, trial, refused: HashMap::new() }
    }

    /// Whether the instance may be called now. When its time is over, the first to ask may; the others wait to see
    /// what becomes of that.
    pub(super) fn admits(&mut self, address: SocketAddr, now: Instant) -> bool {
        match self.refused.get_mut(&address) {
            None => true,
            Some(refused) if refused.until <= now => {
                refused.until = now + self.trial;
                refused.on_trial = true;
                true
            }
            Some(_) => false,
        }
    }

    /// The instance took a connection: all is forgotten.
    pub(super) fn accepted(&mut self, address: SocketAddr) {
        self.refused.remove(&address);
    }

    /// The instance refused a connection: it is left out, twice as long as the last time (times `spread`), unless half
    /// of the `known` instances already are. Returns whether it was ejected now.
    pub(super) fn refused(&mut self, address: SocketAddr, known: &[SocketAddr], spread: f64, now: Instant) -> bool {
        self.refused.retain(|address, _| known.contains(address));
        let in_a_row = match self.refused.get(&address) {
            // Others were on their way when it was ejected: they saw the same refusal.
            Some(refused) if refused.until > now && !refused.on_trial => return false,
            Some(refused) => refused.in_a_row.saturating_add(1),
            None => 1,
        };
        if in_a_row == 1 && 2 * (self.refused.len() + 1) > known.len() {
            // Leaving out more would drive the rest down next; and who refuses costs no more than a moment.
            return false;
        }
        let doublings = (in_a_row - 1).min(16);
        let time = self.shortest.saturating_mul(1 << doublings).min(self.longest).mul_f64(spread);
        self.refused.insert(address, Refused { in_a_row, until: now + time, on_trial: false });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn addresses<const N: usize>() -> [SocketAddr; N] {
        std::array::from_fn(|n| SocketAddr::from(([10, 0, 0, 1], u16::try_from(n).expect("few") + 1)))
    }

    fn ejections() -> Ejections {
        Ejections::new(SECOND, 10 * SECOND, SECOND / 2)
    }

    #[tokio::test(start_paused = true)]
    async fn an_instance_that_refuses_is_left_out_and_each_time_longer() {
        let (mut ejections, all) = (ejections(), addresses::<4>());
        let mut now = Instant::now();
        for expected in [SECOND, 2 * SECOND, 4 * SECOND, 8 * SECOND, 10 * SECOND, 10 * SECOND] {
            assert!(ejections.refused(all[0], &all, 1.0, now));
            assert!(!ejections.admits(all[0], now + expected - Duration::from_millis(1)));
            now += expected;
            assert!(ejections.admits(all[0], now), "after {expected:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn calls_that_meet_the_same_refusal_count_once() {
        let (mut ejections, all, now) = (ejections(), addresses::<2>(), Instant::now());
        let ejected = (0..64).filter(|_| ejections.refused(all[0], &all, 1.0, now)).count();
        assert_eq!(ejected, 1);
        assert!(ejections.admits(all[0], now + SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn one_caller_at_a_time_tries_an_instance_whose_time_is_over() {
        let (mut ejections, all, now) = (ejections(), addresses::<2>(), Instant::now());
        ejections.refused(all[0], &all, 1.0, now);
        assert!(ejections.admits(all[0], now + SECOND));
        assert!(!ejections.admits(all[0], now + SECOND));
        assert!(ejections.admits(all[0], now + 2 * SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn an_instance_that_takes_a_connection_again_is_as_good_as_any() {
        let (mut ejections, all, now) = (ejections(), addresses::<2>(), Instant::now());
        ejections.refused(all[0], &all, 1.0, now);
        ejections.accepted(all[0]);
        assert!(ejections.admits(all[0], now));
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
    async fn an_instance_that_is_gone_does_not_count_among_those_left_out() {
        let (mut ejections, all, now) = (ejections(), addresses::<4>(), Instant::now());
        ejections.refused(all[0], &all[..2], 1.0, now);
        assert!(ejections.refused(all[2], &all[1..3], 1.0, now));
    }
}
