//! What a call costs: the rules that stand in the way of every request. `cargo bench -p govern`.

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use divan::{Bencher, black_box};
use govern::{
    Moment,
    backup::{Backup, BackupConfig},
    baggage::Baggage,
    balance::{BalanceConfig, Choice, pick},
    breaker::{Breaker, BreakerConfig, Outcome},
    bulkhead::Bulkhead,
    class_gradient::ClassGradient,
    ejection::EjectionConfig,
    endpoint::{Endpoint, Pending},
    gcra::{Cell, Rate},
    gradient::{Ending, GradientConfig, Limiter},
    keyed_limit::KeyedLimit,
    priority::{Class, Gate, PriorityConfig},
    retry::{RetryBudget, RetryConfig},
};

fn main() {
    divan::main();
}

/// A clock that goes on by a microsecond each time it is looked at.
#[derive(Default)]
struct Ticks(AtomicU64);

impl Ticks {
    fn now(&self) -> Moment {
        Moment::from_nanos(1_000_000_000_000 + self.0.fetch_add(1000, Relaxed))
    }

    /// Something between 0 and 1, without the cost of a generator.
    fn fraction(&self) -> f64 {
        (self.0.fetch_add(1, Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn rate(limit: u32) -> Rate {
    Rate::new(NonZeroU32::new(limit).unwrap_or(NonZeroU32::MIN), Duration::from_secs(1))
}

const THREADS: [usize; 2] = [1, 2];

#[divan::bench(threads = THREADS)]
fn gcra_cell_admits(bencher: Bencher<'_, '_>) {
    let (cell, rate, ticks) = (Cell::default(), rate(100_000_000), Ticks::default());
    bencher.bench(|| cell.check(black_box(&rate), ticks.now(), 1));
}

#[divan::bench(threads = THREADS)]
fn gcra_cell_refuses(bencher: Bencher<'_, '_>) {
    let (cell, rate, ticks) = (Cell::default(), rate(1), Ticks::default());
    bencher.bench(|| cell.check(black_box(&rate), ticks.now(), 1));
}

#[divan::bench(threads = THREADS)]
fn keyed_limit_of_known_addresses(bencher: Bencher<'_, '_>) {
    let (limit, rate, ticks) = (KeyedLimit::with_capacity(65_536), rate(1_000_000), Ticks::default());
    bencher.bench(|| {
        let now = ticks.now();
        limit.check(&(now.as_nanos() / 1000 % 10_000), &rate, now, 1)
    });
}

#[divan::bench(threads = THREADS)]
fn keyed_limit_in_a_flood_of_new_keys(bencher: Bencher<'_, '_>) {
    let (limit, rate, ticks) = (KeyedLimit::with_capacity(65_536), rate(1), Ticks::default());
    bencher.bench(|| {
        let now = ticks.now();
        limit.check(&now, &rate, now, 1)
    });
}

#[divan::bench(threads = THREADS)]
fn gradient_acquire_and_release(bencher: Bencher<'_, '_>) {
    let (limiter, ticks) = (Limiter::new(GradientConfig::default()), Ticks::default());
    bencher.bench(|| {
        if let Some(room) = limiter.try_acquire(ticks.now()) {
            room.ended(ticks.now(), Ending::Worked);
        }
    });
}

#[divan::bench(threads = THREADS)]
fn priority_gate_enter_and_leave(bencher: Bencher<'_, '_>) {
    let gate = Gate::new(&PriorityConfig::default(), 100);
    bencher.bench(|| {
        if let Some(area) = gate.try_enter(black_box(Class::Login)) {
            gate.leave(area);
        }
    });
}

/// What the gate of a server does for a request while there is room: 30 µs is a token check from memory, of which the
/// gradient learns nothing, and 5 ms a login.
#[divan::bench(args = [30, 5000], threads = THREADS)]
fn class_gate_enter_and_leave(bencher: Bencher<'_, '_>, micros: u64) {
    let (gate, gradient, ticks) =
        (Gate::new(&PriorityConfig::default(), 100), ClassGradient::new(GradientConfig::default()), Ticks::default());
    bencher.bench(|| {
        if let Some(area) = gate.try_enter(black_box(Class::Verify)) {
            let (now, in_flight) = (ticks.now(), gate.in_flight().total());
            gradient.ended(now, Class::Verify, Duration::from_micros(micros), in_flight, Ending::Worked);
            gate.leave(area);
        }
    });
}

#[divan::bench(threads = THREADS)]
fn breaker_check_while_healthy(bencher: Bencher<'_, '_>) {
    let (breaker, ticks) = (Breaker::new(BreakerConfig::default()), Ticks::default());
    bencher.bench(|| breaker.check(ticks.now(), 0.5).is_ok());
}

#[divan::bench(threads = THREADS)]
fn breaker_check_and_answer(bencher: Bencher<'_, '_>) {
    let (breaker, ticks) = (Breaker::new(BreakerConfig::default()), Ticks::default());
    bencher.bench(|| {
        if let Ok(call) = breaker.check(ticks.now(), 0.5) {
            breaker.ended(call, ticks.now(), Outcome::Answered);
        }
    });
}

#[divan::bench(threads = THREADS)]
fn breaker_check_while_rejecting(bencher: Bencher<'_, '_>) {
    let (breaker, ticks) = (Breaker::new(BreakerConfig::default()), Ticks::default());
    for _ in 0..1000 {
        if let Ok(call) = breaker.check(ticks.now(), 0.5) {
            breaker.ended(call, ticks.now(), Outcome::Failed);
        }
    }
    bencher.bench(|| breaker.check(ticks.now(), 0.5).is_ok());
}

fn fleet(instances: usize, ticks: &Ticks) -> Vec<Arc<Endpoint>> {
    let endpoints: Vec<_> = (0..instances).map(|_| Arc::new(Endpoint::new(1.0, None))).collect();
    for endpoint in &endpoints {
        Pending::begin(Arc::clone(endpoint), ticks.now()).ended(&BalanceConfig::default(), ticks.now(), false);
    }
    endpoints
}

#[divan::bench(args = [2, 4, 16], threads = THREADS)]
fn pick_of_two_random_choices(bencher: Bencher<'_, '_>, instances: usize) {
    let ticks = Ticks::default();
    let endpoints = fleet(instances, &ticks);
    let (balance, ejection) = (BalanceConfig::default(), EjectionConfig::default());
    bencher.bench(|| {
        let (balance, ejection, now) = (&balance, &ejection, ticks.now());
        let choice = Choice { balance, ejection, lane: None, tried: &[], explores: true, now };
        pick(&endpoints, &choice, || ticks.fraction())
    });
}

#[divan::bench]
fn begin_and_end_a_call(bencher: Bencher<'_, '_>) {
    let ticks = Ticks::default();
    let (endpoints, balance) = (fleet(1, &ticks), BalanceConfig::default());
    bencher.bench(|| Pending::begin(Arc::clone(&endpoints[0]), ticks.now()).ended(&balance, ticks.now(), false));
}

#[divan::bench]
fn bulkhead_enter_and_leave(bencher: Bencher<'_, '_>) {
    let bulkhead = Bulkhead::new(100);
    bencher.bench(|| bulkhead.try_enter().is_some());
}

#[divan::bench]
fn retry_budget_counts_a_request(bencher: Bencher<'_, '_>) {
    let (budget, ticks) = (RetryBudget::new(RetryConfig::default()), Ticks::default());
    bencher.bench(|| budget.request(ticks.now()));
}

#[divan::bench]
fn backup_learns_and_tells(bencher: Bencher<'_, '_>) {
    let (backup, ticks) = (Backup::new(BackupConfig::default()), Ticks::default());
    bencher.bench(|| {
        backup.learn(Duration::from_micros(700));
        backup.delay(ticks.now())
    });
}

#[divan::bench]
fn lane_from_baggage(bencher: Bencher<'_, '_>) {
    bencher.bench(|| Baggage::parse([black_box("lane=canary,a=1")]).lane());
}

/// Everything that a call passes on its way out, while all is well: see `common/src/rpc/outgoing`.
#[divan::bench(threads = THREADS)]
fn all_of_a_call_that_goes_out(bencher: Bencher<'_, '_>) {
    let (balance, ejection, ticks) = (BalanceConfig::default(), EjectionConfig::default(), Ticks::default());
    let endpoints: Vec<_> = (0..3).map(|_| Arc::new(Endpoint::new(1.0, None))).collect();
    let (budget, breaker) = (RetryBudget::new(RetryConfig::default()), Breaker::new(BreakerConfig::default()));
    let (bulkhead, backup) = (Bulkhead::new(1024), Backup::new(BackupConfig::default()));
    bencher.bench(|| {
        let now = ticks.now();
        budget.request(now);
        let delay = backup.delay(now);
        let call = breaker.check(now, ticks.fraction());
        let berth = bulkhead.try_enter();
        let (balance, ejection) = (&balance, &ejection);
        let choice = Choice { balance, ejection, lane: None, tried: &[], explores: true, now };
        let picked = pick(&endpoints, &choice, || ticks.fraction());
        let pending = picked.map(|place| Pending::begin(Arc::clone(&endpoints[place]), now));
        let ended = ticks.now();
        if let (Some(pending), Ok(call)) = (pending, call) {
            pending.ended(balance, ended, false);
            breaker.ended(call, ended, Outcome::Answered);
        }
        backup.learn(ended.since(now));
        (delay, berth)
    });
}
