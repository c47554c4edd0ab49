//! One call: what is asked, under which rules, where it was already, and whom it may ask next.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use govern::{Moment, balance, balance::Choice};

use super::{
    super::contract::{Effect, Method},
    applied::Applied,
    callee::Callee,
    instances::Instances,
};
use crate::context::RequestContext;

/// The most instances that one call is tried at.
pub(in crate::rpc) const MAX_TRIED: usize = 16;

/// A call. Its attempts share it, also those that are under way at the same time.
pub(super) struct Call<'a> {
    pub(super) callee: &'a Callee,
    pub(super) method: &'static Method,
    pub(super) applied: Arc<Applied>,
    pub(super) instances: Arc<Instances>,
    pub(super) context: RequestContext,
    pub(super) began: Moment,
    pub(super) tried: Tried,
}

/// Places that were tried. Filled by attempts that may be under way at the same time.
#[derive(Default)]
pub(super) struct Tried {
    count: AtomicUsize,
    places: [AtomicUsize; MAX_TRIED],
}

impl<'a> Call<'a> {
    /// A call that begins now.
    pub(super) fn begin(callee: &'a Callee, method: &'static Method) -> Self {
        let context = RequestContext::current().unwrap_or_else(|| RequestContext::root(&*callee.random));
        let (applied, instances, began) = (callee.applied(), callee.instances(), callee.now());
        applied.budget.request(began);
        Self { callee, method, applied, instances, context, began, tried: Tried::default() }
    }

    /// Whether it may be carried out twice.
    pub(super) fn is_repeatable(&self) -> bool {
        self.method.effect == Effect::Read
    }

    /// What is left of its time.
    pub(super) fn left(&self) -> Duration {
        self.context.remaining().unwrap_or(Duration::MAX)
    }

    /// The context of a repeat: nobody further down repeats it again.
    pub(super) fn repeat_context(&self) -> RequestContext {
        RequestContext { is_repeat: true, ..self.context }
    }

    /// The place of an instance where it was not yet. Only a read explores, and only with its first attempt.
    pub(super) fn next(&self, now: Moment) -> Option<usize> {
        self.choose(self.is_repeatable() && self.tried.count() == 0, now)
    }

    /// The same for a backup: never at one that is left out, which is no help to anybody in a hurry.
    pub(super) fn next_for_backup(&self, now: Moment) -> Option<usize> {
        let is_out = |place: usize| self.instances.known()[place].0.endpoint.standing().is_ejected();
        self.next(now).filter(|place| !is_out(*place))
    }

    /// The place of any instance, those where it was included.
    pub(super) fn any(&self, now: Moment) -> Option<usize> {
        self.choose_but(&[], false, now)
    }

    fn choose(&self, explores: bool, now: Moment) -> Option<usize> {
        let (places, count) = self.tried.so_far();
        self.choose_but(&places[..count], explores, now)
    }

    fn choose_but(&self, tried: &[usize], explores: bool, now: Moment) -> Option<usize> {
        let Applied { rules, .. } = &*self.applied;
        let (balance, ejection, lane) = (&rules.balance, &rules.ejection, self.context.lane.as_ref());
        let choice = Choice { balance, ejection, lane, tried, explores, now };
        balance::pick(self.instances.known(), &choice, || self.callee.random.fraction())
    }
}

impl Tried {
    /// One more. Beyond the most nothing is noted: the instance may be tried again, which does no harm.
    pub(super) fn note(&self, place: usize) {
        let noted = self.count.fetch_add(1, Relaxed);
        if let Some(slot) = self.places.get(noted) {
            slot.store(place, Relaxed);
        }
    }

    /// How many.
    pub(super) fn count(&self) -> usize {
        self.count.load(Relaxed)
    }

    fn so_far(&self) -> ([usize; MAX_TRIED], usize) {
        let count = self.count().min(MAX_TRIED);
        (std::array::from_fn(|slot| if slot < count { self.places[slot].load(Relaxed) } else { 0 }), count)
    }
}
