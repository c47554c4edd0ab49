//! [`Gate`]: letting in and out.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{
            AtomicBool, AtomicU8, AtomicU32,
            Ordering::{Relaxed, SeqCst},
        },
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use govern::{
    Moment,
    bulkhead::{Berth, Bulkhead},
    class_gradient::ClassGradient,
    cpu::{self, CpuConfig},
    gradient::{Ending, GradientConfig},
    priority::{self, Area, Class, InFlight, PriorityConfig},
    retry_after::RetryAfterConfig,
    rules::Rules,
    waiting::ClassQueues,
};
use tokio::time::Instant;

use super::{
    admission::Admission,
    gates::Shared,
    metrics::Series,
    refusal::{Load, Reason, Refused},
    waiting::Queues,
};
use crate::context::RequestContext;

/// So many requests may be in flight per thread before scarce CPU or bad latency can take room away. What never waits is
/// never in flight more often than there are threads, and a limit below that would keep cores idle.
const LEAST_PER_THREAD: u32 = 4;

/// Lets requests in by class, as many as the server can take. One stands before everything that shares a fate.
///
/// While there is room a request costs four atomic additions and two looks at the clock, and takes no lock.
pub struct Gate {
    pub(super) shared: Arc<Shared>,
    pub(super) series: Series,
    is_on: AtomicBool,
    in_force: ArcSwap<InForce>,
    pub(super) room: priority::Gate,
    learned: ClassGradient,
    /// The limit as it was divided: what was learned, lowered by the processor.
    limit: AtomicU32,
    /// A bit for each class that has a cap of its own: by the rules, or because it is slow while others are not.
    capped: AtomicU8,
    caps: [Arc<Bulkhead>; Class::SHED_ORDER.len()],
    pub(super) queues: Mutex<Queues>,
    /// A bit for each class of which somebody waits. Written under the lock of `queues`.
    pub(super) waiting: AtomicU8,
    load: Mutex<Load>,
}

/// What of the rules is looked at later than when they change.
#[derive(Debug)]
struct InForce {
    priority: PriorityConfig,
    cpu: Option<CpuConfig>,
    retry_after: RetryAfterConfig,
    /// How many of each class, if the rules have a cap for it.
    caps: [Option<u32>; Class::SHED_ORDER.len()],
    /// Scarce CPU leaves as much.
    least: u32,
}

impl Gate {
    pub(super) fn new(shared: Arc<Shared>, series: Series, rules: &Rules) -> Self {
        let concurrency = bounds(rules, shared.threads);
        let in_force = InForce::new(rules, shared.threads);
        Self {
            is_on: AtomicBool::new(rules.switches.shedding),
            room: priority::Gate::new(&in_force.priority, concurrency.initial),
            in_force: ArcSwap::from_pointee(in_force),
            learned: ClassGradient::new(concurrency),
            limit: AtomicU32::new(concurrency.initial),
            capped: AtomicU8::new(0),
            caps: std::array::from_fn(|_| Bulkhead::new(u32::MAX)),
            queues: Mutex::new(Queues::new(ClassQueues::new(rules.queue))),
            waiting: AtomicU8::new(0),
            load: Mutex::default(),
            shared,
            series,
        }
    }

