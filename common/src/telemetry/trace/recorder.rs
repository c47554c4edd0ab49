//! Which spans are kept, and the queue they wait in.
//!
//! There is one recorder per process, like the log, so that a statement or a wait can be recorded wherever it happens
//! without being handed one. A process that sends no traces has none, and records nothing.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};
use tokio::{
    sync::{
        mpsc::{self, Receiver, Sender},
        oneshot,
    },
    time::Instant,
};

use super::{config::OtlpConfig, description::Description};
use crate::{clock::Random, context::TraceId, sequence::Sequence};

static RECORDER: OnceLock<Recorder> = OnceLock::new();

/// Decides which spans are kept and puts them into the queue.
#[derive(Debug)]
pub(super) struct Recorder {
    queue: Sender<Message>,
    ids: Sequence,
    sample_ratio: f64,
    slow_threshold: Duration,
    late: LateBudget,
    dropped: Dropped,
}

/// What is in the queue.
#[derive(Debug)]
pub(super) enum Message {
    /// To be sent.
    Span(Finished),
    /// Everything before it is to be sent now; answered when it was, or was given up.
    Flush(oneshot::Sender<()>),
}

/// A span that has ended.
#[derive(Clone, Debug)]
pub(crate) struct Finished {
    pub(crate) trace_id: TraceId,
    pub(crate) id: u64,
    /// Zero when nobody outside asked.
    pub(crate) parent: u64,
    pub(crate) parent_is_remote: bool,
    pub(crate) started: Instant,
    pub(crate) ended: Instant,
    pub(crate) end: End,
    pub(crate) description: Description,
}

/// How a span ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With an answer, which may be a refusal.
    Well,
    /// By a fault of ours or of something we depend on.
    Fault,
    /// Nobody waited for it any more.
    Cancelled,
    Panicked,
}

/// Counts of spans that were lost, by reason.
#[derive(Debug)]
pub(super) struct Dropped {
    pub(super) queue_full: IntCounter,
    pub(super) late_limit: IntCounter,
    pub(super) export_failed: IntCounter,
}

impl Recorder {
    /// A recorder, and the other end of its queue.
    pub(super) fn new(config: &OtlpConfig, random: &dyn Random, dropped: Dropped) -> (Self, Receiver<Message>) {
        let (queue, receiver) = mpsc::channel(config.queue_size);
        let recorder = Self {
            queue,
            ids: Sequence::new(random),
            sample_ratio: config.sample_ratio,
            slow_threshold: config.slow_threshold,
            late: LateBudget::new(config.late_spans_per_second),
            dropped,
        };
        (recorder, receiver)
    }

    /// Makes it the process's. The first one stays: false for any other.
    pub(super) fn install(self) -> bool {
        RECORDER.set(self).is_ok()
    }

    /// The process's recorder, if it sends traces.
    pub(super) fn installed() -> Option<&'static Self> {
        RECORDER.get()
    }

    /// A sender into the queue, for flushes.
    pub(super) fn queue(&self) -> Sender<Message> {
        self.queue.clone()
    }

    /// A span id; never zero.
    pub(super) fn next_id(&self) -> u64 {
        self.ids.next().max(1)
    }

    /// Whether a new trace is one of those that are recorded: decided by its id, so that it costs no randomness.
    pub(super) fn chooses(&self, trace_id: TraceId) -> bool {
        // The 53 bits that a float holds, as a fraction of one.
        let bits = u64::try_from(trace_id.as_u128() & u128::from(u64::MAX)).unwrap_or(u64::MAX) >> 11;
        (bits as f64) / ((1_u64 << 53) as f64) < self.sample_ratio
    }

    /// Whether a span of a request that was not chosen is worth keeping after all.
    pub(super) fn keeps_late(&self, end: End, elapsed: Duration) -> bool {
        elapsed >= self.slow_threshold || matches!(end, End::Fault | End::Panicked)
    }

    /// Puts a span into the queue, if there is room: `finish` is asked for it only then. Never waits.
    pub(super) fn record(&self, late: bool, finish: impl FnOnce() -> Finished) {
        if late && !self.late.take(Instant::now()) {
            self.dropped.late_limit.inc();
            return;
        }
        match self.queue.try_reserve() {
            Ok(place) => place.send(Message::Span(finish())),
            Err(_) => self.dropped.queue_full.inc(),
        }
    }
}

