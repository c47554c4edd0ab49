//! Putting it together: the recorder of the process, the task that sends, and the flush at the end.

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig};
use opentelemetry_sdk::{Resource, trace::SpanExporter as _};
use prometheus::{IntCounter, Registry};
use tokio::sync::{mpsc::Sender, oneshot};

use super::{
    config::OtlpConfig,
    export::Export,
    recorder::{Dropped, Message, Recorder},
    wall_time::WallTime,
};
use crate::{
    clock::{SharedClock, SharedRandom, new_uuid},
    config::Environment,
    lifecycle::Lifecycle,
    telemetry::BuildInfo,
};

/// Why traces can't be sent.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// `otlp.endpoint` can't be used.
    #[error("otlp.endpoint: {0}")]
    Endpoint(#[from] ExporterBuildError),
    /// Its counters are registered already.
    #[error("the metrics of traces: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The process has a recorder already.
    #[error("tracing was started twice")]
    StartedTwice,
}

/// What tracing needs from its process.
#[derive(Clone, Debug)]
pub struct TraceParts {
    /// What the process is: its service name is `playgate-` and this.
    pub role: &'static str,
    /// Its build.
    pub build: BuildInfo,
    /// Where it runs.
    pub environment: Environment,
    /// Tells when spans began.
    pub clock: SharedClock,
    /// For span ids and the name of the instance.
    pub random: SharedRandom,
    /// Where lost spans are counted.
    pub registry: Registry,
}

/// Starts to record and send traces, if a collector is configured. Once per process, before requests come, in a
/// running tokio runtime. The collector need not be there.
///
/// What is recorded at the end of the process is sent before it goes, as the flush `traces`.
pub fn start(config: &OtlpConfig, parts: &TraceParts, lifecycle: &Lifecycle) -> Result<(), TraceError> {
    let Some(endpoint) = &config.endpoint else { return Ok(()) };
    let mut exporter =
        SpanExporter::builder().with_tonic().with_endpoint(endpoint).with_timeout(config.timeout).build()?;
    exporter.set_resource(&resource(parts));
    let exported = IntCounter::new("playgate_trace_spans_exported_total", "Spans that the collector took.")?;
    parts.registry.register(Box::new(exported.clone()))?;
    let dropped = Dropped::register(&parts.registry)?;
    let counters = (exported, dropped.export_failed.clone());
    let (recorder, queue) = Recorder::new(config, &*parts.random, dropped);
    let flush = recorder.queue();
    if !recorder.install() {
        return Err(TraceError::StartedTwice);
    }
    let export = Export::new(exporter, queue, config, WallTime::new(Arc::clone(&parts.clock)), counters);
    lifecycle.spawn_background("traces", export.run());
    lifecycle.on_flush("traces", flushed(flush));
    Ok(())
}

/// Waits until everything recorded so far was sent or given up.
pub(super) async fn flushed(queue: Sender<Message>) {
    let (done, when_done) = oneshot::channel();
    if queue.send(Message::Flush(done)).await.is_ok() {
        // An error means that the task is gone, and with it what it had.
        let _ = when_done.await;
    }
}

/// Who sends, as attributes of the semantic conventions.
fn resource(parts: &TraceParts) -> Resource {
    let environment = match parts.environment {
        Environment::Development => "development",
        Environment::Production => "production",
    };
    Resource::builder_empty()
        .with_service_name(format!("playgate-{}", parts.role))
        .with_attributes([
            KeyValue::new("service.version", parts.build.version),
            KeyValue::new("service.instance.id", new_uuid(&*parts.clock, &*parts.random).to_string()),
            KeyValue::new("deployment.environment.name", environment),
        ])
        .build()
}
