//! A service on a store of its own, for tests.

use std::{path::Path, sync::Arc, time::Duration};

use common::{
    clock::{
        Timestamp,
        testing::{ManualClock, SeededRandom},
    },
    shared::Feed,
};
use idl::{
    setting::{GetSettingsRequest, GetSettingsResponse},
    setting_admin::{PublishRequest, Published},
};
use pilota::FastStr;
use prometheus::Registry;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::{
    Config, Setting,
    domain::AppId,
    error::{AdminError, GetSettingsError},
    rpc,
    service::{Parts, Resources, open},
};

/// When tests begin.
pub(crate) const START: Timestamp = Timestamp::from_millis(1_790_000_000_000);

/// Longer than anything takes that will come at all.
const PATIENCE: Duration = Duration::from_secs(30);

/// The service on a directory.
pub(crate) struct Service {
    pub(crate) setting: Setting,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) config: Config,
    feed: Option<Arc<dyn Feed>>,
    directory: Arc<TempDir>,
}

impl Service {
    pub(crate) fn start() -> Self {
        Self::start_with(Config::default(), None)
    }

    pub(crate) fn start_with(config: Config, feed: Option<Arc<dyn Feed>>) -> Self {
        let directory = Arc::new(TempDir::new().expect("a temporary directory"));
        let clock = Arc::new(ManualClock::at(START));
        let setting = opened(&config, feed.clone(), Arc::clone(&clock), directory.path());
        Self { setting, clock, config, feed, directory }
    }

    /// Another process on the same store.
    pub(crate) fn replica(&self) -> Self {
        let (clock, directory) = (Arc::clone(&self.clock), Arc::clone(&self.directory));
        let setting = opened(&self.config, self.feed.clone(), Arc::clone(&clock), directory.path());
        Self { setting, clock, config: self.config.clone(), feed: self.feed.clone(), directory }
    }

    pub(crate) fn parts(&self) -> &Arc<Parts> {
        self.setting.parts()
    }

    /// Where the store lies.
    pub(crate) fn root(&self) -> std::path::PathBuf {
        self.directory.path().join("settings")
    }

    pub(crate) async fn publish(&self, app_id: i64, base: i64, document: &str) -> Result<Published, AdminError> {
        let request = PublishRequest {
            app_id,
            base_revision: base,
            document_json: FastStr::new(document),
            note: FastStr::from_static_str("a note"),
            author: FastStr::from_static_str("ann"),
        };
        rpc::admin::publish::publish(self.parts(), request).await
    }

    pub(crate) async fn ask(&self, request: GetSettingsRequest) -> Result<GetSettingsResponse, GetSettingsError> {
        rpc::get_settings::get_settings(self.parts(), request).await
    }

    /// The revision that players are answered from.
    pub(crate) async fn revision(&self, app_id: i64) -> i64 {
        self.ask(GetSettingsRequest { app_id, ..GetSettingsRequest::default() }).await.expect("served").revision
    }

    /// Waits until something holds that will hold soon.
    pub(crate) async fn eventually(&self, condition: impl AsyncFn() -> bool) {
        let holds = async {
            while !condition().await {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(PATIENCE, holds).await.expect("it holds in the end");
    }
}

/// Runs what the service does beside its requests, until the set is dropped.
pub(crate) fn running(service: &Service) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for background in service.setting.background() {
        tasks.spawn(background.run);
    }
    tasks
}

/// An app's id.
pub(crate) fn app(id: i64) -> AppId {
    AppId::parse(id).expect("an app id")
}

fn opened(config: &Config, feed: Option<Arc<dyn Feed>>, clock: Arc<ManualClock>, data_dir: &Path) -> Setting {
    // Two processes have not the same randomness: files that are not finished must not get in each other's way.
    static SEED: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    let seed = SEED.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let resources = Resources {
        data_dir: data_dir.to_owned(),
        feed,
        clock,
        random: Arc::new(SeededRandom::new(seed)),
        registry: Registry::new(),
    };
    open(config.clone(), resources).expect("opens")
}
