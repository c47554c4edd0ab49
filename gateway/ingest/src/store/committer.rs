//! [`Committer`]: the thread that writes.
//!
//! Pushes that come while one write is under way travel together in the next. A push that comes alone is written at
//! once. When the write before had several pushes, more are likely to follow, and the next waits a little for half as many.

use std::{
    fs::File,
    io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use common::clock::Timestamp;

use super::{
    Shared,
    state::{Alarm, Entry, Failure, Outcome, Phase},
};
use crate::{
    disk::SharedDisk,
    queue::Queued,
    segment::{
        Family,
        appender::Appender,
        listing::segments,
        retention::{Policy, Shipped},
    },
};

/// How often the clock and the disk are looked at when nothing else happens.
const TICK: Duration = Duration::from_millis(250);

/// How often segments are looked through for some to delete.
const RETENTION_EVERY: Duration = Duration::from_secs(60);

/// Once there was no room, pushes are taken again when there is a tenth more than is needed: no back and forth.
const ROOM_AGAIN: u64 = 10;

/// Memory for a write that is kept for the next one.
const BUFFER_KEPT: usize = 4 << 20;

/// How often the end of the store tries to complete the open segments.
const COMPLETE_TRIES: u32 = 3;

/// Writes what waits, and keeps house in between.
#[derive(Debug)]
pub(super) struct Committer {
    pub(super) shared: Arc<Shared>,
    pub(super) disk: SharedDisk,
    pub(super) data_dir: PathBuf,
    pub(super) events: Appender,
    pub(super) dead: Appender,
    /// Held as long as anything may be written.
    pub(super) _lock: File,
    pub(super) buffer: Vec<u8>,
    pub(super) dead_buffer: Vec<u8>,
    /// Pushes in the last write.
    pub(super) last_pushes: usize,
    /// The last write failed: it is told once.
    pub(super) is_failing: bool,
    /// A segment can't be completed: it is told once.
    pub(super) is_stuck: bool,
    /// It was told that there is no room.
    pub(super) has_told_full: bool,
    pub(super) looked_at: Option<Instant>,
    pub(super) deleted_at: Option<Timestamp>,
}

/// What the writer is woken for.
enum Work {
    Commit(Vec<Queued<Entry>>),
    Housekeeping,
    End,
}

/// Tells everybody that nothing is written any more, however the thread ends.
struct Ending(Arc<Shared>);

impl Committer {
    /// Runs until the store is closed and everything is written.
    pub(super) fn run(self) {
        // Told last, however this ends: whoever hears of it may open the directory again.
        let _ending = Ending(Arc::clone(&self.shared));
        let mut committer = self;
        committer.work();
        committer.complete();
    }

    fn work(&mut self) {
        loop {
            match self.next_work() {
                Work::Commit(batch) => self.commit(batch),
                Work::Housekeeping => {}
                Work::End => return,
            }
            self.keep_house();
        }
    }

    fn complete(&mut self) {
        for appender in [&mut self.events, &mut self.dead] {
            let completed = (0..COMPLETE_TRIES).map(|_| appender.complete()).find(Result::is_ok);
            if completed.is_none() {
                tracing::warn!("the open segment could not be completed; the next start will do so");
            }
        }
    }

    fn next_work(&self) -> Work {
        let shared = &self.shared;
        let mut state = shared.lock();
        let mut lingers_until = None;
        loop {
            let waiting = state.queue.waiting();
            if waiting == 0 && state.phase != Phase::Open {
                return Work::End;
            }
            let commit_bytes = shared.config.commit_bytes.get();
            // Whoever comes first begins the time for others.
            let (mut wait, mut alarm) = (TICK, Alarm { pushes: 1, bytes: commit_bytes });
            if waiting > 0 {
                alarm.pushes = company(self.last_pushes);
                let is_enough = state.phase != Phase::Open || alarm.rings(&state.queue);
                let until = *lingers_until.get_or_insert_with(|| Instant::now() + shared.config.linger);
                wait = until.saturating_duration_since(Instant::now());
                if is_enough || wait.is_zero() {
                    return Work::Commit(state.queue.take(commit_bytes));
                }
            }
            #[cfg(test)]
            if std::mem::take(&mut state.housekeeping_wanted) {
                return Work::Housekeeping;
            }
            state.set_alarm(Some(alarm));
            let (woken, timeout) =
                shared.wake.wait_timeout(state, wait).unwrap_or_else(std::sync::PoisonError::into_inner);
            state = woken;
            state.set_alarm(None);
            if timeout.timed_out() && state.queue.waiting() == 0 && state.phase == Phase::Open {
                return Work::Housekeeping;
            }
        }
    }

    fn commit(&mut self, batch: Vec<Queued<Entry>>) {
        self.last_pushes = batch.len();
        let now = self.shared.clock.now();
        self.bury(&batch, now);
        self.buffer.clear();
        let first = self.events.next_seq();
        let lines =
            batch.iter().fold(0, |lines, queued| lines + queued.item.lines.place(first + lines, &mut self.buffer));
        let began = Instant::now();
        let outcome = if lines == 0 { Outcome::Durable } else { self.write(now, lines) };
        let took = began.elapsed();
        let settled = {
            let mut state = self.shared.lock();
            if outcome == Outcome::Failed(Failure::DiskFull) {
                state.is_disk_full = true;
            }
            if outcome == Outcome::Durable && lines > 0 {
                state.backlog.note(took);
            }
            let settled = state.settle(batch, outcome, now);
            state.show(&self.shared.metrics);
            settled
        };
        settled.tell(outcome);
        if self.buffer.capacity() > BUFFER_KEPT {
            self.buffer = Vec::new();
        }
    }

    fn write(&mut self, now: Timestamp, lines: u64) -> Outcome {
        let metrics = &self.shared.metrics;
        let timer = metrics.commit_seconds.start_timer();
        match self.events.commit(now, &self.buffer, lines) {
            Ok(()) => {
                timer.observe_duration();
                metrics.commit_bytes.observe(f64::from(u32::try_from(self.buffer.len()).unwrap_or(u32::MAX)));
                if std::mem::take(&mut self.is_failing) {
                    tracing::info!("the disk takes events again");
                }
                Outcome::Durable
            }
            Err(error) => {
                timer.stop_and_discard();
                metrics.commit_failures.inc();
                let failure = if is_full(&error) { Failure::DiskFull } else { Failure::DiskFailed };
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::error!(%error, lines, "the disk does not take events; none of them is acknowledged");
                }
                Outcome::Failed(failure)
            }
        }
    }

    /// Keeps what could not be taken. It is told to the partner in any case: losing it here fails nothing.
    fn bury(&mut self, batch: &[Queued<Entry>], now: Timestamp) {
        self.dead_buffer.clear();
        let first = self.dead.next_seq();
        let lines =
            batch.iter().fold(0, |lines, queued| lines + queued.item.dead.place(first + lines, &mut self.dead_buffer));
        if lines == 0 {
            return;
        }
        if let Err(error) = self.dead.commit(now, &self.dead_buffer, lines) {
            self.shared.metrics.dead_lost.inc_by(lines);
            tracing::warn!(%error, lines, "events that can't be taken could not be kept either");
        }
        self.dead_buffer.shrink_to(BUFFER_KEPT);
    }

    fn keep_house(&mut self) {
        let now = self.shared.clock.now();
        let rotated = [self.events.rotate(now), self.dead.rotate(now)];
        let failure = rotated.into_iter().find_map(Result::err);
        let was_stuck = std::mem::replace(&mut self.is_stuck, failure.is_some());
        if let Some(error) = failure.filter(|_| !was_stuck && !self.is_failing) {
            tracing::warn!(%error, "a segment could not be completed; it is tried again");
        }
        let is_due = self.looked_at.is_none_or(|looked_at| looked_at.elapsed() >= TICK);
        if is_due || cfg!(test) {
            self.looked_at = Some(Instant::now());
            self.look_at_disk(now);
        }
        #[cfg(test)]
        self.shared.rounds.send_modify(|rounds| *rounds += 1);
    }

    fn look_at_disk(&mut self, now: Timestamp) {
        let shared = Arc::clone(&self.shared);
        let metrics = &shared.metrics;
        let age = self.events.open_age(now).as_secs();
        metrics.open_segment_age_seconds.set(i64::try_from(age).unwrap_or(i64::MAX));
        let directory = Family::Events.directory(&self.data_dir);
        let free = match self.disk.free_bytes(&directory) {
            Ok(free) => free,
            Err(error) => {
                tracing::debug!(%error, "the free space is not known");
                return;
            }
        };
        metrics.free_bytes.set(i64::try_from(free).unwrap_or(i64::MAX));
        self.judge_room(free);
        let short =
            self.shared.config.retention.evict_below_free_bytes.map_or(0, |least| least.get().saturating_sub(free));
        let is_due = self.deleted_at.is_none_or(|at| now.since(at) >= RETENTION_EVERY || now < at);
        if is_due || short > 0 {
            self.deleted_at = Some(now);
            self.delete(now, short);
        }
    }

    fn judge_room(&mut self, free: u64) {
        let least = self.shared.config.free_bytes_min;
        let mut state = self.shared.lock();
        let was_full = state.is_disk_full;
        state.is_disk_full = free < if was_full { least.saturating_add(least / ROOM_AGAIN) } else { least };
        let is_full = state.is_disk_full;
        state.show(&self.shared.metrics);
        drop(state);
        // A quota says no while the disk has room: that is told as the failed write that it is.
        match (self.has_told_full, is_full) {
            (false, true) => tracing::error!(free, least, "there is no room on the disk: pushes are refused"),
            (true, false) => tracing::info!(free, "there is room on the disk: pushes are taken"),
            _ => {}
        }
        self.has_told_full = is_full;
    }

    fn delete(&self, now: Timestamp, wanted_bytes: u64) {
        let config = &self.shared.config;
        let shipped = Shipped::by_all(&self.data_dir);
        let keep_for = config.retention.keep_for;
        self.delete_from(Family::Events, |_bytes| Policy { now, keep_for, shipped, wanted_bytes });
        self.delete_from(Family::Dead, |bytes| Policy {
            now,
            keep_for: config.dead.keep_for,
            shipped: Vec::new(),
            wanted_bytes: bytes.saturating_sub(config.dead.total_bytes_max.get()),
        });
    }

    fn delete_from(&self, family: Family, policy: impl FnOnce(u64) -> Policy) {
        let deleted = || {
            let files = segments(&family.directory(&self.data_dir), family)?;
            let policy = policy(files.iter().map(|file| file.bytes).sum());
            for file in policy.deletes(&files) {
                self.disk.remove(&file.path)?;
                self.shared.metrics.segments_deleted.inc();
                tracing::info!(segment = %file.name, bytes = file.bytes, "deleted a segment");
            }
            io::Result::Ok(())
        };
        if let Err(error) = deleted() {
            tracing::warn!(%error, ?family, "segments could not be looked through or deleted");
        }
    }
}

