//! The buffer that log lines go through, and the thread that writes them out.
//!
//! A write per line costs more than the request it describes, and a destination that stalls (a full pipe, a slow disk)
//! would stall the async threads with it. So a line is only copied into memory under a short lock; one thread swaps the
//! buffer for an empty one every [`INTERVAL`] and writes what it took in one piece. Whole lines go in and whole lines
//! come out: no line is ever torn or mixed with another. Beyond the limit lines are dropped and counted, never waited
//! for. Nothing here knows what a line means.

use std::{
    cell::Cell,
    fmt,
    io::{self, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use prometheus::IntCounter;

/// How long lines may wait for company before they are written: one write then carries all of them.
pub(crate) const INTERVAL: Duration = Duration::from_millis(20);

/// How long a flush waits for a destination that does not take the lines. Beyond it they are given up: a process that
/// cannot end because nobody reads its log is worse than a lost line.
const FLUSH_LIMIT: Duration = Duration::from_secs(2);

/// The longest line whose memory a thread keeps for its next one.
const SCRATCH_KEPT_BYTES: usize = 16 * 1024;

thread_local! {
    /// Lines are composed here, so that the lock is held only to copy them.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Where lines are put. Cheap to clone; all clones share one buffer.
#[derive(Clone)]
pub(crate) struct Lines {
    shared: Arc<Shared>,
}

/// Writes out what is left when it is dropped. Lines that come after that are dropped and counted.
pub(crate) struct LinesGuard {
    lines: Lines,
}

/// What the buffer is made of and where it goes.
pub(crate) struct LinesOptions {
    /// The writing thread's name, at most 15 characters (a longer one is cut by Linux).
    pub(crate) name: &'static str,
    /// Bytes that may wait. The writing thread holds up to as much again while it writes.
    pub(crate) limit_bytes: usize,
    /// How long lines wait for company.
    pub(crate) interval: Duration,
    /// Counts lines that found no room or could not be written.
    pub(crate) dropped: IntCounter,
}

struct Shared {
    limit_bytes: usize,
    interval: Duration,
    dropped: IntCounter,
    state: Mutex<State>,
    /// Wakes the writing thread: there are lines, or somebody wants them out now.
    work: Condvar,
    /// Wakes whoever waits in a flush.
    progress: Condvar,
}

#[derive(Default)]
struct State {
    pending: Vec<u8>,
    /// Lines ever taken in; never falls.
    accepted: u64,
    /// Lines of those that are dealt with: written, or lost and counted.
    settled: u64,
    flush_wanted: bool,
    closed: bool,
    ended: bool,
}

impl Lines {
    /// Starts the writing thread for `destination`.
    ///
    /// Fails when the system gives no thread.
    pub(crate) fn start(options: LinesOptions, destination: impl Write + Send + 'static) -> io::Result<LinesGuard> {
        let shared = Arc::new(Shared {
            limit_bytes: options.limit_bytes,
            interval: options.interval,
            dropped: options.dropped,
            state: Mutex::default(),
            work: Condvar::new(),
            progress: Condvar::new(),
        });
        let writer = Arc::clone(&shared);
        thread::Builder::new().name(options.name.into()).spawn(move || write_out(&writer, destination))?;
        Ok(LinesGuard { lines: Self { shared } })
    }

    /// Takes in the one line that `compose` writes into the buffer it is given, without the newline, which must hold
    /// no newline of its own. Never waits for the destination.
    pub(crate) fn write(&self, compose: impl FnOnce(&mut Vec<u8>)) {
        // Taken out rather than borrowed: a value that logs while it is being formatted finds an empty buffer.
        let mut line = SCRATCH.try_with(Cell::take).unwrap_or_default();
        compose(&mut line);
        line.push(b'\n');
        self.push(&line);
        if line.capacity() <= SCRATCH_KEPT_BYTES {
            line.clear();
            // Fails only while the thread ends, when nobody needs the buffer again.
            let _ = SCRATCH.try_with(|scratch| scratch.set(line));
        }
    }

    fn push(&self, line: &[u8]) {
        let mut state = self.shared.lock();
        if state.closed || state.pending.len() + line.len() > self.shared.limit_bytes {
            drop(state);
            self.shared.dropped.inc();
            return;
        }
        let first = state.pending.is_empty();
        state.pending.extend_from_slice(line);
        state.accepted += 1;
        drop(state);
        // The thread sleeps only while there is nothing: one wake per batch, not per line.
        if first {
            self.shared.work.notify_one();
        }
    }

    /// Waits until every line taken in so far is dealt with. Blocks: not for async threads.
    ///
    /// Gives `false` when the destination did not take them within [`FLUSH_LIMIT`].
    pub(crate) fn flush(&self) -> bool {
        let mut state = self.shared.lock();
        let target = state.accepted;
        state.flush_wanted = true;
        self.shared.work.notify_one();
        self.shared.wait_for_progress(state, |state| state.settled < target && !state.ended)
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").field("limit_bytes", &self.shared.limit_bytes).finish_non_exhaustive()
    }
}

impl LinesGuard {
    /// The way in.
    pub(crate) fn lines(&self) -> &Lines {
        &self.lines
    }
}

impl Drop for LinesGuard {
    fn drop(&mut self) {
        let shared = &self.lines.shared;
        let mut state = shared.lock();
        state.closed = true;
        shared.work.notify_one();
        shared.wait_for_progress(state, |state| !state.ended);
    }
}

impl fmt::Debug for LinesGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LinesGuard").field(&self.lines).finish()
    }
}

impl Shared {
    /// No code panics while it holds the lock, and if it did the bytes would still be whole lines.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_for_progress(&self, state: MutexGuard<'_, State>, unfinished: impl Fn(&State) -> bool) -> bool {
        let (state, _) = self
            .progress
            .wait_timeout_while(state, FLUSH_LIMIT, |state| unfinished(state))
            .unwrap_or_else(PoisonError::into_inner);
        !unfinished(&state)
    }

    /// Waits for lines, lets more of them join, and swaps them for the empty `batch`. `None` when it is over.
    fn take(&self, batch: &mut Vec<u8>) -> Option<Taken> {
        let state = self.lock();
        let state = self
            .work
            .wait_while(state, |state| state.pending.is_empty() && !state.closed)
            .unwrap_or_else(PoisonError::into_inner);
        let (mut state, _) = self
            .work
            .wait_timeout_while(state, self.interval, |state| !state.flush_wanted && !state.closed)
            .unwrap_or_else(PoisonError::into_inner);
        state.flush_wanted = false;
        mem::swap(&mut state.pending, batch);
        (!batch.is_empty()).then_some(Taken { up_to: state.accepted, lines: state.accepted - state.settled })
    }
}

