//! [`pick`]: which instance gets the next call.
//!
//! Protects: callers from slow instances, and a new instance from all of the load at once.
//!
//! Power of two choices (Mitzenmacher 2001) over peak EWMA (Finagle `loadbalancer/PeakEwma.scala`, tower 0.5
//! `load/peak_ewma.rs`): two instances are drawn by weight, and the cheaper one is taken.
//! ```text
//! latency above the estimate:  estimate := latency                        (peak sensitive)
//! otherwise:                   estimate := estimate · d + latency · (1−d),  d = e^(−elapsed / decay), decay 10 s
//! cost = estimate(decayed to now) · (1 + in_flight / weight)
//! ```
//! Other than there:
//! - an instance of which nothing is known counts as quick as the one it is compared with, instead of as 1 s, which at
//!   latencies of a millisecond would keep it out for a minute;
//! - the dearer one is taken if it had no call for `force_after` while the other had one (go-zero `p2c`, 1 s), so that its
//!   estimate is of today;
//! - a failure counts as `failure_latency` if it was quicker than that: who refuses quickly must not attract more;
//! - a new instance's weight rises from `slow_start_from` to all of it over `slow_start` (Envoy slow start, aggression 1);
//! - instances of the caller's lane are preferred, then those of the base; who has no lane never gets to a lane;
//! - instances that are left out ([`crate::ejection`]) are passed over, unless there are no others; one whose probe is
//!   due gets the call.
//!
//! Reads are lock-free and nothing is allocated: an endpoint's estimate and its time share one word.

use std::{cell::Cell, sync::atomic::Ordering::Relaxed, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    ejection::{Admission, EjectionConfig},
    endpoint::Endpoint,
    lane::LaneName,
    moment::Moment,
    problems::{Check, Problems},
};

/// How instances are compared.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BalanceConfig {
    /// How quickly a peak is forgotten.
    #[serde(with = "humantime_serde")]
    pub decay: Duration,
    /// After how long without a call an instance is called once although it seems dearer.
    #[serde(with = "humantime_serde")]
    pub force_after: Duration,
    /// What a failure costs at least.
    #[serde(with = "humantime_serde")]
    pub failure_latency: Duration,
    /// How long a new instance takes to its full weight.
    #[serde(with = "humantime_serde")]
    pub slow_start: Duration,
    /// The share of its weight that a new instance begins with.
    pub slow_start_from: f64,
}

impl Default for BalanceConfig {
    fn default() -> Self {
        Self {
            decay: Duration::from_secs(10),
            force_after: Duration::from_secs(1),
            failure_latency: Duration::from_secs(1),
            slow_start: Duration::from_secs(30),
            slow_start_from: 0.1,
        }
    }
}

impl Check for BalanceConfig {
    fn check(&self, problems: &mut Problems) {
        let minute = Duration::from_secs(60);
        problems.duration("decay", self.decay, Duration::from_millis(10)..=10 * minute);
        problems.duration("force_after", self.force_after, Duration::from_millis(10)..=minute);
        problems.duration("failure_latency", self.failure_latency, Duration::ZERO..=minute);
        problems.duration("slow_start", self.slow_start, Duration::ZERO..=10 * minute);
        problems.number("slow_start_from", self.slow_start_from, 0.01..=1.0);
    }
}

/// What the choice depends on besides the endpoints.
#[derive(Clone, Copy, Debug)]
pub struct Choice<'a> {
    /// How instances are compared.
    pub balance: &'a BalanceConfig,
    /// When instances are probed.
    pub ejection: &'a EjectionConfig,
    /// The caller's lane.
    pub lane: Option<&'a LaneName>,
    /// Places that this call was at already: none of them is chosen again.
    pub tried: &'a [usize],
    /// Whether this call may be the one that finds out how an instance is that seems dear or was left out. False for
    /// what can't be asked again elsewhere: it is not forced upon anybody, and probes only who was left out for
    /// [`EjectionConfig::longest`] longer than it had to be, because nobody else came to find out.
    pub explores: bool,
    /// Now.
    pub now: Moment,
}