/// How many pushes are written without waiting for more. Half of the last time's is enough: what comes while they
/// are written is next, and waiting for as many would wait for ever fewer.
fn company(last_pushes: usize) -> usize {
    (last_pushes / 2).max(1)
}

/// Whether an error says that there is no room.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}

impl Drop for Ending {
    fn drop(&mut self) {
        let outcome = Outcome::Failed(Failure::Ended);
        let settled = {
            let mut state = self.0.lock();
            state.phase = Phase::Ended;
            let left = state.queue.take(u64::MAX);
            if !left.is_empty() || std::thread::panicking() {
                tracing::error!(pushes = left.len(), "the writer of events has ended by a fault");
            }
            let now = self.0.clock.now();
            state.settle(left, outcome, now)
        };
        settled.tell(outcome);
        self.0.ended.send_replace(true);
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_comes_alone_waits_for_nobody_and_a_crowd_is_waited_for() {
        assert_eq!((company(0), company(1)), (1, 1), "one after the other");
        assert_eq!(company(3), 1, "after a few");
        assert_eq!(company(64), 32, "after many");
    }

    #[test]
    fn no_room_is_told_from_a_broken_disk() {
        let is_full = |error| is_full(&io::Error::from_raw_os_error(error));
        // ENOSPC, EDQUOT, EFBIG of Linux; EIO, EROFS.
        assert_eq!([28, 122, 27, 5, 30].map(is_full), [true, true, true, false, false]);
    }
}
