//! The task that reads a document again and again and hands out what is good.

use std::{sync::Arc, time::Duration};

use govern::problems::Problem;
use tokio::{sync::watch, time::sleep};

use super::{
    config::DynamicConfig,
    document::{Document, Refused, parse},
    metrics::{DocumentMetrics, WatchMetrics},
    source::DocumentSource,
};
use crate::{
    clock::{SharedRandom, jittered},
    lifecycle::Lifecycle,
};

/// A value that may change while the process runs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ConfigWatch<T> {
    value: watch::Receiver<Arc<T>>,
    state: watch::Receiver<DocumentState>,
}

/// What came of the document as it was last read. A document that can't be read at the moment keeps its state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DocumentState {
    /// It could not be read so far.
    #[default]
    Unread,
    /// There is none. If there was one, its last good text stays in force.
    Absent,
    /// It is in force.
    InForce,
    /// It was refused for these reasons. If there was a good one before, that stays in force.
    Refused(Arc<[Problem]>),
}

/// What following documents needs from the process.
#[derive(Clone, Debug)]
pub struct WatchParts {
    /// Runs what reads the documents.
    pub lifecycle: Lifecycle,
    /// Where refusals are counted.
    pub metrics: WatchMetrics,
    /// For jitter.
    pub random: SharedRandom,
}

impl<T: Document> ConfigWatch<T> {
    /// Follows the document `name`. `T::default()` holds until there is a good one.
    pub fn follow(name: &'static str, source: impl DocumentSource, config: &DynamicConfig, parts: &WatchParts) -> Self {
        let (value, values) = watch::channel(Arc::new(T::default()));
        let (state, states) = watch::channel(DocumentState::Unread);
        let follower = Follower {
            name,
            source,
            interval: config.interval,
            max_bytes: config.max_document_bytes,
            value,
            state,
            last_read: None,
            is_readable: true,
            metrics: parts.metrics.of(name),
            random: Arc::clone(&parts.random),
        };
        parts.lifecycle.spawn_background("configuration watch", follower.run());
        Self { value: values, state: states }
    }
}

impl<T> ConfigWatch<T> {
    /// A value that never changes: where no documents are followed.
    pub fn fixed(value: T) -> Self {
        Self { value: watch::channel(Arc::new(value)).1, state: watch::channel(DocumentState::Absent).1 }
    }

    /// The value now.
    pub fn current(&self) -> Arc<T> {
        Arc::clone(&self.value.borrow())
    }

    /// What came of the document as it was last read.
    pub fn state(&self) -> DocumentState {
        self.state.borrow().clone()
    }

    /// Waits until the document has been read for the first time, whatever came of it. As long as its source does not
    /// answer: whoever has other work bounds it.
    pub async fn settled(&self) {
        // That nobody reads any more is an end as well.
        let _ = self.state.clone().wait_for(|state| *state != DocumentState::Unread).await;
    }

    /// Waits for another value than the one that was last waited for (at first, than the default) and returns it.
    /// Never returns once the process ends.
    pub async fn changed(&mut self) -> Arc<T> {
        match self.value.changed().await {
            Ok(()) => Arc::clone(&self.value.borrow_and_update()),
            Err(_) => std::future::pending().await,
        }
    }
}

struct Follower<T, S> {
    name: &'static str,
    source: S,
    interval: Duration,
    max_bytes: usize,
    value: watch::Sender<Arc<T>>,
    state: watch::Sender<DocumentState>,
    /// The text that was read last: the same text is judged and logged once, an outage in between or not.
    last_read: Option<String>,
    is_readable: bool,
    metrics: DocumentMetrics,
    random: SharedRandom,
}

impl<T: Document, S: DocumentSource> Follower<T, S> {
    async fn run(mut self) {
        loop {
            self.turn().await;
            sleep(jittered(self.interval, 0.1, &*self.random)).await;
        }
    }

    async fn turn(&mut self) {
        let document = self.name;
        match self.source.read().await {
            Ok(read) => {
                self.is_readable = true;
                if read.is_none() && self.last_read.is_none() {
                    // There never was one, which is nothing to speak of.
                    self.state.send_if_modified(|state| {
                        std::mem::replace(state, DocumentState::Absent) == DocumentState::Unread
                    });
                } else if read != self.last_read {
                    self.judge(read.as_deref());
                    self.last_read = read;
                }
            }
            Err(error) => {
                // Once per outage: the next line would say the same.
                if std::mem::replace(&mut self.is_readable, false) {
                    tracing::warn!(document, %error, "the document can't be read, the last good one stays");
                }
            }
        }
    }