impl Dropped {
    /// Registers the counter.
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let opts = Opts::new("playgate_trace_spans_dropped_total", "Spans that were recorded and could not be sent.");
        let dropped = IntCounterVec::new(opts, &["reason"])?;
        registry.register(Box::new(dropped.clone()))?;
        let [queue_full, late_limit, export_failed] =
            ["queue_full", "late_limit", "export_failed"].map(|reason| dropped.with_label_values(&[reason]));
        Ok(Self { queue_full, late_limit, export_failed })
    }
}

/// How many spans per second may be recorded afterwards.
#[derive(Debug)]
struct LateBudget {
    per_second: u32,
    origin: Instant,
    /// The second in the upper half, what was taken in it in the lower.
    taken: AtomicU64,
}

impl LateBudget {
    fn new(per_second: u32) -> Self {
        Self { per_second, origin: Instant::now(), taken: AtomicU64::new(0) }
    }

    fn take(&self, now: Instant) -> bool {
        let second = now.duration_since(self.origin).as_secs() & u64::from(u32::MAX);
        let next = |state: u64| {
            let taken = if state >> 32 == second { state & u64::from(u32::MAX) } else { 0 };
            (taken < u64::from(self.per_second)).then_some((second << 32) | (taken + 1))
        };
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::testing::SeededRandom;

    fn recorder(config: &OtlpConfig) -> (Recorder, Receiver<Message>) {
        Recorder::new(config, &SeededRandom::new(1), Dropped::register(&Registry::new()).expect("registers"))
    }

    fn finished(id: u64) -> Finished {
        Finished {
            trace_id: TraceId::from_u128(7).expect("not zero"),
            id,
            parent: 0,
            parent_is_remote: false,
            started: Instant::now(),
            ended: Instant::now(),
            end: End::Well,
            description: Description::internal("test"),
        }
    }

    #[test]
    fn the_chosen_share_of_traces_is_that_of_the_configuration() {
        let random = SeededRandom::new(3);
        let ids: Vec<TraceId> = (0..20_000).map(|_| TraceId::new(&random)).collect();
        for (sample_ratio, expected) in [(0.0, 0..=0), (0.01, 150..=250), (0.5, 9_700..=10_300), (1.0, 20_000..=20_000)]
        {
            let (recorder, _queue) = recorder(&OtlpConfig { sample_ratio, ..OtlpConfig::default() });
            let chosen = ids.iter().filter(|id| recorder.chooses(**id)).count();
            assert!(expected.contains(&chosen), "{chosen} of {sample_ratio}");
        }
    }

    #[test]
    fn a_full_queue_drops_and_counts_and_does_not_even_describe_the_span() {
        let (recorder, mut queue) = recorder(&OtlpConfig { queue_size: 2, ..OtlpConfig::default() });
        recorder.record(false, || finished(1));
        recorder.record(false, || finished(2));
        recorder.record(false, || panic!("there is no room for it"));
        assert_eq!(recorder.dropped.queue_full.get(), 1);
        for expected in [1, 2] {
            let Ok(Message::Span(span)) = queue.try_recv() else { panic!("a span") };
            assert_eq!(span.id, expected);
        }
        recorder.record(false, || finished(3));
        assert!(queue.try_recv().is_ok(), "there is room again");
    }

    #[tokio::test(start_paused = true)]
    async fn spans_recorded_afterwards_are_limited_per_second_and_sampled_ones_are_not() {
        let (recorder, _queue) = recorder(&OtlpConfig { late_spans_per_second: 2, ..OtlpConfig::default() });
        for _ in 0..5 {
            recorder.record(true, || finished(1));
        }
        assert_eq!(recorder.dropped.late_limit.get(), 3);
        recorder.record(false, || finished(1));
        tokio::time::advance(Duration::from_secs(1)).await;
        recorder.record(true, || finished(1));
        assert_eq!((recorder.dropped.late_limit.get(), recorder.dropped.queue_full.get()), (3, 0));
    }
}
