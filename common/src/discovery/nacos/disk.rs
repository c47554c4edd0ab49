//! The last good list of a service between two runs, so that a process can start while Nacos is down.

use std::{
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tokio::fs;

use super::config::NacosConfig;
use crate::{clock::Timestamp, discovery::Instances};

/// Where the list of one service is kept.
#[derive(Debug)]
pub(super) struct ListFile {
    path: PathBuf,
    namespace: String,
    group: String,
}

/// A list as it is kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct KeptList {
    pub(super) instances: Instances,
    /// When Nacos last said that it holds, to within the time between two writes.
    pub(super) confirmed_at: Timestamp,
}

/// What is in the file. Namespace and group are there so that a list of another environment is never taken for ours.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    namespace: String,
    group: String,
    /// Unix milliseconds. Earlier versions did not write it.
    #[serde(default)]
    confirmed_at: i64,
    instances: Instances,
}

impl ListFile {
    pub(super) fn new(directory: &Path, service: &str, config: &NacosConfig) -> Self {
        Self {
            path: directory.join(format!("{service}.json")),
            namespace: config.namespace.clone(),
            group: config.group.clone(),
        }
    }

    /// The list of the last run, if there is one that can be used.
    pub(super) async fn load(&self) -> Option<KeptList> {
        let text = fs::read(&self.path).await.ok()?;
        let kept: Kept = match serde_json::from_slice(&text) {
            Ok(kept) => kept,
            Err(error) => {
                tracing::warn!(path = %self.path.display(), %error, "a kept list of instances can't be read");
                return None;
            }
        };
        let is_ours = kept.namespace == self.namespace && kept.group == self.group;
        let confirmed_at = Timestamp::from_millis(kept.confirmed_at);
        is_ours.then_some(KeptList { instances: kept.instances, confirmed_at })
    }

    /// Keeps a list. Readers see the old one or the new one, never half of it. A list that can't be kept is logged and
    /// costs the next start, not this run.
    pub(super) async fn save(&self, list: &KeptList) {
        if let Err(error) = self.try_save(list).await {
            tracing::warn!(path = %self.path.display(), %error, "the list of instances can't be kept on disk");
        }
    }

    async fn try_save(&self, list: &KeptList) -> io::Result<()> {
        let Self { path, namespace, group } = self;
        let kept = Kept {
            namespace: namespace.clone(),
            group: group.clone(),
            confirmed_at: list.confirmed_at.as_millis(),
            instances: list.instances.clone(),
        };
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).await?;
        }
        // Several processes may share the directory: each writes a file of its own and puts it in place.
        let unfinished = path.with_extension(format!("{}.unfinished", std::process::id()));
        fs::write(&unfinished, serde_json::to_vec_pretty(&kept)?).await?;
        fs::rename(&unfinished, path).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discovery::Instance;

    fn list() -> KeptList {
        let address = "10.0.0.1:9081".parse().expect("an address");
        let instance = Instance { weight: 3, lane: Some("canary".to_owned()), ..Instance::at(address) };
        let confirmed_at = Timestamp::from_millis(1_750_000_000_000);
        KeptList { instances: Instances::new(vec![instance]), confirmed_at }
    }

    #[tokio::test]
    async fn what_is_kept_is_there_in_the_next_run() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = || ListFile::new(&directory.path().join("nacos"), "account", &NacosConfig::default());
        assert_eq!(file().load().await, None);
        file().save(&list()).await;
        assert_eq!(file().load().await, Some(list()));
    }

    #[tokio::test]
    async fn a_list_that_an_earlier_version_kept_is_one_of_unknown_age() {
        let directory = tempfile::tempdir().expect("a directory");
        let instance = r#"{"address":"10.0.0.1:9081","weight":3,"lane":"canary","version":""}"#;
        let text = format!(r#"{{"namespace":"","group":"DEFAULT_GROUP","instances":[{instance}]}}"#);
        std::fs::write(directory.path().join("account.json"), text).expect("a file");
        let loaded = ListFile::new(directory.path(), "account", &NacosConfig::default()).load().await;
        assert_eq!(loaded, Some(KeptList { confirmed_at: Timestamp::default(), ..list() }));
    }

    #[tokio::test]
    async fn a_list_of_another_namespace_is_not_ours() {
        let directory = tempfile::tempdir().expect("a directory");
        ListFile::new(directory.path(), "account", &NacosConfig::default()).save(&list()).await;
        let other = NacosConfig { namespace: "staging".to_owned(), ..NacosConfig::default() };
        assert_eq!(ListFile::new(directory.path(), "account", &other).load().await, None);
    }

    #[tokio::test]
    async fn a_damaged_file_is_no_list() {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("account.json"), "{").expect("a file");
        assert_eq!(ListFile::new(directory.path(), "account", &NacosConfig::default()).load().await, None);
    }
}
