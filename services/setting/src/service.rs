//! The parts put together: configuration in, an RPC handler out.

use std::{path::PathBuf, sync::Arc};

use common::{
    clock::{SharedClock, SharedRandom},
    rpc::answer,
    shared::Feed,
};
use idl::{
    setting::{GetRevisionsRequest, GetRevisionsResponse, GetSettingsRequest, GetSettingsResponse, SettingService},
    setting_admin::*,
};
use pilota::FastStr;
use prometheus::Registry;
use tokio::sync::{OnceCell, Semaphore};
use volo_thrift::ServerError;

use crate::{
    config::Config,
    domain::{AppId, DocumentLimits},
    error::{AdminError, OpenError},
    hints::Hints,
    metrics::Metrics,
    publishing::{self, Prepared},
    rpc::{self, admin},
    store::{ENVELOPE_BYTES_MAX, Objects, SettingsCache, VersionStore},
};

/// What a new installation shows, so that the first look at settings is not at an empty object.
const DEMO_DOCUMENT: &str = r#"{
  "settings": {
    "message_of_the_day": {"type": "string", "value": "Welcome to the demo"},
    "drop_rate": {"type": "number", "value": 0.1},
    "double_experience": {"type": "bool", "value": false},
    "shop": {"type": "json", "value": {"open": true, "products": ["gold_60", "gold_300"]}}
  }
}"#;

/// The setting service. Cheap to clone; every clone shares the same copies in memory.
#[derive(Clone, Debug)]
pub struct Setting {
    parts: Arc<Parts>,
}

/// What the service uses of its process.
#[derive(Debug)]
pub struct Resources {
    /// Where the `fs` store lies when the section names no directory of its own.
    pub data_dir: PathBuf,
    /// The way to the other replicas; without one they find out by themselves.
    pub feed: Option<Arc<dyn Feed>>,
    /// Tells the time at which settings are evaluated and versions are published.
    pub clock: SharedClock,
    /// Spreads refreshes and names temporary files.
    pub random: SharedRandom,
    /// Where the metrics are registered.
    pub registry: Registry,
}

/// What every clone shares.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) store: VersionStore,
    pub(crate) settings: SettingsCache<VersionStore>,
    pub(crate) hints: Option<Hints>,
    /// Operators' requests that may still begin.
    pub(crate) operations: Arc<Semaphore>,
    /// Whether the store was seen to do what publishing needs.
    pub(crate) store_is_checked: OnceCell<()>,
    pub(crate) limits: DocumentLimits,
    pub(crate) config: Config,
    pub(crate) clock: SharedClock,
    pub(crate) random: SharedRandom,
    pub(crate) metrics: Arc<Metrics>,
}

/// Opens the store and makes the handler. Reads nothing yet: a bucket that can't be reached now keeps no process from
/// starting.
///
/// # Errors
/// When the directory can't be made, or the bucket is configured in a way that can't work.
pub fn open(config: Config, resources: Resources) -> Result<Setting, OpenError> {
    let Resources { data_dir, feed, clock, random, registry } = resources;
    let metrics = Arc::new(Metrics::register(&registry)?);
    let object_bytes_max = config.document_bytes_max.get().saturating_add(ENVELOPE_BYTES_MAX);
    let objects = Objects::open(&config, &data_dir, object_bytes_max, random.clone())?;
    let limits = config.document_limits();
    let store = VersionStore::new(objects, config.versions_kept, limits.clone(), clock.clone());
    let settings = SettingsCache::new(store.clone(), config.clone(), random.clone(), Arc::clone(&metrics));
    let hints = feed.map(|feed| Hints::new(feed, Arc::clone(&metrics)));
    let operations = Arc::new(Semaphore::new(config.operations_max.get().min(Semaphore::MAX_PERMITS)));
    let store_is_checked = OnceCell::new();
    let parts = Parts { store, settings, hints, operations, store_is_checked, limits, config, clock, random, metrics };
    Ok(Setting { parts: Arc::new(parts) })
}

impl Setting {
    /// Publishes a small settings document as the first version of `app_id`, unless it has one. Whether it was published.
    ///
    /// # Errors
    /// When the app id can't be one, or the store does not take it.
    pub async fn seed_demo(&self, app_id: i64) -> Result<bool, OpenError> {
        let app = AppId::parse(app_id).map_err(|_| OpenError::AppId(app_id))?;
        let prepared = Prepared {
            document: DEMO_DOCUMENT.into(),
            author: FastStr::from_static_str("playgate"),
            note: FastStr::from_static_str("the settings of a new installation"),
            rolled_back_to: None,
        };
        match publishing::publish(&self.parts, app, 0, prepared).await {
            Ok(_) => Ok(true),
            Err(AdminError::Changed { .. }) => Ok(false),
            Err(cause) => Err(OpenError::Demo(cause.to_string())),
        }
    }

    pub(crate) fn parts(&self) -> &Arc<Parts> {
        &self.parts
    }
}

impl SettingService for Setting {
    async fn get_settings(&self, request: GetSettingsRequest) -> Result<GetSettingsResponse, ServerError> {
        answer(rpc::get_settings::get_settings(&self.parts, request).await)
    }

    async fn get_revisions(&self, request: GetRevisionsRequest) -> Result<GetRevisionsResponse, ServerError> {
        answer(rpc::get_revisions::get_revisions(&self.parts, request).await)
    }

    async fn admin_publish(&self, request: PublishRequest) -> Result<Published, ServerError> {
        answer(admin::publish::publish(&self.parts, request).await)
    }

    async fn admin_validate(&self, request: ValidateRequest) -> Result<ValidateResponse, ServerError> {
        answer(admin::validate::validate(&self.parts, request).await)
    }

    async fn admin_get_revision(&self, request: GetRevisionRequest) -> Result<Revision, ServerError> {
        answer(admin::get_revision::get_revision(&self.parts, request).await)
    }

    async fn admin_list_versions(&self, request: ListVersionsRequest) -> Result<ListVersionsResponse, ServerError> {
        answer(admin::list_versions::list_versions(&self.parts, request).await)
    }

    async fn admin_diff(&self, request: DiffRequest) -> Result<DiffResponse, ServerError> {
        answer(admin::diff::diff(&self.parts, request).await)
    }

    async fn admin_rollback(&self, request: RollbackRequest) -> Result<Published, ServerError> {
        answer(admin::rollback::rollback(&self.parts, request).await)
    }

    async fn admin_explain(&self, request: ExplainRequest) -> Result<ExplainResponse, ServerError> {
        answer(admin::explain::explain(&self.parts, request).await)
    }
}