    /// Lets a request of `class` in, at once or after a moment.
    ///
    /// Dropping the future while it waits leaves the queue.
    ///
    /// # Errors
    /// When there is no room and will be none in time. It is refused before any work was done for it.
    pub async fn enter(&self, class: Class) -> Result<Admission<'_>, Refused> {
        let deadline = RequestContext::current().and_then(|context| context.deadline);
        if !self.is_on() {
            return Ok(self.admit(class, (None, None), deadline));
        }
        let berth = self.berth(class).map_err(|reason| self.refuse(class, reason))?;
        let at_once = if self.somebody_waits_from(class) { None } else { self.room.try_enter(class) };
        let area = match at_once {
            Some(area) => Some(area),
            None => {
                self.learned.was_full();
                // Boxed, so that the path of those who need not wait stays small.
                let waited = Box::pin(self.wait(class, deadline)).await;
                waited.map_err(|reason| self.refuse(class, reason))?
            }
        };
        Ok(self.admit(class, (area, berth), deadline))
    }

    /// What is in flight.
    pub fn in_flight(&self) -> InFlight {
        self.room.in_flight()
    }

    /// How many may be: what was learned, lowered by the processor.
    pub fn limit(&self) -> u32 {
        self.limit.load(Relaxed)
    }

    /// How many of a class wait.
    pub fn waiting(&self, class: Class) -> usize {
        self.lock().of_classes.len(class)
    }

    /// How many times slower than usual requests are.
    pub(super) fn slowdown(&self) -> f64 {
        self.learned.slowdown()
    }

    pub(super) fn is_on(&self) -> bool {
        self.is_on.load(Relaxed)
    }

    /// How long a request of `class` usually takes.
    pub(super) fn usual(&self, class: Class) -> Duration {
        self.learned.usual(class)
    }

    /// A request left, and perhaps somebody who waits comes in.
    pub(super) fn left(&self, class: Class, area: Area, began: Moment, ending: Ending) {
        let now = self.shared.governance.now();
        let in_flight = self.room.in_flight().total();
        let window_is_over = self.learned.ended(now, class, now.since(began), in_flight, ending);
        self.give_back(area);
        if window_is_over {
            self.divide();
        }
    }

    /// Gives room back to those who wait, or to whoever comes.
    pub(super) fn give_back(&self, area: Area) {
        self.room.leave(area);
        self.serve_waiting();
    }

    /// Divides the room anew: the limit that was learned, as far as the processor has time for it.
    pub(super) fn divide(&self) {
        let in_force = self.in_force.load();
        let share = self.shared.processor.share();
        let factor = in_force.cpu.as_ref().map_or(1.0, |config| cpu::factor_when(config, share, self.slowdown()));
        let learned = self.learned.limit();
        let limit = part_of(learned, factor).max(in_force.least.min(learned));
        self.room.divide(&in_force.priority, limit);
        self.limit.store(limit, Relaxed);
        self.cap(&in_force, limit);
        self.serve_waiting();
    }

    /// Caps classes by the rules, and those that are slow alone, so that what hangs in one place leaves room for the
    /// rest. What is inside already when a cap begins does not count, and drains.
    fn cap(&self, in_force: &InForce, limit: u32) {
        let mut capped = 0;
        for (class, bulkhead) in Class::SHED_ORDER.into_iter().zip(&self.caps) {
            let is_slow = self.learned.is_slow_alone(class);
            let alone = is_slow.then(|| priority::room_alone(&in_force.priority, limit));
            let cap = [in_force.caps[class.index()], alone].into_iter().flatten().min();
            bulkhead.set_limit(cap.unwrap_or(u32::MAX));
            capped |= cap.map_or(0, |_| bit(class));
        }
        self.capped.store(capped, Relaxed);
    }

    /// Other rules, for what comes from now on.
    pub(super) fn apply(&self, rules: &Rules) {
        self.learned.configure(bounds(rules, self.shared.threads));
        self.in_force.store(Arc::new(InForce::new(rules, self.shared.threads)));
        self.lock().of_classes.configure(rules.queue);
        self.is_on.store(rules.switches.shedding, SeqCst);
        self.divide();
        if !rules.switches.shedding {
            self.let_all_in();
        }
    }

    fn admit(
        &self,
        class: Class,
        (area, berth): (Option<Area>, Option<Berth>),
        deadline: Option<Instant>,
    ) -> Admission<'_> {
        self.series.admitted(class);
        let began = self.shared.governance.now();
        Admission { gate: self, class, area, _berth: berth, began, deadline, ending: None }
    }

    fn berth(&self, class: Class) -> Result<Option<Berth>, Reason> {
        if self.capped.load(Relaxed) & bit(class) == 0 {
            return Ok(None);
        }
        self.caps[class.index()].try_enter().map(Some).ok_or(Reason::ClassFull)
    }

    fn refuse(&self, class: Class, reason: Reason) -> Refused {
        let counts = self.series.refused(class, reason);
        let (now, fraction) = (self.shared.governance.now(), self.shared.random.fraction());
        let config = &self.in_force.load().retry_after;
        let mut load = self.load.lock().unwrap_or_else(PoisonError::into_inner);
        Refused { reason, retry_after: load.pause(config, (now, class), counts, fraction) }
    }
}

impl InForce {
    fn new(rules: &Rules, threads: u32) -> Self {
        Self {
            priority: rules.priority,
            cpu: rules.switches.cpu.then_some(rules.cpu),
            retry_after: rules.retry_after,
            caps: Class::SHED_ORDER.map(|class| rules.routes.get(&class)?.in_flight.map(Into::into)),
            least: bounds(rules, threads).min,
        }
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("in_flight", &self.in_flight())
            .field("limit", &self.limit())
            .finish_non_exhaustive()
    }
}

/// The bit of a class.
pub(super) const fn bit(class: Class) -> u8 {
    1 << class.index()
}

/// How the limit is learned here: not below what the threads can have in flight without waiting for anything, as far as
/// the largest limit allows.
fn bounds(rules: &Rules, threads: u32) -> GradientConfig {
    let config = rules.concurrency;
    let for_threads = threads.saturating_mul(LEAST_PER_THREAD).saturating_add(rules.priority.pay_reserved);
    let min = config.min.max(for_threads).min(config.max);
    GradientConfig { min, initial: config.initial.max(min), ..config }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a part of a number that fits, rounded down"
)]
fn part_of(limit: u32, factor: f64) -> u32 {
    (f64::from(limit) * factor) as u32
}
