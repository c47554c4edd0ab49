//! The process log: what the program says, one line per event, on standard error.
//!
//! Every line that is written while a request is worked on carries its trace id, whoever writes it. Values are escaped,
//! so that one event is one line whatever a client sent. What may be in a line is decided where it is written: secrets,
//! tokens and phone numbers never.

use std::{
    borrow::Cow,
    fmt,
    io::{self, Write},
};

use prometheus::Registry;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt},
    registry::{LookupSpan, Scope},
    util::SubscriberInitExt,
};

use crate::{
    clock::{SharedClock, Timestamp},
    context::{RequestContext, TraceId},
    telemetry::{
        AccessLogWriter, LevelError, LevelHandle, LogConfig, LogFormat,
        lines::{INTERVAL, Lines, LinesGuard, LinesOptions},
        metrics,
        text::{json_display, json_string, plain, raw, rfc3339},
    },
};

/// Why the logs could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// `log.level` can't be used.
    #[error("log.level: {0}")]
    Level(#[from] LevelError),
    /// The system gave no thread to write with.
    #[error("no thread for writing the log: {0}")]
    Thread(#[from] io::Error),
    /// Its counters are registered already.
    #[error("the log's metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The process has a log already.
    #[error("the process log was started twice")]
    StartedTwice,
}

/// Both logs of the process. Belongs to `main`, which drops it last: that writes out what is left.
#[derive(Debug)]
pub struct LogGuard {
    process: LinesGuard,
    access: Option<LinesGuard>,
    access_log: AccessLogWriter,
    level: LevelHandle,
}

/// Starts the process log on standard error and the access log on standard output.
///
/// Once per process, before anything that logs.
pub fn init(config: &LogConfig, clock: SharedClock, registry: &Registry) -> Result<LogGuard, LogError> {
    let process = start_lines("log-process", "process", config.buffer_bytes, registry, io::stderr())?;
    let access = match config.access {
        true => Some(start_lines("log-access", "access", config.access_buffer_bytes, registry, io::stdout())?),
        false => None,
    };
    let (filter, level) = LevelHandle::new(&config.level)?;
    tracing_subscriber::registry()
        // Outermost: an event nobody wants costs no more than this look.
        .with(filter)
        .with(ProcessLog { lines: process.lines().clone(), format: config.format, clock })
        .try_init()
        .map_err(|_| LogError::StartedTwice)?;
    let access_log = AccessLogWriter::new(access.as_ref().map(|guard| guard.lines().clone()), config.format);
    Ok(LogGuard { process, access, access_log, level })
}

impl LogGuard {
    /// Where HTTP answers are recorded. Takes records and forgets them when `log.access` is off.
    pub fn access_log(&self) -> &AccessLogWriter {
        &self.access_log
    }

    /// Changes how much the process log says.
    pub fn level(&self) -> &LevelHandle {
        &self.level
    }

    /// Writes out everything logged so far, for ends that skip destructors. Blocks for up to two seconds per log when a
    /// destination does not take its lines: not for async threads.
    pub fn flush(&self) {
        if let Some(access) = &self.access {
            access.lines().flush();
        }
        self.process.lines().flush();
    }
}

fn start_lines(
    thread: &'static str,
    log: &'static str,
    limit_bytes: usize,
    registry: &Registry,
    destination: impl Write + Send + 'static,
) -> Result<LinesGuard, LogError> {
    let dropped = metrics::dropped_lines(registry, log)?;
    Ok(Lines::start(LinesOptions { name: thread, limit_bytes, interval: INTERVAL, dropped }, destination)?)
}

/// Turns events into lines.
struct ProcessLog {
    lines: Lines,
    format: LogFormat,
    clock: SharedClock,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for ProcessLog {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let entry = Entry {
            event,
            at: self.clock.now(),
            target: target(event),
            trace_id: RequestContext::current().map(|request| request.trace_id),
            spans: span_path(event, &context),
        };
        self.lines.write(|out| match self.format {
            LogFormat::Json => entry.write_json(out),
            LogFormat::Pretty => entry.write_pretty(out),
        });
    }
}

/// An event with everything its line shows.
struct Entry<'a> {
    event: &'a Event<'a>,
    at: Timestamp,
    target: Cow<'a, str>,
    trace_id: Option<TraceId>,
    /// The names of the spans around it, outermost first: `login:hash`. Empty outside of any.
    spans: String,
}