    fn judge(&self, text: Option<&str>) {
        let document = self.name;
        let Some(text) = text else {
            self.metrics.in_force.set(0);
            tracing::info!(document, "the document is gone, the last good one stays");
            self.state.send_replace(DocumentState::Absent);
            return;
        };
        match parse::<T>(text, self.max_bytes) {
            Ok(value) => {
                self.metrics.in_force.set(1);
                tracing::info!(document, "the document is in force");
                // First the value: whoever is told that it is in force finds it.
                self.value.send_replace(Arc::new(value));
                self.state.send_replace(DocumentState::InForce);
            }
            Err(refused) => {
                self.metrics.in_force.set(0);
                self.metrics.refused.inc();
                tracing::error!(document, reason = %refused, "the document is refused, the last good one stays");
                let Refused(problems) = refused;
                self.state.send_replace(DocumentState::Refused(problems.into()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures_util::{FutureExt, future::BoxFuture};
    use prometheus::Registry;
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::{
        clock::SystemRandom,
        config::{
            Environment, Invalid, Section,
            watch::{DocumentError, source::DocumentSource},
        },
        lifecycle::LifecycleConfig,
        rpc::tests::log::Log,
        telemetry::encode,
    };

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Rules {
        rate: u32,
    }

    impl Section for Rules {
        const NAME: &'static str = "rules";

        fn validate(&self) -> Result<(), Invalid> {
            if self.rate > 10 { Err(Invalid::new("rate", "at most 10")) } else { Ok(()) }
        }
    }

    /// A document that says what the test last said, and counts how often it was read.
    #[derive(Clone, Debug)]
    struct Spoken {
        answer: Arc<Mutex<Result<Option<&'static str>, &'static str>>>,
        reads: watch::Sender<u32>,
    }

    impl DocumentSource for Spoken {
        fn read(&self) -> BoxFuture<'_, Result<Option<String>, DocumentError>> {
            self.reads.send_modify(|reads| *reads += 1);
            let answer = *self.answer.lock().unwrap();
            std::future::ready(answer.map(|text| text.map(str::to_owned)).map_err(DocumentError::new)).boxed()
        }
    }

    impl Spoken {
        /// Says something else, and waits until that was read and judged.
        async fn say(&self, answer: Result<Option<&'static str>, &'static str>) {
            *self.answer.lock().unwrap() = answer;
            let mut reads = self.reads.subscribe();
            let first = *reads.borrow();
            reads.wait_for(|reads| *reads >= first + 2).await.expect("it is followed");
        }
    }

    fn follow() -> (Spoken, ConfigWatch<Rules>, Registry) {
        let registry = Registry::new();
        let parts = WatchParts {
            lifecycle: Lifecycle::new(LifecycleConfig::default().timing(Environment::Development)),
            metrics: WatchMetrics::register(&registry).expect("registered once"),
            random: Arc::new(SystemRandom),
        };
        let document = Spoken { answer: Arc::new(Mutex::new(Ok(None))), reads: watch::Sender::new(0) };
        let watch = ConfigWatch::follow("rules.toml", document.clone(), &DynamicConfig::default(), &parts);
        (document, watch, registry)
    }

    #[tokio::test(start_paused = true)]
    async fn a_good_document_is_handed_out_and_a_bad_one_leaves_it_in_force() {
        let (document, mut watch, registry) = follow();
        assert_eq!(*watch.current(), Rules::default());
        document.say(Ok(Some("rate = 3"))).await;
        assert_eq!(watch.changed().await.rate, 3);
        for bad in [Ok(Some("rate = 11")), Ok(Some("rate =")), Ok(Some("rates = 1")), Ok(None), Err("no network")] {
            document.say(bad).await;
            assert_eq!(watch.current().rate, 3, "{bad:?}");
        }
        let text = encode(&registry).expect("metrics");
        assert!(text.contains(r#"playgate_config_documents_refused_total{document="rules.toml"} 3"#), "{text}");
        assert!(text.contains(r#"playgate_config_document_in_force{document="rules.toml"} 0"#), "{text}");
        document.say(Ok(Some("rate = 4"))).await;
        assert_eq!(watch.changed().await.rate, 4);
        assert!(encode(&registry).expect("metrics").contains(r#"document_in_force{document="rules.toml"} 1"#));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_for_the_first_reading_is_told_what_came_of_it_and_waits_while_nothing_can_be_read() {
        let (_document, watch, _) = follow();
        watch.settled().await;
        assert_eq!(watch.state(), DocumentState::Absent, "there is none");

        let (silent, watch, _) = follow();
        silent.say(Err("no network")).await;
        assert_eq!(watch.state(), DocumentState::Unread);
        assert!(watch.settled().now_or_never().is_none());
        silent.say(Ok(Some("rate = 11"))).await;
        watch.settled().await;
        let problem = Problem { path: "rate".to_owned(), reason: "at most 10".to_owned() };
        assert_eq!(watch.state(), DocumentState::Refused([problem].into()));
        silent.say(Ok(Some("rate = 3"))).await;
        assert_eq!((watch.state(), watch.current().rate), (DocumentState::InForce, 3));
        silent.say(Err("no network")).await;
        assert_eq!(watch.state(), DocumentState::InForce);
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_bad_document_is_refused_once_however_often_it_is_read() {
        let log = Log::default();
        let _guard = tracing::dispatcher::set_default(&log.dispatch());
        let (document, _watch, registry) = follow();
        document.say(Ok(Some("rate = 11"))).await;
        document.say(Err("no network")).await;
        document.say(Ok(Some("rate = 11"))).await;
        let text = encode(&registry).expect("metrics");
        assert!(text.contains(r#"playgate_config_documents_refused_total{document="rules.toml"} 1"#), "{text}");
        let log = log.text();
        assert_eq!(log.matches("the document is refused").count(), 1, "{log}");
    }
}
