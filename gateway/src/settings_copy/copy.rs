//! Answers questions for settings, from the copy where it can.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use common::{
    clock::SharedClock, context::RequestContext, error_code::PublicError, lifecycle::RequestTasks, rpc::CallError,
};
use idl::setting::SettingServiceClient;
use moka::{future::Cache, ops::compute::Op};
use prometheus::Registry;
use tokio::time::{Instant, timeout};

use super::{
    answer::Answer,
    app::{App, Known},
    caller::{Caller, Key},
    config::SettingsConfig,
    flights::{Destination, Flights, Landed, Outcome},
    follow,
    metrics::Metrics,
    source::{Setting, Source},
};
use crate::{config::Config, reach::Reach, upstream::could_not_tell};

/// How often what an app depends on is asked for together with others, before a question is asked alone. More than once,
/// because what comes first may be of a replica that is behind.
const SHARED_ATTEMPTS: usize = 3;

/// The gateway's copy of settings. Cheap to clone.
#[derive(Clone)]
pub struct SettingsCopy(pub(super) Arc<Parts>);

/// What the copy is made of.
pub(super) struct Parts {
    pub(super) source: Arc<dyn Source>,
    pub(super) config: SettingsConfig,
    /// How long a stale answer is held back to ask for a fresh one.
    patience: Duration,
    clock: SharedClock,
    tasks: RequestTasks,
    pub(super) apps: Cache<i64, Arc<App>>,
    pub(super) answers: Cache<Key, Arc<Answer>>,
    flights: Flights,
    pub(super) reach: Reach,
    pub(super) metrics: Metrics,
}

/// An answer and how it was come by.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    pub(crate) answer: Arc<Answer>,
    /// For how long nobody has confirmed that it is what the app has published.
    pub(crate) age: Duration,
}

impl fmt::Debug for SettingsCopy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SettingsCopy").field("entries", &self.0.answers.entry_count()).finish_non_exhaustive()
    }
}

impl SettingsCopy {
    /// A copy of what `setting` answers. Nothing in it is fresh for longer than `gateway.settings.fresh_for` unless the
    /// future of [`follow`](Self::follow) runs.
    ///
    /// # Errors
    /// When the registry already has the metrics of one.
    pub fn new(
        config: &Config,
        setting: SettingServiceClient,
        clock: SharedClock,
        tasks: RequestTasks,
        registry: &Registry,
    ) -> Result<Self, prometheus::Error> {
        Self::asking(Arc::new(Setting(setting)), config, clock, tasks, registry)
    }

    pub(super) fn asking(
        source: Arc<dyn Source>,
        config: &Config,
        clock: SharedClock,
        tasks: RequestTasks,
        registry: &Registry,
    ) -> Result<Self, prometheus::Error> {
        let answers = Cache::builder()
            .max_capacity(config.settings.cache_bytes_max)
            .weigher(|_: &Key, answer: &Arc<Answer>| answer.bytes())
            .build();
        Ok(Self(Arc::new(Parts {
            source,
            patience: config.optional_part_timeout,
            clock,
            tasks,
            apps: Cache::new(config.settings.apps_max),
            answers,
            config: config.settings.clone(),
            flights: Flights::default(),
            reach: Reach::default(),
            metrics: Metrics::register(registry)?,
        })))
    }

    /// Keeps the revisions up to date, for as long as the process runs.
    pub fn follow(&self) -> impl Future<Output = ()> + Send + 'static {
        follow::run(self.0.clone())
    }

    /// Somebody who must know says that the app is at this revision now: from here on nothing older is fresh.
    pub(crate) async fn published(&self, app_id: i64, revision: i64) {
        self.0.app(app_id).await.heard(revision, Instant::now());
    }

    /// The settings for `caller`. Waits at most `limit` for the setting service; without one as long as a call may take.
    ///
    /// # Errors
    /// When they can't be had and no copy is young enough; or what the setting service has against the question.
    pub(crate) async fn get(&self, caller: &Caller, limit: Option<Duration>) -> Result<Served, PublicError> {
        let parts = &self.0;
        let app = parts.app(caller.app_id).await;
        app.note_asked();
        let copy = {
            let known = app.known();
            let key = known.last_depends_on().map(|depends_on| caller.key(depends_on));
            match key {
                Some(key) => parts.answers.get(&key).await,
                None => None,
            }
        };
        if let Some(copy) = &copy {
            let known = app.known();
            if parts.is_fresh(&known, copy) {
                parts.metrics.fresh.inc();
                return Ok(Served { age: parts.age(&known, copy), answer: copy.clone() });
            }
        }
        let copy = copy.filter(|copy| parts.age(&app.known(), copy) <= parts.config.stale_usable_for);
        if let Some(copy) = &copy
            && parts.reach.is_away()
        {
            return Ok(parts.stale(&app, copy));
        }
        let limit = if copy.is_some() { Some(limit.unwrap_or(parts.patience).min(parts.patience)) } else { limit };
        // Boxed: nearly every question is answered above, and would carry the room for what is below.
        let answer = Box::pin(within(limit, Parts::asked(parts, &app, caller))).await;
        parts.judge(&app, copy, answer)
    }
}

impl Parts {
    pub(super) async fn app(&self, app_id: i64) -> Arc<App> {
        match self.apps.get(&app_id).await {
            Some(app) => app,
            None => Box::pin(self.apps.get_with(app_id, async { Arc::new(App::new(app_id)) })).await,
        }
    }