/// What one swap took.
struct Taken {
    /// The number of the last line.
    up_to: u64,
    lines: u64,
}

/// The writing thread, from start to end.
fn write_out(shared: &Shared, mut destination: impl Write) {
    let mut batch = Vec::new();
    let mut cut = false;
    while let Some(taken) = shared.take(&mut batch) {
        // A failed write may have ended inside a line; the next one must not be glued to that piece.
        let healed = if cut { destination.write_all(b"\n") } else { Ok(()) };
        let written = healed.and_then(|()| destination.write_all(&batch)).and_then(|()| destination.flush());
        cut = written.is_err();
        if cut {
            // There is no better place to complain: this is the log. The counter says it.
            shared.dropped.inc_by(taken.lines);
        }
        batch.clear();
        shared.lock().settled = taken.up_to;
        shared.progress.notify_all();
    }
    shared.lock().ended = true;
    shared.progress.notify_all();
}

#[cfg(test)]
pub(crate) mod testing {
    //! A destination that tests can look into.

    use super::*;

    /// Keeps what is written to it.
    #[derive(Clone, Debug, Default)]
    pub(crate) struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Kept {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).expect("lines are UTF-8")
        }
    }

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A buffer of `limit_bytes` that writes only when it is flushed, and its counter.
    pub(crate) fn lines(limit_bytes: usize, destination: impl Write + Send + 'static) -> (LinesGuard, IntCounter) {
        let dropped = IntCounter::new("dropped_total", "Dropped lines.").unwrap();
        let interval = Duration::from_secs(3600);
        let options = LinesOptions { name: "test-lines", limit_bytes, interval, dropped: dropped.clone() };
        (Lines::start(options, destination).unwrap(), dropped)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::{
        testing::{Kept, lines},
        *,
    };

    /// A destination that says when a write arrives and holds it until it is let through.
    struct Gate {
        arrived: mpsc::Sender<()>,
        go: mpsc::Receiver<io::Result<()>>,
        kept: Kept,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.arrived.send(()).unwrap();
            self.go.recv().unwrap()?;
            self.kept.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_of_many_threads_are_neither_torn_nor_mixed_nor_lost() {
        const THREADS: usize = 8;
        const EACH: usize = 2_000;
        let kept = Kept::default();
        let dropped = IntCounter::new("dropped_total", "Dropped lines.").unwrap();
        let options = LinesOptions {
            name: "test-lines",
            limit_bytes: 16 << 20,
            interval: Duration::ZERO,
            dropped: dropped.clone(),
        };
        let guard = Lines::start(options, kept.clone()).unwrap();
        thread::scope(|scope| {
            for writer in 0..THREADS {
                let lines = guard.lines().clone();
                scope.spawn(move || {
                    for number in 0..EACH {
                        let filling = "x".repeat(number % 300);
                        lines.push(format!("{writer} {number} {filling}.\n").as_bytes());
                    }
                });
            }
        });
        drop(guard);

        let text = kept.text();
        let mut next = [0; THREADS];
        for line in text.lines() {
            let mut parts = line.split(' ');
            let writer: usize = parts.next().unwrap().parse().unwrap();
            let number: usize = parts.next().unwrap().parse().unwrap();
            assert_eq!(number, next[writer], "lines of one thread stay in order");
            assert_eq!(parts.next().unwrap(), format!("{}.", "x".repeat(number % 300)));
            next[writer] += 1;
        }
        assert_eq!(next, [EACH; THREADS]);
        assert_eq!(dropped.get(), 0);
    }

    #[test]
    fn beyond_the_limit_lines_are_dropped_and_counted_and_later_ones_come_again() {
        let (arrived, arrivals) = mpsc::channel();
        let (let_go, go) = mpsc::channel();
        let kept = Kept::default();
        let (guard, dropped) = lines(16, Gate { arrived, go, kept: kept.clone() });

        thread::scope(|scope| {
            guard.lines().push(b"first\n");
            let flush = scope.spawn(|| guard.lines().flush());
            arrivals.recv().unwrap();
            // The destination holds the first line; these wait, and the third finds no room.
            guard.lines().push(b"1234567\n");
            guard.lines().push(b"8901234\n");
            guard.lines().push(b"no room\n");
            assert_eq!(dropped.get(), 1);
            let_go.send(Ok(())).unwrap();
            assert!(flush.join().unwrap());
        });
        for _ in 0..2 {
            let_go.send(Ok(())).unwrap();
        }
        assert!(guard.lines().flush());
        guard.lines().push(b"later\n");
        assert!(guard.lines().flush());
        assert_eq!(kept.text(), "first\n1234567\n8901234\nlater\n");
        assert_eq!(dropped.get(), 1);
    }

    #[test]
    fn a_flush_writes_everything_at_once_without_waiting_for_the_interval() {
        let kept = Kept::default();
        let (guard, _) = lines(1024, kept.clone());
        for number in 0..10 {
            guard.lines().push(format!("{number}\n").as_bytes());
        }
        assert!(guard.lines().flush());
        assert_eq!(kept.text(), "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n");
        assert!(guard.lines().flush(), "nothing left to write is no reason to wait");
    }

    #[test]
    fn a_line_written_while_another_is_composed_does_not_end_up_inside_it() {
        let kept = Kept::default();
        let (guard, _) = lines(1024, kept.clone());
        guard.lines().write(|out| {
            out.extend_from_slice(b"outer begins, ");
            guard.lines().write(|out| out.extend_from_slice(b"inner"));
            out.extend_from_slice(b"outer ends");
        });
        drop(guard);
        assert_eq!(kept.text(), "inner\nouter begins, outer ends\n");
    }

    #[test]
    fn the_end_of_the_guard_writes_what_is_left_and_counts_what_comes_too_late() {
        let kept = Kept::default();
        let (guard, dropped) = lines(1024, kept.clone());
        let late = guard.lines().clone();
        late.push(b"in time\n");
        drop(guard);
        late.push(b"too late\n");
        assert!(late.flush(), "after the end there is nothing to wait for");
        assert_eq!(kept.text(), "in time\n");
        assert_eq!(dropped.get(), 1);
    }

    #[test]
    fn a_failed_write_costs_its_lines_and_the_next_one_starts_on_a_line_of_its_own() {
        let (arrived, _arrivals) = mpsc::channel();
        let (let_go, go) = mpsc::channel();
        let kept = Kept::default();
        let (guard, dropped) = lines(1024, Gate { arrived, go, kept: kept.clone() });
        guard.lines().push(b"lost\n");
        guard.lines().push(b"lost too\n");
        let_go.send(Err(io::Error::other("the disk is full"))).unwrap();
        assert!(guard.lines().flush());
        assert_eq!(dropped.get(), 2);
        for _ in 0..2 {
            let_go.send(Ok(())).unwrap();
        }
        guard.lines().push(b"written\n");
        assert!(guard.lines().flush());
        assert_eq!(kept.text(), "\nwritten\n");
        assert_eq!(dropped.get(), 2);
    }
}
