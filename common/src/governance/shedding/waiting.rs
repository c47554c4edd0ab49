//! Those who wait: how they are woken, and how they leave.
//!
//! Everything here happens under one lock, which nobody takes while there is room and nobody waits. Whoever is told
//! something is told under it, so that who gives up at the same moment knows which of the two came first: room that was
//! given to somebody who has gone is given back.

use std::{
    sync::{
        MutexGuard, PoisonError,
        atomic::Ordering::{Relaxed, SeqCst},
    },
    time::Duration,
};

use govern::{
    Moment,
    priority::{Area, Class},
    waiting::ClassQueues,
};
use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};

use super::{
    gate::{Gate, bit},
    refusal::Reason,
};

/// Those who wait, and the number of the next.
#[derive(Debug)]
pub(super) struct Queues {
    pub(super) of_classes: ClassQueues<Waiter>,
    next: u64,
}

#[derive(Debug)]
pub(super) struct Waiter {
    number: u64,
    tell: oneshot::Sender<Told>,
}

/// What one who waits hears.
#[derive(Clone, Copy, Debug)]
enum Told {
    /// Come in, into this room; into none when shedding was turned off.
    Enter(Option<Area>),
    Refused(Reason),
}

/// One who waits, on its own side. Dropping it leaves the queue.
struct Waiting<'g> {
    gate: &'g Gate,
    class: Class,
    number: u64,
    told: oneshot::Receiver<Told>,
    is_over: bool,
}

impl Queues {
    pub(super) fn new(of_classes: ClassQueues<Waiter>) -> Self {
        Self { of_classes, next: 0 }
    }
}

impl Waiter {
    fn tell(self, told: Told) -> bool {
        self.tell.send(told).is_ok()
    }
}

impl Gate {
    /// Waits for room.
    pub(super) async fn wait(&self, class: Class, deadline: Option<Instant>) -> Result<Option<Area>, Reason> {
        let began = Instant::now();
        let Some((mut waiting, patience, reason)) = self.stand_in_line(class, deadline)? else { return Ok(None) };
        let told = match timeout(patience, &mut waiting.told).await {
            Ok(Ok(told)) => told,
            // Told at the very end of its time, or not at all.
            _ => waiting.step_out().unwrap_or(Told::Refused(reason)),
        };
        waiting.is_over = true;
        self.series.waited(class, began.elapsed());
        match told {
            Told::Enter(area) => Ok(area),
            Told::Refused(reason) => Err(reason),
        }
    }

    /// A place in the queue, how long to stand there, and why it is refused then. No place: shedding was turned off.
    fn stand_in_line(
        &self,
        class: Class,
        deadline: Option<Instant>,
    ) -> Result<Option<(Waiting<'_>, Duration, Reason)>, Reason> {
        let mut queues = self.lock();
        if !self.is_on() {
            return Ok(None);
        }
        let now = self.shared.governance.now();
        queues.of_classes.expire(now, |_, late| _ = late.tell(Told::Refused(Reason::Late)));
        let mut place = (queues.of_classes.patience(now, class), Reason::Late);
        if let Some(deadline) = deadline {
            // After the wait it still has to be worked on.
            let spare = deadline.saturating_duration_since(Instant::now()).saturating_sub(self.usual(class));
            if spare.is_zero() {
                return Err(Reason::Deadline);
            }
            if spare < place.0 {
                place = (spare, Reason::Deadline);
            }
        }
        let (tell, told) = oneshot::channel();
        let number = queues.next;
        queues.next += 1;
        match queues.of_classes.push(now, class, Waiter { number, tell }) {
            Some(newcomer) if newcomer.number == number => return Err(Reason::QueueFull),
            Some(oldest) => _ = oldest.tell(Told::Refused(Reason::QueueFull)),
            None => {}
        }
        // Room that came free meanwhile: whoever left before this mark did not see that somebody waits.
        self.mark(&queues);
        self.serve(&mut queues, now);
        Ok(Some((Waiting { gate: self, class, number, told, is_over: false }, place.0, place.1)))
    }

    /// Lets in those who wait, as far as there is room. Nothing to do while nobody waits.
    pub(super) fn serve_waiting(&self) {
        if self.waiting.load(SeqCst) == 0 {
            return;
        }
        let now = self.shared.governance.now();
        self.serve(&mut self.lock(), now);
    }

    /// Lets everybody in who waits, whether or not there is room.
    pub(super) fn let_all_in(&self) {
        let mut queues = self.lock();
        let now = self.shared.governance.now();
        let late = |_, late: Waiter| _ = late.tell(Told::Enter(None));
        while let Some((_, waiter, ())) = queues.of_classes.pop(now, |_| Some(()), late) {
            waiter.tell(Told::Enter(None));
        }
        self.mark(&queues);
    }

    /// Whether somebody of this class or a higher one waits, so that a newcomer has to stand in line.
    pub(super) fn somebody_waits_from(&self, class: Class) -> bool {
        self.waiting.load(Relaxed) >> class.index() != 0
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, queues: &mut Queues, now: Moment) {
        let late = |_, late: Waiter| _ = late.tell(Told::Refused(Reason::Late));
        while let Some((_, waiter, area)) = queues.of_classes.pop(now, |class| self.room.try_enter(class), late) {
            if !waiter.tell(Told::Enter(Some(area))) {
                self.room.leave(area);
            }
        }
        self.mark(queues);
    }

    /// Shows, to those who do not take the lock, of which classes somebody waits.
    fn mark(&self, queues: &Queues) {
        let has_waiting = |class: &&Class| queues.of_classes.len(**class) > 0;
        let marks = Class::SHED_ORDER.iter().filter(has_waiting).fold(0, |marks, class| marks | bit(*class));
        self.waiting.store(marks, SeqCst);
    }
}

impl Waiting<'_> {
    /// Leaves the queue. What it was told after all, if that came first.
    fn step_out(&mut self) -> Option<Told> {
        let mut queues = self.gate.lock();
        let now = self.gate.shared.governance.now();
        if queues.of_classes.remove(now, self.class, |waiter| waiter.number == self.number) {
            // It may have been the one before whom nobody could go in.
            self.gate.serve(&mut queues, now);
            return None;
        }
        self.told.try_recv().ok()
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        self.gate.series.gone(self.class);
        if let Some(Told::Enter(Some(area))) = self.step_out() {
            self.gate.give_back(area);
        }
    }
}
