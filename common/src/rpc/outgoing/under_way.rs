//! A call at one instance. What becomes of it is what is known of the instance.

use std::{net::SocketAddr, sync::Arc};

use govern::{Moment, endpoint::Pending};

use super::{
    applied::Applied,
    call::Call,
    callee::Callee,
    ending::Ending,
    instances::{Instance, Instances},
    metrics::EjectionReason,
};

/// A call under way. Dropped in the middle it was given up: its caller's time was over, or another instance answered
/// first. Losing such a race is no failure; saying nothing at all for as long as a call is waited for is one.
pub(super) struct UnderWay<'a> {
    callee: &'a Callee,
    applied: &'a Applied,
    instances: &'a Instances,
    instance: &'a Arc<Instance>,
    /// There until it is over.
    pending: Option<Pending<Instance>>,
    began: Moment,
}

impl<'a> UnderWay<'a> {
    /// An attempt of `call` that begins at `began`, at the instance in this place.
    pub(super) fn begin(call: &'a Call<'_>, place: usize, began: Moment) -> Self {
        let Call { callee, applied, instances, .. } = call;
        let instance = &instances.known()[place].0;
        let pending = Some(Pending::begin(Arc::clone(instance), began));
        Self { callee, applied, instances, instance, pending, began }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.instance.address
    }

    /// It is over. When that was.
    pub(super) fn ended(mut self, ending: Ending) -> Moment {
        let now = self.callee.now();
        if let Some(pending) = self.pending.take() {
            pending.ended(self.applied.balance(), now, ending.is_quick_failure());
        }
        match ending {
            ending if ending.is_sign_of_life() => self.instance.lives(now),
            Ending::Refused | Ending::Unreachable => self.failed(EjectionReason::Refused, now),
            Ending::Faulty => self.failed(EjectionReason::Faulty, now),
            _ => self.failed(EjectionReason::Unanswered, now),
        }
        now
    }

    fn given_up(&mut self, pending: Pending<Instance>) {
        let now = self.callee.now();
        pending.given_up(self.applied.balance(), now);
        if self.instance.is_silent(self.began, now, self.callee.patience) {
            self.failed(EjectionReason::Unanswered, now);
        }
    }

    fn failed(&self, reason: EjectionReason, now: Moment) {
        if !self.applied.switches.ejection {
            return;
        }
        let all = self.instances.known().iter().map(|known| known.0.endpoint.standing());
        let (standing, fraction) = (self.instance.endpoint.standing(), self.callee.random.fraction());
        if let Some(time) = self.applied.ejection.failed(standing, all, now, fraction) {
            self.callee.metrics.ejected(reason);
            let (service, address, out_ms) = (self.callee.service, self.instance.address, time.as_millis());
            tracing::warn!(service, %address, reason = reason.name(), out_ms, "an instance is left out for a while");
        }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if let Some(pending) = self.pending.take() {
            self.given_up(pending);
        }
    }
}
