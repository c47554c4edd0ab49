//! [`Endpoint`]: what is known of an instance, and [`Pending`]: a call to it, from which it is learned.
//!
//! Peak EWMA, as [`crate::balance`] says; estimate and time share one word, so that reading takes no lock.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use crate::{balance::BalanceConfig, ejection::Standing, lane::LaneName, moment::Moment};

/// What is known of an instance, beside its address.
#[derive(Debug)]
pub struct Endpoint {
    /// As the bits of an `f64`.
    weight: AtomicU64,
    lane: Option<LaneName>,
    joined: Moment,
    /// Microseconds as `f32` in the upper half, milliseconds since the origin (modulo 2³²) in the lower. 0: no estimate.
    estimate: AtomicU64,
    in_flight: AtomicU32,
    pub(crate) last_pick: AtomicU64,
    standing: Standing,
}

impl Endpoint {
    /// An instance that was there before anybody called: it has its full weight at once. A weight that is no positive
    /// number is 0: no calls. `lane` absent: the base.
    pub fn new(weight: f64, lane: Option<LaneName>) -> Self {
        Self {
            weight: AtomicU64::new(usable(weight).to_bits()),
            lane,
            joined: Moment::START,
            estimate: AtomicU64::new(0),
            in_flight: AtomicU32::new(0),
            last_pick: AtomicU64::new(0),
            standing: Standing::default(),
        }
    }

    /// An instance that came at `joined`, while others were being called: its weight rises.
    #[must_use]
    pub fn joined(self, joined: Moment) -> Self {
        Self { joined, ..self }
    }

    /// Another weight, for an instance that is known already.
    pub fn set_weight(&self, weight: f64) {
        self.weight.store(usable(weight).to_bits(), Relaxed);
    }

    /// Whether it gets calls at all.
    pub(crate) fn has_weight(&self) -> bool {
        self.full_weight() > 0.0
    }

    fn full_weight(&self) -> f64 {
        f64::from_bits(self.weight.load(Relaxed))
    }

    /// Its standing, for [`crate::ejection::Ejection`].
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// The lane it belongs to.
    pub fn lane(&self) -> Option<&LaneName> {
        self.lane.as_ref()
    }

    /// Calls that are under way.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// The latency that is expected of it now; nothing if it was never called.
    pub fn expected(&self, config: &BalanceConfig, now: Moment) -> Option<Duration> {
        self.estimate_us(config, now).map(|us| Duration::from_secs_f64(us / 1e6))
    }

    /// Its weight now.
    pub fn weight(&self, config: &BalanceConfig, now: Moment) -> f64 {
        if self.joined == Moment::START || config.slow_start.is_zero() {
            return self.full_weight();
        }
        let risen = now.since(self.joined).as_secs_f64() / config.slow_start.as_secs_f64();
        self.full_weight() * risen.clamp(config.slow_start_from.clamp(0.0, 1.0), 1.0)
    }

    /// Decays towards 0 while nothing is heard, so that an old peak does not keep an instance out for ever.
    pub(crate) fn estimate_us(&self, config: &BalanceConfig, now: Moment) -> Option<f64> {
        let (us, at_ms) = unpacked(self.estimate.load(Relaxed))?;
        Some(us * stays(config, at_ms, now))
    }

    pub(crate) fn learn(&self, config: &BalanceConfig, latency: Duration, now: Moment) {
        let latency_us = latency.as_secs_f64() * 1e6;
        let mut packed = self.estimate.load(Relaxed);
        loop {
            let learned = match unpacked(packed) {
                Some((us, at_ms)) if latency_us < us => {
                    let stays = stays(config, at_ms, now);
                    us * stays + latency_us * (1.0 - stays)
                }
                Some(_) | None => latency_us,
            };
            match self.estimate.compare_exchange_weak(packed, pack(learned, now), Relaxed, Relaxed) {
                Ok(_) => return,
                Err(newer) => packed = newer,
            }
        }
    }

    /// What a call would cost, where somebody of whom nothing is known counts as `unknown_us`, and `heaviest` is the
    /// larger weight of the two that are compared.
    pub(crate) fn cost(&self, estimate_us: f64, weight: f64, heaviest: f64) -> f64 {
        estimate_us * (1.0 + f64::from(self.in_flight()) * heaviest / weight)
    }
}

fn usable(weight: f64) -> f64 {
    if weight.is_finite() { weight.max(0.0) } else { 0.0 }
}

fn pack(us: f64, now: Moment) -> u64 {
    #[expect(clippy::cast_possible_truncation, reason = "an estimate needs no more than seven digits")]
    let us = us.max(0.001) as f32;
    u64::from(us.to_bits()) << 32 | u64::from(millis(now))
}

fn unpacked(packed: u64) -> Option<(f64, u32)> {
    let (us, at_ms) = (u32::try_from(packed >> 32).ok()?, u32::try_from(packed & u64::from(u32::MAX)).ok()?);
    (us != 0).then(|| (f64::from(f32::from_bits(us)), at_ms))
}

fn millis(moment: Moment) -> u32 {
    u32::try_from(moment.as_nanos() / 1_000_000 % (1 << 32)).unwrap_or(0)
}

/// The share of an estimate that stays.
fn stays(config: &BalanceConfig, at_ms: u32, now: Moment) -> f64 {
    let elapsed_ms = millis(now).wrapping_sub(at_ms);
    // Threads read the clock one after the other and arrive in another order: that is not 49 days.
    let elapsed_ms = if elapsed_ms > u32::MAX / 2 { 0 } else { elapsed_ms };
    (-f64::from(elapsed_ms) / (config.decay.as_secs_f64() * 1000.0).max(0.001)).exp()
}

/// A call to an endpoint. It counts as in flight until this is dropped; only [`Self::ended`] and [`Self::given_up`] teach.
pub struct Pending<T: AsRef<Endpoint>> {
    endpoint: Arc<T>,
    began: Moment,
}

impl<T: AsRef<Endpoint>> Pending<T> {
    /// A call that begins at `now`.
    pub fn begin(endpoint: Arc<T>, now: Moment) -> Self {
        (*endpoint).as_ref().in_flight.fetch_add(1, Relaxed);
        Self { endpoint, began: now }
    }

    /// The call ended: answered, or failed in a way that is the instance's.
    pub fn ended(self, config: &BalanceConfig, now: Moment, failed: bool) {
        let latency = now.since(self.began);
        let latency = if failed { latency.max(config.failure_latency) } else { latency };
        (*self.endpoint).as_ref().learn(config, latency, now);
    }

    /// Nobody waits for the call any more. It would have taken longer than until now: where that is more than was
    /// expected, more is expected from now on.
    pub fn given_up(self, config: &BalanceConfig, now: Moment) {
        let (endpoint, waited) = ((*self.endpoint).as_ref(), now.since(self.began));
        if endpoint.expected(config, now).is_none_or(|expected| expected < waited) {
            endpoint.learn(config, waited, now);
        }
    }
}

impl<T: AsRef<Endpoint>> Drop for Pending<T> {
    fn drop(&mut self) {
        (*self.endpoint).as_ref().in_flight.fetch_sub(1, Relaxed);
    }
}

impl<T: AsRef<Endpoint>> fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("began", &self.began).finish_non_exhaustive()
    }
}

impl AsRef<Endpoint> for Endpoint {
    fn as_ref(&self) -> &Endpoint {
        self
    }
}
