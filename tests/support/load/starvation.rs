//! Whether the machine gives anybody time: a thread of the test that asks for next to none and writes down how long it
//! had to wait for that. It looks at nothing of the platform, so that nothing the platform does wrong looks like this.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Between two of its wakings.
const WAKE_EVERY: Duration = Duration::from_millis(20);

/// A thread that wakes this late finds a machine on which a verify, for which a dozen threads have to wake one after the
/// other, takes more than a second whatever the platform does.
const STARVED: Duration = Duration::from_millis(100);

/// A moment in which the machine gave no time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Starved {
    /// When the thread should have woken, since the load began.
    pub(super) from: Duration,
    /// When it did.
    pub(super) until: Duration,
}

/// Watches until it is stopped or dropped.
pub(super) struct Watch {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Vec<Starved>>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    pub(super) fn start(began: Instant) -> Self {
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::<Mutex<Vec<Starved>>>::default());
        let (stopped, seen_by_it) = (Arc::clone(&stop), Arc::clone(&seen));
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let from = began.elapsed() + WAKE_EVERY;
                thread::sleep(WAKE_EVERY);
                let until = began.elapsed();
                if until.saturating_sub(from) >= STARVED {
                    seen_by_it.lock().unwrap().push(Starved { from, until });
                }
            }
        });
        Self { stop, seen, thread: Some(thread) }
    }

    /// Ends it; what it has seen.
    pub(super) fn stop(mut self) -> Vec<Starved> {
        self.end();
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It has nothing to panic about, and a failing story is told about something else.
            let _ = thread.join();
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end();
    }
}