/// Chooses one of `endpoints` (as many as discovery knows; `T` is whatever holds an [`Endpoint`]) and returns its place.
/// `random` gives numbers of `0.0..1.0`. Nothing only if there is no endpoint that may serve this lane with any weight and
/// was not tried.
pub fn pick<T: AsRef<Endpoint>>(
    endpoints: &[T],
    choice: &Choice<'_>,
    mut random: impl FnMut() -> f64,
) -> Option<usize> {
    let candidates = Candidates { endpoints, choice };
    let picked = match choice.lane {
        Some(_) => candidates
            .among(choice.lane, Health::Open, &mut random)
            .or_else(|| candidates.among(None, Health::Open, &mut random)),
        None => candidates.among(None, Health::Open, &mut random),
    };
    // All are left out: asking one of them is better than asking nobody.
    let picked = picked
        .or_else(|| candidates.among(None, Health::Any, &mut random))
        .or_else(|| choice.lane.and_then(|lane| candidates.among(Some(lane), Health::Any, &mut random)))?;
    endpoints[picked].as_ref().last_pick.store(choice.now.as_nanos(), Relaxed);
    Some(picked)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Health {
    Open,
    Any,
}

/// Of so many endpoints the weights are kept while choosing; those of further ones are looked at again.
const KEPT: usize = 32;

struct Candidates<'a, T> {
    endpoints: &'a [T],
    choice: &'a Choice<'a>,
}

/// The weights of one choice: 0 for those that may not be chosen.
struct Weights<W> {
    kept: [f64; KEPT],
    further: W,
    len: usize,
    total: f64,
}

impl<T: AsRef<Endpoint>> Candidates<'_, T> {
    fn among(&self, lane: Option<&LaneName>, health: Health, random: &mut impl FnMut() -> f64) -> Option<usize> {
        let any_ejected = Cell::new(false);
        let weight_of = |index: usize| {
            let endpoint = self.endpoints[index].as_ref();
            if self.choice.tried.contains(&index) {
                return 0.0;
            }
            if endpoint.standing().is_ejected() {
                any_ejected.set(true);
                if health == Health::Open {
                    return 0.0;
                }
            }
            if endpoint.lane() == lane { endpoint.weight(self.choice.balance, self.choice.now) } else { 0.0 }
        };
        let weights = Weights::new(self.endpoints.len(), weight_of);
        if health == Health::Open
            && any_ejected.get()
            && let Some(probed) = self.due(lane)
        {
            return Some(probed);
        }
        let first = weights.draw(None, random())?;
        match weights.draw(Some(first), random()) {
            Some(second) => Some(self.cheaper((first, weights.at(first)), (second, weights.at(second)))),
            None => Some(first),
        }
    }

    /// The endpoint whose probe is due, taken.
    fn due(&self, lane: Option<&LaneName>) -> Option<usize> {
        let Choice { ejection, now, tried, explores, .. } = *self.choice;
        let patience = if explores { Duration::ZERO } else { ejection.longest };
        let mut places = self.endpoints.iter().enumerate();
        let due = places.find(|(place, endpoint)| {
            let endpoint = (*endpoint).as_ref();
            endpoint.standing().admission(now) == Admission::ProbeDue
                && endpoint.standing().overdue(now) >= patience
                && endpoint.lane() == lane
                && endpoint.has_weight()
                && !tried.contains(place)
                && endpoint.standing().try_probe(ejection, now)
        });
        due.map(|(place, _)| place)
    }

    fn cheaper(&self, (first, first_weight): (usize, f64), (second, second_weight): (usize, f64)) -> usize {
        let Choice { balance, now, explores, .. } = *self.choice;
        let (a, b) = (self.endpoints[first].as_ref(), self.endpoints[second].as_ref());
        let (a_us, b_us) = match (a.estimate_us(balance, now), b.estimate_us(balance, now)) {
            (Some(a_us), Some(b_us)) => (a_us, b_us),
            // Nothing is known of one: what is in flight decides.
            (Some(us), None) | (None, Some(us)) => (us, us),
            (None, None) => (1.0, 1.0),
        };
        let heaviest = first_weight.max(second_weight);
        let a_is_cheaper = a.cost(a_us, first_weight, heaviest) <= b.cost(b_us, second_weight, heaviest);
        let (cheaper, dearer) = if a_is_cheaper { (first, second) } else { (second, first) };
        let since_pick =
            |index: usize| now.since(Moment::from_nanos(self.endpoints[index].as_ref().last_pick.load(Relaxed)));
        // Only while the other one is being called: at few calls everybody has waited for long.
        let is_overdue =
            explores && since_pick(dearer) >= balance.force_after && since_pick(cheaper) < balance.force_after;
        if is_overdue { dearer } else { cheaper }
    }
}

