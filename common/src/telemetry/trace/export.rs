//! The task that sends spans to the collector: in batches, one call at a time, giving up rather than falling behind.

use std::time::Duration;

use opentelemetry::{
    InstrumentationScope, KeyValue, SpanId, TraceFlags, TraceId,
    trace::{SpanContext, Status, TraceState},
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanExporter, SpanLinks};
use prometheus::IntCounter;
use tokio::{
    sync::{mpsc::Receiver, oneshot},
    time::{Instant, timeout, timeout_at},
};

use super::{
    config::OtlpConfig,
    recorder::{End, Finished, Message},
    wall_time::WallTime,
};

/// The task's state.
#[derive(Debug)]
pub(super) struct Export<E> {
    exporter: E,
    queue: Receiver<Message>,
    limits: Limits,
    wall_time: WallTime,
    exported: IntCounter,
    failed: IntCounter,
    /// The last call failed: an outage is one line in the log, not one per batch.
    is_failing: bool,
}

#[derive(Debug)]
struct Limits {
    batch_size: usize,
    batch_delay: Duration,
    timeout: Duration,
}

/// What is sent together, and who waits for it to be sent.
#[derive(Default)]
struct Batch {
    spans: Vec<Finished>,
    flushed: Option<oneshot::Sender<()>>,
}

impl<E: SpanExporter> Export<E> {
    /// `exported` counts what the collector took, `failed` what it did not.
    pub(super) fn new(
        exporter: E,
        queue: Receiver<Message>,
        config: &OtlpConfig,
        wall_time: WallTime,
        (exported, failed): (IntCounter, IntCounter),
    ) -> Self {
        let limits = Limits { batch_size: config.batch_size, batch_delay: config.batch_delay, timeout: config.timeout };
        Self { exporter, queue, limits, wall_time, exported, failed, is_failing: false }
    }

    /// Sends until the recorder is gone, which in a process it never is.
    pub(super) async fn run(mut self) {
        while let Some(Batch { spans, flushed }) = self.next_batch().await {
            if !spans.is_empty() {
                self.send(spans).await;
            }
            if let Some(flushed) = flushed {
                // Whoever asked for the flush may have run out of patience.
                let _ = flushed.send(());
            }
        }
    }

    /// Waits for a span, then a little for more to go with it.
    async fn next_batch(&mut self) -> Option<Batch> {
        let mut batch = Batch::default();
        let mut next = self.queue.recv().await;
        let until = Instant::now() + self.limits.batch_delay;
        loop {
            match next {
                None if batch.spans.is_empty() => return None,
                None => return Some(batch),
                Some(Message::Flush(flushed)) => {
                    batch.flushed = Some(flushed);
                    return Some(batch);
                }
                Some(Message::Span(span)) => batch.spans.push(span),
            }
            if batch.spans.len() >= self.limits.batch_size {
                return Some(batch);
            }
            match timeout_at(until, self.queue.recv()).await {
                Ok(message) => next = message,
                Err(_) => return Some(batch),
            }
        }
    }

    async fn send(&mut self, spans: Vec<Finished>) {
        self.wall_time.look();
        let count = u64::try_from(spans.len()).unwrap_or(u64::MAX);
        let data = spans.into_iter().map(|span| span_data(span, &self.wall_time)).collect();
        match timeout(self.limits.timeout, self.exporter.export(data)).await {
            Ok(Ok(())) => {
                self.exported.inc_by(count);
                if std::mem::take(&mut self.is_failing) {
                    tracing::info!("spans reach the collector again");
                }
            }
            Ok(Err(error)) => self.failed(count, &error.to_string()),
            Err(_) => self.failed(count, "no answer in time"),
        }
    }

    fn failed(&mut self, count: u64, error: &str) {
        self.failed.inc_by(count);
        if !std::mem::replace(&mut self.is_failing, true) {
            tracing::warn!(error, "spans do not reach the collector and are dropped until they do");
        }
    }
}

