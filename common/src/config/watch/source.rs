//! What a document source is, and the one that reads files.

use std::{fmt, io, path::PathBuf};

use futures_util::{FutureExt, future::BoxFuture};
use tokio::{
    fs::File,
    io::{AsyncReadExt, Take},
};

/// Reads one document, as often as it is asked to.
pub trait DocumentSource: Send + Sync + fmt::Debug + 'static {
    /// The text as it is now; `None` when there is no such document.
    fn read(&self) -> BoxFuture<'_, Result<Option<String>, DocumentError>>;
}

/// Why a document can't be read. That it does not exist is no error.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct DocumentError(Box<dyn std::error::Error + Send + Sync>);

/// A file.
#[derive(Clone, Debug)]
pub struct FileDocument {
    path: PathBuf,
    max_bytes: usize,
}

impl DocumentError {
    /// The reason, as whoever was asked has it.
    pub fn new(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(reason.into())
    }
}

impl FileDocument {
    /// The file at `path`. Of a file that is larger than `max_bytes` only so much is read that this can be told.
    pub fn new(path: impl Into<PathBuf>, max_bytes: usize) -> Self {
        Self { path: path.into(), max_bytes }
    }

    async fn try_read(&self) -> io::Result<String> {
        let limit = u64::try_from(self.max_bytes).unwrap_or(u64::MAX).saturating_add(1);
        let mut file: Take<File> = File::open(&self.path).await?.take(limit);
        let mut text = String::new();
        file.read_to_string(&mut text).await?;
        Ok(text)
    }
}

impl DocumentSource for FileDocument {
    fn read(&self) -> BoxFuture<'_, Result<Option<String>, DocumentError>> {
        async move {
            match self.try_read().await {
                Ok(text) => Ok(Some(text)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(DocumentError::new(error)),
            }
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_read_as_it_is_now_and_may_be_missing() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("playgate-log.toml");
        let document = FileDocument::new(&path, 100);
        assert_eq!(document.read().await.expect("no fault"), None);
        for text in ["level = 'info'", "level = 'debug'"] {
            std::fs::write(&path, text).expect("a file");
            assert_eq!(document.read().await.expect("readable").as_deref(), Some(text));
        }
    }

    #[tokio::test]
    async fn of_a_file_that_is_too_large_no_more_is_read_than_shows_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("large.toml");
        std::fs::write(&path, "x".repeat(1000)).expect("a file");
        let text = FileDocument::new(&path, 100).read().await.expect("readable").expect("there");
        assert_eq!(text.len(), 101);
    }

    #[tokio::test]
    async fn what_is_no_file_is_an_error_and_not_an_absent_document() {
        let directory = tempfile::tempdir().expect("a directory");
        assert!(FileDocument::new(directory.path(), 100).read().await.is_err());
    }
}
