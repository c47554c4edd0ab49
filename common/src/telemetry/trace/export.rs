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
