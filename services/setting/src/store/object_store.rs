//! The documents in an object store: `apps/{app_id}/app.json` and `apps/{app_id}/channels/{channel}.json`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use futures_util::TryStreamExt;
use opendal::{Buffer, ErrorKind, Operator, services::Fs};

use crate::{
    domain::{AppDocument, AppId, Audience, ChannelDocument, DocumentError, Snapshot, merge},
    error::OpenError,
    store::{Loaded, ReadFailure, Source},
};

/// What a new installation shows, so that the first look at settings is not at an empty object.
const DEMO_DOCUMENT: &str = r#"{
  "revision": 1,
  "settings": {
    "message_of_the_day": {"type": "string", "value": "Welcome to the demo"},
    "drop_rate": {"type": "number", "value": 0.1},
    "maintenance": {"type": "bool", "value": false},
    "shop": {"type": "json", "value": {"open": true, "products": ["gold_60", "gold_300"]}}
  }
}
"#;

/// The store of documents.
#[derive(Clone, Debug)]
pub(crate) struct ObjectStore {
    operator: Operator,
    root: PathBuf,
    document_bytes_max: usize,
}

impl ObjectStore {
    /// A store in the directory `root`, which is created if it does not exist.
    pub(crate) fn in_directory(root: &Path, document_bytes_max: usize) -> Result<Self, OpenError> {
        let refused = |reason: String| OpenError::Store { root: root.to_owned(), reason };
        let path = root.to_str().ok_or_else(|| refused("is not UTF-8".to_owned()))?;
        // The store takes a root that is a file for good, and then finds no document in it.
        fs::create_dir_all(root).map_err(|cause| refused(cause.to_string()))?;
        let operator = Operator::new(Fs::default().root(path)).map_err(|cause| refused(cause.to_string()))?;
        Ok(Self { operator, root: root.to_owned(), document_bytes_max })
    }

    /// Writes a small app document unless the app has one. Whether it was written.
    pub(crate) async fn write_demo(&self, app: AppId) -> Result<bool, OpenError> {
        let written = self.operator.write_with(&app_path(app), DEMO_DOCUMENT).if_not_exists(true).await;
        match written {
            Ok(_) => Ok(true),
            Err(refused) if refused.kind() == ErrorKind::ConditionNotMatch => Ok(false),
            Err(cause) => Err(OpenError::Demo(cause)),
        }
    }

    /// Reads a document and parses it; `None` when it does not exist.
    async fn document<T>(
        &self,
        path: &str,
        parse: fn(&[u8]) -> Result<T, DocumentError>,
    ) -> Result<Option<T>, ReadFailure> {
        match self.read(path).await {
            Ok(None) => Err(self.broken(path, DocumentError::TooLarge { bytes_max: self.document_bytes_max })),
            Ok(Some(bytes)) => parse(&bytes).map(Some).map_err(|reason| self.broken(path, reason)),
            Err(cause) if cause.kind() == ErrorKind::NotFound && self.is_there().await => Ok(None),
            Err(cause) => Err(cause.into()),
        }
    }

    /// Whether the directory itself exists: where it does not, a document that is missing tells nothing.
    async fn is_there(&self) -> bool {
        tokio::fs::try_exists(&self.root).await.unwrap_or(false)
    }

    /// The bytes of an object, or `None` when there are more than a document may have. Never holds more than that.
    async fn read(&self, path: &str) -> Result<Option<Vec<u8>>, opendal::Error> {
        let mut chunks = self.operator.reader(path).await?.into_stream(..).await?;
        let mut bytes = Vec::new();
        while let Some(chunk) = chunks.try_next().await? {
            if bytes.len() + chunk.len() > self.document_bytes_max {
                return Ok(None);
            }
            append(&mut bytes, chunk);
        }
        Ok(Some(bytes))
    }

    fn broken(&self, path: &str, reason: DocumentError) -> ReadFailure {
        ReadFailure::Broken { path: self.root.join(path).display().to_string(), reason }
    }
}

impl Source for ObjectStore {
    async fn load(&self, audience: &Audience) -> Result<Loaded, ReadFailure> {
        let (app_path, channel_path) = (app_path(audience.app), channel_path(audience));
        let (app, channel) = tokio::try_join!(
            self.document(&app_path, AppDocument::parse),
            self.document(&channel_path, ChannelDocument::parse),
        )?;
        let exists = app.is_some() || channel.is_some();
        let settings = merge(app.unwrap_or_default(), channel.unwrap_or_default())
            .map_err(|reason| self.broken(&channel_path, reason))?;
        Ok(Loaded { snapshot: Snapshot::of(settings), exists })
    }
}

fn app_path(app: AppId) -> String {
    format!("apps/{app}/app.json")
}

fn channel_path(audience: &Audience) -> String {
    format!("apps/{}/channels/{}.json", audience.app, audience.channel)
}

