//! A source that answers in the order and at the time that a test says.

use std::sync::{Arc, Mutex};

use common::clock::testing::SeededRandom;
use prometheus::Registry;
use tokio::{
    sync::{Mutex as AsyncMutex, mpsc, watch},
    task::yield_now,
};

use crate::{
    config::Config,
    domain::{AppId, DocumentLimits},
    error::GetSettingsError,
    metrics::Metrics,
    store::{Copied, Draft, Live, Loaded, Look, ReadFailure, SettingsCache, Source, Wait},
    testing::{START, app},
};

/// Answers in the order they are given; a read waits until there is one.
pub(super) struct Script {
    answers: AsyncMutex<mpsc::UnboundedReceiver<Result<Loaded, ReadFailure>>>,
    asked: watch::Sender<usize>,
    looks: Mutex<Vec<(AppId, i64, Look)>>,
}

impl Source for Arc<Script> {
    async fn load(&self, app: AppId, known: i64, look: Look) -> Result<Loaded, ReadFailure> {
        self.looks.lock().expect("not poisoned").push((app, known, look));
        self.asked.send_modify(|count| *count += 1);
        self.answers.lock().await.recv().await.expect("the test gives an answer or waits")
    }
}

pub(super) struct Bench {
    pub(super) cache: SettingsCache<Arc<Script>>,
    script: Arc<Script>,
    answers: mpsc::UnboundedSender<Result<Loaded, ReadFailure>>,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::with(|_| ())
    }

    pub(super) fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        change(&mut config);
        let (answers, receiver) = mpsc::unbounded_channel();
        let script = Arc::new(Script {
            answers: AsyncMutex::new(receiver),
            asked: watch::Sender::new(0),
            looks: Mutex::default(),
        });
        let cache = cache_over(Arc::clone(&script), config);
        Self { cache, script, answers }
    }

    pub(super) fn answer(&self, loaded: Loaded) {
        self.answers.send(Ok(loaded)).expect("the source lives");
    }

    pub(super) fn fail(&self, failure: ReadFailure) {
        self.answers.send(Err(failure)).expect("the source lives");
    }

    pub(super) async fn get(&self) -> Result<i64, GetSettingsError> {
        self.cache.get(app(1), Wait::default()).await.map(|copied| copied.live.revision())
    }

    pub(super) async fn copied(&self) -> Copied {
        self.cache.get(app(1), Wait::default()).await.expect("served")
    }

    pub(super) fn asked(&self) -> usize {
        *self.script.asked.borrow()
    }

    pub(super) async fn is_asked(&self, times: usize) {
        self.script.asked.subscribe().wait_for(|asked| *asked >= times).await.expect("it is asked");
    }

    /// What was asked for: the app, the revision that was known, and how far to look.
    pub(super) fn looks(&self) -> Vec<(AppId, i64, Look)> {
        self.script.looks.lock().expect("not poisoned").clone()
    }

    /// Lets the reads that have their answer end.
    pub(super) async fn settle(&self) {
        while !self.cache.inner.reads().is_empty() {
            yield_now().await;
        }
    }

    pub(super) fn config(&self) -> &Config {
        &self.cache.inner.config
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.cache.inner.metrics
    }
}

pub(super) fn cache_over<S: Source>(source: S, config: Config) -> SettingsCache<S> {
    let metrics = Arc::new(Metrics::register(&Registry::new()).expect("names are free"));
    SettingsCache::new(source, config, Arc::new(SeededRandom::new(7)), metrics)
}

/// A revision whose only setting is its number.
pub(super) fn live(revision: i64) -> Arc<Live> {
    let document = format!(r#"{{"settings":{{"n":{{"type":"number","value":{revision}}}}}}}"#);
    let draft = Draft { document: document.into(), author: "ann".into(), note: "".into(), rolled_back_to: None };
    Arc::new(Live::of(&draft.version(revision, START), &DocumentLimits::default()).expect("a good document"))
}

pub(super) fn found(revision: i64) -> Loaded {
    Loaded::Newer(live(revision))
}

pub(super) fn unchanged() -> Loaded {
    Loaded::Unchanged
}

pub(super) fn absent() -> Loaded {
    Loaded::Absent
}

pub(super) fn store_fails() -> ReadFailure {
    ReadFailure::Store(std::io::Error::other("the disk is gone").into())
}

pub(super) fn broken() -> ReadFailure {
    ReadFailure::Broken { path: "versions/1.json".to_owned(), reason: "not a version".to_owned() }
}
