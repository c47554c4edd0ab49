//! A recorder for the tests of this crate: it chooses no request by itself and remembers what is recorded.
//!
//! All tests of a process share it; each looks at a trace id of its own.

use std::sync::{LazyLock, Mutex, PoisonError};

use prometheus::Registry;
use tokio::sync::mpsc::Receiver;

use super::{
    config::OtlpConfig,
    recorder::{Dropped, Finished, Message, Recorder},
};
use crate::{clock::testing::SeededRandom, context::TraceId};

static RECORDED: LazyLock<Mutex<Recorded>> = LazyLock::new(|| {
    let config =
        OtlpConfig { sample_ratio: 0.0, queue_size: 100_000, late_spans_per_second: u32::MAX, ..OtlpConfig::default() };
    let dropped = Dropped::register(&Registry::new()).expect("a registry of its own");
    let (recorder, queue) = Recorder::new(&config, &SeededRandom::new(1), dropped);
    assert!(recorder.install(), "the tests' recorder is the only one");
    Mutex::new(Recorded { queue, spans: Vec::new() })
});

struct Recorded {
    queue: Receiver<Message>,
    spans: Vec<Finished>,
}

/// Makes spans be recorded from now on.
pub(crate) fn install() {
    LazyLock::force(&RECORDED);
}

/// What was recorded of a trace, in the order of its ends.
pub(crate) fn spans_of(trace_id: TraceId) -> Vec<Finished> {
    let mut recorded = RECORDED.lock().unwrap_or_else(PoisonError::into_inner);
    while let Ok(message) = recorded.queue.try_recv() {
        match message {
            Message::Span(span) => recorded.spans.push(span),
            Message::Flush(_) => {}
        }
    }
    recorded.spans.iter().filter(|span| span.trace_id == trace_id).cloned().collect()
}

impl Finished {
    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.description.name
    }

    /// An attribute as text; empty when it is not there.
    pub(crate) fn attribute(&self, key: &str) -> String {
        let found = self.description.attributes.iter().find(|attribute| attribute.key.as_str() == key);
        found.map_or_else(String::new, |attribute| attribute.value.to_string())
    }
}
