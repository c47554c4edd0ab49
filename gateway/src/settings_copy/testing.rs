//! Replicas of the setting service that say what a test tells them to. For tests only.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use common::{
    clock::{Timestamp, testing::ManualClock},
    error_code::PublicError,
    lifecycle::RequestTasks,
    rpc::CallError,
};
use futures_util::future::BoxFuture;
use idl::{
    common::SignInSwitches,
    setting::{DependsOn, GetRevisionsResponse, GetSettingsRequest, GetSettingsResponse},
};
use prometheus::Registry;
use tokio::sync::Notify;

use super::{config::SettingsConfig, copy::SettingsCopy, follow, source::Source};
use crate::config::Config;

pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_750_000_000_000);

/// How long a call to a replica that hangs takes to fail, as the RPC client has it.
const CALL_TIMEOUT: Duration = Duration::from_secs(2);

/// The service. Questions go to its replicas in turn.
#[derive(Default)]
pub(crate) struct Script(Mutex<State>);

#[derive(Default)]
struct State {
    /// What each replica knows: app → what it has published.
    replicas: Vec<BTreeMap<i64, Published>>,
    turn: usize,
    away: bool,
    hangs: bool,
    refusal: Option<PublicError>,
    gate: Option<Arc<Notify>>,
    questions: Vec<GetSettingsRequest>,
    rounds: Vec<Vec<i64>>,
}

/// A revision of an app.
#[derive(Clone, Default)]
pub(crate) struct Published {
    pub(crate) revision: i64,
    pub(crate) depends_on: DependsOn,
    pub(crate) valid_until: Option<Timestamp>,
    pub(crate) age_ms: i64,
    pub(crate) switches: SignInSwitches,
    pub(crate) notices: &'static str,
}

impl Script {
    /// So many replicas that have read nothing.
    pub(crate) fn of(replicas: usize) -> Arc<Self> {
        let state = State { replicas: vec![BTreeMap::new(); replicas], ..State::default() };
        Arc::new(Self(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every replica knows it at once.
    pub(crate) fn publish(&self, app_id: i64, published: &Published) {
        self.state().replicas.iter_mut().for_each(|replica| drop(replica.insert(app_id, published.clone())));
    }

    /// One replica knows it.
    pub(crate) fn tell(&self, replica: usize, app_id: i64, published: Published) {
        self.state().replicas[replica].insert(app_id, published);
    }

    pub(crate) fn is_away(&self, away: bool) {
        self.state().away = away;
    }

    pub(crate) fn hangs(&self, hangs: bool) {
        self.state().hangs = hangs;
    }

    pub(crate) fn refuses(&self, refusal: Option<PublicError>) {
        self.state().refusal = refusal;
    }

    /// Answers wait until they are let through.
    pub(crate) fn held_back(&self) -> Arc<Notify> {
        self.state().gate.insert(Arc::default()).clone()
    }

    /// The questions for settings so far.
    pub(crate) fn questions(&self) -> Vec<GetSettingsRequest> {
        self.state().questions.clone()
    }

    pub(crate) fn asked(&self) -> usize {
        self.state().questions.len()
    }

    /// The questions for revisions so far.
    pub(crate) fn rounds(&self) -> Vec<Vec<i64>> {
        self.state().rounds.clone()
    }

    fn next(&self) -> (BTreeMap<i64, Published>, bool, bool, Option<Arc<Notify>>) {
        let mut state = self.state();
        state.turn = (state.turn + 1) % state.replicas.len();
        (state.replicas[state.turn].clone(), state.away, state.hangs, state.gate.clone())
    }
}

impl Source for Arc<Script> {
    fn settings(&self, request: GetSettingsRequest) -> BoxFuture<'static, Result<GetSettingsResponse, CallError>> {
        self.state().questions.push(request.clone());
        let ((replica, away, hangs, gate), refusal) = (self.next(), self.state().refusal.clone());
        Box::pin(async move {
            reachable(away, hangs).await?;
            if let Some(gate) = gate {
                gate.notified().await;
            }
            if let Some(refusal) = refusal.filter(|_| request.version.as_deref() == Some("bad")) {
                return Err(CallError::Answered(refusal));
            }
            let published = replica.get(&request.app_id).cloned().unwrap_or_default();
            let settings = format!(
                r#"{{"revision":{},"account":{}}}"#,
                published.revision,
                request.account_id.filter(|_| published.depends_on.account_id).unwrap_or_default()
            );
            Ok(GetSettingsResponse {
                entity_tag: format!("\"{}\"", published.revision).into(),
                revision: published.revision,
                settings_json: Some(settings.into()),
                valid_until: published.valid_until.map(Timestamp::as_millis),
                age_ms: published.age_ms,
                depends_on: published.depends_on,
                switches: published.switches,
                notices_json: if published.notices.is_empty() { "[]" } else { published.notices }.into(),
            })
        })
    }

    fn revisions(&self, app_ids: Vec<i64>) -> BoxFuture<'static, Result<GetRevisionsResponse, CallError>> {
        self.state().rounds.push(app_ids.clone());
        let (replica, away, hangs, _) = self.next();
        Box::pin(async move {
            reachable(away, hangs).await?;
            let known = app_ids.into_iter().filter_map(|id| Some((id, replica.get(&id)?.revision)));
            Ok(GetRevisionsResponse { revisions: known.collect() })
        })
    }
}

async fn reachable(away: bool, hangs: bool) -> Result<(), CallError> {
    if away {
        return Err(CallError::NotSent { cause: "nobody is there".to_owned() });
    }
    if hangs {
        tokio::time::sleep(CALL_TIMEOUT).await;
        return Err(CallError::DeadlineExceeded);
    }
    tokio::task::yield_now().await;
    Ok(())
}

/// A copy of what the script says, with a clock that stands.
pub(crate) fn copy_of(script: &Arc<Script>, settings: SettingsConfig) -> (SettingsCopy, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(NOW));
    let config = Config { settings, ..Config::default() };
    let source = Arc::new(script.clone());
    let copy = SettingsCopy::asking(source, &config, clock.clone(), RequestTasks::default(), &Registry::new());
    (copy.expect("an empty registry"), clock)
}

impl SettingsCopy {
    /// What the follower does once.
    pub(crate) async fn follow_once(&self) -> Result<(), CallError> {
        follow::round(&self.0).await
    }
}
