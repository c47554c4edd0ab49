//! The last good list of a service between two runs, so that a process can start while Nacos is down.

use std::{
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tokio::fs;

use super::config::NacosConfig;
use crate::discovery::Instances;

/// Where the list of one service is kept.
#[derive(Debug)]
pub(super) struct ListFile {
    path: PathBuf,
    namespace: String,
    group: String,
}

/// What is in the file. Namespace and group are there so that a list of another environment is never taken for ours.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    namespace: String,
    group: String,
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
    pub(super) async fn load(&self) -> Option<Instances> {
        let text = fs::read(&self.path).await.ok()?;
        let kept: Kept = match serde_json::from_slice(&text) {
            Ok(kept) => kept,
            Err(error) => {
                tracing::warn!(path = %self.path.display(), %error, "a kept list of instances can't be read");
                return None;
            }
        };
        (kept.namespace == self.namespace && kept.group == self.group).then_some(kept.instances)
    }

    /// Keeps a list. Readers see the old one or the new one, never half of it. A list that can't be kept is logged and
    /// costs the next start, not this run.
    pub(super) async fn save(&self, instances: &Instances) {
        if let Err(error) = self.try_save(instances).await {
            tracing::warn!(path = %self.path.display(), %error, "the list of instances can't be kept on disk");
        }
    }

    async fn try_save(&self, instances: &Instances) -> io::Result<()> {
        let Self { path, namespace, group } = self;
        let kept = Kept { namespace: namespace.clone(), group: group.clone(), instances: instances.clone() };
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

    fn list() -> Instances {
        let address = "10.0.0.1:9081".parse().expect("an address");
        Instances::new(vec![Instance { weight: 3, lane: Some("canary".to_owned()), ..Instance::at(address) }])
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
