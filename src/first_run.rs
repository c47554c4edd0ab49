//! The first run on the embedded default: an app and a player to try things with.
//!
//! Development only: what this module makes has a published password. Its secret lies in `data_dir/demo-app.json`,
//! readable by its owner only, so that later runs can show the same commands.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::Context;
use common::{error_code::ErrorCode, rpc::CallError};
use gateway::Upstream;
use idl::account::{ClientInfo, RegisterRequest};
use serde::{Deserialize, Serialize};

/// The app and the player that the banner's commands use.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct DemoApp {
    pub(crate) app_id: i64,
    pub(crate) app_secret: String,
    pub(crate) username: String,
    pub(crate) password: String,
}

impl DemoApp {
    /// The demo player of an app.
    pub(crate) fn new(app_id: i64, app_secret: String) -> Self {
        Self { app_id, app_secret, username: "demo".to_owned(), password: "demo-password".to_owned() }
    }

    /// The app that an earlier run made here, if one did.
    pub(crate) fn load(data_dir: &Path) -> anyhow::Result<Option<Self>> {
        let path = file(data_dir);
        match std::fs::read(&path) {
            Ok(bytes) => {
                let app = serde_json::from_slice(&bytes);
                Ok(Some(app.with_context(|| format!("{} is damaged: delete it to start without it", path.display()))?))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Keeps the app for later runs.
    pub(crate) fn save(&self, data_dir: &Path) -> anyhow::Result<()> {
        let path = file(data_dir);
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&path).with_context(|| format!("cannot write {}", path.display()))?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        Ok(file.sync_all()?)
    }
}

impl std::fmt::Debug for DemoApp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DemoApp").field("app_id", &self.app_id).finish_non_exhaustive()
    }
}

/// Registers the demo player, as any client would.
pub(crate) async fn register_player(upstream: &Upstream, demo: &DemoApp) -> anyhow::Result<()> {
    let client = ClientInfo::default();
    let request = RegisterRequest {
        app_id: demo.app_id,
        username: demo.username.clone().into(),
        password: demo.password.clone().into(),
        client,
        switches: None,
    };
    match upstream.account.register(request).await.map_err(CallError::from) {
        Ok(_) => Ok(()),
        // An earlier first run got this far and no further.
        Err(CallError::Answered(refusal)) if refusal.code == ErrorCode::USERNAME_TAKEN => Ok(()),
        Err(error) => Err(error).context("the demo player could not be registered"),
    }
}

fn file(data_dir: &Path) -> PathBuf {
    data_dir.join("demo-app.json")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_demo_app_survives_a_restart_and_its_secret_is_readable_by_its_owner_only() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        assert!(DemoApp::load(directory.path()).expect("readable").is_none());
        DemoApp::new(7, "secret".to_owned()).save(directory.path()).expect("writable");
        let loaded = DemoApp::load(directory.path()).expect("readable").expect("there");
        assert_eq!((loaded.app_id, loaded.app_secret.as_str()), (7, "secret"));
        let mode = std::fs::metadata(file(directory.path())).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