/// The span as OpenTelemetry has it.
fn span_data(span: Finished, wall_time: &WallTime) -> SpanData {
    let Finished { trace_id, id, parent, parent_is_remote, started, ended, end, description } = span;
    let (status, error_type) = match end {
        End::Well => (Status::Unset, None),
        End::Fault => (Status::error(""), None),
        End::Cancelled => (Status::error("cancelled"), Some("cancelled")),
        End::Panicked => (Status::error("panicked"), Some("panicked")),
    };
    let mut attributes = description.attributes;
    attributes.extend(error_type.map(|name| KeyValue::new("error.type", name)));
    SpanData {
        span_context: SpanContext::new(
            TraceId::from(trace_id.as_u128()),
            SpanId::from(id),
            TraceFlags::SAMPLED,
            false,
            TraceState::default(),
        ),
        parent_span_id: SpanId::from(parent),
        parent_span_is_remote: parent_is_remote,
        span_kind: description.kind,
        name: description.name,
        start_time: wall_time.of(started),
        end_time: wall_time.of(ended),
        attributes,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status,
        instrumentation_scope: InstrumentationScope::builder(env!("CARGO_PKG_NAME")).build(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, MutexGuard};

    use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
    use prometheus::Registry;
    use tokio::{sync::mpsc::Sender, task::JoinSet};

    use super::*;
    use crate::{
        clock::testing::{ManualClock, SeededRandom},
        telemetry::trace::{
            Description,
            recorder::{Dropped, Recorder},
            start::flushed,
        },
    };

    /// How the collector takes what it is sent.
    #[derive(Clone, Copy, Debug)]
    enum Mood {
        Takes,
        Refuses,
        Hangs,
    }

    /// Remembers the sizes of batches and what was in them.
    #[derive(Clone, Debug)]
    struct Collector(Arc<Mutex<(Mood, Vec<Vec<SpanData>>)>>);

    impl Collector {
        fn state(&self) -> MutexGuard<'_, (Mood, Vec<Vec<SpanData>>)> {
            self.0.lock().unwrap()
        }

        fn batches(&self) -> Vec<usize> {
            self.state().1.iter().map(Vec::len).collect()
        }
    }

    impl SpanExporter for Collector {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            let mood = self.state().0;
            match mood {
                Mood::Takes => self.state().1.push(batch),
                Mood::Refuses => return Err(OTelSdkError::InternalFailure("unavailable".to_owned())),
                Mood::Hangs => std::future::pending().await,
            }
            Ok(())
        }
    }

    struct Running {
        collector: Collector,
        recorder: Recorder,
        queue: Sender<Message>,
        exported: IntCounter,
        failed: IntCounter,
        _task: JoinSet<()>,
    }

    impl Running {
        fn start(mood: Mood) -> Self {
            let config = OtlpConfig { queue_size: 10, batch_size: 4, ..OtlpConfig::default() };
            let dropped = Dropped::register(&Registry::new()).expect("registers");
            let (exported, failed) = (IntCounter::new("e", "e").expect("made"), dropped.export_failed.clone());
            let (recorder, receiver) = Recorder::new(&config, &SeededRandom::new(1), dropped);
            let queue = recorder.queue();
            let collector = Collector(Arc::new(Mutex::new((mood, Vec::new()))));
            let time = WallTime::new(Arc::new(ManualClock::default()));
            let counters = (exported.clone(), failed.clone());
            let mut task = JoinSet::new();
            task.spawn(Export::new(collector.clone(), receiver, &config, time, counters).run());
            Self { collector, recorder, queue, exported, failed, _task: task }
        }

        fn record(&self, count: u64) {
            for id in 1..=count {
                self.recorder.record(false, || span(id));
            }
        }

        fn counts(&self) -> (u64, u64) {
            (self.exported.get(), self.failed.get())
        }
    }

    fn span(id: u64) -> Finished {
        Finished {
            trace_id: crate::context::TraceId::from_u128(0xabc).expect("not zero"),
            id,
            parent: 9,
            parent_is_remote: true,
            started: Instant::now(),
            ended: Instant::now() + Duration::from_millis(3),
            end: End::Fault,
            description: Description::client("SELECT things").with("db.system.name", "sqlite"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn spans_are_sent_when_a_batch_is_full_or_after_a_little_while() {
        let running = Running::start(Mood::Takes);
        running.record(6);
        tokio::time::sleep(Duration::from_millis(999)).await;
        assert_eq!(running.collector.batches(), [4]);
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert_eq!(running.collector.batches(), [4, 2]);
        assert_eq!(running.counts(), (6, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_flush_sends_what_waits_at_once_and_returns_when_it_is_there() {
        let running = Running::start(Mood::Takes);
        let begun = Instant::now();
        running.record(6);
        flushed(running.queue.clone()).await;
        assert_eq!((running.collector.batches(), begun.elapsed()), (vec![4, 2], Duration::ZERO));
        flushed(running.queue.clone()).await;
        assert_eq!(running.collector.batches(), [4, 2], "an empty call is not made");
    }

    #[tokio::test(start_paused = true)]
    async fn a_collector_that_is_gone_costs_its_spans_and_nothing_later() {
        let running = Running::start(Mood::Refuses);
        running.record(3);
        flushed(running.queue.clone()).await;
        assert_eq!(running.counts(), (0, 3));
        running.collector.state().0 = Mood::Takes;
        running.record(2);
        flushed(running.queue.clone()).await;
        assert_eq!((running.counts(), running.collector.batches()), ((2, 3), vec![2]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_collector_that_hangs_is_given_up_and_recording_goes_on_without_waiting() {
        let running = Running::start(Mood::Hangs);
        running.record(4);
        tokio::task::yield_now().await;
        let begun = Instant::now();
        running.record(25);
        assert_eq!(begun.elapsed(), Duration::ZERO, "ten find room, the rest is dropped");
        flushed(running.queue.clone()).await;
        assert_eq!((begun.elapsed(), running.counts()), (4 * OtlpConfig::default().timeout, (0, 14)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_span_arrives_with_its_ids_times_and_status() {
        let running = Running::start(Mood::Takes);
        running.record(1);
        flushed(running.queue.clone()).await;
        let state = running.collector.state();
        let sent = &state.1[0][0];
        assert_eq!(sent.span_context.trace_id(), TraceId::from(0xabc));
        assert_eq!((sent.span_context.span_id(), sent.parent_span_id), (SpanId::from(1), SpanId::from(9)));
        let began = std::time::UNIX_EPOCH + Duration::from_millis(1_750_000_000_000);
        assert_eq!((sent.start_time, sent.end_time), (began, began + Duration::from_millis(3)));
        assert_eq!((sent.name.as_ref(), &sent.status), ("SELECT things", &Status::error("")));
        assert_eq!(sent.attributes, [KeyValue::new("db.system.name", "sqlite")]);
    }
}
