//! The parts put together: configuration in, an RPC handler out.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use common::{clock::SharedRandom, rpc::answer};
use idl::{
    setting::{GetRevisionsRequest, GetRevisionsResponse, GetSettingsRequest, GetSettingsResponse, SettingService},
    setting_admin::*,
};
use prometheus::Registry;
use volo_thrift::ServerError;

use crate::{
    config::{Config, StoreKind},
    domain::AppId,
    error::OpenError,
    metrics::Metrics,
    rpc,
    store::{ObjectStore, SettingsCache},
};

/// The setting service. Cheap to clone; every clone shares the same copies in memory.
#[derive(Clone, Debug)]
pub struct Setting {
    settings: Arc<SettingsCache<ObjectStore>>,
    store: ObjectStore,
}

/// Opens the store and makes the handler. Reads nothing yet.
///
/// `data_dir` is where the `fs` store lies when the section names no directory of its own.
pub fn open(config: Config, data_dir: &Path, random: SharedRandom, registry: &Registry) -> Result<Setting, OpenError> {
    let metrics = Arc::new(Metrics::register(registry)?);
    let store = match config.store {
        StoreKind::Fs => {
            let root: PathBuf = config.root.clone().unwrap_or_else(|| data_dir.join("settings"));
            ObjectStore::in_directory(&root, config.document_bytes_max.get())?
        }
    };
    let settings = Arc::new(SettingsCache::new(store.clone(), config, random, metrics));
    Ok(Setting { settings, store })
}

impl Setting {
    /// Writes a small settings document for `app_id` unless it has one. Whether it was written.
    pub async fn seed_demo(&self, app_id: i64) -> Result<bool, OpenError> {
        let app = AppId::parse(app_id).map_err(|_| OpenError::AppId(app_id))?;
        self.store.write_demo(app).await
    }
}

impl SettingService for Setting {
    async fn get_settings(&self, request: GetSettingsRequest) -> Result<GetSettingsResponse, ServerError> {
        answer(rpc::get_settings::get_settings(&self.settings, request).await)
    }

    async fn get_revisions(&self, _: GetRevisionsRequest) -> Result<GetRevisionsResponse, ServerError> {
        Err(ServerError::Biz(volo_thrift::BizError::new(5_000_001, "not yet".into())))
    }

    async fn admin_publish(&self, _: PublishRequest) -> Result<Published, ServerError> {
        Err(ServerError::Biz(volo_thrift::BizError::new(5_000_001, "not yet".into())))
    }

    async fn admin_validate(&self, _: ValidateRequest) -> Result<ValidateResponse, ServerError> {
        Err(ServerError::Biz(volo_thrift::BizError::new(5_000_001, "not yet".into())))
    }

    async fn admin_get_revision(&self, _: GetRevisionRequest) -> Result<Revision, ServerError> {
        Err(ServerError::Biz(volo_thrift::BizError::new(5_000_001, "not yet".into())))
    }

    async fn admin_list_versions(&self, _: ListVersionsRequest) -> Result<ListVersionsResponse, ServerError> {
        Err(ServerError::Biz(volo_thrift::BizError::new(5_000_001, "not yet".into())))
    }

    async fn admin_diff(&self, _: DiffRequest) -> Result<DiffResponse, ServerError> {
        Err(ServerError::Biz(volo_thrift::BizError::new(5_000_001, "not yet".into())))
    }

    async fn admin_rollback(&self, _: RollbackRequest) -> Result<Published, ServerError> {
        Err(ServerError::Biz(volo_thrift::BizError::new(5_000_001, "not yet".into())))
    }

    async fn admin_explain(&self, _: ExplainRequest) -> Result<ExplainResponse, ServerError> {
        Err(ServerError::Biz(volo_thrift::BizError::new(5_000_001, "not yet".into())))
    }
}

#[cfg(test)]
mod tests {
    use common::clock::testing::SeededRandom;
    use tempfile::TempDir;

    use super::*;

    #[tokio::test]
    async fn a_new_installation_shows_its_demo_settings_from_below_its_data_directory() {
        let data_dir = TempDir::new().expect("a temporary directory");
        let random = Arc::new(SeededRandom::new(1));
        let setting = open(Config::default(), data_dir.path(), random, &Registry::new()).expect("opens");
        assert!(setting.seed_demo(100_001).await.expect("writes"));
        assert!(!setting.seed_demo(100_001).await.expect("looks"));
        assert!(data_dir.path().join("settings/apps/100001/app.json").exists());
        let request = GetSettingsRequest { app_id: 100_001, ..GetSettingsRequest::default() };
        let answer = setting.get_settings(request).await.expect("served");
        assert_eq!(answer.revision, 1);
        assert!(answer.settings_json.is_some_and(|settings| settings.contains("message_of_the_day")));
    }

    #[tokio::test]
    async fn a_root_that_can_not_be_a_directory_is_named_in_the_error() {
        let data_dir = TempDir::new().expect("a temporary directory");
        let file = data_dir.path().join("file");
        std::fs::write(&file, "").expect("writes");
        let config = Config { root: Some(file), ..Config::default() };
        let refusal = open(config, data_dir.path(), Arc::new(SeededRandom::new(1)), &Registry::new());
        let refusal = refusal.expect_err("a file is no directory").to_string();
        assert!(refusal.starts_with("setting.root \"") && refusal.contains("/file"), "{refusal}");
    }
}
