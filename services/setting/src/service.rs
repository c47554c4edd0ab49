//! The parts put together: configuration in, an RPC handler out.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use common::clock::SharedRandom;
use prometheus::Registry;

use crate::{
    config::{Config, StoreKind},
    domain::AppId,
    error::OpenError,
    metrics::Metrics,
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