    /// What is answered after asking.
    fn judge(&self, app: &App, copy: Option<Arc<Answer>>, asked: Outcome) -> Result<Served, PublicError> {
        match (asked, copy) {
            // A replica that is behind, and its answer nothing that the copy does not know better.
            (Ok(answer), Some(copy)) if answer.revision < copy.revision => Ok(self.stale(app, &copy)),
            (Ok(answer), _) => {
                self.metrics.asked.inc();
                Ok(Served { age: self.age(&app.known(), &answer), answer })
            }
            (Err(error), Some(copy)) if error.http_status() >= 500 => {
                tracing::debug!(app_id = app.app_id, %error, "settings are answered from a stale copy");
                Ok(self.stale(app, &copy))
            }
            (Err(error), _) => {
                self.metrics.refused.inc();
                Err(error)
            }
        }
    }

    fn stale(&self, app: &App, copy: &Arc<Answer>) -> Served {
        self.metrics.stale.inc();
        Served { age: self.age(&app.known(), copy), answer: copy.clone() }
    }

    /// Asks, together with all others who want the same.
    async fn asked(self: &Arc<Self>, app: &Arc<App>, caller: &Caller) -> Outcome {
        for _ in 0..SHARED_ATTEMPTS {
            let key = app.known().depends_on().map(|depends_on| caller.key(depends_on));
            let destination = match key {
                // The first one learns what the answers depend on; the others then know whether it is theirs, too.
                None => Destination::App(app.app_id),
                Some(key) => {
                    if let Some(copy) = self.answers.get(&key).await.filter(|copy| self.is_fresh(&app.known(), copy)) {
                        return Ok(copy);
                    }
                    Destination::Answer(key)
                }
            };
            let begin = || Self::load(self.clone(), app.clone(), caller.clone());
            let Landed { outcome, own } = self.flights.join(destination, &self.tasks, begin).await;
            match outcome {
                Ok(answer) if own || answer.key == caller.key(&answer.depends_on) => return Ok(answer),
                Ok(_) => {}
                // What is wrong with another one's question is not wrong with this one.
                Err(error) if !own && error.http_status() < 500 => {}
                Err(error) => return Err(error),
            }
        }
        Self::load(self.clone(), app.clone(), caller.clone()).await
    }

    /// Asks the setting service, and keeps the answer.
    async fn load(self: Arc<Self>, app: Arc<App>, caller: Caller) -> Outcome {
        let asking = async {
            let first = self.ask(&app, &caller).await?;
            if app.known().revision().is_none_or(|newest| first.revision >= newest) {
                return Ok(first);
            }
            // The replica is behind; another one may be asked the second time.
            self.metrics.behind.inc();
            let second = self.ask(&app, &caller).await;
            Ok(second.ok().filter(|second| second.revision > first.revision).unwrap_or(first))
        };
        // Others may wait longer than the request that began it.
        let answer: Outcome = match RequestContext::current() {
            Some(context) => RequestContext { deadline: None, ..context }.scope(asking).await,
            None => asking.await,
        };
        self.keep(answer?).await
    }

    async fn ask(&self, app: &App, caller: &Caller) -> Outcome {
        let asked_at = Instant::now();
        let request = caller.request(app.known().revision());
        let response = self.heard(self.source.settings(request).await).map_err(could_not_tell)?;
        let answer = Arc::new(Answer::read(caller, response, asked_at)?);
        app.answered(&answer);
        Ok(answer)
    }

    /// Keeps an answer, unless what is kept is of a later revision.
    async fn keep(&self, answer: Arc<Answer>) -> Outcome {
        let entry = self.answers.entry(answer.key.clone());
        entry
            .and_compute_with(|current| {
                let is_newer =
                    |current: &Answer| (answer.revision, answer.asked_at) >= (current.revision, current.asked_at);
                let replaces = current.is_none_or(|current| is_newer(current.value()));
                std::future::ready(if replaces { Op::Put(answer.clone()) } else { Op::Nop })
            })
            .await;
        Ok(answer)
    }

    /// Notes whether the setting service can be reached.
    pub(super) fn heard<T>(&self, answer: Result<T, CallError>) -> Result<T, CallError> {
        match &answer {
            Ok(_) => self.reach.answered(),
            Err(error) => self.reach.failed(error),
        }
        answer
    }

    fn is_fresh(&self, known: &Known, answer: &Answer) -> bool {
        let fresh_for = self.config.fresh_for;
        known.revision() == Some(answer.revision)
            && known.unheard_for().is_some_and(|unheard| unheard < fresh_for)
            && answer.valid_until.is_none_or(|until| self.clock.now() < until)
            // What not even its service was certain of is asked for again soon: it may be certain by then.
            && (answer.unconfirmed_for < fresh_for || answer.asked_at.elapsed() < fresh_for)
    }

    fn age(&self, known: &Known, answer: &Answer) -> Duration {
        if answer.unconfirmed_for < self.config.fresh_for {
            known.age_of(answer)
        } else {
            answer.asked_at.elapsed() + answer.unconfirmed_for
        }
    }
}

/// What is asked for, or that it did not come in time.
async fn within(limit: Option<Duration>, asked: impl Future<Output = Outcome>) -> Outcome {
    match limit {
        None => asked.await,
        Some(limit) => timeout(limit, asked).await.unwrap_or_else(|_| Err(could_not_tell(CallError::DeadlineExceeded))),
    }
}