fn append(bytes: &mut Vec<u8>, chunk: Buffer) {
    for part in chunk {
        bytes.extend_from_slice(&part);
    }
}

#[cfg(test)]
mod tests {
    use pilota::FastStr;
    use tempfile::TempDir;

    use super::*;
    use crate::domain::Channel;

    struct Directory {
        root: TempDir,
        store: ObjectStore,
    }

    impl Directory {
        fn new() -> Self {
            let root = TempDir::new().expect("a temporary directory");
            let store = ObjectStore::in_directory(root.path(), 256).expect("opens");
            Self { root, store }
        }

        fn write(&self, path: &str, text: impl AsRef<[u8]>) {
            let path = self.root.path().join(path);
            fs::create_dir_all(path.parent().expect("below the root")).expect("makes directories");
            fs::write(path, text).expect("writes");
        }

        async fn load(&self) -> Result<Loaded, ReadFailure> {
            self.store.load(&audience("official")).await
        }
    }

    fn audience(channel: &str) -> Audience {
        let channel = Channel::parse(Some(FastStr::new(channel))).expect("a channel");
        Audience { app: AppId::parse(1).expect("an app id"), channel }
    }

    #[tokio::test]
    async fn settings_without_any_document_are_empty() {
        let loaded = Directory::new().load().await.expect("a missing document is no error");
        assert!(!loaded.exists);
        assert_eq!((loaded.snapshot.revision, loaded.snapshot.settings_json.as_str()), (0, "{}"));
    }

    #[tokio::test]
    async fn in_a_directory_that_is_gone_a_missing_document_tells_nothing() {
        let directory = Directory::new();
        fs::remove_dir_all(directory.root.path()).expect("removes the directory");
        assert!(directory.load().await.is_err());
        fs::create_dir(directory.root.path()).expect("makes it again");
        assert!(!directory.load().await.expect("an empty directory has no documents").exists);
    }

    #[tokio::test]
    async fn a_channel_is_laid_over_its_app_and_over_no_other() {
        let directory = Directory::new();
        directory.write("apps/1/app.json", r#"{"revision":3,"settings":{"rate":{"type":"number","value":1}}}"#);
        directory.write("apps/1/channels/official.json", r#"{"revision":4,"settings":{"rate":2}}"#);
        directory.write("apps/2/channels/official.json", r#"{"settings":{"rate":9}}"#);
        let official = directory.load().await.expect("loads").snapshot;
        assert_eq!((official.revision, official.settings_json.as_str()), (4, r#"{"rate":2}"#));
        let other = directory.store.load(&audience("other")).await.expect("loads").snapshot;
        assert_eq!((other.revision, other.settings_json.as_str()), (3, r#"{"rate":1}"#));
    }

    #[tokio::test]
    async fn a_broken_document_is_told_from_a_missing_one_and_named() {
        let directory = Directory::new();
        directory.write("apps/1/app.json", r#"{"settings":"#);
        let failure = directory.load().await.expect_err("half a document");
        assert!(failure.to_string().contains("apps/1/app.json"), "{failure}");
        assert!(matches!(failure, ReadFailure::Broken { .. }));
    }

    #[tokio::test]
    async fn a_document_over_the_limit_is_broken_and_one_at_the_limit_is_not() {
        let directory = Directory::new();
        let at_limit = format!("{:<256}", r#"{"settings":{}}"#);
        directory.write("apps/1/app.json", &at_limit);
        assert!(directory.load().await.expect("loads").exists);
        directory.write("apps/1/app.json", at_limit + " ");
        let failure = directory.load().await.expect_err("too large");
        assert!(matches!(failure, ReadFailure::Broken { reason: DocumentError::TooLarge { bytes_max: 256 }, .. }));
    }

    #[tokio::test]
    async fn a_store_that_can_not_be_read_is_not_a_missing_document() {
        let directory = Directory::new();
        directory.write("apps/1", "a file where a directory belongs");
        assert!(matches!(directory.load().await, Err(ReadFailure::Store(_))));
    }

    #[tokio::test]
    async fn the_demo_document_is_good_and_never_replaces_another() {
        let root = TempDir::new().expect("a temporary directory");
        let store = ObjectStore::in_directory(root.path(), 4096).expect("opens");
        let app = AppId::parse(1).expect("an app id");
        assert!(store.write_demo(app).await.expect("writes"));
        let demo = store.load(&audience("official")).await.expect("loads").snapshot;
        assert!(demo.settings_json.contains("message_of_the_day"), "{demo:?}");
        fs::write(root.path().join("apps/1/app.json"), "mine").expect("writes");
        assert!(!store.write_demo(app).await.expect("looks"));
        assert_eq!(fs::read_to_string(root.path().join("apps/1/app.json")).expect("reads"), "mine");
    }
}