impl<W: Fn(usize) -> f64> Weights<W> {
    fn new(len: usize, weight_of: W) -> Self {
        let mut kept = [0.0; KEPT];
        let mut total = 0.0;
        for index in 0..len {
            let weight = weight_of(index);
            total += weight;
            if let Some(kept) = kept.get_mut(index) {
                *kept = weight;
            }
        }
        Self { kept, further: weight_of, len, total }
    }

    fn at(&self, index: usize) -> f64 {
        self.kept.get(index).copied().unwrap_or_else(|| (self.further)(index))
    }

    /// The index at a fraction of the sum of weights, `but` left out. Nothing if there is no other.
    fn draw(&self, but: Option<usize>, fraction: f64) -> Option<usize> {
        let mut at = fraction * (self.total - but.map_or(0.0, |but| self.at(but)));
        let mut last = None;
        for index in 0..self.len {
            let weight = if Some(index) == but { 0.0 } else { self.at(index) };
            at -= weight;
            if at < 0.0 {
                return Some(index);
            }
            if weight > 0.0 {
                last = Some(index);
            }
        }
        // Sums of fractions are not exact.
        last
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::endpoint::Pending;

    const NOW: Moment = Moment::from_nanos(1_000_000_000_000);
    const MS: Duration = Duration::from_millis(1);
    const SECOND: Duration = Duration::from_secs(1);

    fn lane(name: &str) -> LaneName {
        LaneName::parse(name).expect("a lane")
    }

    fn endpoints(weights: &[f64]) -> Vec<Arc<Endpoint>> {
        weights.iter().map(|weight| Arc::new(Endpoint::new(*weight, None))).collect()
    }

    struct Caller {
        balance: BalanceConfig,
        ejection: EjectionConfig,
        random: fastrand::Rng,
        now: Moment,
    }

    impl Caller {
        fn new() -> Self {
            Self {
                balance: BalanceConfig::default(),
                ejection: EjectionConfig::default(),
                random: fastrand::Rng::with_seed(7),
                now: NOW,
            }
        }

        fn pick(&mut self, all: &[Arc<Endpoint>], lane: Option<&LaneName>) -> Option<usize> {
            self.pick_as(all, lane, &[], true)
        }

        fn pick_as(
            &mut self,
            all: &[Arc<Endpoint>],
            lane: Option<&LaneName>,
            tried: &[usize],
            explores: bool,
        ) -> Option<usize> {
            let (balance, ejection) = (&self.balance, &self.ejection);
            let choice = Choice { balance, ejection, lane, tried, explores, now: self.now };
            pick(all, &choice, || self.random.f64())
        }

        /// The shares of `n` picks, each of which takes no time.
        fn shares(&mut self, all: &[Arc<Endpoint>], n: u32) -> Vec<f64> {
            let mut counts = vec![0.0; all.len()];
            for _ in 0..n {
                self.now = self.now + MS;
                counts[self.pick(all, None).expect("one")] += 1.0 / f64::from(n);
            }
            counts
        }

        fn call(&mut self, endpoint: &Arc<Endpoint>, latency: Duration, failed: bool) {
            let pending = Pending::begin(Arc::clone(endpoint), self.now);
            self.now = self.now + latency;
            pending.ended(&self.balance, self.now, failed);
        }
    }

    #[test]
    fn where_a_call_was_already_it_is_not_sent_again() {
        let (mut caller, all) = (Caller::new(), endpoints(&[1.0, 1.0, 1.0]));
        for _ in 0..20 {
            assert_eq!(caller.pick_as(&all, None, &[0, 2], true), Some(1));
        }
        assert_eq!(caller.pick_as(&all, None, &[0, 1, 2], true), None);
    }

    #[test]
    fn what_cannot_be_asked_twice_is_not_sent_to_find_out() {
        let (mut caller, all) = (Caller::new(), endpoints(&[1.0, 1.0]));
        caller.call(&all[0], MS, false);
        caller.call(&all[1], SECOND, false);
        for _ in 0..50 {
            caller.now = caller.now + SECOND / 10;
            assert_eq!(caller.pick_as(&all, None, &[], false), Some(0), "it is forced upon nobody");
        }
        let ejection = crate::ejection::Ejection::new(EjectionConfig { failures: 1, ..caller.ejection });
        let standings = || all.iter().map(|endpoint| endpoint.standing());
        let out = ejection.failed(all[1].standing(), standings(), caller.now, 0.0).expect("left out");
        caller.now = caller.now + out;
        assert_eq!(caller.pick_as(&all, None, &[], false), Some(0), "that is for those who can");
        caller.now = caller.now + caller.ejection.longest;
        assert_eq!(caller.pick_as(&all, None, &[], false), Some(1), "unless none of them comes");
    }

    #[test]
    fn a_call_that_was_given_up_is_known_to_take_at_least_as_long() {
        let (mut caller, all) = (Caller::new(), endpoints(&[1.0]));
        caller.call(&all[0], 10 * MS, false);
        for (waited, expected_ms) in [(100 * MS, 100), (20 * MS, 99)] {
            let pending = Pending::begin(Arc::clone(&all[0]), caller.now);
            caller.now = caller.now + waited;
            pending.given_up(&caller.balance, caller.now);
            let expected = all[0].expected(&caller.balance, caller.now).expect("called").as_millis();
            assert!((expected_ms - 2..=expected_ms).contains(&expected), "{expected}");
            assert_eq!(all[0].in_flight(), 0);
        }
    }

    #[test]
    fn a_peak_counts_at_once_and_is_forgotten_by_the_published_formula() {
        let (mut caller, all) = (Caller::new(), endpoints(&[1.0]));
        caller.call(&all[0], 10 * MS, false);
        caller.call(&all[0], 100 * MS, false);
        let expected =
            |caller: &Caller| all[0].expected(&caller.balance, caller.now).expect("called").as_secs_f64() * 1000.0;
        assert!((expected(&caller) - 100.0).abs() < 0.1, "{}", expected(&caller));
        caller.now = caller.now + (10 * SECOND - 10 * MS);
        caller.call(&all[0], 10 * MS, false);
        let stays = (-1.0_f64).exp();
        assert!((expected(&caller) - (100.0 * stays + 10.0 * (1.0 - stays))).abs() < 0.1, "{}", expected(&caller));
        caller.now = caller.now + 10 * SECOND;
        assert!(expected(&caller) < 17.0, "and decays while nothing is heard");
    }

    #[test]
    fn of_many_instances_every_one_gets_calls() {
        let (mut caller, all) = (Caller::new(), endpoints(&[1.0; 3 * KEPT]));
        let shares = caller.shares(&all, 20_000);
        assert!(shares.iter().all(|share| (0.3..3.0).contains(&(share * all.len() as f64))), "{shares:?}");
    }

    #[test]
    fn a_slow_instance_gets_little_but_is_tried_again() {
        let (mut caller, all) = (Caller::new(), endpoints(&[1.0, 1.0, 1.0]));
        for (endpoint, latency) in all.iter().zip([MS, MS, 500 * MS]) {
            caller.call(endpoint, latency, false);
        }
        let shares = caller.shares(&all, 5000);
        assert!(shares[2] > 0.0 && shares[2] < 0.01, "{shares:?}");
    }

    #[test]
    fn whoever_has_more_in_flight_gets_less() {
        let (mut caller, all) = (Caller::new(), endpoints(&[1.0, 1.0]));
        all.iter().for_each(|endpoint| caller.call(endpoint, MS, false));
        let _busy: Vec<_> = (0..5).map(|_| Pending::begin(Arc::clone(&all[0]), caller.now)).collect();
        assert!(caller.shares(&all, 500)[1] > 0.99);
    }

    #[test]
    fn weights_are_kept_when_nothing_else_differs() {
        let (mut caller, all) = (Caller::new(), endpoints(&[3.0, 1.0, 0.0, 1.0, f64::NAN]));
        // A call to each, then many at once that never end: in flight by weight.
        let mut running = Vec::new();
        let mut counts = [0_u32; 5];
        for _ in 0..5000 {
            let picked = caller.pick(&all, None).expect("one");
            counts[picked] += 1;
            running.push(Pending::begin(Arc::clone(&all[picked]), caller.now));
        }
        assert_eq!((counts[2], counts[4]), (0, 0));
        assert!((2900..3100).contains(&counts[0]), "{counts:?}");
    }

    #[test]
    fn a_new_instance_gets_its_share_little_by_little() {
        let mut caller = Caller::new();
        let mut all = endpoints(&[1.0, 1.0, 1.0]);
        all.push(Arc::new(Endpoint::new(1.0, None).joined(caller.now)));
        assert!((all[3].weight(&caller.balance, caller.now) - 0.1).abs() < 1e-9);
        let at_first = caller.shares(&all, 500)[3];
        caller.now = NOW + 15 * SECOND;
        assert!((all[3].weight(&caller.balance, caller.now) - 0.5).abs() < 1e-9);
        caller.now = NOW + 30 * SECOND;
        let at_last = caller.shares(&all, 2000)[3];
        assert!(at_first < 0.12 && (0.2..0.3).contains(&at_last), "{at_first} {at_last}");
    }

    #[test]
    fn who_fails_quickly_does_not_attract_calls() {
        let (mut caller, all) = (Caller::new(), endpoints(&[1.0, 1.0]));
        caller.call(&all[0], 20 * MS, false);
        caller.call(&all[1], MS, true);
        assert!(caller.shares(&all, 900)[1] < 0.01);
    }

    #[test]
    fn an_instance_that_is_left_out_gets_nothing_until_its_probe() {
        let (mut caller, all) = (Caller::new(), endpoints(&[1.0, 1.0]));
        let ejection = crate::ejection::Ejection::new(caller.ejection);
        let standings = || all.iter().map(|endpoint| endpoint.standing());
        (0..7).for_each(|_| {
            ejection.failed(all[0].standing(), standings(), NOW, 0.0);
        });
        assert!((caller.shares(&all, 900)[1] - 1.0).abs() < 1e-9);
        caller.now = NOW + SECOND;
        assert_eq!([caller.pick(&all, None), caller.pick(&all, None)], [Some(0), Some(1)], "one probe");
        all[0].standing().succeeded();
        assert!(caller.shares(&all, 900)[0] > 0.3);
    }

    #[test]
    fn when_all_are_left_out_one_is_asked_nevertheless() {
        let (mut caller, all) = (Caller::new(), endpoints(&[1.0]));
        let config = EjectionConfig { at_most: 1.0, ..caller.ejection };
        let ejection = crate::ejection::Ejection::new(config);
        (0..7).for_each(|_| {
            ejection.failed(all[0].standing(), std::iter::once(all[0].standing()), NOW, 0.0);
        });
        assert_eq!(caller.pick(&all, None), Some(0));
    }

    #[test]
    fn the_callers_lane_comes_first_and_then_the_base() {
        let mut caller = Caller::new();
        let (blue, green) = (lane("blue"), lane("green"));
        let all: Vec<_> =
            [None, None, Some(&blue)].iter().map(|lane| Arc::new(Endpoint::new(1.0, lane.copied()))).collect();
        for _ in 0..100 {
            caller.now = caller.now + 10 * MS;
            assert_eq!(caller.pick(&all, Some(&blue)), Some(2));
            assert!(matches!(caller.pick(&all, Some(&green)), Some(0 | 1)), "a lane that is not there");
            assert!(matches!(caller.pick(&all, None), Some(0 | 1)), "nobody strays into a lane");
        }
        assert_eq!(caller.pick(&all[2..], None), None);
        assert_eq!(caller.pick(&[], None), None);
    }

    #[test]
    fn at_few_calls_the_quicker_instance_is_asked_and_not_the_one_that_has_waited() {
        let (mut caller, all) = (Caller::new(), endpoints(&[1.0, 1.0]));
        caller.call(&all[0], MS, false);
        caller.call(&all[1], 50 * MS, false);
        for _ in 0..5 {
            caller.now = caller.now + 2 * SECOND;
            assert_eq!(caller.pick(&all, None), Some(0));
        }
    }

    #[test]
    fn clocks_that_are_read_in_another_order_change_nothing() {
        let (caller, all) = (Caller::new(), endpoints(&[1.0]));
        all[0].learn(&caller.balance, 100 * MS, NOW);
        all[0].learn(&caller.balance, MS, Moment::from_nanos(NOW.as_nanos() - 5_000_000));
        let expected = all[0].expected(&caller.balance, NOW).expect("called");
        assert!(expected > 99 * MS, "{expected:?}");
    }

    #[test]
    fn a_call_is_in_flight_until_it_is_dropped_however_it_ends() {
        let (mut caller, all) = (Caller::new(), endpoints(&[1.0]));
        let cancelled = Pending::begin(Arc::clone(&all[0]), NOW);
        caller.call(&all[0], MS, true);
        assert_eq!(all[0].in_flight(), 1);
        drop(cancelled);
        assert_eq!(all[0].in_flight(), 0);
    }
}