impl Entry<'_> {
    fn write_json(&self, out: &mut Vec<u8>) {
        let level = self.event.metadata().level();
        raw(out, format_args!(r#"{{"timestamp":"{}","level":"{level}","target":"#, rfc3339(self.at)));
        json_string(out, &self.target);
        self.event.record(&mut OnlyMessage(|message: fmt::Arguments<'_>| {
            out.extend_from_slice(br#","message":"#);
            json_display(out, &message);
        }));
        if let Some(trace_id) = self.trace_id {
            raw(out, format_args!(r#","trace_id":"{trace_id}""#));
        }
        if !self.spans.is_empty() {
            out.extend_from_slice(br#","spans":"#);
            json_string(out, &self.spans);
        }
        out.extend_from_slice(br#","fields":{"#);
        self.event.record(&mut JsonFields { out, first: true });
        out.extend_from_slice(b"}}");
    }

    fn write_pretty(&self, out: &mut Vec<u8>) {
        let level = self.event.metadata().level();
        raw(out, format_args!("{} {level:>5} ", rfc3339(self.at)));
        plain(out, format_args!("{}:", self.target));
        self.event.record(&mut OnlyMessage(|message: fmt::Arguments<'_>| plain(out, format_args!(" {message}"))));
        self.event.record(&mut PlainFields { out });
        if !self.spans.is_empty() {
            plain(out, format_args!(" spans={}", self.spans));
        }
        if let Some(trace_id) = self.trace_id {
            raw(out, format_args!(" trace_id={trace_id}"));
        }
    }
}

/// The field that holds the text of an event.
const MESSAGE: &str = "message";

/// Events that come through the `log` crate all have this target, and their own one in a field.
const BRIDGE_TARGET: &str = "log";
const BRIDGED_TARGET: &str = "log.target";
const BRIDGE_PREFIX: &str = "log.";

fn target<'a>(event: &'a Event<'_>) -> Cow<'a, str> {
    let target = event.metadata().target();
    if target != BRIDGE_TARGET {
        return Cow::Borrowed(target);
    }
    let mut bridged = BridgedTarget(None);
    event.record(&mut bridged);
    bridged.0.map_or(Cow::Borrowed(target), Cow::Owned)
}

fn span_path<S: Subscriber + for<'a> LookupSpan<'a>>(event: &Event<'_>, context: &Context<'_, S>) -> String {
    let mut path = String::new();
    for span in context.event_scope(event).into_iter().flat_map(Scope::from_root) {
        if !path.is_empty() {
            path.push(':');
        }
        path.push_str(span.name());
    }
    path
}

struct BridgedTarget(Option<String>);

impl Visit for BridgedTarget {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == BRIDGED_TARGET {
            self.0 = Some(value.to_owned());
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

/// Hands on the text of an event and nothing else.
struct OnlyMessage<W>(W);

impl<W: FnMut(fmt::Arguments<'_>)> Visit for OnlyMessage<W> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == MESSAGE {
            (self.0)(format_args!("{value}"));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == MESSAGE {
            (self.0)(format_args!("{value:?}"));
        }
    }
}

/// The name a field is shown under; `None` for what is shown elsewhere in the line.
fn shown_name(field: &Field) -> Option<&'static str> {
    let name = field.name();
    (name != MESSAGE && !name.starts_with(BRIDGE_PREFIX)).then_some(name)
}

/// Writes fields as the inside of a JSON object. Numbers and booleans stay what they are, the rest is text.
struct JsonFields<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl JsonFields<'_> {
    fn field(&mut self, field: &Field, value: impl FnOnce(&mut Vec<u8>)) {
        let Some(name) = shown_name(field) else { return };
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
        json_string(self.out, name);
        self.out.push(b':');
        value(self.out);
    }
}

impl Visit for JsonFields<'_> {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.field(field, |out| raw(out, format_args!("{value}")));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.field(field, |out| raw(out, format_args!("{value}")));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no infinity and no not-a-number.
        self.field(field, |out| match value.is_finite() {
            true => raw(out, format_args!("{value}")),
            false => json_display(out, &value),
        });
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.field(field, |out| raw(out, format_args!("{value}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.field(field, |out| json_string(out, value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.field(field, |out| json_display(out, &format_args!("{value:?}")));
    }
}

/// Writes fields as ` name=value`.
struct PlainFields<'a> {
    out: &'a mut Vec<u8>,
}

impl Visit for PlainFields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if let Some(name) = shown_name(field) {
            plain(self.out, format_args!(" {name}={value:?}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::{
        clock::testing::{ManualClock, SeededRandom},
        telemetry::lines::testing::{Kept, lines},
    };

    /// What `log` puts on the lines of a process log in `format`.
    fn logged(format: LogFormat, log: impl FnOnce()) -> String {
        let kept = Kept::default();
        let (guard, _) = lines(64 * 1024, kept.clone());
        let clock = Arc::new(ManualClock::default());
        let layer = ProcessLog { lines: guard.lines().clone(), format, clock };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
        drop(guard);
        kept.text()
    }

    fn context() -> RequestContext {
        RequestContext::root(&SeededRandom::new(1))
    }

    #[test]
    fn a_json_line_has_its_fields_with_their_types() {
        let line = logged(LogFormat::Json, || {
            let failed = tracing::error_span!("login").in_scope(|| tracing::error_span!("hash"));
            failed.in_scope(|| {
                tracing::warn!(
                    target: "account::rpc",
                    queued = 3,
                    ratio = 0.5,
                    broken = f64::NAN,
                    full = true,
                    reason = "said \"no\"\nand\tleft",
                    kind = ?Some("x"),
                    error = %io::Error::other("gone"),
                    "the pool is full: {}", 7
                );
            });
        });
        assert_eq!(
            serde_json::from_str::<Value>(&line).expect("one JSON object"),
            json!({
                "timestamp": "2025-06-15T15:06:40.000Z",
                "level": "WARN",
                "target": "account::rpc",
                "message": "the pool is full: 7",
                "spans": "login:hash",
                "fields": {
                    "queued": 3, "ratio": 0.5, "broken": "NaN", "full": true,
                    "reason": "said \"no\"\nand\tleft", "kind": "Some(\"x\")", "error": "gone",
                },
            })
        );
    }

    #[test]
    fn a_pretty_line_is_one_line_whatever_the_values_hold() {
        let line = logged(LogFormat::Pretty, || {
            tracing::info!(target: "gateway", name = "a\nb", addr = %"x\ny", "hello\nINFO forged");
        });
        assert_eq!(line, "2025-06-15T15:06:40.000Z  INFO gateway: hello\\nINFO forged name=\"a\\nb\" addr=x\\ny\n");
    }

    #[test]
    fn every_line_inside_a_request_carries_its_trace_id_and_no_line_outside_does() {
        let request = context();
        let say = || {
            tracing::info!("before");
            request.sync_scope(|| {
                tracing::info!("first");
                tracing::info!("second");
            });
            tracing::info!("after");
        };
        let json = logged(LogFormat::Json, say);
        let ids: Vec<Value> =
            json.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")["trace_id"].take()).collect();
        let id = json!(request.trace_id.to_string());
        assert_eq!(ids, [Value::Null, id.clone(), id, Value::Null]);

        let pretty = logged(LogFormat::Pretty, say);
        let carries: Vec<bool> =
            pretty.lines().map(|line| line.ends_with(&format!(" trace_id={}", request.trace_id))).collect();
        assert_eq!(carries, [false, true, true, false]);
    }

    #[test]
    fn a_value_that_logs_while_it_is_shown_breaks_no_line() {
        struct Chatty;
        impl fmt::Display for Chatty {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                tracing::info!("inner");
                f.write_str("shown")
            }
        }
        let text = logged(LogFormat::Json, || tracing::info!(value = %Chatty, "outer"));
        for line in text.lines() {
            serde_json::from_str::<Value>(line).expect("JSON");
        }
        assert!(text.contains(r#""value":"shown""#), "{text}");
    }
}
